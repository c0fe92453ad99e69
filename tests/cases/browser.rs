//! The harness's browser itself: what it does reaches a page, and what a page complains of is heard.

use steroids_tests::{Browser, Home};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const PAGE: &str = "data:text/html,<title>t</title><input id=i><button id=b \
    onclick=\"document.title='clicked';setTimeout(()=>{o.textContent='later'},50)\">b</button>\
    <p id=o></p><div id=s style='height:100px;overflow:auto'><div style='height:9000px'></div></div>";

#[tokio::test]
async fn hands_and_eyes_reach_the_page() {
    let home = Home::new();
    let browser = Browser::start(&home).await;
    let page = browser.page().await;
    page.goto(PAGE).await;
    page.click("#b").await;
    page.until_says("#o", "later").await;
    assert_eq!(page.eval("document.title").await, "clicked");
    page.fill("#i", "typed").await;
    page.press("End").await;
    page.press("x").await;
    assert_eq!(page.eval("i.value").await, "typedx");
    page.wheel("#s", 500.0).await;
    page.until("s.scrollTop > 100").await;
    page.viewport(360, 640).await;
    page.prefers_color_scheme("dark").await;
    let dark = "matchMedia('(prefers-color-scheme: dark)').matches";
    assert_eq!(page.eval(dark).await, true);
    assert!(page.heap().await.used > 0 && page.work().await.task > 0.0);
    let picture = home.path("tmp/picture.png");
    page.screenshot(&picture).await;
    assert!(std::fs::read(&picture).unwrap().starts_with(b"\x89PNG"));
    browser.end().await;
    let left = home.processes();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn what_a_page_complains_of_is_heard() {
    let browser = Browser::shared().await;
    let page = browser.page().await;
    let policy = "<meta http-equiv=Content-Security-Policy content=\"img-src 'none'\">";
    for bad in [
        "<script>throw new Error('thrown')</script>".to_owned(),
        "<script>console.error('said')</script>".to_owned(),
        format!("{policy}<img src=data:image/gif;base64,R0lGODlhAQABAAAAACw=>"),
    ] {
        let before = page.complaints().len();
        page.goto(&format!("data:text/html,{bad}")).await;
        // An issue is told after the load; a round trip is behind it.
        page.eval("1").await;
        assert!(page.complaints().len() > before, "{bad}");
    }
    // So is a worker that pages share, and that no tab owns.
    let origin = serve_worker().await;
    page.goto(&origin).await;
    page.eval("void new SharedWorker('/worker.js')").await;
    steroids_tests::eventually("the worker's error", async || {
        let complaints = browser.complaints();
        complaints
            .iter()
            .any(|it| it.contains("in a worker"))
            .then_some(())
    })
    .await;
    let failed = tokio::spawn(async move { browser.end().await }).await;
    assert!(failed.is_err(), "the test would have passed");
}

#[tokio::test]
async fn tests_that_share_a_process_share_nothing_else() {
    let (one, other) = (Browser::shared().await, Browser::shared().await);
    let origin = serve_worker().await;
    let (page, its) = (other.page().await, one.page().await);
    for page in [&page, &its] {
        page.goto(&origin).await;
        assert_eq!(page.eval("document.hasFocus()").await, true);
    }
    its.eval("localStorage.setItem('key', 'of one')").await;
    its.eval("void new SharedWorker('/worker.js')").await;
    assert!(page.eval("localStorage.getItem('key')").await.is_null());
    steroids_tests::eventually("the worker's error", async || {
        (!one.complaints().is_empty()).then_some(())
    })
    .await;
    // The other's pages, workers and end are its own.
    other.end().await;
    assert_eq!(its.eval("1 + 1").await, 2);
    let failed = tokio::spawn(async move { one.end().await }).await;
    assert!(failed.is_err(), "the test would have passed");
}

/// Serves a page and, below it, a script that throws. It ends with the test.
async fn serve_worker() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 4096];
            let length = stream.read(&mut head).await.unwrap_or(0);
            let (kind, body) = match head[..length].starts_with(b"GET /worker.js") {
                true => ("text/javascript", "throw new Error('in a worker')"),
                false => ("text/html", "<link rel=icon href=data:,>"),
            };
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
            // The browser may have what it wanted.
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    origin
}
