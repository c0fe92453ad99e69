//! Who is let in.

use crate::fake::Fake;
use crate::gateway::{Gateway, is_guarded, parse};

/// Every refusal is told apart by its status, closes the connection, and reaches nobody.
#[test]
fn what_is_not_for_us_is_refused_before_the_daemon_is_asked() {
    let fake = Fake::start();
    let socket = fake.socket().to_str().unwrap().to_owned();
    let gateway = Gateway::start(&["--socket", &socket, "--control"]);
    let port = gateway.host.rsplit(':').next().unwrap().to_owned();
    let token = format!("Authorization: Bearer {}", gateway.token());
    let host = |name: &str| format!("Host: {}", name.replace("PORT", &port));
    let start = "POST /api/tasks/T1/invocations?project=/home/dev/app";
    for (status, lines) in [
        (403, vec![host("evil.example")]),
        (403, vec![host("localhost.evil:PORT")]),
        (403, vec![host("127.0.0.1.nip.io:PORT")]),
        (403, vec![host("localhost")]),
        (403, vec![host("localhost:1")]),
        (403, vec![host("localhost.:PORT")]),
        (403, vec![host("0.0.0.0:PORT")]),
        (403, vec![host("[::ffff:127.0.0.1]:PORT")]),
        (403, vec![host("2130706433:PORT")]),
        (400, vec!["(no host)".to_owned()]),
        (400, vec![host("localhost:PORT"), host("localhost:PORT")]),
        (400, vec![host("localhost:PORT"), host("evil.example")]),
        (403, vec!["Origin: null".to_owned()]),
        (403, vec!["Origin: http://localhost:3000".to_owned()]),
        (403, vec!["Origin: http://evil.example".to_owned()]),
        (403, vec!["Sec-Fetch-Site: cross-site".to_owned()]),
        (403, vec!["Sec-Fetch-Site: same-site".to_owned()]),
        (
            403,
            vec![
                "Sec-Fetch-Site: cross-site".to_owned(),
                "Sec-Fetch-Mode: no-cors".to_owned(),
            ],
        ),
        (415, vec!["Content-Type: text/plain".to_owned()]),
        (
            415,
            vec!["Content-Type: application/x-www-form-urlencoded".to_owned()],
        ),
    ] {
        let mut headers: Vec<&str> = lines.iter().map(String::as_str).collect();
        headers.push(&token);
        if status != 415 {
            headers.push("Content-Type: application/json");
        }
        let answer = gateway.ask_with(start, &headers, r#"{"prompt":"x"}"#);
        assert_eq!(answer.status, status, "{lines:?}: {answer:?}");
        assert_eq!(answer.json()["success"], false);
        is_guarded(&answer);
    }
    assert!(fake.world(|world| world.starts.is_empty()));
    let answer = gateway.call(start, r#"{"prompt":"x"}"#);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(fake.world(|world| world.starts.len()), 1);
}

#[test]
fn an_absolute_target_is_for_us_or_refused() {
    let gateway = Gateway::start(&[]);
    for (target, status) in [
        (format!("http://{}/", gateway.host), 200),
        ("http://evil.example/".to_owned(), 403),
        (format!("https://{}/", gateway.host), 403),
    ] {
        assert_eq!(gateway.ask(&format!("GET {target}"), &[]).status, status);
    }
}

#[test]
fn nobody_is_invited_from_elsewhere() {
    let gateway = Gateway::start(&[]);
    let preflight = [
        "Origin: http://evil.example",
        "Access-Control-Request-Method: POST",
        "Access-Control-Request-Headers: authorization",
    ];
    for headers in [&preflight[..], &[]] {
        let answer = gateway.ask("OPTIONS /api/projects", headers);
        assert_eq!(answer.status, 403);
        is_guarded(&answer);
    }
    let ours = format!("Origin: http://{}", gateway.host);
    let answer = gateway.ask("OPTIONS /api/projects", &[&ours]);
    assert_eq!(answer.status, 403);
}

#[test]
fn a_link_from_elsewhere_leads_to_the_page_and_to_nothing_else() {
    let gateway = Gateway::start(&[]);
    let link = [
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Mode: navigate",
        "Sec-Fetch-Dest: document",
    ];
    for (request, status) in [
        ("GET /", 200),
        ("GET /tasks/T1?project=/home/dev/app", 200),
        ("GET /assets/index.html", 403),
        ("GET /api/projects", 403),
        ("GET /healthz", 403),
    ] {
        let answer = gateway.ask(request, &link);
        assert_eq!(answer.status, status, "{request}");
        is_guarded(&answer);
    }
    let framed = [link[0], link[1], "Sec-Fetch-Dest: iframe"];
    assert_eq!(gateway.ask("GET /", &framed).status, 403);
}

#[test]
fn a_refusal_closes_the_connection_and_what_was_sent_behind_it_is_not_read() {
    let gateway = Gateway::start(&[]);
    let host = &gateway.host;
    let text = gateway.raw(
        format!(
            "GET /api/projects HTTP/1.1\r\nHost: evil\r\n\r\nGET / HTTP/1.1\r\nHost: {host}\r\n\r\n"
        )
        .as_bytes(),
    );
    assert_eq!(text.matches("HTTP/1.1 ").count(), 1);
    let answer = parse(&text);
    assert_eq!(answer.status, 403);
    assert!(answer.head.contains("\r\nconnection: close\r\n"));
}
