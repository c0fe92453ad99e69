//! Requests that must be refused, each wrong in one way.

use serde_json::json;
use steroids_tests::Gateway;
use steroids_tests::gateway::Request;

/// Parts that the catalogue of faults counts.
pub(super) const HOSTS: &str = "Meant for another host";
pub(super) const ORIGINS: &str = "From another origin's page";
pub(super) const TOKENS: &str = "Without the token";

/// One of them.
pub(super) struct Try {
    pub(super) part: &'static str,
    pub(super) name: String,
    pub(super) request: Request,
}

/// All of them, part by part.
pub(super) fn tries(gateway: &Gateway, project: &str) -> Vec<Try> {
    [
        hosts(gateway),
        origins(gateway, project),
        tokens(gateway),
        methods(gateway, project),
    ]
    .concat()
    .into_iter()
    .map(|(part, name, request)| Try {
        part,
        name,
        request,
    })
    .collect()
}

/// A port that is not the gateway's.
pub(super) fn other(gateway: &Gateway) -> u16 {
    gateway.address().port() ^ 1
}

type Row = (&'static str, String, Request);

fn hosts(gateway: &Gateway) -> Vec<Row> {
    const PART: &str = HOSTS;
    let port = gateway.address().port();
    let good = || gateway.get("/api/projects");
    let names = [
        "evil.example".to_owned(),
        format!("evil.example:{port}"),
        format!("localhost.evil:{port}"),
        format!("127.0.0.1.nip.io:{port}"),
        format!("localhost:{}", other(gateway)),
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        format!("localhost.:{port}"),
        format!("0.0.0.0:{port}"),
        format!("[::ffff:127.0.0.1]:{port}"),
        format!("[::]:{port}"),
        format!("2130706433:{port}"),
        format!("127.1:{port}"),
        format!("0177.0.0.1:{port}"),
        format!("user@localhost:{port}"),
        String::new(),
    ];
    let mut rows: Vec<Row> = names
        .iter()
        .map(|name| {
            let request = good().instead("Host", Some(name));
            (PART, format!("`Host: {name}`"), request)
        })
        .collect();
    let ours = gateway.address().to_string();
    rows.extend([
        (PART, "no `Host`".to_owned(), good().instead("Host", None)),
        (
            PART,
            "two `Host` headers, both ours".to_owned(),
            good().header("Host", &ours),
        ),
        (
            PART,
            "two `Host` headers, the second foreign".to_owned(),
            good().header("Host", "evil.example"),
        ),
        (
            PART,
            "`GET http://evil.example/api/projects` with our `Host`".to_owned(),
            gateway.get("http://evil.example/api/projects"),
        ),
        (
            PART,
            format!("`GET http://{ours}/api/projects` with `Host: evil.example`"),
            gateway
                .get(&format!("http://{ours}/api/projects"))
                .instead("Host", Some("evil.example")),
        ),
        (
            PART,
            "foreign `Host` with ours as `X-Forwarded-Host`".to_owned(),
            good()
                .instead("Host", Some("evil.example"))
                .header("X-Forwarded-Host", &ours),
        ),
        (
            PART,
            "the page itself, `Host: evil.example`".to_owned(),
            gateway
                .bare("GET", "/")
                .instead("Host", Some("evil.example")),
        ),
    ]);
    rows
}

fn origins(gateway: &Gateway, project: &str) -> Vec<Row> {
    const PART: &str = ORIGINS;
    let port = gateway.address().port();
    let good = || gateway.get("/api/projects");
    let origins = [
        "https://evil.example".to_owned(),
        "null".to_owned(),
        "http://localhost:3000".to_owned(),
        "http://127.0.0.1".to_owned(),
        format!("https://localhost:{port}"),
        format!("http://localhost:{port}.evil.example"),
        format!("http://evil.example:{port}"),
        String::new(),
    ];
    let mut rows: Vec<Row> = origins
        .iter()
        .map(|origin| {
            let request = good().header("Origin", origin);
            (PART, format!("`Origin: {origin}`"), request)
        })
        .collect();
    for site in ["cross-site", "same-site", "other"] {
        let request = good().header("Sec-Fetch-Site", site);
        rows.push((PART, format!("`Sec-Fetch-Site: {site}`"), request));
    }
    let stop = "/api/tasks/T1/invocations/1/stop";
    let body = json!({ "project": project }).to_string();
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ] {
        let form = gateway.bare("POST", stop).body(kind, body.as_bytes());
        let form = form
            .header("Origin", "https://evil.example")
            .header("Sec-Fetch-Site", "cross-site")
            .header("Sec-Fetch-Mode", "navigate");
        rows.push((PART, format!("a form that stops: POST `{kind}`"), form));
    }
    let fetch = gateway
        .bare("POST", stop)
        .body("text/plain", body.as_bytes())
        .header("Origin", "http://localhost:3000")
        .header("Sec-Fetch-Site", "same-site")
        .header("Sec-Fetch-Mode", "no-cors");
    let preflight = gateway
        .bare("OPTIONS", "/api/projects")
        .header("Origin", "https://evil.example")
        .header("Access-Control-Request-Method", "GET")
        .header("Access-Control-Request-Headers", "authorization");
    let frame = gateway
        .bare("GET", "/")
        .header("Sec-Fetch-Site", "cross-site")
        .header("Sec-Fetch-Mode", "no-cors")
        .header("Sec-Fetch-Dest", "script");
    rows.extend([
        (
            PART,
            "a `no-cors` fetch that stops, of another port".to_owned(),
            fetch,
        ),
        (PART, "a preflight".to_owned(), preflight),
        (PART, "the page, fetched as a script".to_owned(), frame),
    ]);
    rows
}

