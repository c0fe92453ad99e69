//! A disk that is full for a while: nothing torn, nothing lost, everybody told, and all of it goes
//! on by itself. Each test fills another disk: that of the spools, of the logs, of the database,
//! and one that holds everything.

use std::fs::File;
use std::time::{Duration, SystemTime};

use steroids_proto::v1;
use steroids_tests::faults::{held, share};
use steroids_tests::{
    Ctl, Daemon, Home, Puppet, SmallDisk, assert_undisturbed, eventually, log, rpc, shim,
};
use tonic::Code;

use super::{alarmed, begun, told, well};

const SMALL: &str = "[daemon]\nmin_free = \"\"";

/// Not shown here: no mounts of one's own.
const NO_ROOT: &str = "not shown: needs root";

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
        let live = rpc.get(&ctl.project(), started.id).await.live.unwrap();
        assert_eq!(live.waits_for, "output_blocked");
        let stat = shim::stat(&home, &started.uuid).await;
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
        assert!(listed.contains("\"waitsFor\":\"ending\""), "{listed}");
        let stat = shim::stat(&home, &started.uuid).await;
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
    home.recorded(&started.uuid).await;
    // Readers never see a part of a line.
    let selector = rpc::invocation(&ctl.project(), started.id);
    let so_far = rpc.follow(selector, "", false).await.rest().await.unwrap();
    assert!(!rpc::values(&so_far).is_empty(), "the first line is there");
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
        prompt: "x".repeat(3 << 20),
        ..rpc::command(&ctl.project(), "T2", rpc::argv(&["exit", "0"]))
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
    let selector = rpc::invocation(&ctl.project(), started.id);
    rpc.follow(selector, "", true).await.until("n 000600").await;
    let lines = log::lines(&ctl.log_path(started.id));
    log::assert_counts_to(&log::numbers(&lines), 600);
    disk.free();
    let ended = rpc.ended(&ctl.project(), started.id).await;
    assert_complete(&ctl, &ended, 600, 7);
    well(&daemon).await;
    // The refused one is nowhere, and does not come back.
    daemon.kill9_and_restart().await;
    let listed = ctl.run(["--json", "list"]).await.json();
    assert_eq!(listed["invocations"].as_array().unwrap().len(), 1);
    drop(logs);
    let seen = format!("a start was refused: {}; `{line}`", refused.message());
    held(142, seen);
}

#[tokio::test]
async fn a_project_on_a_disk_that_was_full_before_the_daemon_says_so_and_is_back_with_some_room() {
    let home = Home::with_config(SMALL);
    let Some(disk) = SmallDisk::mount(&home, "home/app", "12m") else {
        return held(142, NO_ROOT);
    };
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let id = ctl.start_fake("T1", &["exit", "0"]).await;
    daemon.rpc().await.ended(&ctl.project(), id).await;
    daemon.term().await;
    // There is no -shm now, and no room for one.
    disk.fill();
    daemon.start_again().await;
    for words in ["list", "stream 1", "start --task T2 -- true"] {
        let refused = ctl.run(words.split(' ')).await;
        refused.exits(75).says("is full").says("free some space");
    }
    let line = told(&daemon, &[&ctl.project(), "is full"]).await;
    disk.free();
    let listed = ctl.run(["--json", "list"]).await.json();
    assert_eq!(listed["invocations"].as_array().unwrap().len(), 1);
    ctl.run(["stream", "1"]).await.ok();
    well(&daemon).await;
    held(142, line);
}

/// What is full is its log's disk, or the database's.
#[tokio::test]
async fn one_that_has_ended_on_a_full_disk_keeps_no_place_and_says_what_its_row_waits_for() {
    for full in ["home/app/.steroids/invocations", "home/app/.steroids"] {
        let home = Home::with_config("[daemon]\nmin_free = \"\"\nmax_running = 1");
        let Some(disk) = SmallDisk::mount(&home, full, "8m") else {
            return held(141, NO_ROOT);
        };
        let daemon = Daemon::start(&home).await;
        let (ctl, other) = (daemon.project("app").await, daemon.project("other").await);
        let rpc = daemon.rpc().await;
        let mut agent = Puppet::new(&home, "agent");
        let started = begun(&ctl, &rpc, &mut agent).await;
        disk.fill();
        agent.counts(2..=600, 1_000, Duration::ZERO);
        agent.exits(7);
        home.recorded(&started.uuid).await;
        other
            .run(["start", "--task", "T", "--follow", "--", "true"])
            .await
            .exits(0);
        let id = started.id.to_string();
        let shown = eventually("its alarm", async || {
            let shown = ctl.run(["--json", "show", &id]).await.json();
            let alarm = shown["alarm"].as_str()?.to_owned();
            alarm.starts_with("it has ended").then_some(alarm)
        })
        .await;
        assert!(shown.contains("free some space"), "{full}: {shown}");
        let stopped = ctl.run(["stop", &id]).await;
        stopped.exits(4).says("has ended").says("free some space");
        disk.free();
        let ended = rpc.ended(&ctl.project(), started.id).await;
        assert_complete(&ctl, &ended, 600, 7);
        well(&daemon).await;
    }
    held(
        141,
        "ended: its place is another project's, `show` and `stop` say what its row waits for",
    );
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
    let lines = rpc.degraded().await;
    disk.free();
    let ended = rpc.ended(&ctl.project(), started.id).await;
    assert_complete(&ctl, &ended, 1_500, 7);
    well(&daemon).await;
    held(143, format!("{lines:?}, then all of it"));
}

