//! What waits on the overview stands beside what runs, and is not counted as that.

use steroids_proto::v1;
use steroids_tests::Puppet;
use steroids_tests::rpc::{argv, command};

use super::scene::Scene;

#[tokio::test]
async fn what_waits_is_no_part_of_what_runs_until_it_does() {
    let scene = Scene::new().await;
    let page = &scene.page;
    let mut agent = Puppet::new(&scene.home, "agent");
    let mut next = Puppet::new(&scene.home, "next");
    let first = scene.ctl.start_fake("T1", &agent.args()).await;
    let waits = v1::StartRequest {
        after: vec![first],
        ..command(&scene.ctl.project(), "T2", argv(&next.args()))
    };
    let rpc = scene.daemon.rpc().await;
    let second = rpc.start(waits).await.unwrap().id;
    let shown = |list: &str, id: i64| format!("[data-test={list}] [data-invocation='{id}']");
    page.until_there(&shown("running", first)).await;
    page.until_there(&shown("waiting", second)).await;
    page.until_says(".area-running", "Running now · 1").await;
    page.until_says(".area-running", "Waiting · 1").await;
    assert_eq!(page.count(&shown("running", second)).await, 0);
    agent.exits(0);
    page.until_there(&shown("running", second)).await;
    page.until_there("[data-test=waiting][hidden]").await;
    next.exits(0);
    rpc.ended(&scene.ctl.project(), second).await;
    // And not what the row of a task says, whatever became of it.
    page.until_says("[data-task=T2]", "success").await;
    scene.browser.end().await;
}
