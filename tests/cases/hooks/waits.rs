//! A hook is told when an agent waits for a person, once for each wait.

use std::sync::Arc;

use serde_json::Value;
use steroids_proto::v1;
use steroids_tests::{
    Daemon, FailPoints, Home, Puppet, Rpc, eventually, old_database, rpc, within,
};

/// A home whose hook writes down what it is told: the event's word, and its message.
fn listening() -> (Arc<Home>, std::path::PathBuf) {
    let home = Home::new();
    let out = home.path("out");
    let script = home.script(
        "hook",
        &format!(
            "#!/bin/sh\nbody=$(cat)\nprintf '%s\\n' \"$body\" >> {}\n",
            out.display()
        ),
    );
    home.configure(&format!(
        "[[hooks]]\nname = \"tell\"\non = [\"waiting\", \"resumed\", \"finished\"]\ncommand = [{script:?}]\n"
    ));
    (home, out)
}

/// What the hook was told, once it is so much. Who was killed behind a delivery makes it again, with its id.
async fn told(out: &std::path::Path, count: usize) -> Vec<(String, String)> {
    eventually("what the hook was told", async || {
        let text = std::fs::read_to_string(out).ok()?;
        let bodies = text.split_inclusive('\n').filter(|it| it.ends_with('\n'));
        let bodies = bodies.map(|body| serde_json::from_str::<Value>(body).unwrap());
        let mut seen = std::collections::BTreeSet::new();
        let word = |body: &Value, key: &str| body[key].as_str().unwrap_or_default().to_owned();
        let told: Vec<_> = bodies
            .filter(|body| seen.insert(word(body, "id")))
            .map(|body| (word(&body, "event"), word(&body, "message")))
            .collect();
        (told.len() >= count).then_some(told)
    })
    .await
}

fn pair(event: &str, message: &str) -> (String, String) {
    (event.to_owned(), message.to_owned())
}

/// Waits until a running one shows these words as those of a line without an end.
async fn shows(rpc: &Rpc, project: &str, id: i64, words: &str) {
    eventually(words, async || {
        let live = rpc.get(project, id).await.live?;
        (live.waits_on == words).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_an_agent_asks_is_told_once_by_however_many_daemons_and_a_bar_is_not() {
    let (home, out) = listening();
    // As if each had stood for long.
    FailPoints::of(&home).set(&["question.stands errno 11"]);
    let mut daemon = Daemon::start(&home).await;
    let project = daemon.project("app").await.project();
    let rpc = daemon.rpc().await;
    let mut agent = Puppet::new(&home, "agent");
    let started = rpc.start_fake(&project, "T1", &agent.args()).await;
    let id = started.id;
    for busy in ["Compiling...", "[====> ]", "done (3/10)"] {
        agent.begins(busy);
        shows(&rpc, &project, id, busy).await;
        agent.prints("");
    }
    agent.begins("Push to main? [y/N] ");
    let asks = pair("waiting", "asks: Push to main? [y/N]");
    assert_eq!(told(&out, 1).await, std::slice::from_ref(&asks));
    daemon.kill9_and_restart().await;
    let rpc = daemon.rpc().await;
    shows(&rpc, &project, id, "Push to main? [y/N]").await;
    agent.prints("n");
    let goes_on = pair("resumed", "it printed again");
    assert_eq!(told(&out, 2).await, [asks.clone(), goes_on.clone()]);
    // This one comes and goes while nobody looks.
    daemon.kill9().await;
    agent.begins("Force? ");
    agent.prints("no");
    let spool = home.invocation_dir(&started.uuid).join("spool");
    eventually("the answer in the spool", async || {
        let bytes = std::fs::read(&spool).ok()?;
        bytes.windows(3).any(|it| it == b"no\n").then_some(())
    })
    .await;
    daemon.start_again().await;
    let rpc = daemon.rpc().await;
    agent.exits(0);
    rpc.ended(&project, id).await;
    let ended = pair("finished", "success");
    assert_eq!(told(&out, 3).await, [asks, goes_on, ended]);
}

#[tokio::test]
async fn an_agent_that_has_answered_is_told_to_wait_at_once_and_after_each_message() {
    let (home, out) = listening();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let request = v1::StartRequest {
        project: ctl.project(),
        task_id: "T1".to_owned(),
        provider: "claude".to_owned(),
        prompt: "begin".to_owned(),
        interactive: true,
        limits: Some(v1::Limits {
            post_result: std::time::Duration::from_secs(3600).try_into().ok(),
            ..Default::default()
        }),
        env: [("FAKE_PROVIDER".to_owned(), r#"["talk"]"#.to_owned())].into(),
        ..Default::default()
    };
    let id = rpc.start(request).await.unwrap().id;
    let first = told(&out, 1).await;
    let until = "has answered and waits for your message, until ";
    let (event, message) = &first[0];
    assert_eq!(event, "waiting");
    let time = message.strip_prefix(until).unwrap();
    assert_eq!(
        (time.len() >= 5, &time[time.len() - 3..=time.len() - 3]),
        (true, ":")
    );

    daemon.kill9_and_restart().await;
    let rpc = daemon.rpc().await;
    let mut followed = rpc
        .follow(rpc::invocation(&ctl.project(), id), "", true)
        .await;
    ctl.run(["send", &id.to_string(), "and the tests?"])
        .await
        .exits(0);
    within("its answer", followed.until("heard and the tests?")).await;
    let kinds = |told: Vec<(String, String)>| -> Vec<String> {
        told.into_iter().map(|(event, _)| event).collect()
    };
    assert_eq!(
        kinds(told(&out, 3).await),
        ["waiting", "resumed", "waiting"]
    );
    ctl.run(["send", &id.to_string(), "--end"]).await.exits(0);
    assert_eq!(rpc.ended(&ctl.project(), id).await.outcome, "success");
    assert_eq!(
        kinds(told(&out, 4).await),
        ["waiting", "resumed", "waiting", "finished"]
    );
}

#[tokio::test]
async fn a_wait_is_told_once_also_where_its_project_is_moved_and_its_database_was_locked() {
    let home = Home::new();
    FailPoints::of(&home).set(&["question.stands errno 11"]);
    let daemon = Daemon::start(&home).await;
    let app = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let mut agent = Puppet::new(&home, "agent");
    let id = rpc.start_fake(&app.project(), "T1", &agent.args()).await.id;
    let lock = rusqlite::Connection::open(old_database::path(app.folder())).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE; UPDATE tasks SET title = 'held'")
        .unwrap();
    agent.begins("Continue? [y/N] ");
    shows(&rpc, &app.project(), id, "Continue? [y/N]").await;
    drop(lock);
    rpc.lifecycle(&app.project(), |event| event.kind == "waiting")
        .await;

    let moved = daemon.ctl(&home.path("moved"));
    std::fs::rename(app.folder(), moved.folder()).unwrap();
    moved.run(["list"]).await.exits(0);
    shows(&rpc, &moved.project(), id, "Continue? [y/N]").await;
    agent.prints("n");
    rpc.lifecycle(&moved.project(), |event| event.kind == "resumed")
        .await;
    agent.exits(0);
    rpc.ended(&moved.project(), id).await;
    let db = rusqlite::Connection::open(old_database::path(moved.folder())).unwrap();
    let mut told = db
        .prepare("SELECT message FROM steroidsd_events WHERE kind IN ('waiting', 'resumed') ORDER BY number")
        .unwrap();
    let told: Vec<String> = told
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(told, ["asks: Continue? [y/N]", "it printed again"]);
}
