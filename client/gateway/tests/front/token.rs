//! The token and the codes that are traded for it.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use crate::fake::{self, Fake};
use crate::gateway::{Gateway, is_guarded, refused};

#[test]
fn without_the_token_there_is_the_page_and_nothing_that_it_shows() {
    let gateway = Gateway::start(&[]);
    let token = gateway.token();
    let bearer = |token: &str| format!("Authorization: Bearer {token}");
    let in_query = format!("GET /api/projects?token={token}&access_token={token}");
    for (request, header, status) in [
        ("GET /", String::new(), 200),
        ("GET /healthz", String::new(), 503),
        ("GET /api/status", bearer(&token), 200),
        ("GET /api/status", "X-A: b".to_owned(), 401),
        ("GET /api/status", bearer(""), 401),
        ("GET /api/status", bearer(&token[..63]), 401),
        ("GET /api/status", bearer(&format!("{token}0")), 401),
        ("GET /api/status", bearer(&"0".repeat(64)), 401),
        (
            "GET /api/status",
            format!("Authorization: Basic {token}"),
            401,
        ),
        ("GET /api/status", format!("Cookie: token={token}"), 401),
        (&in_query, "X-A: b".to_owned(), 401),
        ("GET /metrics", "X-A: b".to_owned(), 401),
        (
            "GET /api/tasks/T1/stream?project=/a",
            "X-A: b".to_owned(),
            401,
        ),
        ("POST /api/codes", "X-A: b".to_owned(), 401),
        ("POST /api/token/rotate", "X-A: b".to_owned(), 401),
        ("POST /api/tasks/T1/invocations", bearer(&token), 403),
    ] {
        let headers: Vec<&str> = [header.as_str()]
            .into_iter()
            .filter(|it| !it.is_empty())
            .collect();
        let answer = gateway.ask(request, &headers);
        assert_eq!(answer.status, status, "{request} {header}");
        is_guarded(&answer);
    }
}

fn traded(gateway: &Gateway, code: &str) -> (u16, serde_json::Value) {
    let body = format!("{{\"code\":\"{code}\"}}");
    let kind = "Content-Type: application/json";
    let answer = gateway.ask_with("POST /api/session", &[kind], &body);
    is_guarded(&answer);
    (answer.status, answer.json())
}

fn code(gateway: &Gateway) -> String {
    let answer = gateway.call("POST /api/codes", "").json();
    assert_eq!(answer["expiresInSeconds"], 60);
    answer["code"].as_str().unwrap().to_owned()
}

#[test]
fn a_code_gives_the_token_once_and_neither_is_logged() {
    let gateway = Gateway::start(&["--log-level", "trace"]);
    let token = gateway.token();
    let good = code(&gateway);
    assert_eq!(traded(&gateway, "guess").0, 401);
    let (status, answer) = traded(&gateway, &good);
    assert_eq!(
        (status, answer["token"].as_str()),
        (200, Some(token.as_str()))
    );
    assert_eq!(traded(&gateway, &good).0, 401);
    gateway.ask(
        "GET /api/status",
        &[&format!("Authorization: Bearer {token}x")],
    );
    let (exit, _folder, log) = gateway.stop();
    assert_eq!(exit, Some(0));
    assert!(!log.contains(&token) && !log.contains(&good), "{log}");
}

#[test]
fn a_new_token_ends_the_old_one_and_its_codes() {
    let gateway = Gateway::start(&[]);
    let old = format!("Authorization: Bearer {}", gateway.token());
    let unused = code(&gateway);
    let rotated = gateway.call("POST /api/token/rotate", "").json();
    assert_eq!(rotated["token"].as_str(), Some(gateway.token().as_str()));
    assert_eq!(gateway.ask("GET /api/status", &[&old]).status, 401);
    assert_eq!(traded(&gateway, &unused).0, 401);
    assert_eq!(gateway.call("GET /api/status", "").status, 200);
}

