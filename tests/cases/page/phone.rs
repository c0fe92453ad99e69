//! The overview on a phone: whose each run is, what it is about, and nothing cut off where there is room below.

use serde_json::json;
use steroids_proto::v1;
use steroids_tests::rpc::{argv, command};
use steroids_tests::{Ctl, Page, Puppet};

use super::scene::{Scene, assert_fits, picture};

/// Panics unless the element is seen, with these words, and none of its text is cut off.
async fn reads_whole(page: &Page, selector: &str, words: &str) {
    page.until_says(selector, words).await;
    let selector = json!(selector);
    let look = format!(
        "(() => {{ const it = document.querySelector({selector});
           it.scrollIntoView({{ block: 'center' }});
           const seen = it.getBoundingClientRect();
           return [seen.width > 0 && seen.height > 0 && seen.left >= 0 && seen.right <= innerWidth,
             it.scrollWidth <= it.clientWidth + 1]; }})()"
    );
    assert_eq!(page.eval(&look).await, json!([true, true]), "{selector}");
}

async fn fails(scene: &Scene, ctl: &Ctl, task: &str) -> String {
    let id = ctl.start_fake(task, &["exit", "3"]).await;
    let rpc = scene.daemon.rpc().await;
    rpc.ended(&ctl.project(), id).await;
    let project = ctl.project();
    format!("[data-test=recent] [data-project='{project}'][data-invocation='{id}']")
}

#[tokio::test]
async fn each_row_of_what_failed_says_whose_it_is_where_that_is_a_question() {
    let scene = Scene::new().await;
    let page = &scene.page;
    page.viewport(390, 844).await;
    let first = fails(&scene, &scene.ctl, "migrate-accounts").await;
    page.until_there(&first).await;
    let whose = |item: &str| format!("{item} .ended-who");
    let is_seen = format!(
        "document.querySelector(`{}`).checkVisibility()",
        whose(&first)
    );
    assert_eq!(page.eval(&is_seen).await, false, "there is but one project");
    let name = "a-project-with-a-name-of-many-words-and-no-space";
    let web = scene.daemon.project(name).await;
    let task = "checkout-flow-with-a-rather-long-name-that-goes-on";
    let second = fails(&scene, &web, task).await;
    page.click("[data-chip=failed]").await;
    reads_whole(page, &whose(&first), "app · ").await;
    reads_whole(page, &whose(&second), name).await;
    assert_fits(page, "what failed").await;
    picture(page, "phone-failed").await;
    scene.browser.end().await;
}

#[tokio::test]
async fn a_card_reads_whole_and_has_no_empty_places() {
    let scene = Scene::new().await;
    let (rpc, project, page) = (scene.daemon.rpc().await, scene.ctl.project(), &scene.page);
    page.viewport(390, 844).await;
    let mut agent = Puppet::new(&scene.home, "agent");
    let name = "a-long-task-name-that-goes-on-and-on-and-on";
    let asks = scene.ctl.start_fake(name, &agent.args()).await;
    let question = format!("Overwrite /srv/{}? [y/N] ", "unbroken".repeat(12));
    agent.begins(&question);
    let waits = v1::StartRequest {
        after: vec![asks],
        ..command(&project, "afterwards", argv(&["stall"]))
    };
    let waits = rpc.start(waits).await.unwrap().id;
    let of = |id: i64, place: &str| format!(".card[data-invocation='{id}'] {place}");
    page.until_there(&format!(".card[data-invocation='{asks}'][data-needs]"))
        .await;
    reads_whole(page, &of(asks, ".card-wait"), "[y/N]").await;
    reads_whole(page, &of(asks, ".card-who"), "app · coder · command").await;
    reads_whole(page, &of(asks, ".card-needs"), "Needs you").await;
    let queued = of(waits, ".card-activity-text");
    reads_whole(page, &queued, "waits for invocation").await;
    // The name begins where the card does: what does not turn has no place for it.
    let starts = format!(
        "['.card-task', '.card-who', '.card-activity'].map((it) =>
           document.querySelector(`.card[data-invocation='{asks}'] ${{it}}`).getBoundingClientRect().left)"
    );
    let starts = page.eval(&starts).await;
    assert!(starts[0] == starts[1] && starts[1] == starts[2], "{starts}");
    let facts = |id: i64| {
        format!(
            "[...document.querySelectorAll(`.card[data-invocation='{id}'] .card-facts dt`)]
               .filter((it) => it.checkVisibility()).map((it) => it.textContent)"
        )
    };
    let known = page.eval(&facts(asks)).await;
    assert_eq!(known, json!(["Elapsed", "Tool calls"]));
    assert_eq!(page.eval(&facts(waits)).await, json!([]));
    assert_fits(page, "cards").await;
    picture(page, "phone-cards").await;
    // On its own page the facts are no line that is cut at the edge.
    scene.open(name, asks).await;
    page.until_says("[data-test=facts]", "Started").await;
    let cut = "[...document.querySelectorAll('[data-test=facts] > div')].filter((it) => it.checkVisibility())
        .filter((it) => it.getBoundingClientRect().right > innerWidth).map((it) => it.textContent)";
    assert_eq!(page.eval(cut).await, json!([]));
    picture(page, "phone-task").await;
    agent.exits(0);
    scene.browser.end().await;
}

#[tokio::test]
async fn a_task_of_many_attempts_is_no_wider_than_the_screen() {
    let scene = Scene::new().await;
    let page = &scene.page;
    page.viewport(390, 844).await;
    let mut last = 0;
    for _ in 0..6 {
        last = scene.ctl.start_fake("T1", &["exit", "0"]).await;
        let rpc = scene.daemon.rpc().await;
        rpc.ended(&scene.ctl.project(), last).await;
    }
    scene.open("T1", last).await;
    let items = "document.querySelectorAll('[data-test=invocations] > *').length === 6";
    page.until(items).await;
    assert_fits(page, "a task of many attempts").await;
    picture(page, "phone-attempts").await;
    scene.browser.end().await;
}
