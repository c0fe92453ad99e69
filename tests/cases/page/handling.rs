//! Small things of use: what a phone shows first, keys, copying, links that lead nowhere, one clock.

use serde_json::json;
use steroids_tests::Puppet;

use super::scene::{Scene, assert_fits, connection, row_says};

const LIST: &str = "[data-test=activity]";

/// A page of a run that has printed so many lines.
async fn printed(scene: &Scene, lines: usize) -> (Puppet, i64) {
    let mut agent = Puppet::new(&scene.home, "agent");
    let id = scene.ctl.start_fake("T1", &agent.args()).await;
    for number in 1..=lines {
        agent.prints(&format!("line {number:03}."));
    }
    scene.open("T1", id).await;
    row_says(&scene.page, &format!("line {lines:03}.")).await;
    connection(&scene.page, "live").await;
    (agent, id)
}

#[tokio::test]
async fn a_question_is_seen_on_a_phone() {
    let scene = Scene::new().await;
    let page = &scene.page;
    page.viewport(390, 844).await;
    let mut agent = Puppet::new(&scene.home, "agent");
    let id = scene.ctl.start_fake("T1", &agent.args()).await;
    scene.open("T1", id).await;
    let question = "Overwrite the existing file in /srv/releases/current/configuration? [y/N] ";
    agent.begins(question);
    page.until_says("[data-test=waits]", "[y/N]").await;
    page.until(
        "(() => { const it = document.querySelector('[data-test=waits]').getBoundingClientRect();
           return it.height > 0 && it.left >= 0 && it.right <= innerWidth; })()",
    )
    .await;
    let cut = page
        .eval("(() => { const it = document.querySelector('[data-test=waits]'); return it.scrollWidth > it.clientWidth; })()")
        .await;
    assert_eq!(cut, json!(false));
    assert_fits(page, "the task").await;
    agent.exits(0);
    page.until_there("[data-test=waits][hidden]").await;
    page.viewport(1280, 800).await;
    scene.browser.end().await;
}

#[tokio::test]
async fn the_keys_of_the_list_need_no_click() {
    let scene = Scene::new().await;
    let page = &scene.page;
    let (mut agent, _) = printed(&scene, 300).await;
    assert_eq!(page.eval("document.activeElement.tagName").await, "BODY");
    page.press("Home").await;
    row_says(page, "line 001.").await;
    page.until("document.activeElement.dataset.index === '0'")
        .await;
    page.press("j").await;
    page.until("document.activeElement.dataset.index === '1'")
        .await;
    page.reload().await;
    row_says(page, "line 300.").await;
    let top = format!("document.querySelector('{LIST}').scrollTop");
    let before = page.eval(&top).await;
    page.press("PageUp").await;
    page.until(&format!("{top} < {before}")).await;
    page.press("End").await;
    row_says(page, "line 300.").await;
    // Before the browser has told of where the first of them led.
    page.eval(
        "for (const key of ['PageUp', 'PageUp', 'End'])
           document.body.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }))",
    )
    .await;
    agent.prints("line 301.");
    row_says(page, "line 301.").await;
    agent.exits(0);
    scene.browser.end().await;
}

#[tokio::test]
async fn what_is_copied_of_several_rows_are_their_lines() {
    let scene = Scene::new().await;
    let page = &scene.page;
    let (mut agent, _) = printed(&scene, 9).await;
    // As dragged from within one line into another.
    let copied = page
        .eval(&format!(
            "(() => {{
               const text = (words) => [...document.querySelectorAll('{LIST} .row pre')]
                 .find((it) => it.textContent.includes(words)).firstChild;
               const range = document.createRange();
               range.setStart(text('line 003.'), 5);
               range.setEnd(text('line 006.'), 4);
               getSelection().removeAllRanges();
               getSelection().addRange(range);
               let copied = null;
               document.addEventListener('copy', (event) => {{ copied = event.clipboardData.getData('text/plain'); }}, {{ once: true }});
               document.execCommand('copy');
               return copied;
             }})()"
        ))
        .await;
    assert_eq!(copied, "003.\nline 004.\nline 005.\nline");
    agent.exits(0);
    scene.browser.end().await;
}

#[tokio::test]
async fn a_link_to_an_event_that_is_not_there_says_so() {
    let scene = Scene::new().await;
    let page = &scene.page;
    let (mut agent, id) = printed(&scene, 9).await;
    page.expect_failed_requests();
    for place in ["7:868115", "0:868116"] {
        page.goto(&format!("{}&at={id}:{place}", scene.task("T1", id)))
            .await;
        page.until_says("[data-test=missing]", "not there any more")
            .await;
        page.until_there("[data-test=missing]:not([hidden])").await;
        row_says(page, "line 009.").await;
    }
    agent.exits(0);
    scene.browser.end().await;
}

#[tokio::test]
async fn one_clock_tells_until_when_a_provider_is_held() {
    let scene = Scene::new().await;
    let page = &scene.page;
    scene
        .ctl
        .run(["holds", "set", "command", "--for", "1h"])
        .await
        .ok();
    let id = scene.ctl.start_fake("T1", &["exit", "0"]).await;
    page.until_says("[data-test=holds]", "is held until ").await;
    let banner = page.text("[data-test=holds]").await;
    let until = banner.split("held until ").nth(1).unwrap();
    let until = until.split(": ").next().unwrap();
    let card = format!("[data-test=waiting] [data-invocation='{id}']");
    let said = format!("is held until {until} ");
    page.until_says(&card, &said).await;
    page.goto(&scene.task("T1", id)).await;
    page.until_says(".task-problem.tone-warn", &said).await;
    scene.browser.end().await;
}
