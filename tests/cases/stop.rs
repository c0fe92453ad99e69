//! The ladder: asked gently, then killed, and nothing of the tree left.

use std::time::Duration;

use steroids_proto::v1;
use steroids_tests::faults::held;
use steroids_tests::{Ctl, Daemon, Home, eventually, log, processes, rpc};

/// Starts `fake-provider ARGS` and waits for its first line of output.
async fn started(daemon: &Daemon, project: &str, args: &[&str]) -> v1::Invocation {
    let rpc = daemon.rpc().await;
    let started = rpc.start_fake(project, "T1", args).await;
    let mut followed = rpc
        .follow(rpc::invocation(project, started.id), "", true)
        .await;
    followed.until(r#""type":"output""#).await;
    started
}

#[tokio::test]
async fn stopping_what_has_ended_says_so_and_is_no_error() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let id = ctl.start_fake("T1", &["exit", "0"]).await;
    daemon.rpc().await.ended(&ctl.project(), id).await;
    let output = ctl.run(["stop", &id.to_string()]).await.exits(0);
    let said = output.stdout + &output.stderr;
    assert!(said.contains("ended"), "{said}");
    let rpc = daemon.rpc().await;
    let answer = rpc.stop(&ctl.project(), id, Duration::ZERO).await;
    assert!(answer.already_ended);
    assert_eq!(answer.invocation.unwrap().outcome, "success");
    ctl.run(["stop", "999"]).await.exits(3);
}

#[tokio::test]
async fn what_is_tried_again_is_stopped_by_the_id_of_its_first_attempt() {
    let home = Home::with_config("[retry]\non = [\"failed\"]\nfirst = \"1h\"");
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let id = ctl.start_fake("T1", &["exit", "3"]).await;
    let rpc = daemon.rpc().await;
    let ended = rpc.ended(&ctl.project(), id).await;
    let next = ended.retried_by.expect("it is tried again");
    let said = ctl.run(["stop", &id.to_string()]).await.ok();
    let told = format!("invocation {next}, a later attempt of {id}, stopped: cancelled");
    assert!(said.contains(&told), "{said}");
    let stopped = rpc.get(&ctl.project(), next).await;
    assert_eq!((&*stopped.outcome, stopped.retried_by), ("cancelled", None));
}

#[tokio::test]
async fn a_stop_goes_on_where_the_daemon_is_killed_in_between() {
    stop_goes_on(async |daemon| daemon.kill9().await).await;
}

#[tokio::test]
async fn a_stop_goes_on_where_the_daemon_is_started_anew_in_between() {
    stop_goes_on(async |daemon| assert_eq!(daemon.term().await, 0)).await;
}

async fn stop_goes_on(end: impl AsyncFnOnce(&mut Daemon)) {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let stubborn = started(&daemon, &ctl.project(), &["ignore-term"]).await;
    let stop = ctl.spawn(["stop", "--task", "T1", "--grace", "1h"]);
    let rpc = daemon.rpc().await;
    eventually("the stop to be taken", async || {
        let live = rpc.get(&ctl.project(), stubborn.id).await.live;
        live.filter(|live| live.waits_for == "ending").map(drop)
    })
    .await;
    end(&mut daemon).await;
    daemon.start_again().await;
    let pid = i32::try_from(stubborn.pid.unwrap()).unwrap();
    processes::signal(pid, rustix::process::Signal::KILL);
    let (said, output) = stop.rest().await;
    output
        .exits(0)
        .says("the daemon is away; agents go on; this goes on once it is back");
    assert!(said[0].contains(": cancelled"), "{said:?}");
}

#[tokio::test]
async fn of_several_none_waits_for_another_and_none_takes_the_place_of_one() {
    let home = Home::with_config("[daemon]\nmax_running = 2");
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let stubborn = started(&daemon, &ctl.project(), &["ignore-term"]).await;
    let mut ids = vec![stubborn.id];
    for n in 0..30 {
        ids.push(ctl.start_fake(&format!("T-{n}"), &["stall"]).await);
    }
    let words = ids.iter().map(ToString::to_string);
    // A grace that would outlast the test.
    let words = ["stop", "--grace", "1h"]
        .map(str::to_owned)
        .into_iter()
        .chain(words);
    let mut stop = ctl.spawn(words);
    for _ in &ids[1..] {
        assert!(stop.line().await.unwrap().contains("stopped: cancelled"));
    }
    for id in &ids[2..] {
        let lines = log::lines(&ctl.log_path(*id));
        assert_eq!(log::types(&lines), ["start", "error"], "{id} began");
    }
    let rpc = daemon.rpc().await;
    let pid = rpc.get(&ctl.project(), stubborn.id).await.pid.unwrap();
    processes::signal(i32::try_from(pid).unwrap(), rustix::process::Signal::KILL);
    let (rest, output) = stop.rest().await;
    assert_eq!((rest.len(), output.code), (1, 0), "{rest:?}");
}

