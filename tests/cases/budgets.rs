//! Budgets: told once at four fifths and once when they are reached, then refused, and stopped where
//! that is asked for; whatever the daemon goes through meanwhile.

mod stop;

use serde_json::{Value, json};
use steroids_proto::v1;
use steroids_tests::{Ctl, Daemon, Home, Puppet, Rpc, eventually, log, rpc};

const BUDGETS: &str = "[budget]\ntask_tokens = 1000\nday_tokens = 3000\n";

/// A message that tells of so many tokens.
fn used(message: &str, tokens: u32) -> String {
    json!({
        "type": "assistant",
        "message": {
            "id": message,
            "role": "assistant",
            "content": [{"type": "text", "text": message}],
            "usage": {"input_tokens": tokens, "output_tokens": 0},
        },
    })
    .to_string()
}

/// What was told of budgets in a project, as its events are kept.
fn told(ctl: &Ctl) -> Vec<String> {
    let db = rusqlite::Connection::open(ctl.folder().join(".steroids/steroids.db")).unwrap();
    let mut events = db
        .prepare("SELECT message FROM steroidsd_events WHERE kind = 'budget' ORDER BY number")
        .unwrap();
    let messages = events.query_map([], |row| row.get(0)).unwrap();
    messages.map(Result::unwrap).collect()
}

/// Waits until a watcher of the project is told of a budget with these words.
async fn until_told(rpc: &Rpc, project: &str, words: &str) -> v1::LifecycleEvent {
    rpc.lifecycle(project, |event| {
        event.kind == "budget" && event.message.contains(words)
    })
    .await
}

/// What a run ends with that has used so many tokens.
fn result(tokens: u32) -> Value {
    json!({
        "type": "result",
        "subtype": "success",
        "is_error": false,
        "result": "done",
        "usage": {"input_tokens": tokens, "output_tokens": 0},
    })
}

/// Starts an agent of events.
async fn claude(rpc: &Rpc, project: &str, task: &str, agent: &Puppet) -> i64 {
    let started = rpc.start_as(project, task, "claude", &agent.args()).await;
    started.id
}

/// Runs an agent that uses so many tokens, to its end.
async fn run(rpc: &Rpc, home: &Home, project: &str, task: &str, tokens: u32) -> v1::Invocation {
    let mut agent = Puppet::new(home, &format!("{task}-{tokens}"));
    let id = claude(rpc, project, task, &agent).await;
    agent.prints(&used("all", tokens));
    agent.exits(0);
    rpc.ended(project, id).await
}

#[tokio::test]
async fn a_budget_is_told_twice_and_then_refuses_also_after_a_restart() {
    let home = Home::with_config(BUDGETS);
    let mut daemon = Daemon::start(&home).await;
    let (app, lib) = (daemon.project("app").await, daemon.project("lib").await);
    let (here, there) = (app.project(), lib.project());
    let rpc = daemon.rpc().await;
    // While it runs, by what it used so far.
    let mut agent = Puppet::new(&home, "agent");
    let id = claude(&rpc, &here, "T1", &agent).await;
    agent.prints(&used("much", 850));
    let event = until_told(&rpc, &here, "task T1").await;
    assert_eq!(
        event.message,
        "budget of 1000 tokens for task T1: 850 tokens used, 85 %"
    );
    assert_eq!((event.task_id.as_str(), event.invocation_id), ("T1", None));
    agent.exits(0);
    rpc.ended(&here, id).await;
    // What is left may be used, and nothing is stopped that nobody wants stopped.
    let ended = run(&rpc, &home, &here, "T1", 200).await;
    assert_ne!(ended.outcome, "cancelled");
    until_told(&rpc, &here, "for task T1 reached: 1050 tokens used").await;
    let refused = |ctl: &Ctl, task: &str| {
        let (ctl, task) = (ctl.clone(), task.to_owned());
        async move {
            let words = [
                "start",
                "--task",
                &task,
                "--provider",
                "claude",
                "--prompt",
                "do it",
            ];
            ctl.run(words).await.exits(4)
        }
    };
    let said = "budget of 1000 tokens for task T1 reached: 1050 tokens used";
    refused(&app, "T1")
        .await
        .says(said)
        .says("raise budget.task_tokens");
    daemon.kill9_and_restart().await;
    let rpc = daemon.rpc().await;
    refused(&app, "T1").await.says(said);
    // A task of that name elsewhere is another one; the day is of all projects.
    run(&rpc, &home, &there, "T1", 900).await;
    until_told(&rpc, &there, "task T1").await;
    run(&rpc, &home, &there, "T2", 950).await;
    until_told(&rpc, &there, "task T2").await;
    run(&rpc, &home, &there, "T3", 100).await;
    until_told(&rpc, &there, "reached: 3000 tokens used").await;
    for ctl in [&app, &lib] {
        refused(ctl, "T9").await.says("wait until midnight");
    }
    daemon.kill9_and_restart().await;
    refused(&app, "T9")
        .await
        .says("budget of 3000 tokens for 20");
    let (app_told, lib_told) = (told(&app), told(&lib));
    assert_eq!(app_told.len(), 2, "{app_told:?}");
    // Two tasks near their ends, the day near its end and there.
    assert_eq!(lib_told.len(), 4, "{lib_told:?}");
}

