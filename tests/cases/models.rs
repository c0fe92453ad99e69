//! The model that answers, which mostly nobody has asked for by that name.

use serde_json::{Value, json};
use steroids_proto::v1;
use steroids_tests::{Ctl, Daemon, Home, Puppet, Rpc, eventually};

const SONNET: &str = "claude-sonnet-4-5-20250929";
const OK: &str = r#"{"type":"result","subtype":"success","is_error":false,"session_id":"s","result":"ok","usage":{"input_tokens":10,"output_tokens":3}}"#;

/// A claude that names its model, and goes on until it is told to end.
async fn begun(rpc: &Rpc, ctl: &Ctl, home: &Home, task: &str, asked: &str) -> (i64, Puppet) {
    let mut agent = Puppet::new(home, task);
    let words = serde_json::to_string(&agent.args()).unwrap();
    let request = v1::StartRequest {
        project: ctl.project(),
        task_id: task.to_owned(),
        provider: "claude".to_owned(),
        model: asked.to_owned(),
        prompt: "do it".to_owned(),
        env: [("FAKE_PROVIDER".to_owned(), words)].into(),
        ..Default::default()
    };
    let id = rpc.start(request).await.unwrap().id;
    agent.prints(&format!(
        r#"{{"type":"system","subtype":"init","session_id":"s","model":"{SONNET}","cwd":"/","tools":[]}}"#
    ));
    eventually("its model", async || {
        let shown = rpc.get(&ctl.project(), id).await;
        (shown.answering_model == SONNET).then_some(())
    })
    .await;
    (id, agent)
}

/// How many runs each model has.
async fn by_model(ctl: &Ctl, further: &[&str]) -> Value {
    let words = [&["--json", "usage", "--by", "model"], further].concat();
    let used = ctl.run(words).await.json();
    let groups = used["usage"].as_array().unwrap().iter();
    groups
        .map(|it| json!([it["model"], it["invocations"]]))
        .collect()
}

#[tokio::test]
async fn the_model_that_answers_is_told_of_what_runs_and_has_ended_and_both_count_as_one() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let (default, mut first) = begun(&rpc, &ctl, &home, "T1", "").await;
    let (alias, mut second) = begun(&rpc, &ctl, &home, "T2", "sonnet").await;
    assert_eq!(by_model(&ctl, &[]).await, json!([[SONNET, 2]]));
    // That nobody has asked for one says nothing: it is known.
    let unnamed = ["--model", "(default)"];
    assert_eq!(by_model(&ctl, &unnamed).await, json!([]));
    let listed = ctl.run(["list"]).await.ok();
    assert_eq!(listed.matches(SONNET).count(), 2, "{listed}");

    // By another daemon as well, from the transcript.
    daemon.kill9_and_restart().await;
    let rpc = daemon.rpc().await;
    for (id, agent) in [(default, &mut first), (alias, &mut second)] {
        eventually("its model", async || {
            let shown = rpc.get(&ctl.project(), id).await;
            (shown.answering_model == SONNET).then_some(())
        })
        .await;
        agent.prints(OK);
        agent.exits(0);
        rpc.ended(&ctl.project(), id).await;
    }
    let shown = async |id: i64| ctl.run(["show", &id.to_string()]).await.ok();
    let default_shown = shown(default).await;
    assert!(
        default_shown.contains(&format!("model       {SONNET}\n")),
        "{default_shown}"
    );
    let alias_shown = shown(alias).await;
    assert!(
        alias_shown.contains(&format!("model       {SONNET} (asked for: sonnet)\n")),
        "{alias_shown}"
    );
    let rows = ctl.run(["--json", "list"]).await.json();
    let row = |at: usize| {
        let row = &rows["invocations"][at];
        (row["model"].clone(), row["answeringModel"].clone())
    };
    assert_eq!(row(0), (json!("sonnet"), json!(SONNET)));
    assert_eq!(row(1), (Value::Null, json!(SONNET)));
    assert_eq!(by_model(&ctl, &[]).await, json!([[SONNET, 2]]));
    assert_eq!(
        by_model(&ctl, &["--model", "sonnet"]).await,
        json!([[SONNET, 1]])
    );
    assert_eq!(
        by_model(&ctl, &["--model", SONNET]).await,
        json!([[SONNET, 2]])
    );

    // What ended under an older steroidsd has no model until it is looked at once more.
    let database = rusqlite::Connection::open(ctl.folder().join(".steroids/steroids.db")).unwrap();
    let forget = "UPDATE steroidsd_invocations SET answering_model = NULL WHERE invocation_id = ?1";
    database.execute(forget, [default]).unwrap();
    let groups = by_model(&ctl, &[]).await;
    assert!(
        groups.as_array().unwrap().contains(&json!(["", 1])),
        "{groups}"
    );
    assert_eq!(by_model(&ctl, &unnamed).await, json!([["", 1]]));
    let done = ctl
        .run(["--json", "reproject", &default.to_string()])
        .await
        .json();
    assert_eq!(done["result"], "row");
    assert_eq!(by_model(&ctl, &[]).await, json!([[SONNET, 2]]));
}
