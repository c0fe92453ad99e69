//! Who is ended by a budget, and who is not.

use super::*;

/// Starts a claude by the command, with these words beside the usual ones.
async fn begin(ctl: &Ctl, task: &str, agent: &Puppet, words: &[&str]) -> i64 {
    let env = format!("FAKE_PROVIDER={}", json!(agent.args()));
    let call = ["--json", "start", "--task", task, "--env", &env];
    let call = call.into_iter().chain(["--prompt", "do it"]);
    let said = ctl.run(call.chain(words.iter().copied())).await;
    said.json()["id"].as_i64().unwrap()
}

#[tokio::test]
async fn who_is_to_stop_at_its_budget_stops_at_that_of_its_task_and_day_too() {
    let home = Home::with_config("[budget]\ntask_tokens = 100\nday_tokens = 500\n");
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let (rpc, project) = (daemon.rpc().await, ctl.project());
    let [mut one, mut two, mut three] =
        ["one", "two", "three"].map(|name| Puppet::new(&home, name));
    // With no bound of its own.
    let first = begin(&ctl, "T1", &one, &["--budget-stop"]).await;
    let shown = ctl.run(["show", &first.to_string()]).await.ok();
    let said = "it is stopped when that of its task or day is reached";
    assert!(shown.contains(said), "{shown}");
    let shown = ctl.run(["--json", "show", &first.to_string()]).await.json();
    assert_eq!(shown["terms"]["budget"], json!({"stop": true}));
    one.prints(&used("much", 150));
    let ended = rpc.ended(&project, first).await;
    assert_eq!(
        (ended.outcome.as_str(), ended.error.as_str()),
        (
            "cancelled",
            "budget of 100 tokens for task T1 reached: 150 tokens used"
        )
    );
    // Nobody asked for the end of this one.
    let goes_on = begin(&ctl, "T2", &two, &[]).await;
    let third = begin(&ctl, "T3", &three, &["--budget-stop", "--budget-tokens=99"]).await;
    daemon.kill9_and_restart().await;
    let rpc = daemon.rpc().await;
    three.prints(&used("little", 10));
    two.prints(&used("much", 400));
    let ended = rpc.ended(&project, third).await;
    assert_eq!(ended.outcome, "cancelled", "{ended:?}");
    assert!(
        ended.error.contains("budget of 500 tokens for 20"),
        "{ended:?}"
    );
    until_told(&rpc, &project, "for task T2 reached").await;
    two.exits(0);
    let ended = rpc.ended(&project, goes_on).await;
    assert_ne!(ended.outcome, "cancelled", "{ended:?}");
}

#[tokio::test]
async fn who_waits_for_a_message_ends_with_its_result_and_others_follow() {
    let home = Home::with_config("[budget]\ntask_tokens = 1\n");
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let (rpc, project) = (daemon.rpc().await, ctl.project());
    let request = v1::StartRequest {
        project: project.clone(),
        task_id: "T1".to_owned(),
        provider: "claude".to_owned(),
        prompt: "begin".to_owned(),
        interactive: true,
        budget: Some(v1::Budget {
            stop: Some(true),
            ..Default::default()
        }),
        env: [("FAKE_PROVIDER".to_owned(), r#"["talk"]"#.to_owned())].into(),
        ..Default::default()
    };
    let talks = rpc.start(request).await.unwrap().id;
    let after = v1::StartRequest {
        after: vec![talks],
        ..rpc::command(&project, "T2", rpc::argv(&["exit", "0"]))
    };
    let after = rpc.start(after).await.unwrap().id;
    let ended = rpc.ended(&project, talks).await;
    assert_eq!(ended.outcome, "success", "{ended:?}");
    assert_eq!(rpc.ended(&project, after).await.outcome, "success");
    let lines = log::lines(&ctl.log_path(talks));
    let said = "no further message, as the budget of 1 tokens for task T1 reached: 2 tokens used; its input is closed";
    assert!(lines.iter().any(|line| line["msg"] == said), "{lines:#?}");
}