#[tokio::test]
async fn all_of_a_task_are_stopped_or_all_there_are() {
    let home = Home::with_config("[daemon]\nmax_running = 2");
    let daemon = Daemon::start(&home).await;
    let (app, lib) = (daemon.project("app").await, daemon.project("lib").await);
    let mut ids = Vec::new();
    for task in ["T1", "T2"] {
        ids.push(app.start_fake(task, &["stall"]).await);
    }
    let next = [
        "start", "--json", "--task", "T1", "--after", "1", "--", "true",
    ];
    ids.push(app.run(next).await.json()["id"].as_i64().unwrap());
    let elsewhere = lib.start_fake("T1", &["stall"]).await;
    let said = app.run(["stop", "--task", "T1"]).await.ok();
    let mut lines: Vec<_> = said.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines.len(), 2, "{said}");
    for (line, id) in lines.iter().zip([ids[0], ids[2]]) {
        assert!(
            line.starts_with(&format!("invocation {id} stopped: cancelled")),
            "{line}"
        );
    }
    app.run(["stop", "--task", "T1"])
        .await
        .exits(0)
        .says("nothing runs or waits");
    app.run(["stop", "--task", "nope"])
        .await
        .exits(3)
        .says("nope");
    app.run(["stop", "--task", "T1", "--all"]).await.exits(2);
    app.run(["stop", "1", "--all"]).await.exits(2);
    let here = app
        .run(["--project", &app.project(), "stop", "--all"])
        .await;
    let told = format!("invocation {} stopped: cancelled", ids[1]);
    assert!(here.ok().starts_with(&told));
    let said = app.run(["stop", "--all"]).await.ok();
    let told = format!(
        "{}: invocation {elsewhere} stopped: cancelled",
        lib.project()
    );
    assert!(said.starts_with(&told), "{said}");
    lib.run(["stop", "--all"])
        .await
        .exits(0)
        .says("nothing runs or waits");
}

#[tokio::test]
async fn what_runs_and_waits_in_a_project_that_is_gone_is_listed_and_stopped_with_all() {
    let home = Home::with_config("[daemon]\nmax_running = 2");
    let mut daemon = Daemon::start(&home).await;
    let (app, gone) = (daemon.project("app").await, daemon.project("gone").await);
    let runs = started(&daemon, &gone.project(), &["stall"]).await;
    let here = app.start_fake("T1", &["stall"]).await;
    let waits = gone.start_fake("T2", &["stall"]).await;
    gone.delete_folder().await;
    let lists = async || {
        let words = ["list", "--all", "--running", "--json"];
        let listed = app.run(words).await.json();
        let rows = listed["invocations"].as_array().unwrap();
        let row = |it: &serde_json::Value| {
            let project = it["project"].as_str().unwrap().to_owned();
            (
                project,
                it["id"].as_i64().unwrap(),
                it["status"].as_str().unwrap().to_owned(),
            )
        };
        let mut rows: Vec<_> = rows.iter().map(row).collect();
        rows.sort();
        rows
    };
    let row = |ctl: &Ctl, id, state: &str| (ctl.project(), id, state.to_owned());
    let expected = [
        row(&app, here, "running"),
        row(&gone, runs.id, "running"),
        row(&gone, waits, "queued"),
    ];
    eventually("all of them", async || {
        (lists().await == expected).then_some(())
    })
    .await;
    // In the care of nobody but its shim, for a moment.
    daemon.kill9_and_restart().await;
    eventually("all of them again", async || {
        (lists().await == expected).then_some(())
    })
    .await;
    // What is kept of those that have no project is said.
    let stopped = app.run(["stop", "--all"]).await.exits(0);
    stopped.says(&format!("{}: ", gone.project()));
    eventually("nothing to run", async || {
        lists().await.is_empty().then_some(())
    })
    .await;
}

/// The uuids of all that run or wait, in order.
async fn listed(ctl: &Ctl) -> Vec<String> {
    let listed = ctl.run(["list", "--all", "--running", "--json"]).await;
    let rows = listed.json()["invocations"].take();
    let rows = rows.as_array().unwrap().iter();
    let mut uuids: Vec<_> = rows
        .map(|it| it["uuid"].as_str().unwrap().to_owned())
        .collect();
    uuids.sort();
    uuids
}

