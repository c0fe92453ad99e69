//! What is told of time: how long something has been quiet, what is typed before it is looked for, and the order of a
//! task's story.

use serde_json::{Value, json};
use steroids_tests::{Page, Puppet};

use super::scene::{Scene, row_says};

/// Timers of as long as somebody may take from one letter to the next, which run when the test says so.
const TIMERS: &str = "const real = [window.setTimeout, window.clearTimeout];
    window.held = new Map();
    window.setTimeout = (act, ms, ...rest) => {
      if (ms !== 250) return real[0].call(window, act, ms, ...rest);
      const id = `held ${Math.random()}`;
      window.held.set(id, act);
      return id;
    };
    window.clearTimeout = (id) => { if (!window.held.delete(id)) real[1].call(window, id); };
    window.passes = () => {
      const due = [...window.held.values()];
      window.held.clear();
      for (const act of due) act();
      return due.length;
    };";

/// Lets the time pass; gives how many timers were due.
async fn passes(page: &Page) -> Value {
    page.eval("window.passes()").await
}

async fn types(page: &Page, field: &str, text: &str) {
    page.click(field).await;
    for letter in text.chars() {
        page.type_text(&letter.to_string()).await;
    }
}

#[tokio::test]
async fn an_agent_that_prints_nothing_is_told_as_quiet_and_waits_for_nothing() {
    let scene = Scene::new().await;
    let page = &scene.page;
    // Two minutes have passed for who looks, and nobody has to wait for one.
    let later = "const now = Date.now; Date.now = () => now() + 120_000;";
    page.before_load(later).await;
    page.reload().await;
    let mut agent = Puppet::new(&scene.home, "agent");
    let id = scene.ctl.start_fake("T1", &agent.args()).await;
    let card = format!("[data-invocation='{id}'] .card-wait");
    page.until(&format!(
        "/^quiet for 2m \\d\\ds$/.test(document.querySelector(`{card}`)?.textContent ?? '')"
    ))
    .await;
    scene.open("T1", id).await;
    let fact = "[data-test=facts] > [data-fact='Quiet for'] > dd";
    page.until(&format!(
        "/^2m \\d\\ds$/.test(document.querySelector(`{fact}`)?.textContent ?? '')"
    ))
    .await;
    assert_eq!(page.count("[data-fact='Waits for']").await, 0);
    // On a phone the line below has it, and it alone.
    page.viewport(390, 844).await;
    page.until(
        "/^Quiet for 2m \\d\\ds$/.test(document.querySelector('[data-test=waits]').textContent)",
    )
    .await;
    let twice = format!("document.querySelector(`{fact}`).checkVisibility()");
    assert_eq!(page.eval(&twice).await, false);
    page.viewport(1280, 800).await;
    // What it waits for is told as that, once that is known.
    agent.begins("Go on? [y/N] ");
    page.until_says(
        "[data-fact='Waits for']",
        "the rest of a line, or an answer: Go on? [y/N]",
    )
    .await;
    assert_eq!(page.count("[data-fact='Quiet for']").await, 0);
    agent.exits(0);
    page.until_there("[data-test=waits][hidden]").await;
    scene.browser.end().await;
}

#[tokio::test]
async fn what_is_typed_on_the_overview_is_one_step_once_nothing_more_is_typed() {
    let scene = Scene::new().await;
    let page = &scene.page;
    page.before_load(TIMERS).await;
    page.reload().await;
    page.until_there("[data-test=projects] [data-project]")
        .await;
    let steps = page.eval("history.length").await.as_u64().unwrap();
    types(page, "[data-test=overview-filter]", "log").await;
    assert_eq!(page.eval("location.search").await, "", "it is still typed");
    assert_eq!(page.text("[data-test=overview-count]").await, "0 of 0");
    assert_eq!(passes(page).await, 1);
    assert_eq!(page.eval("location.search").await, "?q=log");
    assert_eq!(page.eval("history.length").await, steps + 1);
    types(page, "[data-test=overview-filter]", "in").await;
    assert_eq!(page.eval("location.search").await, "?q=log");
    assert_eq!(passes(page).await, 1);
    // It is the same text, still.
    assert_eq!(
        page.eval("[location.search, history.length]").await,
        json!(["?q=login", steps + 1])
    );
    // Who leaves before that takes nothing with them.
    types(page, "[data-test=overview-filter]", "x").await;
    page.eval("history.back()").await;
    page.until("location.search === ''").await;
    assert_eq!(passes(page).await, 0);
    assert_eq!(page.eval("location.search").await, "");
    scene.browser.end().await;
}

