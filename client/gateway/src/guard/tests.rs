use http::Request;

use super::*;

fn settings() -> Settings {
    Settings::new(
        "127.0.0.1:3501".parse().unwrap(),
        &["viewer.example".to_owned(), "localhost:8080".to_owned()],
        Auth::Token,
        true,
    )
}

/// A request for our page's data as our page makes it, with these headers besides.
fn head(request: &str, headers: &[(&str, &str)]) -> Parts {
    let (method, target) = request.split_once(' ').unwrap();
    let mut builder = Request::builder().method(method).uri(target);
    if !headers.iter().any(|(name, _)| *name == "host") {
        builder = builder.header("host", "localhost:3501");
    }
    for (name, value) in headers.iter().filter(|(_, value)| *value != "(none)") {
        builder = builder.header(*name, *value);
    }
    builder.body(()).unwrap().into_parts().0
}

/// `ok`, `token`, or the status and the reason.
fn verdict(request: &str, headers: &[(&str, &str)], settings: &Settings) -> String {
    match check(&head(request, headers), settings) {
        Ok(Allowed::Open) => "ok".to_owned(),
        Ok(Allowed::WithToken) => "token".to_owned(),
        Err(refused) => format!("{} {}", refused.status.as_u16(), refused.reason),
    }
}

#[test]
fn a_method_that_does_not_do_is_told_which_do() {
    for (request, methods) in [
        ("PUT /", "GET, HEAD"),
        ("HEAD /api/projects", "GET"),
        ("DELETE /api/holds", "GET, POST"),
        ("GET /api/holds/claude", "DELETE"),
        ("GET /api/session", "POST"),
    ] {
        let refused = check(&head(request, &[]), &settings()).unwrap_err();
        assert_eq!(refused.allow, Some(methods), "{request}");
    }
    let nowhere = check(&head("GET /bogus", &[]), &settings()).unwrap_err();
    assert_eq!(nowhere.allow, None);
}

/// A request, its headers, and what is to come of it.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);

