//! Heads, bodies and connections within bounds, and no request inside another.

use std::io::{Read as _, Write as _};

use crate::gateway::{Gateway, is_guarded, parse};

#[test]
fn what_is_too_large_is_refused_in_words() {
    let gateway = Gateway::start(&[]);
    let host = &gateway.host;
    let long = format!(
        "GET /{} HTTP/1.1\r\nHost: {host}\r\n\r\n",
        "a".repeat(5 * 1024)
    );
    let heavy = format!(
        "GET / HTTP/1.1\r\nHost: {host}\r\nX: {}\r\n\r\n",
        "a".repeat(17 * 1024)
    );
    let many = format!(
        "GET / HTTP/1.1\r\nHost: {host}\r\n{}\r\n",
        "X: 1\r\n".repeat(64)
    );
    let fat =
        format!("POST /api/session HTTP/1.1\r\nHost: {host}\r\nContent-Length: 65537\r\n\r\n");
    let fat_and_sent = format!("{fat}{}", "x".repeat(65_537));
    for (request, status) in [
        (&long, 414),
        (&heavy, 431),
        (&many, 431),
        (&fat, 413),
        (&fat_and_sent, 413),
    ] {
        let answer = parse(&gateway.raw(request.as_bytes()));
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(answer.json()["success"], false);
        is_guarded(&answer);
    }
    let fits = format!("X: 1\r\n{}", "X: 1\r\n".repeat(61));
    assert_eq!(gateway.ask("GET /", &[fits.trim_end()]).status, 200);
    assert_eq!(gateway.ask("GET /", &[]).status, 200);
}

#[test]
fn what_is_no_http_is_answered_as_all_else() {
    let gateway = Gateway::start(&[]);
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n"[..],
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\x00b\r\n\r\n",
    ] {
        let answer = parse(&gateway.raw(bytes));
        assert_eq!(answer.status, 400, "{}", String::from_utf8_lossy(bytes));
        is_guarded(&answer);
    }
}

#[test]
fn http_2_is_not_spoken_and_gets_no_answer() {
    let gateway = Gateway::start(&[]);
    assert_eq!(gateway.raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "");
}

#[test]
fn a_request_is_not_smuggled_in_another() {
    let gateway = Gateway::start(&[]);
    let host = &gateway.host;
    let inner = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let length = inner.len();
    let head = format!("POST /api/session HTTP/1.1\r\nHost: {host}\r\n");
    for framing in [
        format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}"),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n\r\n0\r\n\r\n{inner}"),
        format!("Transfer-Encoding: chunked\r\n\r\n5;ext=\"\r\n\"\r\nabcde\r\n0\r\n\r\n{inner}"),
        format!(
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n{inner}"
        ),
        format!("Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n{inner}"),
        format!("Content-Length: 0\r\nContent-Length: {length}\r\n\r\n{inner}"),
        format!("Content-Length: +{length}\r\n\r\n{inner}"),
        format!("Content-Length: {length}, {length}\r\n\r\n{inner}"),
    ] {
        let text = gateway.raw(format!("{head}{framing}").as_bytes());
        assert_eq!(
            text.matches("HTTP/1.1 ").count() - text.matches("no HTTP/1.1").count(),
            1,
            "{framing}: {text}"
        );
        let answer = parse(&text);
        assert!(matches!(answer.status, 400 | 411), "{framing}: {answer:?}");
        is_guarded(&answer);
    }
    let get = format!("GET / HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{inner}");
    let text = gateway.raw(get.as_bytes());
    assert_eq!(parse(&text).status, 400);
    assert_eq!(text.matches("HTTP/1.1 ").count(), 1);
}

#[test]
fn requests_behind_one_another_are_answered_in_order() {
    let gateway = Gateway::start(&[]);
    let host = &gateway.host;
    let text = gateway.raw(
        format!("GET /nothing HTTP/1.0\r\nHost: {host}\r\nConnection: keep-alive\r\n\r\n")
            .as_bytes(),
    );
    assert_eq!(parse(&text).status, 404);
    let text = gateway.raw(
        format!(
            "GET / HTTP/1.1\r\nHost: {host}\r\n\r\nGET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        )
        .as_bytes(),
    );
    let first = text.find("HTTP/1.1 200").unwrap();
    let second = text.find("HTTP/1.1 503").unwrap();
    assert!(first < second);
}

#[test]
fn when_all_seats_are_taken_others_are_told_so_and_find_one_later() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    std::fs::write(&config, "[gateway]\nmax_streams = 1\n").unwrap();
    let gateway = Gateway::start(&["--config", config.to_str().unwrap()]);
    let page = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", gateway.host);
    let mut seats: Vec<_> = (0..129).map(|_| gateway.connect()).collect();
    for seat in &mut seats {
        // Once it is answered it is known to sit.
        seat.write_all(page.as_bytes()).unwrap();
        let mut first = [0; 12];
        seat.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
    }
    let answer = parse(&gateway.raw(page.as_bytes()));
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["error"], "Too many connections");
    is_guarded(&answer);
    seats[0].write_all(page.as_bytes()).unwrap();
    drop(seats);
    let found = (0..).find(|_| gateway.ask("GET /", &[]).status == 200);
    assert!(found.is_some());
}