fn tokens(gateway: &Gateway) -> Vec<Row> {
    const PART: &str = TOKENS;
    let token = gateway.token();
    let bare = || gateway.bare("GET", "/api/projects");
    let with = |value: &str| bare().header("Authorization", value);
    let mut wrong = token.clone();
    let last = wrong.pop();
    wrong.push(if last == Some('A') { 'B' } else { 'A' });
    let in_query = gateway.bare("GET", &format!("/api/projects?token={token}"));
    let twice = with(&format!("Bearer {token}")).header("Authorization", "Bearer x");
    let cookie = bare().header("Cookie", &format!("token={token}"));
    let code = gateway
        .bare("POST", "/api/session")
        .json(&json!({"code": "0000000000000000"}));
    let rows = [
        ("none", bare()),
        ("`Authorization: Bearer` and nothing more", with("Bearer ")),
        ("one letter short", with(&format!("Bearer {}", &token[1..]))),
        ("the last letter wrong", with(&format!("Bearer {wrong}"))),
        ("a letter too many", with(&format!("Bearer {token}A"))),
        ("as `Basic`", with(&format!("Basic {token}"))),
        ("bare, without `Bearer`", with(&token)),
        ("twice, once wrong", twice),
        ("in the query", in_query),
        ("in a cookie", cookie),
        ("`/metrics` without", gateway.bare("GET", "/metrics")),
        (
            "a stream without",
            gateway.bare("GET", "/api/tasks/T1/stream?project=/x"),
        ),
        ("a code that was never given out", code),
        (
            "asking for a code",
            gateway.bare("POST", "/api/codes").json(&json!({})),
        ),
        (
            "asking for a new token",
            gateway.bare("POST", "/api/token/rotate").json(&json!({})),
        ),
    ];
    let rows = rows.into_iter();
    rows.map(|(name, request)| (PART, name.to_owned(), request))
        .collect()
}

fn methods(gateway: &Gateway, project: &str) -> Vec<Row> {
    const PART: &str = "With the token, but not what there is";
    let token = gateway.token();
    let with = |method: &str, target: &str| gateway.bare(method, target).bearer(&token);
    let body = json!({ "project": project }).to_string();
    let stop = "/api/tasks/T1/invocations/1/stop";
    let as_text = with("POST", stop).body("text/plain", body.as_bytes());
    let no_type = with("POST", stop)
        .body("", body.as_bytes())
        .instead("Content-Type", None);
    let rows = [
        ("OPTIONS".to_owned(), with("OPTIONS", "/api/projects")),
        ("OPTIONS `*`".to_owned(), with("OPTIONS", "*")),
        ("PUT".to_owned(), with("PUT", "/api/projects")),
        ("DELETE".to_owned(), with("DELETE", "/api/projects")),
        ("TRACE".to_owned(), with("TRACE", "/api/projects")),
        (
            "POST where GET is meant".to_owned(),
            with("POST", "/api/projects"),
        ),
        ("GET where POST is meant".to_owned(), with("GET", stop)),
        ("stop as `text/plain`".to_owned(), as_text),
        ("stop without a type".to_owned(), no_type),
        ("no such path".to_owned(), with("GET", "/api/secrets")),
        ("`/../etc/passwd`".to_owned(), with("GET", "/../etc/passwd")),
        (
            "`/assets/..%2f..%2fetc/passwd`".to_owned(),
            with("GET", "/assets/..%2f..%2fetc/passwd"),
        ),
        ("`//api/projects`".to_owned(), with("GET", "//api/projects")),
    ];
    let rows = rows.into_iter();
    rows.map(|(name, request)| (PART, name, request)).collect()
}
