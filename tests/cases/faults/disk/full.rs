//! A disk that is full for a while: nothing torn, nothing lost, everybody told, and all of it goes
//! on by itself. Each test fills another disk: that of the spools, of the logs, of the database,
//! and one that holds everything.

use std::time::Duration;

use steroids_proto::v1;
use steroids_shim::paths::InvDir;
use steroids_shim::protocol::{self, Message, Request, Stat};
use steroids_shim::spec::Spec;
use steroids_tests::faults::{held, share};
use steroids_tests::{Ctl, Daemon, Home, Puppet, Rpc, SmallDisk, eventually, log, rpc};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tonic::Code;

use super::{alarmed, assert_undisturbed, degraded, told, well};

const SMALL: &str = "[daemon]\nmin_free = \"\"";

/// Not shown here: no mounts of one's own.
const NO_ROOT: &str = "not shown: needs root";

/// What a shim says of itself.
async fn stat(home: &Home, uuid: &str) -> Stat {
    let spec = Spec::load(&InvDir::at(home.invocation_dir(uuid))).unwrap();
    let (read, mut write) = UnixStream::connect(&spec.socket)
        .await
        .unwrap()
        .into_split();
    let asked = protocol::encode(&Request::Stat);
    write.write_all(asked.as_bytes()).await.unwrap();
    let mut line = String::new();
    BufReader::new(read).read_line(&mut line).await.unwrap();
    match protocol::decode(&line).unwrap() {
        Message::Stat(stat) => stat,
        other => panic!("{other:?}"),
    }
}

/// An agent that has printed its first line, which is in the log.
async fn begun(ctl: &Ctl, rpc: &Rpc, agent: &mut Puppet) -> v1::Invocation {
    let started = rpc.start_fake(&ctl.project(), "T1", &agent.args()).await;
    agent.counts(1..=1, 20, Duration::ZERO);
    let selector = rpc::invocation(&ctl.project(), started.id);
    rpc.follow(selector, "", true).await.until("n 000001").await;
    started
}

/// Everything the agent printed is in the log, and its exit code in the row.
fn assert_complete(ctl: &Ctl, ended: &v1::Invocation, count: u64, code: i32) {
    assert_eq!((ended.exit_code, &*ended.outcome), (Some(code), "failed"));
    let lines = log::lines(&ctl.log_path(ended.id));
    log::assert_counts_to(&log::numbers(&lines), count);
    assert_undisturbed(ctl, ended);
}

#[tokio::test]
async fn a_full_disk_of_spools_loses_nothing_and_is_told_of() {
    let home = Home::with_config(SMALL);
    let Some(disk) = SmallDisk::mount(&home, "state/steroids", "4m") else {
        return held(25, NO_ROOT);
    };
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let mut agent = Puppet::new(&home, "agent");
    let started = begun(&ctl, &rpc, &mut agent).await;
    disk.fill();
    // In the long form more than a shim keeps in memory.
    let count = share(2_001, 90_001);
    agent.counts(2..=count, 1_000, Duration::ZERO);
    alarmed(&rpc, &ctl.project(), started.id, "disk full: ").await;
    let line = told(
        &daemon,
        &[&ctl.project(), "disk full", "since", "free some space"],
    )
    .await;
    let waiting = if share(false, true) {
        alarmed(&rpc, &ctl.project(), started.id, "paused").await;
        let stat = stat(&home, &started.uuid).await;
        assert!(stat.paused && stat.waiting <= 64 << 20, "{stat:?}");
        assert!(
            stat.waiting > 60 << 20,
            "paused with room to spare: {stat:?}"
        );
        stat.waiting
    } else {
        agent.exits(7);
        alarmed(&rpc, &ctl.project(), started.id, "ending: disk full").await;
        let listed = ctl.run(["--json", "list"]).await.ok();
        assert!(listed.contains("ending: disk full"), "{listed}");
        let stat = stat(&home, &started.uuid).await;
        assert!(!stat.paused && stat.waiting > 1 << 20, "{stat:?}");
        stat.waiting
    };
    // A daemon that is started meanwhile does its work and says the same.
    daemon.kill9_and_restart().await;
    let rpc = daemon.rpc().await;
    told(&daemon, &[&ctl.project(), "disk full"]).await;
    alarmed(&rpc, &ctl.project(), started.id, "disk full").await;
    disk.free();
    if share(false, true) {
        // What a disk has no room for still waits; the agent goes on when there is some.
        disk.resize("300m");
        agent.exits(7);
    }
    // However long that takes, as long as something comes.
    let selector = rpc::invocation(&ctl.project(), started.id);
    let mut follower = rpc.follow(selector, "", true).await;
    while follower.next().await.unwrap().is_some() {}
    let ended = rpc.ended(&ctl.project(), started.id).await;
    assert_complete(&ctl, &ended, count, 7);
    well(&daemon).await;
    let seen =
        format!("{waiting} bytes waited in the shim; then {count} lines, exit code 7; `{line}`");
    held(25, seen);
}

