//! More tabs than a browser opens connections to one host.

use serde_json::json;
use steroids_tests::{Page, Puppet, eventually};

use super::scene::{Scene, connection, row_says, rows};

const STREAMS: &str = r#"steroids_gateway_streams_open{kind="task"}"#;

/// A running agent, and a tab on its task.
struct Watched {
    agent: Puppet,
    id: i64,
    page: Page,
}

/// As many running tasks, `T0` and on, each in a tab that `open` gives.
async fn watched(scene: &Scene, count: usize, open: impl AsyncFn() -> Page) -> Vec<Watched> {
    let mut all = Vec::new();
    for number in 0..count {
        let mut agent = Puppet::new(&scene.home, &format!("agent{number}"));
        let task = format!("T{number}");
        let id = scene.ctl.start_fake(&task, &agent.args()).await;
        agent.prints("at first.");
        let page = open().await;
        page.goto(&scene.task(&task, id)).await;
        row_says(&page, "at first.").await;
        all.push(Watched { agent, id, page });
    }
    all
}

#[tokio::test]
async fn six_windows_on_six_running_tasks_all_go_on_and_one_can_be_stopped() {
    let scene = Scene::with_tabs().await;
    let mut all = watched(&scene, 6, async || scene.browser.window().await).await;
    for round in 0..3 {
        for it in &mut all {
            it.agent.prints(&format!("round {round}."));
        }
        for it in &all {
            row_says(&it.page, &format!("round {round}.")).await;
        }
    }
    for it in &all {
        assert_eq!(it.page.eval("document.visibilityState").await, "visible");
        let shown = rows(&it.page).await;
        for said in ["at first.", "round 0.", "round 1.", "round 2."] {
            let times = shown.iter().filter(|row| row.1.contains(said)).count();
            assert_eq!(times, 1, "{said} in {shown:?}");
        }
    }
    let Watched { page, id, .. } = &all[5];
    page.click("[data-test=stop]").await;
    page.click("#dialog[open] [data-test=confirm]").await;
    page.until_there("[data-test=status][data-status=failed]")
        .await;
    let rpc = scene.daemon.rpc().await;
    let ended = rpc.ended(&scene.ctl.project(), *id).await;
    assert_eq!(ended.outcome, "cancelled");
    // Those that were not stopped go on to their ends.
    for it in &mut all[..5] {
        it.agent.exits(0);
    }
    for it in &all[..5] {
        it.page.until_there(".row[data-type=complete]").await;
    }
    scene.browser.end().await;
}

#[tokio::test]
async fn a_tab_that_is_not_seen_holds_no_stream_and_misses_nothing() {
    let scene = Scene::with_tabs().await;
    let mut all = watched(&scene, 6, async || scene.browser.page().await).await;
    let last = &all[5].page;
    connection(last, "live").await;
    // Closed a moment after the tab was hidden, and of that no event tells.
    eventually("one stream for the one tab that is seen", async || {
        let open = scene.gateway.metric(STREAMS).await;
        (open < 1.5).then_some(())
    })
    .await;
    for it in &mut all[..5] {
        for number in 0..3 {
            it.agent.prints(&format!("unseen {number}."));
        }
    }
    for it in &all[..5] {
        it.page.to_front().await;
        row_says(&it.page, "unseen 2.").await;
        let shown = rows(&it.page).await;
        for said in ["at first.", "unseen 0.", "unseen 1.", "unseen 2."] {
            let times = shown.iter().filter(|row| row.1.contains(said)).count();
            assert_eq!(times, 1, "{said} in {shown:?}");
        }
    }
    for it in &mut all {
        it.agent.exits(0);
    }
    let first = &all[0].page;
    first.to_front().await;
    first.until_there(".row[data-type=complete]").await;
    scene.browser.end().await;
}

/// What the shared worker says reaches the page once `answer` is called.
const LATE: &str = r"
    const Real = window.SharedWorker;
    window.SharedWorker = class {
      constructor(...given) {
        const { port } = new Real(...given);
        const held = [];
        port.onmessage = (message) => held.push(message);
        window.answer = () => {
          port.onmessage = this.port.onmessage;
          held.forEach(port.onmessage);
        };
        this.port = { postMessage: (message) => port.postMessage(message), close: () => port.close() };
      }
    };