#[tokio::test]
async fn what_a_project_has_used_counts_for_the_day_also_when_it_is_forgotten() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let (app, lib) = (daemon.project("app").await, daemon.project("lib").await);
    let rpc = daemon.rpc().await;
    // With no budget nobody has looked at the day's sum.
    run(&rpc, &home, &lib.project(), "T1", 400).await;
    eventually("it to be forgotten", async || {
        let forgotten = app.run(["projects", "forget", &lib.project()]).await;
        (forgotten.code == 0).then_some(())
    })
    .await;
    home.configure("[budget]\nday_tokens = 300\n");
    let start = ["start", "--task", "T9", "--", "true"];
    for _ in 0..2 {
        daemon.kill9_and_restart().await;
        app.run(start)
            .await
            .exits(4)
            .says("reached: 400 tokens used");
    }
}

#[tokio::test]
async fn what_a_project_has_used_counts_for_the_day_also_when_it_is_gone() {
    let home = Home::with_config("[budget]\nday_tokens = 1000\n");
    let mut daemon = Daemon::start(&home).await;
    let (app, lib) = (daemon.project("app").await, daemon.project("lib").await);
    let gone = daemon.project("gone").await;
    let rpc = daemon.rpc().await;
    run(&rpc, &home, &lib.project(), "T1", 400).await;
    run(&rpc, &home, &gone.project(), "T1", 300).await;
    // Moved, it counts once: 700 of 1000 are used.
    let moved = daemon.ctl(&home.path("moved"));
    std::fs::rename(lib.folder(), moved.folder()).unwrap();
    app.run(["wakeup"]).await;
    moved.run(["list"]).await.exits(0);
    run(&rpc, &home, &app.project(), "T1", 100).await;
    until_told(&rpc, &app.project(), "800 tokens used, 80 %").await;
    run(&rpc, &home, &app.project(), "T2", 200).await;
    until_told(&rpc, &app.project(), "reached: 1000 tokens used").await;
    gone.delete_folder().await;
    app.run(["wakeup"]).await;
    let start = ["start", "--task", "T9", "--", "true"];
    for _ in 0..2 {
        app.run(start)
            .await
            .exits(4)
            .says("reached: 1000 tokens used");
        daemon.kill9_and_restart().await;
    }
    let log = home.daemon_log();
    assert!(log.contains("what it used today counts on"), "{log}");
    // Forgotten, one that is gone and one that is there.
    for path in [gone.project(), moved.project()] {
        app.run(["projects", "forget", &path]).await.exits(0);
        for _ in 0..2 {
            app.run(start)
                .await
                .exits(4)
                .says("reached: 1000 tokens used");
            daemon.kill9_and_restart().await;
        }
    }
    // In its place is another one, whose database gets its rows back.
    std::fs::create_dir(gone.folder()).unwrap();
    gone.run(["init"]).await.exits(0);
    eventually("its rows", async || {
        let listed = gone.run(["list", "--json"]).await.json();
        let rows = listed["invocations"].as_array().unwrap();
        (rows.len() == 1 && rows[0]["status"] == "failed").then_some(())
    })
    .await;
    app.run(start)
        .await
        .exits(4)
        .says("reached: 1000 tokens used");
}

#[tokio::test]
async fn a_budget_holds_also_for_one_whose_project_was_moved() {
    for (of, has_path) in [("day", false), ("task", false), ("task", true)] {
        let config = format!("[budget]\n{of}_tokens = 100\non_reached = \"stop\"\n");
        let home = Home::with_config(&config);
        let daemon = Daemon::start(&home).await;
        let ctl = daemon.project("app").await;
        let rpc = daemon.rpc().await;
        let mut agent = Puppet::new(&home, "agent");
        let started = rpc
            .start_as(&ctl.project(), "T1", "claude", &agent.args())
            .await;
        let moved = daemon.ctl(&home.path("moved"));
        std::fs::rename(ctl.folder(), moved.folder()).unwrap();
        moved.run(["init"]).await.exits(0);
        if has_path {
            std::fs::create_dir(ctl.folder()).unwrap();
            ctl.run(["init"]).await.exits(0);
        }
        agent.prints(&used("much", 150));
        let ended = rpc.ended(&moved.project(), started.id).await;
        assert_eq!(ended.outcome, "cancelled", "{ended:?}");
        assert!(ended.error.contains("150 tokens used"), "{ended:?}");
    }
}