#[tokio::test]
async fn a_full_disk_of_logs_holds_up_the_log_and_not_the_agent() {
    let home = Home::with_config(SMALL);
    let Some(disk) = SmallDisk::mount(&home, "home/app/.steroids/invocations", "1m") else {
        return held(141, NO_ROOT);
    };
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let mut agent = Puppet::new(&home, "agent");
    let started = begun(&ctl, &rpc, &mut agent).await;
    disk.fill();
    agent.counts(2..=600, 1_000, Duration::ZERO);
    agent.exits(7);
    let words = [
        &*ctl.project(),
        "activity log",
        "No space left",
        "free some space",
    ];
    let line = told(&daemon, &words).await;
    let record = home.invocation_dir(&started.uuid).join("exit.json");
    eventually("the agent's end", async || record.exists().then_some(())).await;
    // Readers never see a part of a line.
    let torn = std::fs::read(ctl.log_path(started.id)).unwrap();
    assert!(torn.ends_with(b"\n"), "the log ends in half a line");
    assert_eq!(
        rpc.get(&ctl.project(), started.id).await.state(),
        v1::State::Running
    );
    daemon.kill9_and_restart().await;
    told(&daemon, &words).await;
    disk.free();
    let rpc = daemon.rpc().await;
    let ended = rpc.ended(&ctl.project(), started.id).await;
    assert_complete(&ctl, &ended, 600, 7);
    well(&daemon).await;
    let seen = format!("the agent ended meanwhile, the row after; `{line}`");
    held(141, seen);
}

#[tokio::test]
async fn a_full_disk_of_the_database_holds_up_the_row_and_refuses_starts() {
    let home = Home::with_config(SMALL);
    let Some(disk) = SmallDisk::mount(&home, "home/app/.steroids", "2m") else {
        return held(142, NO_ROOT);
    };
    let logs = SmallDisk::mount(&home, "home/app/.steroids/invocations", "4m").unwrap();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let mut agent = Puppet::new(&home, "agent");
    let started = begun(&ctl, &rpc, &mut agent).await;
    disk.fill();
    // What is in the write-ahead log can be written over; this much cannot.
    let request = v1::StartRequest {
        project: ctl.project(),
        task_id: "T2".to_owned(),
        provider: "command".to_owned(),
        argv: rpc::argv(&["exit", "0"]),
        prompt: "x".repeat(3 << 20),
        ..Default::default()
    };
    let refused = rpc.start(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    agent.counts(2..=600, 1_000, Duration::ZERO);
    agent.exits(7);
    let line = told(
        &daemon,
        &[&ctl.project(), "disk", "full", "free some space"],
    )
    .await;
    let lines = log::lines(&ctl.log_path(started.id));
    log::assert_counts_to(&log::numbers(&lines), 600);
    disk.free();
    let ended = rpc.ended(&ctl.project(), started.id).await;
    assert_complete(&ctl, &ended, 600, 7);
    well(&daemon).await;
    // The refused one is nowhere.
    let listed = ctl.run(["--json", "list"]).await.json();
    assert_eq!(listed["invocations"].as_array().unwrap().len(), 1);
    daemon.kill9_and_restart().await;
    drop(logs);
    let seen = format!("a start was refused: {}; `{line}`", refused.message());
    held(142, seen);
}

#[tokio::test]
async fn a_full_disk_under_everything_is_survived_without_a_restart() {
    let home = Home::with_config(SMALL);
    let Some(disk) = SmallDisk::mount(&home, "state", "6m") else {
        return held(143, NO_ROOT);
    };
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.ctl(&home.path("state/app"));
    std::fs::create_dir_all(ctl.folder()).unwrap();
    ctl.run(["init"]).await.ok();
    let rpc = daemon.rpc().await;
    let mut agent = Puppet::new(&home, "agent");
    let started = begun(&ctl, &rpc, &mut agent).await;
    disk.fill();
    agent.counts(2..=1_500, 1_000, Duration::ZERO);
    agent.exits(7);
    told(&daemon, &[&ctl.project(), "disk full"]).await;
    let lines = degraded(&daemon).await;
    disk.free();
    let ended = rpc.ended(&ctl.project(), started.id).await;
    assert_complete(&ctl, &ended, 1_500, 7);
    well(&daemon).await;
    held(143, format!("{lines:?}, then all of it"));
}

#[tokio::test]
async fn too_little_room_for_a_start_is_said_before_anybody_asks() {
    // More than any disk has.
    let home = Home::with_config("[daemon]\nmin_free = \"9000000 TiB\"");
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let lines = degraded(&daemon).await;
    assert!(
        lines.iter().all(|line| line.contains("daemon.min_free")),
        "{lines:?}"
    );
    assert_eq!(
        lines.len(),
        2,
        "the state folder and the project: {lines:?}"
    );
    let refused = ctl.run(["start", "--task", "T", "--", "true"]).await;
    refused.exits(75).says("daemon.min_free");
    held(144, &lines[0]);
}
