//! Who needs a person, and what is done about it from the overview: no page of a task has to be opened for that.

use serde_json::json;
use steroids_proto::v1;
use steroids_tests::rpc::{argv, command};
use steroids_tests::{Page, Puppet};

use super::scene::{Scene, assert_fits, picture};

/// The item of an invocation.
fn item(id: i64) -> String {
    format!(".overview [data-invocation='{id}']")
}

/// It is no wider than a phone, in the dark as well.
async fn fits_a_phone(page: &Page, what: &str) {
    page.viewport(390, 844).await;
    page.prefers_color_scheme("dark").await;
    assert_fits(page, what).await;
    picture(page, &format!("{what}-phone")).await;
    page.viewport(1280, 800).await;
}

#[tokio::test]
async fn who_waits_for_a_word_stands_first_says_so_and_is_answered_there() {
    let scene = Scene::new().await;
    let (rpc, project, page) = (scene.daemon.rpc().await, scene.ctl.project(), &scene.page);
    let request = v1::StartRequest {
        project: project.clone(),
        task_id: "asks".to_owned(),
        provider: "claude".to_owned(),
        prompt: "begin".to_owned(),
        interactive: true,
        limits: Some(v1::Limits {
            post_result: Some(prost_types::Duration::default()),
            ..Default::default()
        }),
        env: [("FAKE_PROVIDER".to_owned(), r#"["talk"]"#.to_owned())].into(),
        ..Default::default()
    };
    let asks = rpc.start(request).await.unwrap().id;
    let mut agent = Puppet::new(&scene.home, "agent");
    let works = scene.ctl.start_fake("works", &agent.args()).await;
    page.until_there(&item(works)).await;
    let first = format!("[data-test=running] > [data-invocation='{asks}'][data-needs]:first-child");
    page.until_there(&first).await;
    page.until_says(&first, "Needs you").await;
    page.until_says(&first, "waits for your message").await;
    page.until_says("[data-chip=needs]", "1").await;
    assert_eq!(page.eval("document.title").await, "(1) steroids");
    assert_eq!(page.count("[data-needs]").await, 1);
    picture(page, "overview-needs").await;
    fits_a_phone(page, "overview-needs").await;
    page.click("[data-chip=needs]").await;
    page.until("document.querySelectorAll('.overview [data-invocation]').length === 1")
        .await;
    page.click(&format!("{first} [data-action=send]")).await;
    page.until_there("#dialog[open] [name=text]").await;
    page.fill("#dialog [name=text]", "go on").await;
    page.click("#dialog [name=end]").await;
    page.click("#dialog [data-test=confirm]").await;
    let ended = rpc.ended(&project, asks).await;
    assert_eq!(
        (&*ended.outcome, &*ended.response),
        ("success", "heard go on")
    );
    page.until("document.title === 'steroids'").await;
    page.until_there("[data-test=overview-none]:not([hidden])")
        .await;
    // What looks like a question is one once it has stood there for a while; other halves of lines never are.
    let needs = "import('/assets/waits.js').then(({ needsPerson }) => [
        [undefined, 0], [{ waitsFor: 'model', waitsSinceMs: 1 }, 9e9],
        [{ waitsFor: 'message', waitsForPerson: true, waitsSinceMs: 1 }, 2],
        [{ waitsFor: 'unfinished_line', waitsForPerson: true, waitsSinceMs: 1 }, 5000],
        [{ waitsFor: 'unfinished_line', waitsForPerson: true, waitsSinceMs: 1 }, 5001],
        [{ waitsFor: 'unfinished_line', waitsSinceMs: 1 }, 9e9],
    ].map(([live, now]) => needsPerson(live, now)))";
    let expected = json!([false, false, true, false, true, false]);
    assert_eq!(page.eval(needs).await, expected);
    agent.exits(0);
    scene.browser.end().await;
}

#[tokio::test]
async fn what_runs_and_what_waits_is_stopped_from_its_item_which_asks_once() {
    let scene = Scene::new().await;
    let (rpc, project, page) = (scene.daemon.rpc().await, scene.ctl.project(), &scene.page);
    let runs = scene.ctl.start_fake("runs", &["stall"]).await;
    let waits = v1::StartRequest {
        after: vec![runs],
        ..command(&project, "waits", argv(&["stall"]))
    };
    let waits = rpc.start(waits).await.unwrap().id;
    for id in [waits, runs] {
        let stop = format!("{} [data-action=stop]", item(id));
        page.until_there(&stop).await;
        // By no place on the screen: what comes meanwhile moves the items.
        let act = format!("document.querySelector(`{stop}`).click()");
        page.eval(&act).await;
        page.until_says("#dialog[open]", &format!("Stop invocation {id}?"))
            .await;
        // Names and numbers are of one project each.
        page.until_says("#dialog[open]", "in app is asked to end")
            .await;
        // Not from a press that was meant for something else.
        page.press("Escape").await;
        page.until("!document.querySelector('#dialog').open").await;
        assert!(rpc.get(&project, id).await.completed_at_ms.is_none());
        page.eval(&act).await;
        page.until_there("#dialog[open]").await;
        page.click("#dialog [data-test=confirm]").await;
        assert_eq!(rpc.ended(&project, id).await.outcome, "cancelled");
        page.until("!document.querySelector('#dialog').open").await;
        page.until_says(
            &format!("[data-test=recent] {}", &item(id)[10..]),
            "cancelled",
        )
        .await;
    }
    assert_eq!(page.eval("location.pathname").await, "/");
    // What somebody has ended waits for nobody.
    page.until_says("[data-chip=failed]", "0").await;
    scene.browser.end().await;
}