#[tokio::test]
async fn one_that_is_to_stop_at_its_budget_says_so_also_when_that_was_while_nobody_looked() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let project = ctl.project();
    let mut agents = Vec::new();
    for name in ["one", "two"] {
        let agent = Puppet::new(&home, name);
        let words = json!(agent.args()).to_string();
        let env = format!("FAKE_PROVIDER={words}");
        let call = [
            "--json",
            "start",
            "--task",
            name,
            "--prompt",
            "do it",
            "--env",
            &env,
            "--budget-tokens",
            "100",
            "--budget-stop",
        ];
        let id = ctl.run(call).await.json()["id"].as_i64().unwrap();
        agents.push((agent, id));
    }
    let check = async |rpc: &Rpc, id: i64| {
        let ended = rpc.ended(&project, id).await;
        let why = format!("budget of 100 tokens for invocation {id} reached: 150 tokens used");
        assert_eq!((ended.outcome.as_str(), &ended.error), ("cancelled", &why));
        let lines = log::lines(&ctl.log_path(id));
        let last = lines.last().unwrap();
        assert_eq!(
            (&last["outcome"], &last["error"]),
            (&json!("cancelled"), &json!(why))
        );
    };
    let rpc = daemon.rpc().await;
    agents[0].0.prints(&used("much", 150));
    check(&rpc, agents[0].1).await;
    daemon.kill9().await;
    agents[1].0.prints(&used("much", 150));
    daemon.start_again().await;
    let rpc = daemon.rpc().await;
    check(&rpc, agents[1].1).await;
    let told = told(&ctl);
    assert_eq!(told.len(), 2, "{told:?}");
    let event = rpc
        .lifecycle(&project, |event| event.kind == "budget")
        .await;
    assert_eq!(event.invocation_id, Some(agents[0].1));
    // Nobody is asked for what makes no sense.
    ctl.run(["start", "--task", "T", "--budget-usd", "0", "--", "true"])
        .await
        .exits(2);
    let request = v1::StartRequest {
        budget: Some(v1::Budget {
            usd: Some(f64::NAN),
            ..Default::default()
        }),
        ..rpc::command(&project, "T", rpc::argv(&["exit"]))
    };
    let refused = rpc.start(request).await.unwrap_err();
    assert!(refused.message().contains("budget.usd"), "{refused:?}");
}

#[tokio::test]
async fn a_budget_holds_also_for_one_whose_project_was_deleted() {
    let home = Home::with_config("[budget]\nday_tokens = 100\non_reached = \"stop\"\n");
    let mut daemon = Daemon::start(&home).await;
    let (app, gone) = (daemon.project("app").await, daemon.project("gone").await);
    let rpc = daemon.rpc().await;
    let mut agent = Puppet::new(&home, "agent");
    let started = rpc
        .start_as(&gone.project(), "T1", "claude", &agent.args())
        .await;
    agent.prints(&used("little", 10));
    let selector = rpc::invocation(&gone.project(), started.id);
    rpc.follow(selector, "", true).await.until("little").await;
    gone.delete_folder().await;
    agent.prints(&used("much", 140));
    let record = home.invocation_dir(&started.uuid).join("exit.json");
    eventually("its end", async || record.exists().then_some(())).await;
    let start = ["start", "--task", "T9", "--", "true"];
    let is_refused = async |ctl: &Ctl| {
        eventually("a refusal", async || {
            let said = ctl.run(start).await;
            (said.code == 4 && said.stderr.contains("150 tokens used")).then_some(())
        })
        .await;
    };
    is_refused(&app).await;
    eventually("it to be astray", async || {
        let lines = rpc.degraded().await;
        let is_astray = |line: &String| line.contains("an ended invocation cannot be taken up");
        lines.iter().any(is_astray).then_some(())
    })
    .await;
    daemon.kill9_and_restart().await;
    is_refused(&app).await;
    std::fs::create_dir(gone.folder()).unwrap();
    gone.run(["init"]).await.exits(0);
    let rpc = daemon.rpc().await;
    let ended = eventually("its row", async || {
        let request = v1::GetRequest {
            project: gone.project(),
            id: started.id,
            terms: false,
        };
        let row = rpc.invocations().get(request).await.ok()?.into_inner();
        let row = row.invocation?;
        (row.state() == v1::State::Failed).then_some(row)
    })
    .await;
    assert_eq!(ended.outcome, "cancelled", "{ended:?}");
    assert!(ended.error.contains("150 tokens used"), "{ended:?}");
    let text = std::fs::read_to_string(gone.log_path(started.id)).unwrap();
    assert!(text.contains("little") && text.contains("much"), "{text}");
    is_refused(&app).await;
}

