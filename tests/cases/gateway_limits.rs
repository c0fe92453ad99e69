//! Requests that are too much, too slow, or two in one. Whoever sends them is answered and let go;
//! nobody else notices.

use steroids_tests::faults::held;
use steroids_tests::gateway::Sse;
use steroids_tests::gateway::http::Connection;
use steroids_tests::{Gateway, served, within};

/// What comes back for these bytes, up to the end of the connection.
async fn answered(gateway: &Gateway, bytes: &[u8]) -> String {
    let mut connection = Connection::open(gateway.address()).await;
    connection.write(bytes).await;
    String::from_utf8_lossy(&connection.rest().await).into_owned()
}

fn statuses(text: &str) -> Vec<&str> {
    // An answer may begin right behind a body that ends no line.
    let begins = text.match_indices("HTTP/1.1 ");
    begins
        .filter_map(|(at, _)| text.get(at + 9..at + 12))
        .filter(|status| status.bytes().all(|byte| byte.is_ascii_digit()))
        .collect()
}

#[tokio::test]
async fn heads_and_bodies_over_their_size_are_refused() {
    let (_home, _daemon, gateway, _ctl) = served().await;
    let good = gateway.get("/api/projects");
    let mut many = good.clone();
    for number in 0..63 {
        many = many.header(&format!("X-{number}"), "1");
    }
    let prompt = serde_json::json!({"code": "x".repeat(64 * 1024)});
    let long = format!("/api/projects?{}", "x".repeat(5 * 1024));
    let endless = format!("/api/projects?{}", "x".repeat(40 * 1024));
    for (name, request, statuses) in [
        ("65 headers", many, &[431][..]),
        (
            "17 KiB in a header",
            good.clone().header("X", &"x".repeat(17 * 1024)),
            &[431],
        ),
        ("a URL of 5 KiB", gateway.get(&long), &[414]),
        ("a URL of 40 KiB", gateway.get(&endless), &[414, 431]),
        (
            "a body of 64 KiB and more",
            gateway.post("/api/session", &prompt),
            &[413],
        ),
    ] {
        let answer = request.send().await;
        assert!(
            statuses.contains(&answer.status),
            "{name}: {}",
            answer.status
        );
        for (header, words) in [
            ("content-security-policy", "frame-ancestors 'none'"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cache-control", "no-store"),
        ] {
            let value = answer.header(header).unwrap_or_default();
            assert!(value.contains(words), "{name}: {header}: {value}");
        }
    }
    let mut most = good.clone();
    for number in 0..60 {
        most = most.header(&format!("X-{number}"), "1");
    }
    most.send().await.ok();
    held(58, "431, 414 and 413; 62 headers are served");
    held(61, "431, 414 and 413, too");
}

#[tokio::test]
async fn a_request_within_a_request_is_never_taken_for_one() {
    let (_home, _daemon, gateway, _ctl) = served().await;
    let host = gateway.address();
    let token = gateway.token();
    let head = format!("Host: {host}\r\nAuthorization: Bearer {token}\r\n");
    let inner = format!("GET /api/projects HTTP/1.1\r\n{head}\r\n");
    let json = "Content-Type: application/json\r\n";
    let post = format!("POST /api/session HTTP/1.1\r\n{head}{json}");
    for (name, bytes) in [
        (
            "Content-Length and Transfer-Encoding",
            format!(
                "{post}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}"
            ),
        ),
        (
            "two lengths",
            format!(
                "{post}Content-Length: 0\r\nContent-Length: {}\r\n\r\n{inner}",
                inner.len()
            ),
        ),
        (
            "a length with a sign",
            format!("{post}Content-Length: +{}\r\n\r\n{inner}", inner.len()),
        ),
        (
            "a coding nobody knows",
            format!("{post}Transfer-Encoding: xchunked\r\n\r\n{inner}"),
        ),
        (
            "a chunk extension that ends in a bare newline",
            format!("{post}Transfer-Encoding: chunked\r\n\r\n2;\nxx\r\n0\r\n\r\n{inner}"),
        ),
        (
            "a header folded over two lines",
            format!("{post}X: a\r\n Content-Length: 9\r\nContent-Length: 0\r\n\r\n{inner}"),
        ),
        (
            "a blank before the colon",
            format!("{post}Content-Length : 0\r\n\r\n{inner}"),
        ),
        (
            "a body on a GET",
            format!(
                "GET /api/projects HTTP/1.1\r\n{head}Content-Length: {}\r\n\r\n{inner}",
                inner.len()
            ),
        ),
    ] {
        let text = answered(&gateway, bytes.as_bytes()).await;
        let found = statuses(&text);
        assert_eq!(found.len(), 1, "{name}: {text}");
        assert!(found[0].starts_with('4'), "{name}: {text}");
    }
    held(58, "8 requests within requests: one answer each, 4xx");
}

#[tokio::test]
async fn what_is_no_http_1_1_is_refused() {
    let (_home, _daemon, gateway, _ctl) = served().await;
    let host = gateway.address();
    for (name, bytes) in [
        ("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
        ("HTTP/0.9", "GET /\r\n\r\n".to_owned()),
        (
            "TLS",
            "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0".to_owned() + &"x".repeat(600),
        ),
        ("a NUL", format!("GET /\0 HTTP/1.1\r\nHost: {host}\r\n\r\n")),
        (
            "CONNECT",
            format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        ),
        (
            "an upgrade",
            format!(
                "GET /api/projects HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade, HTTP2-Settings\r\n\
             Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
            ),
        ),
    ] {
        let text = answered(&gateway, bytes.as_bytes()).await;
        let found = statuses(&text);
        assert!(
            found.is_empty() || (found.len() == 1 && found[0] >= "400"),
            "{name}: {text}"
        );
    }
}

#[tokio::test]
async fn requests_in_one_go_are_answered_in_order_and_none_after_a_refused_one() {
    let (_home, _daemon, gateway, _ctl) = served().await;
    let good = gateway.get("/api/status").bytes();
    let last = gateway
        .get("/api/projects")
        .header("Connection", "close")
        .bytes();
    let text = answered(&gateway, &[&good[..], &good, &last].concat()).await;
    assert_eq!(statuses(&text), ["200", "200", "200"], "{text}");
    assert!(
        text.find("\"daemon\"") < text.find("\"projects\""),
        "{text}"
    );
    let refused = gateway.bare("GET", "/api/status").bytes();
    let text = answered(&gateway, &[&refused[..], &good, &last].concat()).await;
    assert_eq!(statuses(&text), ["401"], "{text}");
    held(58, "pipelined requests in order, none after a refused one");
}

#[tokio::test]
async fn who_sends_a_head_byte_by_byte_is_let_go_and_hinders_nobody() {
    let (_home, _daemon, gateway, _ctl) = served().await;
    let mut slow = Vec::new();
    for _ in 0..100 {
        let mut connection = Connection::open(gateway.address()).await;
        connection
            .write(b"GET /api/status HTTP/1.1\r\nHost: 127")
            .await;
        slow.push(connection);
    }
    let mut never = Vec::new();
    for _ in 0..20 {
        never.push(Connection::open(gateway.address()).await);
    }
    let mut body = Connection::open(gateway.address()).await;
    let mut first = Connection::open(gateway.address()).await;
    let post = gateway.post("/api/session", &serde_json::json!({"code": "xxxxxxxxx"}));
    let bytes = post.bytes();
    body.write(&bytes[..bytes.len() - 5]).await;
    let head = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap()
        + 4;
    first.write(&bytes[..head + 1]).await;
    gateway.get("/api/status").send().await.ok();
    for mut connection in slow {
        let text = String::from_utf8_lossy(&connection.rest().await).into_owned();
        assert!(
            text.is_empty() || text.starts_with("HTTP/1.1 408"),
            "{text}"
        );
    }
    for mut slow in [body, first] {
        let text = String::from_utf8_lossy(&slow.rest().await).into_owned();
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 4"), "{text}");
    }
    gateway.get("/api/status").send().await.ok();
    let seen = "100 slow heads, 20 mute connections, bodies of 1 byte and all but 5: let go";
    held(58, seen);
}

#[tokio::test]
async fn two_hundred_silent_streams_and_one_that_never_reads_keep_nobody_waiting() {
    let (home, _daemon, gateway, ctl) = served().await;
    let mut silent = steroids_tests::Puppet::new(&home, "silent");
    ctl.start_fake("quiet", &silent.args()).await;
    let quiet = gateway.get(&format!(
        "/api/tasks/quiet/stream?project={}",
        ctl.project()
    ));
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(Sse::open(&quiet).await.unwrap());
    }
    let id = ctl
        .start_fake("loud", &["flood", "--lines", "10000", "--bytes", "400"])
        .await;
    let target = format!(
        "/api/tasks/loud/stream?project={}&invocation={id}",
        ctl.project()
    );
    let loud = gateway.get(&target);
    let mut mute = Connection::open(gateway.address()).await;
    mute.write(&loud.bytes()).await;
    let mut reader = Sse::open(&loud).await.unwrap();
    let read = async {
        let mut numbers = Vec::new();
        while let Some((_, data)) = reader.event().await {
            let line: serde_json::Value = serde_json::from_str(&data).unwrap();
            let msg = line["msg"].as_str().unwrap_or_default();
            numbers.extend(msg.get(2..8).and_then(|n| n.parse::<u64>().ok()));
        }
        numbers
    };
    let numbers = within("10,000 lines beside a mute reader", read).await;
    steroids_tests::log::assert_counts_to(&numbers, 10_000);
    silent.prints("good evening");
    for stream in &mut idle {
        stream.until("good evening").await;
    }
    drop(mute);
    assert!(gateway.metric("steroids_gateway_streams_open").await <= 202.0);
    let seen = "200 idle streams and one that never reads, 10,000 lines beside them";
    held(58, seen);
}
