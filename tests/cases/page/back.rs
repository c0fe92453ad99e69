//! What changed while the page could not hear of it, or what it asked was away: it catches up by itself.

use serde_json::json;
use steroids_proto::v1;
use steroids_tests::Puppet;
use steroids_tests::rpc::{argv, command};

use super::scene::{Scene, connection, row_says};

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

#[tokio::test]
async fn tasks_that_came_while_the_gateway_was_away_are_listed_when_it_is_back() {
    let mut scene = Scene::new().await;
    scene.ctl.start_fake("T1", &["exit", "0"]).await;
    scene
        .page
        .until_there("[data-test=tasks] [data-task=T1]")
        .await;
    scene.page.expect_failed_requests();
    scene.gateway.kill9().await;
    connection(&scene.page, "reconnecting").await;
    let id = scene.ctl.start_fake("T2", &["exit", "0"]).await;
    let rpc = scene.daemon.rpc().await;
    rpc.ended(&scene.ctl.project(), id).await;
    scene.gateway.start_again().await;
    connection(&scene.page, "live").await;
    scene
        .page
        .until_there("[data-test=tasks] [data-task=T2]")
        .await;
    scene.browser.end().await;
}

#[tokio::test]
async fn tasks_that_could_not_be_read_are_asked_for_again() {
    let scene = Scene::new().await;
    let page = &scene.page;
    page.before_load(
        r#"const real = window.fetch;
         let refused = false;
         window.fetch = async (url, options) => {
           if (refused || !String(url).startsWith('/api/tasks?')) return real(url, options);
           refused = true;
           return new Response('{"success":false,"error":"not now"}', { status: 503 });
         };"#,
    )
    .await;
    page.reload().await;
    page.until_says("[data-test=tasks]", "not now").await;
    // News of another project, which is not what the list is of.
    scene.daemon.project("other").await;
    page.until_says("[data-test=tasks]", "no tasks yet").await;
    scene.browser.end().await;
}

#[tokio::test]
async fn the_page_of_a_task_goes_on_with_what_was_queued_behind_the_one_it_showed() {
    let scene = Scene::new().await;
    let mut agent = Puppet::new(&scene.home, "agent");
    let first = scene.ctl.start_fake("T1", &agent.args()).await;
    agent.prints("of the first.");
    let (origin, project) = (scene.gateway.origin(), scene.ctl.project());
    let page = &scene.page;
    page.goto(&format!("{origin}/tasks/T1?project={project}"))
        .await;
    row_says(page, "of the first.").await;
    connection(page, "live").await;
    let mut next = Puppet::new(&scene.home, "next");
    let queued = v1::StartRequest {
        after: vec![first],
        ..command(&project, "T1", argv(&next.args()))
    };
    let second = scene.daemon.rpc().await.start(queued).await.unwrap().id;
    page.until_there(&format!(
        "[data-test=invocations] [data-invocation='{second}']"
    ))
    .await;
    agent.exits(0);
    page.until_there(&format!("[data-test=task][data-invocation='{second}']"))
        .await;
    next.prints("of the second.");
    row_says(page, "of the second.").await;
    next.exits(0);
    page.until_there("[data-test=status][data-status=completed]")
        .await;
    scene.browser.end().await;
}

#[tokio::test]
async fn what_was_chosen_while_the_daemon_was_away_is_read_when_it_is_back() {
    let mut scene = Scene::new().await;
    let (ctl, project) = (scene.ctl.clone(), scene.ctl.project());
    let rpc = scene.daemon.rpc().await;
    let first = ctl.start_fake("T1", &["numbers", "--count", "7"]).await;
    rpc.ended(&project, first).await;
    let second = ctl.start_fake("T1", &["numbers", "--count", "3"]).await;
    rpc.ended(&project, second).await;
    scene.open("T1", second).await;
    scene.page.expect_failed_requests();
    scene.daemon.kill9().await;
    connection(&scene.page, "away").await;
    let other = format!("[data-test=invocations] [data-invocation='{first}']");
    scene.page.click(&other).await;
    scene
        .page
        .until_says("[data-test=panel-note]", "Not read")
        .await;
    scene.daemon.start_again().await;
    row_says(&scene.page, "n 000007").await;
    scene
        .page
        .until_there("[data-test=panel-note][hidden]")
        .await;
    scene.browser.end().await;
}

#[tokio::test]
async fn what_ended_long_ago_while_the_page_was_away_is_among_the_tasks_runs() {
    let mut scene = Scene::new().await;
    let (ctl, project) = (scene.ctl.clone(), scene.ctl.project());
    let rpc = scene.daemon.rpc().await;
    let first = ctl.start_fake("T1", &["numbers"]).await;
    rpc.ended(&project, first).await;
    scene.open("T1", first).await;
    connection(&scene.page, "live").await;
    scene.page.expect_failed_requests();
    scene.gateway.kill9().await;
    let missed = ctl.start_fake("T1", &["numbers"]).await;
    rpc.ended(&project, missed).await;
    // More than the overview tells of.
    let mut last = 0;
    for n in 0..60 {
        last = ctl.start_fake(&format!("B{n}"), &["exit", "0"]).await;
    }
    rpc.ended(&project, last).await;
    scene.gateway.start_again().await;
    let shown = format!("[data-test=invocations] [data-invocation='{missed}']");
    scene.page.until_there(&shown).await;
    scene.browser.end().await;
}

#[tokio::test]
async fn marks_of_the_story_that_could_not_be_read_are_when_the_daemon_is_back() {
    let mut scene = Scene::new().await;
    let id = scene.ctl.start_fake("T1", &["numbers"]).await;
    let rpc = scene.daemon.rpc().await;
    rpc.ended(&scene.ctl.project(), id).await;
    let page = &scene.page;
    page.expect_failed_requests();
    page.before_load(
        r#"const real = window.fetch;
         window.fetch = async (url, options) => {
           if (!/outline.*types=tool&/.test(String(url))) return real(url, options);
           const isRefused = document.body.dataset.marks === undefined;
           document.body.dataset.marks = isRefused ? 'refused' : 'read';
           return isRefused ? Response.json({}, { status: 503 }) : real(url, options);
         };"#,
    )
    .await;
    page.goto(&scene.task("T1", id)).await;
    page.until_there("body[data-marks=refused]").await;
    connection(page, "live").await;
    scene.daemon.kill9().await;
    connection(page, "away").await;
    scene.daemon.start_again().await;
    page.until_there("body[data-marks=read]").await;
    scene.browser.end().await;
}
