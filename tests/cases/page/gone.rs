//! A project whose folder is moved away while an agent runs in it: that is what is told, and not that
//! the daemon were away.

use serde_json::json;
use steroids_tests::{Puppet, eventually};

use super::scene::{Scene, connection, row_says};

/// The folder's other name.
fn aside(scene: &Scene) -> std::path::PathBuf {
    scene.ctl.folder().with_extension("aside")
}

#[tokio::test]
async fn a_folder_that_is_gone_is_told_as_that_until_it_is_back() {
    let scene = Scene::new().await;
    let page = &scene.page;
    let mut agent = Puppet::new(&scene.home, "agent");
    let id = scene.ctl.start_fake("T1", &agent.args()).await;
    scene.open("T1", id).await;
    agent.prints("before");
    row_says(page, "before").await;
    connection(page, "live").await;
    page.expect_failed_requests();
    std::fs::rename(scene.ctl.folder(), aside(&scene)).unwrap();
    connection(page, "gone").await;
    page.until_says("#connection", "Project gone").await;
    // For programs, too.
    let (gateway, project) = (&scene.gateway, scene.ctl.project());
    for what in ["T1", "T1/events"] {
        let path = format!("/api/tasks/{what}?project={project}&invocation={id}&wait=1");
        let answer = gateway.get(&path).send().await.is(409);
        assert_eq!(answer.value()["reason"], "FOLDER_GONE", "{path}");
    }
    page.reload().await;
    page.until_says("[data-test=failure] h1", "folder is gone")
        .await;
    std::fs::rename(aside(&scene), scene.ctl.folder()).unwrap();
    agent.prints("behind it");
    row_says(page, "behind it").await;
    connection(page, "live").await;
    agent.exits(0);
    page.until_there("[data-test=status][data-status=completed]")
        .await;
    scene.browser.end().await;
}

#[tokio::test]
async fn what_ends_there_is_told_to_have_ended_and_what_is_lost_with_it() {
    let scene = Scene::new().await;
    let page = &scene.page;
    let mut agent = Puppet::new(&scene.home, "agent");
    let id = scene.ctl.start_fake("T1", &agent.args()).await;
    let overview = scene.browser.page().await;
    overview.goto(&scene.address().await).await;
    let card = format!("[data-test=running] [data-invocation='{id}']");
    overview.until_there(&card).await;
    scene.open("T1", id).await;
    agent.prints("before");
    row_says(page, "before").await;
    page.expect_failed_requests();
    overview.expect_failed_requests();
    std::fs::rename(scene.ctl.folder(), aside(&scene)).unwrap();
    connection(page, "gone").await;
    // What the terminal says of it, the cards do.
    overview
        .until_says(&format!("{card} .card-alarm"), "cannot be kept")
        .await;
    overview
        .until_says("[data-test=projects]", "1 running")
        .await;
    page.click("[data-test=stop]").await;
    page.until_there("#dialog[open] [data-test=confirm]").await;
    let asked = page.text("#dialog").await;
    assert!(!asked.contains("so far is kept"), "{asked}");
    page.click("#dialog [data-test=confirm]").await;
    page.until_there("#dialog [data-test=confirm][hidden]")
        .await;
    assert_eq!(page.count("#dialog [data-test=problem] p").await, 2);
    page.press("Escape").await;
    page.until_says("[data-test=status]", "unrecorded").await;
    page.until("document.title.startsWith('✗')").await;
    assert_eq!(page.count("[data-test=stop][hidden]").await, 1);
    assert_eq!(page.count("[data-test=activity] .spinner").await, 0);
    overview
        .until_says("[data-test=recent]", "its log could not be kept")
        .await;
    assert_eq!(overview.count(&card).await, 0);
    // Once it is back, its row says how it ended.
    std::fs::rename(aside(&scene), scene.ctl.folder()).unwrap();
    let rpc = scene.daemon.rpc().await;
    let row = rpc.ended(&scene.ctl.project(), id).await;
    assert_eq!(row.outcome, "cancelled");
    eventually("the end as it was", async || {
        let said = overview.text("[data-test=recent]").await;
        said.contains("cancelled").then_some(json!(said))
    })
    .await;
    scene.browser.end().await;
}