#[tokio::test]
async fn what_runs_is_listed_once_wherever_its_project_went_and_whoever_has_its_path() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let (app, lib) = (daemon.project("app").await, daemon.project("lib").await);
    let runs = started(&daemon, &app.project(), &["stall"]).await;
    let other = started(&daemon, &lib.project(), &["stall"]).await;
    let mut both = vec![runs.uuid.clone(), other.uuid.clone()];
    both.sort();
    // Moved and known there: by its row.
    let moved = daemon.ctl(&home.path("moved"));
    std::fs::rename(app.folder(), moved.folder()).unwrap();
    moved.run(["list"]).await.exits(0);
    eventually("each of them once", async || {
        (listed(&moved).await == both).then_some(())
    })
    .await;
    // Moved away for good, and another one in its place, with an id of its own that is the same.
    std::fs::rename(moved.folder(), home.path("aside")).unwrap();
    std::fs::rename(lib.folder(), app.folder()).unwrap();
    app.run(["list"]).await.exits(0);
    eventually("each of them once more", async || {
        (listed(&app).await == both).then_some(())
    })
    .await;
    // First the one whose row is there, then the other of that id.
    let rpc = daemon.rpc().await;
    for uuid in [&other.uuid, &runs.uuid] {
        app.run(["stop", &runs.id.to_string()]).await;
        let stopped = eventually("one of them less", async || {
            both.retain(|it| it != uuid);
            (listed(&app).await == both).then_some(())
        });
        stopped.await;
    }
    let answer = rpc.stop(&app.project(), other.id, Duration::ZERO).await;
    assert!(answer.already_ended);
}

#[tokio::test]
async fn an_agent_of_a_project_that_was_moved_is_not_stopped_by_the_id_of_another() {
    let home = Home::with_config("[daemon]\nmax_running = 1");
    let daemon = Daemon::start(&home).await;
    let (app, lib) = (daemon.project("app").await, daemon.project("lib").await);
    let rpc = daemon.rpc().await;
    for task in ["T1", "T2"] {
        let ended = lib.start_fake(task, &["exit", "0"]).await;
        rpc.ended(&lib.project(), ended).await;
    }
    let runs = started(&daemon, &app.project(), &["stall"]).await;
    let waits = app.start_fake("T2", &["stall"]).await;
    let moved = daemon.ctl(&home.path("moved"));
    std::fs::rename(app.folder(), moved.folder()).unwrap();
    moved.run(["list"]).await.exits(0);
    std::fs::rename(lib.folder(), app.folder()).unwrap();
    app.run(["list"]).await.exits(0);
    for id in [runs.id, waits] {
        let answer = rpc.stop(&app.project(), id, Duration::ZERO).await;
        assert!(answer.already_ended, "{answer:?}");
        assert_eq!(answer.invocation.unwrap().outcome, "success");
    }
    let mut both = [
        runs.uuid.clone(),
        rpc.get(&moved.project(), waits).await.uuid,
    ];
    both.sort();
    assert_eq!(listed(&moved).await, both);
}

