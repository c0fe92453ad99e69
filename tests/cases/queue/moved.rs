//! What waits in a project that is moved, and registered under its new path.

use std::fs;
use std::process::Command;

use steroids_proto::v1;
use steroids_tests::{Ctl, Daemon, Home, Puppet, eventually, rpc};

use super::{line, request, runs, started};

/// Whether the daemon learns of the new path while it lives, or only the next one does.
#[tokio::test]
async fn what_waits_is_started_where_its_project_was_moved_to() {
    for is_killed in [false, true] {
        let home = Home::with_config("[daemon]\nmax_running = 1");
        let mut daemon = Daemon::start(&home).await;
        let app = daemon.project("app").await;
        fs::create_dir(app.folder().join("web")).unwrap();
        let rpc = daemon.rpc().await;
        let mut agent = Puppet::new(&home, "agent");
        let first = started(&rpc, request(&app.project(), "first", &agent.args())).await;
        runs(&rpc, &app.project(), first).await;
        let waits = v1::StartRequest {
            cwd: "web".to_owned(),
            ..rpc::command(&app.project(), "T-waits", vec!["pwd".to_owned()])
        };
        let waits = started(&rpc, waits).await;
        let last = v1::StartRequest {
            after: vec![first],
            ..request(&app.project(), "last", &["exit", "0"])
        };
        let last = started(&rpc, last).await;
        let moved = daemon.ctl(&home.path("moved"));
        fs::rename(app.folder(), moved.folder()).unwrap();
        if is_killed {
            daemon.kill9_and_restart().await;
        }
        moved.run(["list"]).await.exits(0);
        let rpc = daemon.rpc().await;
        // Taken up under its new path, where it is.
        eventually("both to wait there", async || {
            (line(&rpc, &moved.project()).await.len() == 2).then_some(())
        })
        .await;
        agent.exits(0);
        for id in [first, waits, last] {
            let ended = rpc.ended(&moved.project(), id).await;
            assert_eq!(ended.outcome, "success", "{id}: {ended:?}");
        }
        let web = moved.folder().join("web");
        let printed = fs::read_to_string(moved.log_path(waits)).unwrap();
        let web = web.to_str().unwrap();
        assert!(printed.contains(&format!("\"{web}")), "{printed}");
        let row = rpc.get(&moved.project(), waits).await;
        assert_eq!(row.cwd, web);
        assert_eq!(rpc.degraded().await, Vec::<String>::new());
    }
}

/// Another project, or a copy of it, has the path that it was asked for under when its turn comes.
#[tokio::test]
async fn what_waits_stays_with_its_project_that_was_moved_whoever_has_its_path() {
    for (is_copied, is_killed) in [(false, false), (true, false), (false, true), (true, true)] {
        let home = Home::with_config("[daemon]\nmax_running = 1");
        let mut daemon = Daemon::start(&home).await;
        let (app, other) = (daemon.project("app").await, daemon.project("other").await);
        let rpc = daemon.rpc().await;
        let mut agent = Puppet::new(&home, "agent");
        let first = started(&rpc, request(&other.project(), "first", &agent.args())).await;
        runs(&rpc, &other.project(), first).await;
        let waits = rpc::command(&app.project(), "T-waits", vec!["pwd".to_owned()]);
        let waits = started(&rpc, waits).await;
        let moved = daemon.ctl(&home.path("moved"));
        fs::rename(app.folder(), moved.folder()).unwrap();
        moved.run(["list"]).await.exits(0);
        if is_copied {
            let mut copy = Command::new("cp");
            copy.arg("-a").args([moved.folder(), app.folder()]);
            assert!(copy.status().unwrap().success());
        } else {
            fs::create_dir(app.folder()).unwrap();
        }
        app.run(["init"]).await.exits(0);
        if is_killed {
            daemon.kill9_and_restart().await;
        }
        for ctl in [&app, &moved] {
            ctl.run(["wakeup"]).await.exits(0);
        }
        agent.exits(0);
        let rpc = daemon.rpc().await;
        let ended = rpc.ended(&moved.project(), waits).await;
        assert_eq!(ended.outcome, "success", "{ended:?}");
        let printed = fs::read_to_string(moved.log_path(waits)).unwrap();
        assert!(printed.contains(&moved.project()), "{printed}");
        let expected: &[&str] = if is_copied { &["lost"] } else { &[] };
        assert_eq!(app.outcomes().await, expected);
        assert_eq!(rpc.degraded().await, Vec::<String>::new());
    }
}