#[test]
fn a_stream_ends_with_the_token_it_came_with() {
    let fake = Fake::start();
    fake.world(|world| {
        let running = fake::invocation(1, steroids_proto::v1::State::Running);
        world.invocations.push(running);
        world.line(1, "{\"ts\":1,\"type\":\"output\",\"msg\":\"first\"}");
    });
    let gateway = Gateway::start(&["--socket", fake.socket().to_str().unwrap()]);
    let mut stream = gateway.connect();
    let request = format!(
        "GET /api/tasks/T1/stream?project=/home/dev/app HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\r\n",
        gateway.host,
        gateway.token()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"\"first\"}") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        seen.push(byte[0]);
    }
    assert_eq!(gateway.call("POST /api/token/rotate", "").status, 200);
    // The last chunk of a body that has ended; the connection itself may be used again.
    while !seen.ends_with(b"0\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        seen.push(byte[0]);
        assert!(!seen.ends_with(b": heartbeat"), "it goes on");
    }
}

#[test]
fn a_poll_that_waits_ends_with_the_token_it_came_with() {
    let fake = Fake::start();
    fake.world(|world| {
        let running = fake::invocation(1, steroids_proto::v1::State::Running);
        world.invocations.push(running);
    });
    let gateway = Gateway::start(&["--socket", fake.socket().to_str().unwrap()]);
    let answer = std::thread::scope(|scope| {
        let path = "GET /api/tasks/T1/events?project=/home/dev/app&wait=60";
        let poll = scope.spawn(|| gateway.call(path, ""));
        // It waits with an upstream that goes on.
        fake.until(|world| world.follows.iter().any(|it| it.follow));
        assert_eq!(gateway.call("POST /api/token/rotate", "").status, 200);
        poll.join().unwrap()
    });
    assert_eq!(answer.status, 401, "{answer:?}");
    is_guarded(&answer);
}

#[test]
fn it_outlives_the_gateway_in_a_file_of_its_owner() {
    let gateway = Gateway::start(&[]);
    let token = gateway.token();
    for (name, mode) in [("token", 0o600), ("address", 0o600), ("", 0o700)] {
        let path = gateway.file(name);
        let metadata = std::fs::metadata(&path).unwrap();
        assert_eq!(metadata.mode() & 0o777, mode, "{}", path.display());
    }
    let (_, folder, _) = gateway.stop();
    let again = Gateway::start_in(folder, &[]);
    assert_eq!(again.token(), token);
    assert_eq!(again.call("GET /api/status", "").status, 200);
}

#[test]
fn one_that_others_may_have_read_is_not_used() {
    let gateway = Gateway::start(&[]);
    let path = gateway.file("token");
    let (_, folder, _) = gateway.stop();
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(&path, open).unwrap();
    let (code, said) = refused(folder.path(), &["--listen", "127.0.0.1:0"]);
    assert_eq!(code, 4);
    assert!(said.contains("can be read or changed by others"), "{said}");
    assert!(said.contains("remove it"), "{said}");
}

#[test]
fn without_auth_everything_is_read_and_nothing_is_changed() {
    let gateway = Gateway::start(&["--auth", "none"]);
    let answer = gateway.ask("GET /api/status", &[]);
    assert_eq!(
        (answer.status, &answer.json()["auth"]),
        (200, &"none".into())
    );
    for request in [
        "POST /api/codes",
        "POST /api/session",
        "POST /api/token/rotate",
        "POST /api/tasks/T1/invocations",
        "POST /api/tasks/T1/invocations/1/stop",
    ] {
        assert_eq!(gateway.ask(request, &[]).status, 403, "{request}");
    }
    // Pages of others are kept out all the same.
    let foreign = "Sec-Fetch-Site: same-site";
    assert_eq!(gateway.ask("GET /api/status", &[foreign]).status, 403);
    let (_, _folder, log) = gateway.stop();
    assert!(log.contains("no token is asked for"));
}
