//! What changed while the page could not hear of it, or what it asked was away: it catches up by itself.

use serde_json::json;

use super::scene::Scene;

#[tokio::test]
async fn a_page_that_was_opened_while_the_daemon_was_away_knows_the_agents_once_it_is_back() {
    let mut scene = Scene::new().await;
    let id = scene.ctl.start_fake("T1", &["stall"]).await;
    scene.page.expect_failed_requests();
    scene.daemon.kill9().await;
    scene.page.goto(&scene.task("T1", id)).await;
    scene.page.until_there("[data-test=failure]").await;
    scene.daemon.start_again().await;
    let page = &scene.page;
    page.until_there("[data-test=activity] .row").await;
    page.click("[data-test=start]").await;
    page.until_there("#dialog[open] [name=provider]").await;
    let offered = "[...document.querySelector('[name=provider]').options].map((it) => it.value)";
    assert_eq!(
        page.eval(offered).await,
        json!(["claude", "codex", "gemini", "opencode"])
    );
    scene.browser.end().await;
}
