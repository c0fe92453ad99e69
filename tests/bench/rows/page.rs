//! The page, at a hundred thousand and at a million events; the figures are the browser's own.

use std::time::{Duration, Instant};

use steroids_tests::browser::Heap;
use steroids_tests::{Browser, Ctl, Daemon, Gateway, Home, Page, Puppet, rpc};

use super::{Options, each, millis};
use crate::figure::Figure;

const RUNS: usize = 3;
/// New events that are measured, at 100 a second.
const NEW: u32 = 1_000;

/// What a page of so many events showed.
#[derive(Default)]
struct Figures {
    first: Vec<Duration>,
    script: Duration,
    layout: Duration,
    heap: u64,
    heap_scrolled: u64,
    nodes: u64,
}

/// Not repeated: each is a browser and a log of its own, and its own median of several loads.
pub(crate) async fn long_logs(_options: &Options) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (events, name) in [(100_000, "100,000 events"), (1_000_000, "1,000,000 events")] {
        let page = page_of(events).await;
        let one = |what: &str, unit, value: f64| {
            Figure::new("", format!("  {what} ({name})"), unit, vec![value])
        };
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        let mebibytes = |bytes: u64| bytes as f64 / 1024.0 / 1024.0;
        figures.extend([
            Figure::new(
                "",
                format!("page of {name}: newest painted after"),
                "ms",
                each(&page.first, |it| millis(*it)),
            ),
            one("scripting per new event", "us", micros(page.script / NEW)),
            one(
                "layout and style per new event",
                "us",
                micros(page.layout / NEW),
            ),
            one("JS heap", "MiB", mebibytes(page.heap)),
            one(
                "JS heap, scrolled through",
                "MiB",
                mebibytes(page.heap_scrolled),
            ),
            one("DOM nodes", "", page.nodes as f64),
        ]);
    }
    figures
}

async fn page_of(events: u32) -> Figures {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let gateway = Gateway::start(&home).await;
    let ctl = daemon.project("bench").await;
    let mut agent = Puppet::new(&home, "agent");
    let id = ctl.start_fake("T", &agent.args()).await;
    let printed = tokio::task::spawn_blocking(move || {
        for number in 1..=events {
            agent.prints(&format!(
                "event number {number} and some words of what it did"
            ));
        }
        agent
    });
    let mut agent = printed.await.expect("printing does not panic");
    all_logged(&daemon, &ctl, id, events).await;

    let browser = Browser::whole(&home).await;
    let page = browser.page().await;
    let url = ctl.run(["web"]).await.ok();
    page.goto(
        url.split_whitespace()
            .find(|it| it.starts_with("http"))
            .unwrap_or_default(),
    )
    .await;
    // The code is traded for the token by then; another address before it would spend it in vain.
    page.until_there("[data-test=projects]").await;
    let mut figures = Figures::default();
    let address = format!(
        "{}/tasks/T?project={}&invocation={id}",
        gateway.origin(),
        ctl.project()
    );
    for _ in 0..RUNS {
        page.goto(&address).await;
        let newest = format!("event number {events} ");
        figures.first.push(shown(&page, &newest).await);
    }
    let before = page.work().await;
    let printed = tokio::task::spawn_blocking(move || {
        let begin = Instant::now();
        for number in 1..=NEW {
            let due = Duration::from_millis(10) * number;
            // The pace at which an agent prints.
            std::thread::sleep(due.saturating_sub(begin.elapsed()));
            agent.prints(&format!("new number {number} ."));
        }
        agent
    });
    let _agent = printed.await.expect("printing does not panic");
    shown(&page, &format!("new number {NEW} .")).await;
    let after = page.work().await;
    figures.script = Duration::from_secs_f64(after.script - before.script);
    figures.layout = Duration::from_secs_f64(after.layout - before.layout);
    let at_end: Heap = page.heap().await;
    (figures.heap, figures.nodes) = (at_end.used, at_end.nodes);
    scroll_through(&page).await;
    figures.heap_scrolled = page.heap().await.used;
    browser.end().await;
    figures
}

/// Milliseconds of the page's own clock until such a text is painted.
async fn shown(page: &Page, text: &str) -> Duration {
    let text = serde_json::Value::from(text);
    let condition = format!("document.body.textContent.includes({text}) && performance.now()");
    page.until(&condition).await;
    let painted = "new Promise(done => requestAnimationFrame(() => \
                   requestAnimationFrame(() => done(performance.now()))))";
    let millis = page.eval(painted).await.as_f64().unwrap_or_default();
    Duration::from_secs_f64(millis / 1e3)
}

/// Turns the wheel for a while, up and down again.
async fn scroll_through(page: &Page) {
    for direction in [-1.0, 1.0] {
        for _ in 0..200 {
            page.wheel("[data-test=activity]", direction * 2_000.0)
                .await;
        }
    }
}

/// Waits until the daemon has projected that many lines.
async fn all_logged(daemon: &Daemon, ctl: &Ctl, id: i64, events: u32) {
    let selector = rpc::invocation(&ctl.project(), id);
    let mut followed = daemon.rpc().await.follow(selector, "", true).await;
    let last = format!("event number {events} ");
    loop {
        let event = followed.next().await.expect("the stream does not break");
        let event = event.expect("the agent runs on");
        if event
            .line
            .windows(last.len())
            .any(|here| here == last.as_bytes())
        {
            return;
        }
    }
}
