//! A run of which the log is gone, as retention has it of each in time.

use super::scene::{Scene, connection};

#[tokio::test]
async fn a_log_that_was_removed_is_told_calmly_and_with_what_brings_it_back() {
    let scene = Scene::new().await;
    let (ctl, page) = (&scene.ctl, &scene.page);
    let id = ctl.start_fake("T1", &["exit", "1"]).await;
    let rpc = scene.daemon.rpc().await;
    rpc.ended(&ctl.project(), id).await;
    ctl.run(["cleanup", "logs", "--days", "0"]).await.ok();
    page.expect_failed_requests();
    page.goto(&scene.task("T1", id)).await;
    let note = "[data-test=panel-note]";
    page.until_says(note, &format!("steroidsctl reproject {id}"))
        .await;
    connection(page, "live").await;
    assert_eq!(page.count(&format!("{note} button")).await, 0);
    assert_eq!(page.count(&format!("{note} .tone-bad")).await, 0);
    scene.browser.end().await;
}
