//! Reading a long log: its end, any part of it, what a filter leaves, and one event by its link.

use serde_json::json;
use steroids_tests::Puppet;

use super::scene::{Scene, assert_in_order, connection, picture, row_says, rows};

const LIST: &str = "[data-test=activity]";

/// A page of a run that has printed 3,000 lines and prints on.
async fn long(scene: &Scene) -> (Puppet, i64) {
    let mut agent = Puppet::new(&scene.home, "agent");
    let id = scene.ctl.start_fake("T1", &agent.args()).await;
    for number in 1..=3_000 {
        let extra = if number % 500 == 0 { " needle" } else { "" };
        agent.prints(&format!("line {number:04}.{extra}"));
    }
    let selector = steroids_tests::invocation(&scene.ctl.project(), id);
    let mut followed = scene.daemon.rpc().await.follow(selector, "", true).await;
    followed.until("line 3000.").await;
    scene.open("T1", id).await;
    row_says(&scene.page, "line 3000.").await;
    connection(&scene.page, "live").await;
    (agent, id)
}

/// The first row whose top can be seen.
async fn topmost(scene: &Scene) -> u64 {
    let index = scene.page.eval(
        "(() => { const list = document.querySelector('[data-test=activity]').getBoundingClientRect();
           return [...document.querySelectorAll('[data-test=activity] .row')]
             .filter((row) => row.getBoundingClientRect().top >= list.top - 1)
             .map((row) => Number(row.dataset.index)).sort((a, b) => a - b)[0]; })()",
    );
    index.await.as_u64().expect("some row is seen")
}

#[tokio::test]
async fn the_end_is_followed_until_one_scrolls_up_and_then_says_what_is_new() {
    let scene = Scene::new().await;
    let (mut agent, _) = long(&scene).await;
    let page = &scene.page;
    assert_in_order(&rows(page).await);
    agent.prints("shown at once.");
    row_says(page, "shown at once.").await;
    page.wheel(LIST, -1_500.0).await;
    page.until(&format!(
        "(() => {{ const it = document.querySelector('{LIST}');
           return it.scrollTop + it.clientHeight < it.scrollHeight - 1000; }})()"
    ))
    .await;
    let top = topmost(&scene).await;
    for number in 1..=7 {
        agent.prints(&format!("unseen {number}."));
    }
    page.until_there("[data-test=new-lines][data-unseen='7']")
        .await;
    page.until_says("[data-test=new-lines]", "7 new").await;
    assert_eq!(topmost(&scene).await, top, "what is read stays where it is");
    picture(page, "seven-new").await;
    page.click("[data-test=new-lines]").await;
    row_says(page, "unseen 7.").await;
    agent.prints("followed again.");
    row_says(page, "followed again.").await;
    // To the very beginning: it is fetched, since it was never in memory.
    page.click(LIST).await;
    page.press("Home").await;
    row_says(page, "line 0001.").await;
    assert_in_order(&rows(page).await);
    assert_eq!(topmost(&scene).await, 0);
    for _ in 0..20 {
        page.wheel(LIST, 700.0).await;
    }
    // Come to rest after 20 times 700, since what comes into view on the way there is empty at first.
    page.until(&format!(
        "(() => {{ const it = document.querySelector('{LIST}');
           const {{ bottom }} = it.getBoundingClientRect();
           return it.scrollTop > 13999 && !it.querySelector('.row-placeholder')
             && [...it.querySelectorAll('.row')].some((row) => row.getBoundingClientRect().bottom >= bottom); }})()"
    ))
    .await;
    let shown = rows(page).await;
    assert_in_order(&shown);
    for (index, text) in &shown {
        // Row 0 is the start, row n the nth line.
        assert!(
            text.contains(&format!("line {index:04}.")),
            "{index}: {text}"
        );
    }
    page.press("End").await;
    row_says(page, "followed again.").await;
    agent.exits(0);
    scene.browser.end().await;
}