#[tokio::test]
async fn a_project_that_takes_the_path_of_one_that_is_gone_counts_beside_it() {
    let home = Home::with_config("[budget]\nday_tokens = 700\n");
    let daemon = Daemon::start(&home).await;
    let (one, two) = (daemon.project("one").await, daemon.project("two").await);
    let rpc = daemon.rpc().await;
    run(&rpc, &home, &one.project(), "T1", 300).await;
    run(&rpc, &home, &two.project(), "T1", 400).await;
    one.delete_folder().await;
    std::fs::rename(two.folder(), one.folder()).unwrap();
    one.run(["list"]).await.exits(0);
    let start = ["start", "--task", "T9", "--", "true"];
    let refused = one.run(start).await.exits(4);
    refused.says("reached: 700 tokens used");
}

#[tokio::test]
async fn who_has_given_its_result_is_not_stopped_by_what_that_tells() {
    let home = Home::with_config("[budget]\ninvocation_tokens = 1000\non_reached = \"stop\"\n");
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let (rpc, project) = (daemon.rpc().await, ctl.project());
    let mut agent = Puppet::new(&home, "agent");
    let id = claude(&rpc, &project, "T1", &agent).await;
    agent.prints(&result(1500).to_string());
    until_told(&rpc, &project, "reached").await;
    // Those that run are looked at each time that one of them has used something.
    let mut other = Puppet::new(&home, "other");
    let stopped = claude(&rpc, &project, "T2", &other).await;
    other.prints(&used("all", 1500));
    let stopped = rpc.ended(&project, stopped).await;
    assert_eq!(stopped.outcome, "cancelled", "{stopped:?}");
    agent.exits(0);
    let ended = rpc.ended(&project, id).await;
    assert_eq!(ended.outcome, "success", "{ended:?}");
}

#[tokio::test]
async fn a_budget_in_money_sees_what_is_used_after_a_cost_was_stated() {
    let home = Home::with_config(
        "[prices.\"*\"]\ninput = 1000.0\noutput = 1000.0\n\
         [budget]\ninvocation_usd = 1.0\non_reached = \"stop\"\n",
    );
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let (rpc, project) = (daemon.rpc().await, ctl.project());
    let mut agent = Puppet::new(&home, "agent");
    let id = claude(&rpc, &project, "T1", &agent).await;
    agent.prints(&used("first turn", 400));
    let mut result = result(400);
    result["total_cost_usd"] = json!(0.2);
    agent.prints(&result.to_string());
    // A dollar with what was stated, and less than one without.
    agent.prints(&used("second turn", 900));
    let ended = rpc.ended(&project, id).await;
    assert_eq!(ended.outcome, "cancelled", "{ended:?}");
    assert!(ended.error.contains("$1.10 used"), "{ended:?}");
    let usage = ended.usage.unwrap();
    assert_eq!((usage.total_cost_usd, usage.estimated), (Some(1.1), true));
    // The log knows no prices, and says what is not in the cost.
    let lines = log::lines(&ctl.log_path(id));
    let told = &lines.last().unwrap()["usage"];
    assert_eq!(
        (&told["totalCostUsd"], &told["uncostedTokens"]),
        (&json!(0.2), &json!(900))
    );
    let words = ["stream", &id.to_string(), "--no-follow"];
    let shown = ctl.run(words).await.ok();
    assert!(shown.contains("$0.20 and more"), "{shown}");
}

#[tokio::test]
async fn of_many_that_wait_one_is_tried_against_the_budget_that_keeps_them_all() {
    let home = Home::with_config("[daemon]\nmax_running = 1\n[budget]\nday_tokens = 100\n");
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let (rpc, project) = (daemon.rpc().await, ctl.project());
    let mut agent = Puppet::new(&home, "agent");
    let first = claude(&rpc, &project, "T1", &agent).await;
    let mut waiting = Vec::new();
    for n in 2..8 {
        let task = format!("T{n}");
        waiting.push(rpc.start_fake(&project, &task, &["exit", "0"]).await.id);
    }
    agent.prints(&used("all", 150));
    agent.exits(0);
    rpc.ended(&project, first).await;
    for id in &waiting {
        eventually("its reason to wait", async || {
            let waits = rpc.get(&project, *id).await.waiting;
            waits.contains("150 tokens used").then_some(())
        })
        .await;
    }
    let log = home.daemon_log();
    let tried = log
        .lines()
        .filter(|it| it.contains("cannot be started yet"));
    assert_eq!(tried.count(), 1, "{log}");
    home.configure("[daemon]\nmax_running = 1\n");
    ctl.run(["reload"]).await.ok();
    for id in waiting {
        assert_eq!(rpc.ended(&project, id).await.outcome, "success");
    }
}