#[tokio::test]
async fn all_are_stopped_also_where_two_have_one_path_and_one_id() {
    for is_restarted in [false, true] {
        let home = Home::new();
        let mut daemon = Daemon::start(&home).await;
        let (app, lib) = (daemon.project("app").await, daemon.project("lib").await);
        let runs = started(&daemon, &app.project(), &["stall"]).await;
        let other = started(&daemon, &lib.project(), &["stall"]).await;
        assert_eq!(runs.id, other.id);
        std::fs::rename(app.folder(), home.path("aside")).unwrap();
        std::fs::rename(lib.folder(), app.folder()).unwrap();
        app.run(["list"]).await.exits(0);
        if is_restarted {
            daemon.kill9_and_restart().await;
        }
        eventually("both of them", async || {
            (listed(&app).await.len() == 2).then_some(())
        })
        .await;
        app.run(["stop", "--all"]).await.exits(0);
        for one in [&runs, &other] {
            assert!(home.invocation_dir(&one.uuid).join("exit.json").exists());
        }
        eventually("none of them", async || {
            listed(&app).await.is_empty().then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn an_agent_that_ends_when_asked_is_not_killed() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let project = daemon.project("app").await.project();
    let agent = started(&daemon, &project, &["stall"]).await;
    // A grace that would outlast the test.
    let (rpc, grace) = (daemon.rpc().await, Duration::from_secs(3600));
    let answer = rpc.stop(&project, agent.id, grace).await;
    let stopped = answer.invocation.unwrap();
    assert_eq!(stopped.outcome, "cancelled");
    assert_eq!(stopped.exit_code, Some(128 + 15));
}

#[tokio::test]
async fn an_agent_that_ignores_being_asked_is_killed_after_the_grace() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let agent = started(&daemon, &ctl.project(), &["ignore-term"]).await;
    let (rpc, grace) = (daemon.rpc().await, Duration::from_millis(300));
    let answer = rpc.stop(&ctl.project(), agent.id, grace).await;
    let stopped = answer.invocation.unwrap();
    assert_eq!(stopped.outcome, "cancelled");
    assert_eq!(stopped.exit_code, Some(128 + 9));
    let lines = log::lines(&ctl.log_path(agent.id));
    assert_eq!(lines.last().unwrap()["signal"], "SIGKILL");
    assert_eq!(processes::marked(&agent.uuid), []);
}

#[tokio::test]
async fn an_agent_that_stopped_itself_is_ended_too() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let project = daemon.project("app").await.project();
    let agent = started(&daemon, &project, &["stop-self"]).await;
    eventually("it to be stopped", async || {
        let all = processes::marked(&agent.uuid);
        all.iter()
            .any(|it| processes::is_stopped(it.pid))
            .then_some(())
    })
    .await;
    // A grace that would outlast the test: it is continued to hear that it is to end.
    let (rpc, grace) = (daemon.rpc().await, Duration::from_secs(3600));
    let answer = rpc.stop(&project, agent.id, grace).await;
    let ended = answer.invocation.unwrap();
    assert_eq!(
        (&*ended.outcome, ended.exit_code),
        ("cancelled", Some(128 + 15))
    );
    assert_eq!(processes::marked(&agent.uuid), []);
    let seen = "SIGSTOPped, then stopped: SIGTERM ended it within its grace, nothing left";
    held(22, seen);
}

#[tokio::test]
async fn a_tree_that_left_its_session_and_ignores_signals_leaves_no_survivor() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let project = daemon.project("app").await.project();
    let tree = ["tree", "--count", "20", "--setsid", "--ignore-term"];
    let rpc = daemon.rpc().await;
    let agent = rpc.start_fake(&project, "T1", &tree).await;
    let mut followed = rpc
        .follow(rpc::invocation(&project, agent.id), "", true)
        .await;
    // Who speaks is there; what was only just forked may not carry the marker yet.
    for _ in 0..20 {
        followed.until("held ").await;
    }
    assert!(processes::marked(&agent.uuid).len() > 20);
    let grace = Duration::from_millis(300);
    rpc.stop(&project, agent.id, grace).await;
    assert_eq!(processes::marked(&agent.uuid), []);
    let seen = "20 that print, ignore every signal and left the session: none alive";
    held(17, seen);
}

#[tokio::test]
async fn what_an_agent_left_behind_is_counted_and_ended_after_success_too() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let agent = rpc
        .start_fake(&ctl.project(), "T1", &["grandchild", "--setsid"])
        .await;
    let ended = rpc.ended(&ctl.project(), agent.id).await;
    assert_eq!(ended.outcome, "success");
    assert_eq!(ended.leftovers, Some(1));
    assert_eq!(processes::marked(&agent.uuid), []);
    let lines = log::lines(&ctl.log_path(agent.id));
    log::assert_whole(&lines);
    let printed = log::messages(&lines, "output");
    assert!(
        printed.iter().any(|msg| msg.starts_with("held ")),
        "{printed:?}"
    );
    assert!(
        printed.iter().any(|msg| msg.starts_with("late ")),
        "{printed:?}"
    );
    assert_eq!(lines.last().unwrap()["leftovers"], 1);
    let seen =
        "row final, grandchild killed, what it had printed after its parent's end is in the log";
    held(16, seen);
}

#[tokio::test]
async fn the_wall_limit_ends_an_agent_as_timed_out() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let program = steroids_tests::binaries::fake_provider();
    let program = program.to_str().unwrap();
    let words = [
        "start", "--task", "T", "--wall", "300ms", "--follow", "--", program, "stall",
    ];
    let output = ctl.run(words).await;
    assert_eq!(output.code, 124, "{output:?}");
    // The stream ends with the last line, and the row follows that.
    daemon.rpc().await.ended(&ctl.project(), 1).await;
    let shown = ctl.run(["--json", "show", "1"]).await.json();
    assert_eq!(shown["status"], "timeout");
    assert_eq!(shown["outcome"], "timeout_wall");
    let lines = log::lines(&ctl.log_path(1));
    assert_eq!(lines.last().unwrap()["timedOut"], true);
}