#[tokio::test]
async fn what_is_typed_above_a_log_is_asked_for_once_nothing_more_is_typed() {
    let scene = Scene::new().await;
    let page = &scene.page;
    page.before_load(TIMERS).await;
    page.before_load(
        "const asks = window.fetch;
         window.texts = new Set();
         window.fetch = (url, how) => {
           const text = new URL(url, location).searchParams.get('q');
           if (text) window.texts.add(text);
           return asks(url, how);
         };",
    )
    .await;
    let id = scene
        .ctl
        .start_fake("T1", &["numbers", "--count", "30"])
        .await;
    let rpc = scene.daemon.rpc().await;
    rpc.ended(&scene.ctl.project(), id).await;
    scene.open("T1", id).await;
    row_says(page, "n 000030").await;
    types(page, "[data-test=filter]", "00002").await;
    assert_eq!(page.eval("[...window.texts]").await, json!([]));
    assert_eq!(passes(page).await, 1);
    page.until_says("[data-test=count]", "11 events").await;
    assert_eq!(page.eval("[...window.texts]").await, json!(["00002"]));
    // Enter is no pause, and leaves none behind.
    types(page, "[data-test=filter]", "9").await;
    page.press("Enter").await;
    page.until_says("[data-test=count]", "1 event").await;
    assert_eq!(passes(page).await, 0);
    assert_eq!(
        page.eval("[...window.texts]").await,
        json!(["00002", "000029"])
    );
    scene.browser.end().await;
}

#[tokio::test]
async fn a_story_is_in_the_order_of_its_begins_in_whichever_they_are_told() {
    let scene = Scene::new().await;
    let order = "import('/assets/story.js').then(({ Story }) => {
        const told = [
          { id: 1, startedAtMs: 500, completedAtMs: 900, status: 'failed' },
          { id: 2, startedAtMs: 300, status: 'running' },
          { id: 12, startedAtMs: 300, status: 'running' },
          { id: 4, status: 'queued' },
          { id: 3, status: 'queued' },
          { id: 5, completedAtMs: 400, status: 'failed' },
        ];
        const ids = (story) => story.invocations.map((it) => it.id).join();
        const all = new Story({ onChange() {} });
        all.put(...told);
        const single = new Story({ onChange() {} });
        for (const it of [...told].reverse()) single.put(it);
        const before = ids(single);
        // It begins, and has another place.
        single.put({ id: 3, startedAtMs: 100, status: 'running' });
        return [ids(all), before, ids(single)];
    })";
    let expected = json!(["2,12,5,1,3,4", "2,12,5,1,3,4", "3,2,12,5,1,4"]);
    assert_eq!(scene.page.eval(order).await, expected);
    // Of events of one time, those before it are before all of them.
    let before = "import('/assets/story.js').then(({ Story }) => {
        const story = new Story({ onChange() {} });
        const places = [['a', 10], ['b', 20], ['c', 20], ['d', 30]];
        story.marks.set(1, { tool: { stride: 1, lines: 4, places }, retry: { stride: 1, lines: 0, places: [] } });
        story.append(1, { type: 'tool', ts: 30 }, 'e');
        story.append(1, { type: 'tool_result', ok: true, ts: 30 }, 'f');
        story.append(1, { type: 'retry', ts: 5 }, 'g');
        story.append(2, { type: 'tool', ts: 40 }, 'h');
        const at = [10, 20, 21, 30, 31].map((ts) => story.before(1, ts) ?? '');
        return [at.join(), places.map(([place]) => place).join(''), story.marks.get(1).retry.lines];
    })";
    let expected = json!([",a,c,c,e", "abcde", 1]);
    assert_eq!(scene.page.eval(before).await, expected);
    scene.browser.end().await;
}