";

#[tokio::test]
async fn a_tab_whose_worker_is_late_reads_for_itself_and_shares_once_it_is_there() {
    let scene = Scene::with_tabs().await;
    let mut all = watched(&scene, 1, async || scene.browser.page().await).await;
    let Watched { agent, id, page } = &mut all[0];
    connection(page, "live").await;
    let until_open = async |count: f64| {
        eventually("as many streams", async || {
            let open = scene.gateway.metric(STREAMS).await;
            ((open - count).abs() < 0.5).then_some(())
        })
        .await;
    };
    until_open(1.0).await;
    let late = scene.browser.window().await;
    late.before_load(LATE).await;
    late.goto(&scene.task("T0", *id)).await;
    row_says(&late, "at first.").await;
    until_open(2.0).await;
    agent.prints("meanwhile.");
    row_says(&late, "meanwhile.").await;
    late.eval("window.answer()").await;
    until_open(1.0).await;
    agent.prints("together.");
    row_says(&late, "together.").await;
    agent.exits(0);
    late.until_there(".row[data-type=complete]").await;
    let shown = rows(&late).await;
    for said in ["at first.", "meanwhile.", "together."] {
        let times = shown.iter().filter(|row| row.1.contains(said)).count();
        assert_eq!(times, 1, "{said} in {shown:?}");
    }
    scene.browser.end().await;
}

#[tokio::test]
async fn tabs_whose_worker_is_gone_go_on_through_a_new_one_where_they_were() {
    let scene = Scene::with_tabs().await;
    let mut all = watched(&scene, 1, async || scene.browser.window().await).await;
    let Watched { agent, id, page } = &mut all[0];
    let other = scene.browser.window().await;
    other.goto(&scene.task("T0", *id)).await;
    let until_shared = async || {
        for page in [&*page, &other] {
            connection(page, "live").await;
        }
        eventually("one stream for both", async || {
            let task = scene.gateway.metric(STREAMS).await;
            let overview = r#"steroids_gateway_streams_open{kind="overview"}"#;
            let overview = scene.gateway.metric(overview).await;
            ((task - 1.0).abs() < 0.5 && (overview - 1.0).abs() < 0.5).then_some(())
        })
        .await;
    };
    until_shared().await;
    assert_eq!(scene.browser.end_workers().await, 1);
    agent.prints("meanwhile.");
    for page in [&*page, &other] {
        row_says(page, "meanwhile.").await;
    }
    until_shared().await;
    // So soon that there might be no end to it: each tab reads for itself.
    assert_eq!(scene.browser.end_workers().await, 1);
    agent.prints("alone.");
    agent.exits(0);
    for page in [&*page, &other] {
        page.until_there(".row[data-type=complete]").await;
        let shown = rows(page).await;
        for said in ["at first.", "meanwhile.", "alone."] {
            let times = shown.iter().filter(|row| row.1.contains(said)).count();
            assert_eq!(times, 1, "{said} in {shown:?}");
        }
    }
    assert_eq!(scene.browser.end_workers().await, 0);
    scene.browser.end().await;
}

#[tokio::test]
async fn a_page_of_another_version_does_not_share_its_worker_with_this_one() {
    let scene = Scene::with_tabs().await;
    connection(&scene.page, "live").await;
    let other = scene.browser.window().await;
    let as_another_version = "const Real = window.SharedWorker;
         window.SharedWorker = class extends Real {
           constructor(address, options) {
             super(address, { ...options, name: options.name.replace(window.build, 'other') });
           }
         };";
    other.before_load(as_another_version).await;
    let said = "import('/assets/build.js').then(({ BUILD }) => BUILD)";
    let build = scene.page.eval(said).await;
    other.before_load(&format!("window.build = {build};")).await;
    other.goto(&scene.gateway.origin()).await;
    connection(&other, "live").await;
    assert_eq!(scene.browser.end_workers().await, 2);
    scene.browser.end().await;
}

