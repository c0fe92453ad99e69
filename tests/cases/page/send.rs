//! Messages to an agent, from the page, and what turns of one cost.

use steroids_proto::v1;
use steroids_tests::Puppet;

use super::scene::{Scene, picture, row_says};

#[tokio::test]
async fn an_agent_that_takes_messages_is_sent_some_and_told_that_no_more_comes() {
    let scene = Scene::new().await;
    let rpc = scene.daemon.rpc().await;
    let (project, page) = (scene.ctl.project(), &scene.page);
    let request = v1::StartRequest {
        project: project.clone(),
        task_id: "T1".to_owned(),
        provider: "claude".to_owned(),
        prompt: "begin".to_owned(),
        interactive: true,
        env: [("FAKE_PROVIDER".to_owned(), r#"["talk"]"#.to_owned())].into(),
        ..Default::default()
    };
    let id = rpc.start(request).await.unwrap().id;
    scene.open("T1", id).await;
    row_says(page, "heard begin").await;
    page.click("[data-test=send]").await;
    page.until_there("#dialog[open] [name=text]").await;
    // Nothing at all is not sent.
    page.click("#dialog [data-test=confirm]").await;
    page.until_says("#dialog [role=alert]", "nothing to send")
        .await;
    page.fill("#dialog [name=text]", "from the page").await;
    picture(page, "send").await;
    page.click("#dialog [data-test=confirm]").await;
    page.until("!document.querySelector('#dialog').open").await;
    row_says(page, "heard from the page").await;
    page.click("[data-test=send]").await;
    page.until_there("#dialog[open] [name=end]").await;
    page.click("#dialog [name=end]").await;
    page.click("#dialog [data-test=confirm]").await;
    let ended = rpc.ended(&project, id).await;
    assert_eq!(
        (&*ended.outcome, &*ended.response),
        ("success", "heard from the page")
    );
    page.until_there("[data-test=status][data-status=completed]")
        .await;
    page.until_there("[data-test=send][hidden]").await;
    // Who takes none is not offered any.
    let silent = rpc.start_as(&project, "T2", "claude", &["stall"]).await.id;
    scene.open("T2", silent).await;
    page.until_there("[data-test=stop]:not([hidden])").await;
    page.until_there("[data-test=send][hidden]").await;
    scene.browser.end().await;
}

#[tokio::test]
async fn a_cost_that_does_not_cover_all_is_shown_as_such() {
    let scene = Scene::new().await;
    let rpc = scene.daemon.rpc().await;
    let project = scene.ctl.project();
    let mut agent = Puppet::new(&scene.home, "agent");
    let id = rpc
        .start_as(&project, "T1", "claude", &agent.args())
        .await
        .id;
    agent.prints(
        r#"{"type":"result","subtype":"success","is_error":false,"result":"done","usage":{"input_tokens":9},"total_cost_usd":0.2}"#,
    );
    agent.prints(
        r#"{"type":"assistant","message":{"id":"m","role":"assistant","content":[],"usage":{"input_tokens":7,"output_tokens":0}}}"#,
    );
    agent.exits(0);
    rpc.ended(&project, id).await;
    scene.open("T1", id).await;
    row_says(&scene.page, "$0.20+").await;
    scene.browser.end().await;
}
