//! What `list` and `timeline` are asked for, and what they make of a word that is none.

use steroids_tests::{Ctl, Daemon, Home};

async fn ids(ctl: &Ctl, words: &[&str]) -> String {
    let listed = ctl.run([&["list", "-q"], words].concat()).await.ok();
    listed.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn lists_are_narrowed_by_how_it_ended_and_by_when_it_was_there() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    for (task, code) in [("T1", "0"), ("T2", "3"), ("T3", "0")] {
        let id = ctl.start_fake(task, &["exit", code]).await;
        rpc.ended(&ctl.project(), id).await;
    }
    let runs = ctl.start_fake("T4", &["stall"]).await;
    let waits = [
        "start", "--json", "--task", "T5", "--after", "4", "--", "true",
    ];
    let waits = ctl.run(waits).await.json()["id"].as_i64().unwrap();
    assert_eq!(ids(&ctl, &["--outcome", "failed"]).await, "2");
    assert_eq!(ids(&ctl, &["--outcome", "failed,success"]).await, "3 2 1");
    let both = ["--outcome", "success", "--status", "failed"];
    assert_eq!(ids(&ctl, &both).await, "");
    let all = format!("{waits} {runs} 3 2 1");
    assert_eq!(ids(&ctl, &["--since", "1h"]).await, all);
    let queued = ["--since", "1h", "--status", "queued"];
    assert_eq!(ids(&ctl, &queued).await, waits.to_string());
    let everywhere = ctl.run(["list", "--all", "-q", "--status", "queued"]).await;
    assert_eq!(everywhere.ok(), format!("{waits} {}\n", ctl.project()));
    let shown = ctl.run(["list", "--all"]).await.ok();
    let why = format!("{}: {waits} waits: ", ctl.project());
    assert!(shown.contains(&why), "{shown}");
    let mute = ctl.spawn(["stream", &waits.to_string()]);
    rpc.subscribers(1).await;
    mute.signal(rustix::process::Signal::INT);
    mute.end()
        .await
        .says(&format!("invocation {waits} waits: "));
    // What waits counts for when it was asked for.
    assert_eq!(ids(&ctl, &["--until", "1h"]).await, "");
    let after = rpc.get(&ctl.project(), 3).await.completed_at_ms.unwrap() + 1;
    let open = format!("{waits} {runs}");
    assert_eq!(ids(&ctl, &["--since", &after.to_string()]).await, open);
    let of_task = ["--task", "T3", "--since", "today", "--outcome", "success"];
    assert_eq!(ids(&ctl, &of_task).await, "3");
    let wrong = ctl.run(["list", "--outcome", "tired"]).await.exits(2);
    wrong.says("error: --outcome: `tired` is not an outcome; there are success, failed,");
    let wrong = ctl.run(["list", "--since", "yore"]).await.exits(2);
    wrong.says("12h, 7d, today");
}

#[tokio::test]
async fn a_timeline_of_a_task_that_there_is_not_is_an_error() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    for words in [
        &["timeline", "--task", "nope"][..],
        &["timeline", "--task", "nope", "--json"],
    ] {
        let failed = ctl.run(words).await.exits(3);
        assert_eq!(failed.stdout, "");
        failed.says("nope").says("steroidsctl tasks");
    }
}

#[tokio::test]
async fn a_command_given_below_the_projects_folder_is_told_where_it_works() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let below = daemon.ctl(&home.folder("app/below"));
    let told = format!("it works in {}, ", ctl.project());
    let start = ["start", "--task", "T1", "--", "true"];
    below.run(start).await.exits(0).says(&told);
    let here = ["start", "--task", "T2", "--cwd", ".", "--", "true"];
    let above = ["start", "--task", "T3", "--", "true"];
    for started in [below.run(here).await, ctl.run(above).await] {
        let started = started.exits(0);
        assert!(!started.stderr.contains("it works in"), "{started:?}");
    }
}

#[tokio::test]
async fn what_there_is_not_is_left_out() {
    let home = Home::with_config("[daemon]\nmax_running = 1");
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let show = async |id: i64| ctl.run(["show", "--json", &id.to_string()]).await.json();
    let done = ctl.start_fake("T1", &["exit", "0"]).await;
    daemon.rpc().await.ended(&ctl.project(), done).await;
    ctl.start_fake("T2", &["stall"]).await;
    let start = ["start", "--json", "--task", "T3", "--", "true"];
    let waits = ctl.run(start).await.json();
    let id = waits["id"].as_i64().unwrap();
    // One that waits has no line yet, and none that was started at once has waited.
    for it in [&waits, &show(id).await] {
        assert_eq!(it["status"], "queued");
        assert_eq!(
            (it.get("logPath"), it.get("startedAtMs")),
            (None, None),
            "{it}"
        );
        assert!(it["queuedAtMs"].is_i64(), "{it}");
    }
    let ended = show(done).await;
    assert_eq!(ended["logPath"], ctl.log_path(done).to_str().unwrap());
    assert_eq!(ended.get("queuedAtMs"), None, "{ended}");
    assert!(ended["startedAtMs"].is_i64(), "{ended}");
    // One whose turn never came was never started.
    ctl.run(["stop", &id.to_string()]).await.ok();
    let stopped = show(id).await;
    assert_eq!(stopped["outcome"], "cancelled");
    assert_eq!(stopped.get("startedAtMs"), None, "{stopped}");
    assert_eq!(stopped["queuedAtMs"], waits["queuedAtMs"]);
    assert!(stopped["completedAtMs"].is_i64(), "{stopped}");
    // Nor is a log named that is gone.
    std::fs::remove_file(ctl.log_path(done)).unwrap();
    let listed = ctl.run(["list", "--json", "--task", "T1"]).await.json();
    for it in [&show(done).await, &listed["invocations"][0]] {
        assert_eq!((&it["id"], it.get("logPath")), (&done.into(), None), "{it}");
    }
}