#[tokio::test]
async fn a_tab_that_gets_a_worker_of_another_version_reads_for_itself() {
    let scene = Scene::with_tabs().await;
    let mut all = watched(&scene, 1, async || {
        let page = scene.browser.window().await;
        page.before_load(
            "window.SharedWorker = class {
               constructor() {
                 const { port1, port2 } = new MessageChannel();
                 this.port = port1;
                 port2.postMessage({ ready: true, build: 'other' });
               }
             };",
        )
        .await;
        page
    })
    .await;
    let Watched { agent, page, .. } = &mut all[0];
    connection(page, "live").await;
    agent.prints("read by itself.");
    row_says(page, "read by itself.").await;
    scene.browser.end().await;
}

/// Four streams take turns on a clock of their own, and three places: `says` gives one of them bytes until
/// it has heard them, `passes` lets time pass, `become` waits for those to have a place that should, and tells
/// which have. The page has its own fetch.
const TURNS: &str = r#"
    const { TurnStream } = await import('/assets/turns.js');
    const names = ['a', 'b', 'c', 'd'];
    const opened = {}, events = {}, states = {};
    const fetched = window.fetch;
    window.fetch = async (url, options) => {
      if (!names.includes(url)) return fetched(url, options);
      const body = new ReadableStream({ start: (controller) => { opened[url] = controller; } });
      options.signal.addEventListener('abort', () => { delete opened[url]; });
      return new Response(body);
    };
    let now = 0;
    const timers = new Map();
    const real = window.setTimeout;
    window.setTimeout = (work, wait) => (timers.set(timers.size + 1, { at: now + wait, work }), timers.size);
    window.clearTimeout = (id) => { if (timers.has(id)) timers.get(id).work = () => {}; };
    // Ten seconds at most: then it is told as it is.
    const until = async (is) => {
      for (let n = 0; n < 1000 && !is(); n += 1) await new Promise((done) => real(done, 10));
    };
    const passes = (wait) => {
      now += wait;
      for (const timer of timers.values()) if (timer.at <= now) { timer.work(); timer.work = () => {}; }
    };
    const says = async (url, text, isHeard) => {
      const before = events[url] ?? 0;
      opened[url]?.enqueue(new TextEncoder().encode(text + '\n\n'));
      await until(isHeard ?? (() => (events[url] ?? 0) > before));
    };
    const open = () => Object.keys(opened).sort().join('');
    const become = async (expected) => { await until(() => open() === expected); return open(); };
    for (const url of names) {
      const onEvents = () => { events[url] = (events[url] ?? 0) + 1; };
      const onState = (state) => { states[url] = state; };
      new TurnStream({ url, token: () => null, onEvents, onState }).wake();
    }
"#;

#[tokio::test]
async fn a_turn_lasts_until_its_stream_got_on_or_heard_whether_its_log_comes() {
    let scene = Scene::new().await;
    let script = format!(
        "(async () => {{ {TURNS}
           const seen = [await become('abc')];
           await says('a', ': live\\n\\ndata: {{\"type\":\"waiting_for_log\"}}');
           await says('b', 'data: {{\"type\":\"gap\"}}');
           await says('c', 'data: {{\"type\":\"gap\"}}');
           passes(2000);
           seen.push(await become('abc'));
           await says('c', 'id: 1:0:9\\ndata: {{\"type\":\"output\"}}');
           seen.push(await become('abd'));
           await says('d', ': live', () => states.d === 'live');
           passes(4000);
           seen.push(await become('abc'));
           passes(2000);
           seen.push(await become('bcd'));
           return seen;
         }})()"
    );
    let seen = scene.page.eval(&script).await;
    // The fourth gets the place of the third, which got on; that of the first, which waits for a log, is
    // free when the gateway must have said whether there is one.
    assert_eq!(seen, json!(["abc", "abc", "abd", "abc", "bcd"]));
    scene.browser.end().await;
}
