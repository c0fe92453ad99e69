//! `wait`: until invocations have ended, whatever becomes of the daemon and of attempts meanwhile.

use steroids_tests::{Ctl, Daemon, Home, Puppet, Terminal, old_database};

async fn puppet(ctl: &Ctl, task: &str, name: &str) -> (Puppet, i64) {
    let agent = Puppet::new(ctl.home(), name);
    let id = ctl.start_fake(task, &agent.args()).await;
    (agent, id)
}

fn waits(ctl: &Ctl, words: &[&str]) -> Terminal {
    ctl.spawn([&["wait"], words].concat())
}

#[tokio::test]
async fn each_end_is_told_also_one_that_came_while_the_daemon_was_away() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let (mut one, a) = puppet(&ctl, "T1", "one").await;
    let (mut two, b) = puppet(&ctl, "T2", "two").await;
    let (_three, c) = puppet(&ctl, "T3", "three").await;
    let ids = [a, b, c].map(|id| id.to_string());
    let mut wait = waits(&ctl, &ids.each_ref().map(String::as_str));
    daemon.rpc().await.subscribers(1).await;
    one.exits(0);
    let said = wait.line().await.unwrap();
    assert!(
        said.starts_with(&format!("invocation {a} has ended: success after ")),
        "{said}"
    );
    daemon.kill9().await;
    two.exits(3);
    daemon.start_again().await;
    let said = wait.line().await.unwrap();
    assert!(
        said.starts_with(&format!("invocation {b} has ended: failed")),
        "{said}"
    );
    ctl.run(["stop", &ids[2]]).await.exits(0);
    let (rest, output) = wait.rest().await;
    assert_eq!(rest.len(), 1, "{rest:?}");
    // As the first, as they are named, that did not succeed.
    let output = output.exits(1);
    output
        .says("the daemon is away; agents go on")
        .says("connected again");
    // What has ended is told at once, and looked at once.
    let again = ctl.run(["wait", &ids[0], &ids[0], "--json"]).await;
    let again = again.exits(0).json();
    assert_eq!(
        (&again["id"], &again["outcome"]),
        (&a.into(), &"success".into())
    );
    assert_eq!(again.get("prompt"), None);
    ctl.run(["wait", &ids[2], &ids[1]]).await.exits(130);
    ctl.run(["wait", &ids[1], &ids[2]]).await.exits(1);
    ctl.run(["wait", "999"])
        .await
        .exits(3)
        .says("invocation 999");
    ctl.run(["wait"]).await.exits(2);
}

#[tokio::test]
async fn who_waits_for_a_time_is_told_what_has_not_ended() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let (_one, a) = puppet(&ctl, "T1", "one").await;
    let (_two, b) = puppet(&ctl, "T2", "two").await;
    let done = ctl.start_fake("T3", &["exit", "3"]).await;
    daemon.rpc().await.ended(&ctl.project(), done).await;
    let ids = [done, a, b].map(|id| id.to_string());
    let words = [
        &["wait", "--timeout", "1s"][..],
        &ids.each_ref().map(String::as_str),
    ]
    .concat();
    let waited = ctl.run(words.clone()).await.exits(75);
    let said = format!("error: invocations {a}, {b} have not ended within 1.0 s");
    let waited = waited.says(&said);
    assert!(waited.stdout.contains("has ended: failed"), "{waited:?}");
    let waited = ctl.run([&words[..], &["--json"]].concat()).await.exits(75);
    let error: serde_json::Value = serde_json::from_str(&waited.stderr).unwrap();
    assert_eq!(error["error"]["code"], "not_ended");
    assert_eq!(error["error"]["invocationIds"], serde_json::json!([a, b]));
    // One has ended, and that is enough.
    let any = ctl.run([&words[..], &["--any"]].concat()).await;
    any.exits(1);
    ctl.run(["wait", &ids[1], "--timeout", "0"]).await.exits(2);
}

#[tokio::test]
async fn a_daemon_that_hangs_does_not_make_the_time_longer() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let (_one, id) = puppet(&ctl, "T1", "one").await;
    daemon.freeze().await;
    let hung = format!("kill -9 {}", daemon.pid());
    let id = id.to_string();
    let waited = ctl.run(["wait", &id, "--timeout", "1s"]).await.exits(75);
    let said = format!(
        "error: the daemon has not answered within 1.0 s; as far as is known, invocation {id} has not ended\n"
    );
    waited.says(&said).says(&hung);
    let task = ["wait", "--task", "T1", "--timeout", "1s"];
    let said = "has not said within 1.0 s what there is to wait for";
    ctl.run(task).await.exits(75).says(said);
    daemon.signal(rustix::process::Signal::CONT);
    let waited = ctl.run(["wait", &id, "--timeout", "1s"]).await.exits(75);
    waited.says(&format!(
        "error: invocation {id} has not ended within 1.0 s"
    ));
}

