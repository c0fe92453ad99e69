//! Shims and providers killed, alone and together, and a host that was restarted.

use std::process::Stdio;
use std::time::Instant;

use rustix::process::Signal;
use serde_json::{Value, json};
use steroids_proto::v1;
use steroids_shim::paths::InvDir;
use steroids_shim::spec::Spec;
use steroids_shim::tree::{MARKER, start_ticks};
use steroids_tests::processes::signal;
use steroids_tests::{
    Ctl, Daemon, Home, Puppet, assert_undisturbed, binaries, eventually, faults, invocation, log,
    processes,
};

use super::request;

/// A daemon with an agent that has said `one`.
async fn agent(home: &std::sync::Arc<Home>) -> (Daemon, Ctl, Puppet, v1::Invocation) {
    let daemon = Daemon::start(home).await;
    let ctl = daemon.project("app").await;
    let mut agent = Puppet::new(home, "agent");
    let rpc = daemon.rpc().await;
    let started = rpc.start_fake(&ctl.project(), "T1", &agent.args()).await;
    agent.prints("one");
    let selector = invocation(&ctl.project(), started.id);
    rpc.follow(selector, "", true).await.until("one").await;
    let row = rpc.get(&ctl.project(), started.id).await;
    (daemon, ctl, agent, row)
}

fn edit(path: &std::path::Path, change: impl FnOnce(&mut Value)) {
    let text = std::fs::read(path).unwrap();
    let mut value = serde_json::from_slice(&text).unwrap();
    change(&mut value);
    std::fs::write(path, serde_json::to_vec(&value).unwrap()).unwrap();
}

#[tokio::test]
async fn a_killed_shims_whole_tree_is_gone_and_the_row_says_lost() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    // Mute ones: who prints into a pipe that nobody reads goes by itself.
    let script = "for i in 1 2 3 4 5; do setsid sleep 1000 & done; echo ready; wait";
    let request = v1::StartRequest {
        argv: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
        ..request(&ctl.project(), "r-1", &[])
    };
    let started = rpc.start(request).await.unwrap();
    eventually("a tree", async || {
        (processes::marked(&started.uuid).len() == 6).then_some(())
    })
    .await;
    let spec = home.path("state/steroids/inv").join(&started.uuid);
    let socket = Spec::load(&InvDir::at(spec)).unwrap().socket;
    assert!(socket.exists());
    let killed = Instant::now();
    signal(home.shim(&started.uuid), Signal::KILL);
    eventually("the tree to go", async || {
        processes::marked(&started.uuid).is_empty().then_some(())
    })
    .await;
    let gone = killed.elapsed();
    let ended = rpc.ended(&ctl.project(), started.id).await;
    assert_eq!((&*ended.outcome, ended.exit_code), ("lost", Some(-1)));
    assert!(ended.error.contains("shim lost"), "{ended:?}");
    assert!(!socket.exists(), "the socket was left behind");
    assert_undisturbed(&ctl, &ended);
    let seen = format!("6 processes gone after {} ms, lost", gone.as_millis());
    faults::held(6, seen);
}

#[tokio::test]
async fn daemon_shim_and_provider_killed_together_leave_a_whole_log_and_a_lost_row() {
    let home = Home::new();
    let (mut daemon, ctl, _agent, row) = agent(&home).await;
    let shim = home.shim(&row.uuid);
    let agent = i32::try_from(row.pid.unwrap()).unwrap();
    // Nobody sees another's end: a provider goes with its shim, and a shim writes down how its
    // provider ended.
    for pid in [daemon.pid(), shim] {
        signal(pid, Signal::STOP);
    }
    for pid in [agent, shim, daemon.pid()] {
        signal(pid, Signal::KILL);
    }
    daemon.ended().await;
    daemon.start_again().await;
    let ended = daemon.rpc().await.ended(&ctl.project(), row.id).await;
    assert_eq!((&*ended.outcome, ended.exit_code), ("lost", Some(-1)));
    let lines = log::lines(&ctl.log_path(row.id));
    log::assert_whole(&lines);
    assert_eq!(log::messages(&lines, "output"), ["one"]);
    assert_undisturbed(&ctl, &ended);
    assert_eq!(processes::marked(&row.uuid), []);
    faults::held(105, "lost, exit -1, every spooled line, no process");
}

#[tokio::test]
async fn a_provider_killed_by_another_hand_is_told_by_its_signal_with_or_without_a_daemon() {
    for with_daemon in [true, false] {
        let home = Home::new();
        let (mut daemon, ctl, _agent, row) = agent(&home).await;
        if !with_daemon {
            daemon.kill9().await;
        }
        signal(i32::try_from(row.pid.unwrap()).unwrap(), Signal::KILL);
        if !with_daemon {
            daemon.start_again().await;
        }
        let ended = daemon.rpc().await.ended(&ctl.project(), row.id).await;
        let how = (&*ended.outcome, ended.exit_code);
        assert_eq!(how, ("interrupted", Some(128 + 9)));
        assert_undisturbed(&ctl, &ended);
    }
    faults::held(105, "the provider alone: interrupted, exit 137");
}

#[tokio::test]
async fn after_a_restart_of_the_host_an_innocent_process_of_the_old_number_lives() {
    let home = Home::new();
    let (mut daemon, ctl, _agent, row) = agent(&home).await;
    let shim = home.shim(&row.uuid);
    daemon.kill9().await;
    signal(shim, Signal::KILL);
    let agent = i32::try_from(row.pid.unwrap()).unwrap();
    eventually("shim and agent to go", async || {
        (!processes::is_alive(shim) && !processes::is_alive(agent)).then_some(())
    })
    .await;
    // All that the agent was known by is now another process's: its number, the moment it began,
    // its session, even the marker.
    let mut innocent = home.command(&binaries::fake_provider());
    innocent.args(["hold", "--setsid"]).env(MARKER, &row.uuid);
    let mut innocent = innocent.stdout(Stdio::null()).spawn().unwrap();
    let pid = i32::try_from(innocent.id()).unwrap();
    let leader = nix::unistd::Pid::from_raw(pid);
    // Until then it is in ours, which is 0 where that began outside our PID namespace.
    let session = || nix::unistd::getsid(Some(leader));
    eventually("a session of its own", async || {
        (session() == Ok(leader)).then_some(())
    })
    .await;
    let folder = home.invocation_dir(&row.uuid);
    let other = "11111111-2222-4333-8444-555555555555";
    edit(&folder.join("spec.json"), |spec| {
        spec["boot_id"] = json!(other)
    });
    edit(&folder.join("state.json"), |state| {
        state["boot_id"] = json!(other);
        for who in ["shim", "agent"] {
            state[format!("{who}_pid")] = json!(pid);
            state[format!("{who}_start_ticks")] = json!(start_ticks(pid));
        }
    });
    daemon.start_again().await;
    let ended = daemon.rpc().await.ended(&ctl.project(), row.id).await;
    assert_eq!((&*ended.outcome, ended.exit_code), ("lost", Some(-1)));
    assert!(ended.error.contains("host restarted"), "{ended:?}");
    assert_undisturbed(&ctl, &ended);
    assert!(innocent.try_wait().unwrap().is_none(), "it was killed");
    assert!(processes::is_alive(pid));
    innocent.kill().unwrap();
    innocent.wait().unwrap();
    faults::held(14, "lost: host restarted; the process of that number lives");
}