#[tokio::test]
async fn a_filter_leaves_what_it_says_and_a_link_leads_to_its_event() {
    let scene = Scene::new().await;
    let (mut agent, id) = long(&scene).await;
    let page = &scene.page;
    page.press("/").await;
    assert_eq!(
        page.eval("document.activeElement.dataset.test").await,
        "filter"
    );
    page.type_text("NEEDLE").await;
    page.until_says("[data-test=count]", "6 events").await;
    page.until(&format!(
        "[...document.querySelectorAll('{LIST} .row')].every((row) => row.textContent.includes('needle'))
           && document.querySelectorAll('{LIST} .row').length === 6"
    ))
    .await;
    agent.prints("one more needle, live");
    page.until_says("[data-test=count]", "7 events").await;
    row_says(page, "one more needle, live").await;
    agent.prints("not what is sought");
    agent.prints("an eighth needle");
    page.until_says("[data-test=count]", "8 events").await;
    assert_eq!(page.count(&format!("{LIST} .row")).await, 8);
    picture(page, "filtered").await;
    let cursor = page
        .eval(&format!(
            "document.querySelectorAll('{LIST} .row')[2].dataset.cursor"
        ))
        .await;
    let cursor = cursor.as_str().unwrap().to_owned();
    page.fill("[data-test=filter]", "").await;
    page.until_says("[data-test=count]", "3,00").await;

    page.goto(&format!("{}&at={cursor}", scene.task("T1", id)))
        .await;
    page.until_there(&format!("{LIST} .row[aria-current=true]"))
        .await;
    let linked = page.text(&format!("{LIST} .row[aria-current=true]")).await;
    assert!(linked.contains("line 1500."), "{linked}");
    page.until(&format!(
        "(() => {{ const row = document.querySelector('{LIST} .row[aria-current=true]').getBoundingClientRect();
           const list = document.querySelector('{LIST}').getBoundingClientRect();
           return row.top >= list.top && row.bottom <= list.bottom; }})()"
    ))
    .await;
    // A click on the event's link copies its address.
    scene.browser.grant_clipboard(&scene.gateway.origin()).await;
    page.to_front().await;
    page.click(&format!(
        "{LIST} .row[aria-current=true] [data-action=link]"
    ))
    .await;
    let copied = page.eval("navigator.clipboard.readText()").await;
    assert!(copied.as_str().unwrap().contains("at="), "copied: {copied}");
    let parameters = json!(copied);
    let at = page
        .eval(&format!("new URL({parameters}).searchParams.get('at')"))
        .await;
    assert_eq!(at, cursor.as_str());
    agent.exits(0);
    scene.browser.end().await;
}

#[tokio::test]
async fn a_tool_unfolds_to_its_input_and_output_by_mouse_and_keyboard() {
    let scene = Scene::new().await;
    let recording = crate::recording("claude", "tools");
    let rpc = scene.daemon.rpc().await;
    let project = scene.ctl.project();
    let words = ["replay", &recording, "--speed", "0"];
    let id = rpc.start_as(&project, "T1", "claude", &words).await.id;
    rpc.ended(&project, id).await;
    scene.open("T1", id).await;
    let page = &scene.page;
    page.until_there("[data-test=status][data-status=completed]")
        .await;
    page.click(".row[data-type=tool] [data-action=toggle]")
        .await;
    page.until_there(".row[data-type=tool][data-open=true] .row-detail")
        .await;
    picture(page, "tool-open").await;
    page.press("Enter").await;
    page.until("!document.querySelector('.row[data-open=true]')")
        .await;
    page.click("[data-chip=failed]").await;
    page.until(
        "[...document.querySelectorAll('.row')].every((row) => row.dataset.state === 'failed')",
    )
    .await;
    page.click("[data-chip=failed]").await;
    page.until_there(".row[data-type=complete]").await;
    page.press("?").await;
    page.until_there("#dialog[open]").await;
    page.press("Escape").await;
    page.until("!document.querySelector('#dialog').open").await;
    scene.browser.end().await;
}