#[tokio::test]
async fn a_daemon_that_answers_of_a_project_that_is_gone_is_not_said_to_hang() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let app = daemon.project("app").await;
    let (_one, id) = puppet(&app, "T1", "one").await;
    let elsewhere = daemon.ctl(&home.path("home"));
    std::fs::rename(app.folder(), home.path("away")).unwrap();
    let (project, id) = (app.project(), id.to_string());
    let wait = ["--project", &project, "wait", &id, "--timeout", "1s"];
    let waited = elsewhere.run(wait).await.exits(75);
    assert!(!waited.stderr.contains("kill -9"), "{waited:?}");
    waited.says(&format!("invocation {id} has not ended within 1.0 s"));
}

#[tokio::test]
async fn a_stream_of_a_task_ends_with_the_newest_once_nothing_of_it_runs() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let (mut one, a) = puppet(&ctl, "T1", "one").await;
    let after = a.to_string();
    let next = [
        "start", "--task", "T1", "--after", &after, "--", "sh", "-c", "exit 3",
    ];
    ctl.run(next).await.exits(0);
    let words = ["stream", "--task", "T1", "--exit-status", "--json"];
    let stream = ctl.spawn(words);
    // It watches, and follows.
    daemon.rpc().await.subscribers(2).await;
    one.exits(0);
    let (said, output) = stream.rest().await;
    let output = output.exits(1);
    let ends = |line: &&String| line.contains(r#""outcome":"#);
    assert_eq!(said.iter().filter(ends).count(), 2, "{said:?}");
    assert_eq!(output.stderr, "");
    // All of it has ended.
    let (again, output) = ctl.spawn(words).rest().await;
    output.exits(1);
    assert_eq!(again, said);
    let without = ctl.run([&words[..], &["--no-follow"]].concat()).await;
    without.exits(1);
    let unknown = ["stream", "--task", "T9", "--exit-status"];
    ctl.run(unknown).await.exits(3);
}

#[tokio::test]
async fn one_of_several_is_enough_where_that_is_asked_for_and_ctrl_c_only_leaves() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let (mut one, a) = puppet(&ctl, "T1", "one").await;
    let after = a.to_string();
    let next = [
        "start", "--json", "--task", "T1", "--after", &after, "--", "sleep", "inf",
    ];
    let b = ctl.run(next).await.json()["id"].as_i64().unwrap();
    let any = waits(&ctl, &["--task", "T1", "--any"]);
    rpc.subscribers(1).await;
    one.exits(0);
    let (said, output) = any.rest().await;
    assert_eq!((said.len(), output.code), (1, 0), "{said:?}");
    assert!(said[0].contains(&format!("invocation {a} ")), "{said:?}");
    rpc.subscribers(0).await;
    let all = waits(&ctl, &["--task", "T1"]);
    rpc.subscribers(1).await;
    all.signal(rustix::process::Signal::INT);
    assert_eq!(all.end().await.code, 130);
    assert_eq!(rpc.get(&ctl.project(), b).await.outcome, "");
    let none = ctl.run(["wait", "--task", "nope"]).await.exits(3);
    none.says("nope").says("steroidsctl tasks");
    ctl.run(["stop", "--task", "T1"]).await.exits(0);
    // Who comes late is told how it went.
    let nothing = ctl.run(["wait", "--task", "T1"]).await.exits(130);
    assert!(
        nothing.stdout.contains(&format!("invocation {b} ")),
        "{nothing:?}"
    );
    nothing.says("nothing runs or waits");
}

#[tokio::test]
async fn the_exit_code_is_that_of_all_also_where_nobody_reads_on() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let (mut one, a) = puppet(&ctl, "T1", "one").await;
    let (mut two, b) = puppet(&ctl, "T2", "two").await;
    let mut wait = waits(&ctl, &[&a.to_string(), &b.to_string()]);
    one.exits(0);
    wait.line().await.unwrap();
    let ended = wait.hang_up();
    two.exits(3);
    assert_eq!(ended.await.code, 1);
}

#[tokio::test]
async fn of_what_is_tried_again_the_last_attempt_is_waited_for() {
    let home = Home::with_config("[retry]\non = [\"failed\"]\nmax = 1\nfirst = \"1ms\"\n");
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let id = ctl.start_fake("T1", &["exit", "3"]).await;
    let waited = ctl.run(["wait", &id.to_string()]).await.exits(1);
    let next = id + 1;
    let said = format!("invocation {next}, a later attempt of {id}, has ended: failed");
    assert!(waited.stdout.starts_with(&said), "{waited:?}");
    assert_eq!(waited.stdout.lines().count(), 1);
}

#[tokio::test]
async fn one_that_the_older_tool_runs_is_waited_for_too() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let (ctl, db, id) = daemon.project_of_older_tool().await;
    let wait = waits(&ctl, &[&id.to_string()]);
    daemon.rpc().await.subscribers(1).await;
    old_database::end_running(&db, id);
    let (said, output) = wait.rest().await;
    assert_eq!(output.code, 0, "{output:?}");
    assert!(
        said[0].starts_with(&format!("invocation {id} has ended: completed")),
        "{said:?}"
    );
}
