//! The overview on a phone: whose each run is.

use serde_json::json;
use steroids_tests::{Ctl, Page};

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
