//! State folders that are gone while no daemon is there, and what runs all the same.

use std::fs;
use std::process::Command;
use std::sync::Arc;

use steroids_proto::v1;
use steroids_tests::{Ctl, Daemon, Home, Puppet, eventually, faults, invocation, log, processes};

/// A daemon with an agent that has said `one`.
async fn agent(home: &Arc<Home>) -> (Daemon, Ctl, Puppet, v1::Invocation) {
    let daemon = Daemon::start(home).await;
    let ctl = daemon.project("app").await;
    let mut agent = Puppet::new(home, "agent");
    let rpc = daemon.rpc().await;
    let started = rpc.start_fake(&ctl.project(), "T1", &agent.args()).await;
    agent.prints("one");
    let selector = invocation(&ctl.project(), started.id);
    rpc.follow(selector, "", true).await.until("one").await;
    (daemon, ctl, agent, started)
}

#[tokio::test]
async fn what_runs_when_its_state_folder_is_gone_after_a_restart_is_ended_and_lost() {
    let home = Home::new();
    let (mut daemon, ctl, _agent, runs) = agent(&home).await;
    let shim = home.shim(&runs.uuid);
    assert_eq!(daemon.term().await, 0);
    fs::remove_dir_all(home.state_dir()).unwrap();
    daemon.start_again().await;
    // The first command in it, of the same task.
    let next = ctl.start_fake("T1", &["exit", "0"]).await;
    let rpc = daemon.rpc().await;
    let lost = rpc.ended(&ctl.project(), runs.id).await;
    assert_eq!((&*lost.outcome, lost.exit_code), ("lost", Some(-1)));
    assert!(lost.error.contains("state folder is gone"), "{lost:?}");
    assert_eq!(processes::marked(&runs.uuid), []);
    eventually("its shim to go", async || {
        (!processes::is_alive(shim)).then_some(())
    })
    .await;
    let lines = log::lines(&ctl.log_path(runs.id));
    log::assert_whole(&lines);
    assert_eq!(log::messages(&lines, "output"), ["one"]);
    assert_eq!(lines.last().unwrap()["outcome"], "lost");
    let ended = rpc.ended(&ctl.project(), next).await;
    assert_eq!(ended.outcome, "success", "{ended:?}");
    faults::held(220, "ended with its shim, lost; the next of its task runs");
}

#[tokio::test]
async fn what_runs_with_its_state_folder_in_another_place_is_lost_and_left_alone() {
    let home = Home::new();
    let (mut daemon, ctl, mut agent, runs) = agent(&home).await;
    let shim = home.shim(&runs.uuid);
    assert_eq!(daemon.term().await, 0);
    fs::rename(home.state_dir(), home.path("elsewhere")).unwrap();
    daemon.start_again().await;
    ctl.run(["list"]).await.ok();
    let lost = daemon.rpc().await.ended(&ctl.project(), runs.id).await;
    assert_eq!(lost.outcome, "lost", "{lost:?}");
    assert!(lost.error.contains(&format!("{shim}")), "{lost:?}");
    assert_eq!(processes::marked(&runs.uuid).len(), 1);
    agent.exits(0);
    eventually("its shim to go", async || {
        (!processes::is_alive(shim)).then_some(())
    })
    .await;
    faults::held(220, "moved: lost, and what runs is named and left alone");
}

#[tokio::test]
async fn what_another_daemon_looks_after_is_left_alone_in_a_copy_without_that_ones_lock() {
    let home = Home::new();
    let (first, ctl, mut agent, runs) = agent(&home).await;
    let copy = home.path("copy");
    let paths = [ctl.folder(), &*copy];
    let copied = Command::new("cp").arg("-a").args(paths).status();
    assert!(copied.unwrap().success());
    fs::remove_file(copy.join(".steroids/steroidsd.lock")).unwrap();
    let (state, socket) = (home.path("state/other"), home.path("run/other.sock"));
    let (state, socket) = (state.to_str().unwrap(), socket.to_str().unwrap());
    let second = Daemon::start_with(&home, &["--state-dir", state, "--socket", socket]).await;
    let copy = second.ctl(&copy);
    copy.run(["--socket", socket, "list"]).await.ok();
    let lost = second.rpc().await.ended(&copy.project(), runs.id).await;
    assert_eq!(lost.outcome, "lost", "{lost:?}");
    agent.prints("two");
    agent.exits(0);
    let ended = first.rpc().await.ended(&ctl.project(), runs.id).await;
    assert_eq!(ended.outcome, "success", "{ended:?}");
    let lines = log::lines(&ctl.log_path(runs.id));
    assert_eq!(log::messages(&lines, "output"), ["one", "two"]);
    faults::held(
        220,
        "in a copy that another daemon has: lost there, and goes on here",
    );
}