#[tokio::test]
async fn a_disk_that_is_full_is_made_room_on_by_age() {
    let home = Home::with_config(SMALL);
    let Some(disk) = SmallDisk::mount(&home, "state/steroids", "4m") else {
        return held(25, NO_ROOT);
    };
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let id = ctl.start_fake("T1", &["exit", "0"]).await;
    daemon.rpc().await.ended(&ctl.project(), id).await;
    let log = ctl.log_path(id);
    let file = File::options().write(true).open(&log).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(2 * 24 * 60 * 60))
        .unwrap();
    disk.fill();
    let seen = disk.path().join("clock.json");
    let before = std::fs::read(&seen).unwrap();
    ctl.run(["cleanup", "logs", "--days", "1"]).await.exits(0);
    assert!(!log.exists());
    let after = std::fs::read(&seen).unwrap();
    assert_eq!(before, after, "there was room to write down what was seen");
    held(25, "full: `cleanup logs --days 1` removes what is older");
}

#[tokio::test]
async fn what_waits_outlives_a_disk_on_which_no_more_files_can_be_made() {
    let home = Home::with_config("[daemon]\nmax_running = 1\nmin_free = \"\"");
    let Some(disk) = SmallDisk::mount(&home, "state/steroids", "16m,nr_inodes=300") else {
        return held(25, NO_ROOT);
    };
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let mut agent = Puppet::new(&home, "agent");
    let runs = rpc.start_fake(&ctl.project(), "T1", &agent.args()).await;
    let mut waiting = Vec::new();
    for n in 2..5 {
        let task = format!("T{n}");
        waiting.push(rpc.start_fake(&ctl.project(), &task, &["exit", "0"]).await);
    }
    let folder = disk.path().join("junk");
    std::fs::create_dir(&folder).unwrap();
    let mut made = 0;
    while File::create(folder.join(made.to_string())).is_ok() {
        made += 1;
    }
    agent.exits(0);
    rpc.ended(&ctl.project(), runs.id).await;
    let why = "no inodes are free";
    eventually("those that wait to say why", async || {
        let listed = ctl.run(["list", "--json"]).await.json();
        let rows = listed["invocations"].as_array().unwrap();
        let says =
            |row: &&serde_json::Value| row["waiting"].as_str().is_some_and(|it| it.contains(why));
        (rows.iter().filter(says).count() == waiting.len()).then_some(())
    })
    .await;
    let lines = rpc.degraded().await;
    assert!(lines.iter().any(|line| line.contains(why)), "{lines:?}");
    let refused = ctl
        .run(["start", "--task", "T9", "--no-queue", "--", "true"])
        .await;
    refused.exits(75).says(why);
    std::fs::remove_dir_all(&folder).unwrap();
    ctl.run(["wakeup"]).await.ok();
    for row in waiting {
        let ended = rpc.ended(&ctl.project(), row.id).await;
        assert_eq!(ended.outcome, "success", "{ended:?}");
    }
    well(&daemon).await;
    held(
        25,
        "no inodes: what waits says why, and starts once there are some",
    );
}

#[tokio::test]
async fn too_little_room_for_a_start_is_said_before_anybody_asks() {
    // More than any disk has.
    let home = Home::with_config("[daemon]\nmin_free = \"9000000 TiB\"");
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let lines = daemon.rpc().await.degraded().await;
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
    let doctor = ctl.run(["doctor"]).await.exits(4).stdout;
    let disk = doctor
        .lines()
        .find(|line| line.contains("  disk  "))
        .unwrap();
    assert!(disk.starts_with("fail"), "{doctor}");
    assert!(
        disk.ends_with("a start needs 9000000 TiB (daemon.min_free)"),
        "{doctor}"
    );
    held(144, &lines[0]);
}