#[tokio::test]
async fn what_failed_stays_in_sight_and_is_tried_again_from_its_item() {
    let scene = Scene::new().await;
    let (rpc, project, page) = (scene.daemon.rpc().await, scene.ctl.project(), &scene.page);
    let mut agent = Puppet::new(&scene.home, "agent");
    let failed = scene.ctl.start_fake("broken", &agent.args()).await;
    agent.exits(1);
    rpc.ended(&project, failed).await;
    // More than the stream of the overview tells of.
    let mut last = 0;
    for number in 0..55 {
        let task = format!("fine{number}");
        last = rpc.start_fake(&project, &task, &["exit", "0"]).await.id;
    }
    rpc.ended(&project, last).await;
    page.until_there(&item(last)).await;
    page.reload().await;
    page.until_there(&format!("{}[data-unresolved]", item(failed)))
        .await;
    page.click("[data-chip=failed]").await;
    page.until("document.querySelectorAll('.overview [data-invocation]').length === 1")
        .await;
    picture(page, "overview-failed").await;
    fits_a_phone(page, "overview-failed").await;
    let again = format!("{} [data-action=retry]", item(failed));
    page.click(&again).await;
    page.until_says("#dialog[open]", &format!("Try invocation {failed} again?"))
        .await;
    page.until_says("#dialog[open]", "in app is asked for the same")
        .await;
    page.click("#dialog [data-test=confirm]").await;
    agent.exits(1);
    // It fails as before, and is what is to be looked at now.
    page.until_there(&format!("{}[data-unresolved]", item(last + 1)))
        .await;
    page.until(&format!("!document.querySelector({})", json!(item(failed))))
        .await;
    page.until("!document.querySelector('#dialog').open").await;
    assert_eq!(page.eval("location.search").await, "?show=failed");
    let second = rpc.get(&project, last + 1).await;
    assert_eq!((second.attempt, second.retry_of), (2, Some(failed)));
    // What is refused, as its next attempt runs, says so where it was asked.
    page.expect_failed_requests();
    page.click(&format!("{} [data-action=retry]", item(second.id)))
        .await;
    page.until_there("#dialog[open]").await;
    scene.ctl.run(["retry", &second.id.to_string()]).await.ok();
    page.click("#dialog [data-test=confirm]").await;
    page.until("document.querySelector('#dialog [role=alert]').textContent !== ''")
        .await;
    picture(page, "overview-refused").await;
    page.press("Escape").await;
    page.until("!document.querySelector('#dialog').open").await;
    page.click("[data-chip=failed]").await;
    agent.exits(1);
    page.until_says(&item(second.id), "tried again").await;
    scene.browser.end().await;
}

#[tokio::test]
async fn where_control_is_off_nothing_is_offered() {
    let scene = Scene::without_control().await;
    let (rpc, project, page) = (scene.daemon.rpc().await, scene.ctl.project(), &scene.page);
    let failed = scene.ctl.start_fake("broken", &["exit", "1"]).await;
    rpc.ended(&project, failed).await;
    let runs = scene.ctl.start_fake("runs", &["stall"]).await;
    page.until_there(&item(failed)).await;
    page.until_there(&item(runs)).await;
    // A task's page is built once it is known whether it is on.
    page.click(&item(runs)).await;
    page.until_there("[data-test=task]").await;
    page.click(".brand").await;
    page.until_there(&item(runs)).await;
    let offered = "[...document.querySelectorAll('[data-action]')].filter((it) => it.checkVisibility()).length";
    assert_eq!(page.eval(offered).await, 0);
    scene.browser.end().await;
}

#[tokio::test]
async fn what_is_in_trouble_stands_above_what_is_newer_and_says_so() {
    let scene = Scene::new().await;
    let page = &scene.page;
    let web = scene.daemon.project("web").await;
    let mut older = Puppet::new(&scene.home, "older");
    let mut newer = Puppet::new(&scene.home, "newer");
    let first =
        |project: String| format!("[data-test=running] > [data-project='{project}']:first-child");
    scene.ctl.start_fake("older", &older.args()).await;
    page.until_there(&first(scene.ctl.project())).await;
    web.start_fake("newer", &newer.args()).await;
    page.until_there(&first(web.project())).await;
    assert_eq!(page.count("[data-troubled]").await, 0);
    page.expect_failed_requests();
    let aside = scene.ctl.folder().with_extension("aside");
    std::fs::rename(scene.ctl.folder(), &aside).unwrap();
    let troubled = format!("{}[data-troubled]", first(scene.ctl.project()));
    page.until_there(&troubled).await;
    page.until_says(&troubled, "cannot be kept").await;
    assert_eq!(page.count("[data-troubled]").await, 1);
    picture(page, "overview-troubled").await;
    fits_a_phone(page, "overview-troubled").await;
    std::fs::rename(&aside, scene.ctl.folder()).unwrap();
    // Nothing is wrong with it any more: the newer one is first again.
    page.until_there(&first(web.project())).await;
    older.exits(0);
    newer.exits(0);
    // Near a limit is trouble as well.
    let near = "import('/assets/waits.js').then(({ isTroubled }) => [{}, { live: {} },
        { live: { limit: 'wall', limitAtMs: 1 } }, { alarm: 'disk full' }].map(isTroubled))";
    let expected = json!([false, false, true, true]);
    assert_eq!(page.eval(near).await, expected);
    scene.browser.end().await;
}