fn all(table: &[Case<'_>]) {
    for (request, headers, expected) in table {
        let seen = verdict(request, headers, &settings());
        assert_eq!(&seen, expected, "{request} {headers:?}");
    }
}

const READ: &str = "GET /api/projects";

#[test]
fn the_host_is_one_of_ours_to_the_letter() {
    all(&[
        (READ, &[("host", "localhost:3501")], "token"),
        (READ, &[("host", "LocalHost:3501")], "token"),
        (READ, &[("host", "127.0.0.1:3501")], "token"),
        (READ, &[("host", "[::1]:3501")], "token"),
        (READ, &[("host", "viewer.example")], "token"),
        (READ, &[("host", "localhost:8080")], "token"),
        (READ, &[("host", "viewer.example:3501")], "403 host"),
        (READ, &[("host", "localhost")], "403 host"),
        (READ, &[("host", "localhost:80")], "403 host"),
        (READ, &[("host", "localhost:03501")], "403 host"),
        (READ, &[("host", "localhost.:3501")], "403 host"),
        (READ, &[("host", "127.0.0.1.:3501")], "403 host"),
        (READ, &[("host", "localhost.evil:3501")], "403 host"),
        (READ, &[("host", "127.0.0.1.nip.io:3501")], "403 host"),
        (READ, &[("host", "evil.example")], "403 host"),
        (READ, &[("host", "0.0.0.0:3501")], "403 host"),
        (READ, &[("host", "2130706433:3501")], "403 host"),
        (READ, &[("host", "0x7f.1:3501")], "403 host"),
        (READ, &[("host", "[::ffff:127.0.0.1]:3501")], "403 host"),
        (READ, &[("host", "user@localhost:3501")], "403 host"),
        (READ, &[("host", "localhost:3501,evil.example")], "403 host"),
        (READ, &[("host", " localhost:3501")], "403 host"),
        (READ, &[("host", "")], "403 host"),
        (READ, &[("host", "(none)")], "400 host"),
        (
            READ,
            &[("host", "localhost:3501"), ("host", "localhost:3501")],
            "400 host",
        ),
        (
            READ,
            &[("host", "localhost:3501"), ("host", "evil.example")],
            "400 host",
        ),
    ]);
}

#[test]
fn an_absolute_target_agrees_with_the_host() {
    all(&[
        ("GET http://localhost:3501/api/projects", &[], "token"),
        ("GET http://evil.example/api/projects", &[], "403 host"),
        ("GET http://127.0.0.1:3501/api/projects", &[], "403 host"),
        ("GET https://localhost:3501/api/projects", &[], "403 host"),
        (
            "GET http://localhost:3501@evil.example/api/projects",
            &[],
            "403 host",
        ),
        ("CONNECT localhost:3501", &[], "403 host"),
        ("CONNECT evil.example:443", &[], "403 host"),
    ]);
}

#[test]
fn a_page_of_another_origin_is_refused_on_this_machine_too() {
    let navigate = [
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ];
    let from = |site| [("sec-fetch-site", site), navigate[0], navigate[1]];
    all(&[
        (READ, &[("sec-fetch-site", "same-origin")], "token"),
        (READ, &[("sec-fetch-site", "none")], "token"),
        (READ, &[("sec-fetch-site", "same-site")], "403 site"),
        (READ, &[("sec-fetch-site", "cross-site")], "403 site"),
        (READ, &[("sec-fetch-site", "")], "403 site"),
        (
            READ,
            &[("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")],
            "403 site",
        ),
        (READ, &from("cross-site"), "403 site"),
        ("GET /", &from("cross-site"), "ok"),
        ("GET /tasks/T1?project=/a", &from("same-site"), "ok"),
        ("HEAD /", &from("cross-site"), "403 site"),
        ("GET /assets/app.js", &from("cross-site"), "403 site"),
        ("GET /", &[("sec-fetch-site", "cross-site")], "403 site"),
        (
            "GET /",
            &[
                ("sec-fetch-site", "cross-site"),
                navigate[0],
                ("sec-fetch-dest", "iframe"),
            ],
            "403 site",
        ),
        (READ, &[("origin", "http://localhost:3501")], "token"),
        (READ, &[("origin", "http://[::1]:3501")], "token"),
        (READ, &[("origin", "https://viewer.example")], "token"),
        (READ, &[("origin", "null")], "403 origin"),
        (READ, &[("origin", "http://localhost:3000")], "403 origin"),
        (READ, &[("origin", "http://localhost")], "403 origin"),
        (READ, &[("origin", "https://localhost:3501")], "403 origin"),
        (READ, &[("origin", "http://evil.example")], "403 origin"),
        (
            READ,
            &[("origin", "http://localhost:3501"), ("origin", "null")],
            "403 origin",
        ),
        (
            "GET /",
            &[("origin", "null"), navigate[0], navigate[1]],
            "403 origin",
        ),
        (
            "POST /api/session",
            &[("origin", "http://localhost:3000")],
            "403 origin",
        ),
        (
            "POST /api/session",
            &[("sec-fetch-site", "same-site")],
            "403 site",
        ),
    ]);
}

#[test]
fn only_what_there_is_with_its_method_and_its_door() {
    all(&[
        ("GET /", &[], "ok"),
        ("GET /tasks/T1", &[], "ok"),
        ("GET /healthz", &[], "ok"),
        ("GET /assets/app.js", &[], "ok"),
        ("GET /assets/a/b", &[], "404 path"),
        ("GET /metrics", &[], "token"),
        ("POST /api/session", &[], "ok"),
        ("POST /api/codes", &[], "token"),
        ("POST /api/token/rotate", &[], "token"),
        ("GET /usage", &[], "ok"),
        ("GET /api/usage", &[], "token"),
        ("GET /api/overview/stream", &[], "token"),
        ("GET /api/tasks/T1/stream", &[], "token"),
        ("GET /api/tasks/T1/invocations/4/lines", &[], "token"),
        ("POST /api/tasks/T1/invocations", &[], "token"),
        ("GET /api/tasks/T1/invocations", &[], "405 method"),
        ("GET /api/invocations", &[], "token"),
        ("POST /api/invocations", &[], "405 method"),
        ("GET /api/holds", &[], "token"),
        ("POST /api/holds", &[], "token"),
        ("DELETE /api/holds", &[], "405 method"),
        ("DELETE /api/holds/claude", &[], "token"),
        ("GET /api/holds/claude", &[], "405 method"),
        ("GET /api/session", &[], "405 method"),
        ("HEAD /api/projects", &[], "405 method"),
        ("POST /api/projects", &[], "405 method"),
        ("PUT /", &[], "405 method"),
        ("OPTIONS /api/projects", &[], "403 method"),
        ("OPTIONS *", &[], "403 method"),
        ("GET /api", &[], "404 path"),
        ("GET //api/projects", &[], "404 path"),
        ("GET /api/projects/", &[], "404 path"),
        ("GET /api/tasks/a/b/c/d/e/f/g/h", &[], "404 path"),
        ("GET /../api/projects", &[], "404 path"),
    ]);
}

#[test]
fn heads_are_bounded_and_a_body_has_one_length() {
    let long = format!("GET /{}", "a".repeat(LONGEST_TARGET));
    let fits = format!("GET /?{}", "a".repeat(LONGEST_TARGET - 2));
    let many: Vec<_> = (0..MOST_HEADERS).map(|_| ("x-a", "1")).collect();
    all(&[
        (&long, &[], "414 target"),
        (&fits, &[], "ok"),
        ("GET /", &many, "431 headers"),
        ("POST /api/session", &[("content-length", "65536")], "ok"),
        (
            "POST /api/session",
            &[("content-length", "65537")],
            "413 body",
        ),
        (
            "POST /api/session",
            &[("content-length", "-1")],
            "400 framing",
        ),
        (
            "POST /api/session",
            &[("content-length", "5"), ("content-length", "5")],
            "400 framing",
        ),
        (
            "POST /api/session",
            &[("transfer-encoding", "chunked")],
            "411 framing",
        ),
        (
            "POST /api/session",
            &[("content-length", "5"), ("transfer-encoding", "chunked")],
            "411 framing",
        ),
        ("GET /", &[("content-length", "5")], "400 framing"),
        ("GET /", &[("content-length", "0")], "ok"),
    ]);
}

#[test]
fn a_method_that_a_path_does_not_have_is_told_whatever_comes_with_it() {
    let body: &[_] = &[
        ("content-length", "5"),
        ("content-type", "application/json"),
    ];
    all(&[
        ("PUT /api/projects", body, "405 method"),
        ("PATCH /api/tasks/T1/invocations", body, "405 method"),
        ("DELETE /api/tasks/T1", body, "405 method"),
        ("PUT /nowhere", body, "404 path"),
        ("OPTIONS /api/projects", body, "403 method"),
        ("GET /api/projects", body, "400 framing"),
    ]);
}

#[test]
fn without_a_token_all_is_read_only_and_nobody_gets_one() {
    let open = Settings {
        auth: Auth::None,
        ..settings()
    };
    for (request, expected) in [
        (READ, "ok"),
        ("GET /api/tasks/T1/stream", "ok"),
        ("POST /api/tasks/T1/invocations", "403 control"),
        ("POST /api/tasks/T1/invocations/1/stop", "403 control"),
        ("POST /api/tasks/T1/invocations/1/input", "403 control"),
        ("POST /api/tasks/T1/invocations/1/retry", "403 control"),
        ("GET /api/holds", "ok"),
        ("POST /api/holds", "403 control"),
        ("DELETE /api/holds/claude", "403 control"),
        ("POST /api/session", "403 no_token"),
        ("POST /api/codes", "403 no_token"),
    ] {
        assert_eq!(verdict(request, &[], &open), expected, "{request}");
    }
    let off = Settings {
        control: false,
        ..settings()
    };
    for (request, expected) in [
        ("POST /api/tasks/T1/invocations/1/stop", "403 control"),
        ("GET /api/holds", "token"),
        ("POST /api/holds", "403 control"),
        ("DELETE /api/holds/claude", "403 control"),
    ] {
        assert_eq!(verdict(request, &[], &off), expected, "{request}");
    }
}

#[test]
fn the_port_of_http_may_be_left_out() {
    let plain = Settings::new("127.0.0.1:80".parse().unwrap(), &[], Auth::Token, false);
    for host in ["localhost", "localhost:80"] {
        assert_eq!(verdict(READ, &[("host", host)], &plain), "token");
    }
}
