//! Copies of projects (`cp -a`) in which something waits.

use std::fs;
use std::path::Path;
use std::process::Command;

use steroids_proto::v1;
use steroids_tests::{Daemon, Home, Puppet, log, processes, rpc};

use super::scene::Scene;

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.unwrap().success());
}

#[tokio::test]
async fn what_waited_as_its_project_was_copied_has_lasted_no_time_in_the_copy() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let (app, copied) = (daemon.project("app").await, daemon.ctl(&home.path("copy")));
    let agent = Puppet::new(&home, "agent");
    let rpc = daemon.rpc().await;
    let runs = rpc.start_fake(&app.project(), "T1", &agent.args()).await;
    let waits = v1::StartRequest {
        after: vec![runs.id],
        ..rpc::command(&app.project(), "T2", rpc::argv(&["exit", "0"]))
    };
    let waits = rpc.start(waits).await.unwrap();
    copy(app.folder(), copied.folder());
    copied.run(["list"]).await.ok();
    let ended = rpc.ended(&copied.project(), waits.id).await;
    assert_eq!(ended.outcome, "lost", "{ended:?}");
    let lasted = (ended.started_at_ms, ended.duration_ms);
    // It was never started.
    assert_eq!(lasted, (None, Some(0)));
    let lines = log::lines(&copied.log_path(waits.id));
    log::assert_whole(&lines);
    let times: Vec<_> = lines.iter().map(|line| line["ts"].as_i64()).collect();
    assert_eq!(times, [ended.completed_at_ms; 2]);
}

/// A backup that somebody has looked at, and the disk of what it was made of is not mounted.
#[tokio::test]
async fn what_runs_in_a_project_that_is_away_is_seen_and_stopped_though_its_row_in_a_copy_is_lost()
{
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let (app, copied) = (daemon.project("app").await, daemon.ctl(&home.path("copy")));
    let agent = Puppet::new(&home, "agent");
    let rpc = daemon.rpc().await;
    let runs = rpc.start_fake(&app.project(), "T1", &agent.args()).await;
    copy(app.folder(), copied.folder());
    copied.run(["list"]).await.ok();
    let lost = rpc.ended(&copied.project(), runs.id).await;
    assert_eq!(lost.outcome, "lost", "{lost:?}");
    fs::rename(app.folder(), home.path("away")).unwrap();
    let open = copied.run(["list", "--all", "--running", "--json"]).await;
    let open = open.json();
    assert_eq!(open["invocations"][0]["uuid"], runs.uuid, "{open}");
    assert_eq!(open["invocations"][0]["project"], app.project(), "{open}");
    copied.run(["stop", "--all"]).await.exits(0);
    assert_eq!(processes::marked(&runs.uuid), []);
    fs::rename(home.path("away"), app.folder()).unwrap();
    app.run(["list"]).await.ok();
    let ended = rpc.ended(&app.project(), runs.id).await;
    assert_eq!(ended.outcome, "cancelled", "{ended:?}");
    assert_eq!(copied.outcomes().await, ["lost"]);
}

/// Its project was moved, and is away by now.
#[tokio::test]
async fn what_runs_is_stopped_by_its_first_path_also_where_a_copy_has_that() {
    for (is_restarted, with_all) in [(false, false), (false, true), (true, false), (true, true)] {
        let Scene {
            home,
            mut daemon,
            app,
            moved,
            mut agent,
            runs,
        } = Scene::moved().await;
        let rpc = daemon.rpc().await;
        // It has looked where it is.
        agent.prints("here");
        let selector = rpc::invocation(&moved.project(), runs.id);
        rpc.follow(selector, "", true).await.until("here").await;
        copy(moved.folder(), app.folder());
        app.run(["list"]).await.ok();
        let lost = rpc.ended(&app.project(), runs.id).await;
        assert_eq!(lost.outcome, "lost", "{lost:?}");
        // The row of its own tells of it.
        app.run(["stop", &runs.id.to_string()]).await.exits(0);
        assert_ne!(processes::marked(&runs.uuid), []);
        if is_restarted {
            daemon.kill9().await;
        }
        fs::rename(moved.folder(), home.path("away")).unwrap();
        if is_restarted {
            daemon.start_again().await;
        }
        if with_all {
            app.run(["stop", "--all"]).await.exits(0);
        } else {
            let stopped = app.run(["stop", &runs.id.to_string()]).await;
            stopped.says("has ended; its log");
        }
        assert_eq!(processes::marked(&runs.uuid), []);
        fs::rename(home.path("away"), moved.folder()).unwrap();
        moved.run(["list"]).await.ok();
        let ended = daemon.rpc().await.ended(&moved.project(), runs.id).await;
        assert_eq!(ended.outcome, "cancelled", "{ended:?}");
        assert_eq!(app.outcomes().await, ["lost"]);
    }
}