/// Nobody knows yet where its project is; what has its path has failed at the id that it waits for, and has another
/// with its own.
#[tokio::test]
async fn what_waits_for_another_is_not_ended_by_what_a_stranger_has_of_these_ids() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let (app, lib) = (daemon.project("app").await, daemon.project("lib").await);
    let rpc = daemon.rpc().await;
    for code in ["1", "0"] {
        let id = lib.start_fake("T", &["exit", code]).await;
        rpc.ended(&lib.project(), id).await;
    }
    let mut agent = Puppet::new(&home, "agent");
    let first = started(&rpc, request(&app.project(), "first", &agent.args())).await;
    runs(&rpc, &app.project(), first).await;
    let last = v1::StartRequest {
        after: vec![first],
        ..request(&app.project(), "last", &["exit", "0"])
    };
    let last = started(&rpc, last).await;
    let before = fs::read(lib.log_path(last)).unwrap();
    let aside = daemon.ctl(&home.path("aside"));
    fs::rename(app.folder(), aside.folder()).unwrap();
    fs::rename(lib.folder(), app.folder()).unwrap();
    for words in ["list", "wakeup", "list"] {
        app.run([words]).await.exits(0);
    }
    assert_eq!(rpc.get(&app.project(), last).await.outcome, "success");
    assert_eq!(fs::read(app.log_path(last)).unwrap(), before);
    aside.run(["list"]).await.exits(0);
    aside.run(["wakeup"]).await.exits(0);
    assert_eq!(
        rpc.get(&aside.project(), last).await.state(),
        v1::State::Queued
    );
    agent.exits(0);
    for id in [first, last] {
        let ended = rpc.ended(&aside.project(), id).await;
        assert_eq!(ended.outcome, "success", "{id}: {ended:?}");
    }
    assert_eq!(fs::read(app.log_path(last)).unwrap(), before);
}

#[tokio::test]
async fn no_second_agent_is_given_a_task_whose_project_was_moved() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let app = daemon.project("app").await;
    let id = app.start_fake("T1", &["stall"]).await;
    let moved = daemon.ctl(&home.path("moved"));
    fs::rename(app.folder(), moved.folder()).unwrap();
    let words = ["start", "--task", "T1", "--no-queue", "--", "true"];
    let busy = format!("invocation {id} of task `T1`");
    let refused = moved.run(words).await;
    assert_ne!(refused.code, 0, "{refused:?}");
    assert!(refused.stderr.contains(&busy), "{refused:?}");
    // Another project's task of the same name is another task.
    let other = daemon.project("other").await;
    other.run(words).await.exits(0);
}

/// A copy has its rows, though the daemon does not know it for what it was.
#[tokio::test]
async fn what_waits_in_a_project_of_which_a_copy_is_left_is_ended_there() {
    let home = Home::with_config("[daemon]\nmax_running = 1");
    let mut daemon = Daemon::start(&home).await;
    let (other, app) = (daemon.project("other").await, daemon.project("app").await);
    other.start_fake("T1", &["stall"]).await;
    let waits = app.start_fake("T2", &["stall"]).await;
    daemon.kill9().await;
    let copy = copied(&daemon, &app);
    app.delete_folder().await;
    daemon.start_again().await;
    copy.run(["list"]).await.exits(0);
    let said = copy.run(["stop", &waits.to_string()]).await.ok();
    assert!(said.contains("stopped: cancelled"), "{said}");
    let rpc = daemon.rpc().await;
    let row = rpc.get(&copy.project(), waits).await;
    assert_eq!(row.outcome, "cancelled", "{row:?}");
    let log = fs::read_to_string(copy.log_path(waits)).unwrap();
    assert!(log.contains(r#""outcome":"cancelled""#), "{log}");
}

fn copied(daemon: &Daemon, app: &Ctl) -> Ctl {
    let copy = daemon.ctl(&daemon.home().path("copy"));
    let paths = [app.folder(), copy.folder()];
    let copying = Command::new("cp").arg("-a").args(paths).status();
    assert!(copying.unwrap().success());
    copy
}
