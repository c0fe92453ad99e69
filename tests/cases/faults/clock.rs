//! See `tests/harness/faults/clock.rs`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::Signal;
use steroids_proto::v1;
use steroids_shim::paths::InvDir;
use steroids_shim::state::State;
use steroids_tests::faults::held;
use steroids_tests::{
    Ctl, Daemon, FailPoints, Home, Puppet, eventually, invocation, log, processes, rpc,
};

const HOUR_MS: i64 = 60 * 60 * 1000;
const DECADE_MS: i64 = 10 * 365 * 24 * HOUR_MS;

/// How far the first of January 1970 is, but for a minute.
fn to_1970() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    60_000 - i64::try_from(since.as_millis()).unwrap()
}

fn clock(points: &FailPoints, by: i64) {
    points.set(&[&format!("clock {by}")]);
}

async fn start(daemon: &Daemon, ctl: &Ctl, args: &[&str], limits: v1::Limits) -> v1::Invocation {
    // One task for each: none is started twice while its agent runs.
    let task = uuid::Uuid::new_v4().to_string();
    let request = v1::StartRequest {
        limits: Some(limits),
        ..rpc::command(&ctl.project(), &task, rpc::argv(args))
    };
    daemon.rpc().await.start(request).await.unwrap()
}

fn limit(time: Duration) -> Option<prost_types::Duration> {
    Some(time.try_into().unwrap())
}

#[tokio::test]
async fn a_wall_clock_that_jumps_changes_no_duration_no_order_and_ends_nothing() {
    let home = Home::new();
    let points = FailPoints::of(&home);
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let mut puppet = Puppet::new(&home, "puppet");
    let hour = limit(Duration::from_secs(3600));
    let limits = v1::Limits {
        silence: hour,
        wall: hour,
        ..Default::default()
    };
    let agent = start(&daemon, &ctl, &puppet.args(), limits).await;
    let rpc = daemon.rpc().await;
    let selector = invocation(&ctl.project(), agent.id);
    let mut followed = rpc.follow(selector.clone(), "", true).await;
    let mut seen = Vec::new();
    for (number, by) in [0, -HOUR_MS, DECADE_MS, to_1970(), 0]
        .into_iter()
        .enumerate()
    {
        clock(&points, by);
        let line = format!("n {:06}", number + 1);
        puppet.prints(&line);
        seen.extend(followed.until(&line).await);
    }
    // From before the jumps, with a daemon that is started in another time.
    clock(&points, DECADE_MS);
    daemon.kill9_and_restart().await;
    puppet.prints("n 000006");
    let rpc = daemon.rpc().await;
    let mut again = rpc.follow(selector, &seen[1].cursor, true).await;
    let again = again.until("n 000006").await;
    clock(&points, -HOUR_MS);
    puppet.exits(0);
    let ended = rpc.ended(&ctl.project(), agent.id).await;

    assert_eq!(ended.outcome, "success", "{ended:?}");
    let duration = ended.duration_ms.unwrap();
    assert!((0..HOUR_MS).contains(&duration), "{duration}");
    let lines = log::lines(&ctl.log_path(agent.id));
    log::assert_whole(&lines);
    log::assert_counts_to(&log::numbers(&lines), 6);
    log::assert_counts_to(&log::numbers(&rpc::values(&seen)), 5);
    assert_eq!(log::numbers(&rpc::values(&again)), [2, 3, 4, 5, 6]);
    let ts = |at: usize| lines[at + 1]["ts"].as_i64().unwrap();
    assert!(
        ts(1) < ts(0) && ts(2) > ts(0) + HOUR_MS && ts(3) < HOUR_MS,
        "{lines:?}"
    );
    assert_eq!(lines.last().unwrap()["duration"], duration);

    // Begun before the epoch's first hour is over, ended ten years from now, and the other way.
    let mut ids = Vec::new();
    for (begun, over) in [(to_1970(), DECADE_MS), (DECADE_MS, to_1970())] {
        clock(&points, begun);
        let mut puppet = Puppet::new(&home, &format!("puppet-{begun}"));
        let agent = start(&daemon, &ctl, &puppet.args(), v1::Limits::default()).await;
        clock(&points, over);
        puppet.exits(7);
        let ended = rpc.ended(&ctl.project(), agent.id).await;
        assert_eq!(ended.exit_code, Some(7));
        let duration = ended.duration_ms.unwrap();
        assert!((0..HOUR_MS).contains(&duration), "{duration}");
        ids.push(agent.id);
    }
    assert_eq!(ids, [agent.id + 1, agent.id + 2]);
    let shown = ctl.run(["--json", "list"]).await.json();
    assert_eq!(shown["invocations"].as_array().unwrap().len(), 3);
    let seen = "-1 h, +10 y, 1970 while it ran: durations under an hour, 6 lines in order, cursors from before go on, a daemon started ten years on adopts it";
    held(46, seen);
}

#[tokio::test]
async fn a_limit_is_reached_also_by_a_clock_that_was_set_back() {
    let home = Home::new();
    let points = FailPoints::of(&home);
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let limits = v1::Limits {
        wall: limit(Duration::from_millis(700)),
        ..Default::default()
    };
    let agent = start(&daemon, &ctl, &["stall"], limits).await;
    clock(&points, -HOUR_MS);
    let ended = daemon.rpc().await.ended(&ctl.project(), agent.id).await;
    assert_eq!(ended.outcome, "timeout_wall");
    let duration = ended.duration_ms.unwrap();
    assert!((700..HOUR_MS).contains(&duration), "{duration}");
    let seen = format!("set back an hour: a limit of 700 ms ended it after {duration} ms");
    held(46, seen);
}

#[tokio::test]
async fn nothing_is_removed_for_its_age_by_a_clock_that_jumped() {
    let home = Home::with_config("[retention]\nlog_days = 2\nspool_days = 2");
    let points = FailPoints::of(&home);
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let id = ctl.start_fake("T1", &["exit", "0"]).await;
    let ended = daemon.rpc().await.ended(&ctl.project(), id).await;
    let folder = home.invocation_dir(&ended.uuid);
    for by in [DECADE_MS, to_1970(), DECADE_MS] {
        clock(&points, by);
        for restarted in [false, true] {
            if restarted {
                daemon.kill9_and_restart().await;
            }
            let rpc = daemon.rpc().await;
            let report = rpc.daemon().wakeup(v1::WakeupRequest {}).await.unwrap();
            let report = report.into_inner();
            assert_eq!((report.logs_removed, report.spools_removed), (0, 0));
            assert!(report.failures[0].contains("jumped"), "{report:?}");
            let told = rpc.degraded().await;
            assert!(told.iter().any(|line| line.contains("jumped")), "{told:?}");
            let clean = v1::CleanupLogsRequest {
                project: ctl.project(),
                days: Some(2),
                dry_run: false,
            };
            let cleaned = rpc.projects().cleanup_logs(clean).await.unwrap();
            let cleaned = cleaned.into_inner();
            assert_eq!(cleaned.files, 0);
            assert!(cleaned.failures[0].contains("jumped"), "{cleaned:?}");
            assert!(ctl.log_path(id).exists() && folder.exists());
        }
    }
    let seen =
        "+10 y, 1970, +10 y: wakeup and cleanup remove nothing and say why, also after a restart";
    held(46, seen);
}

#[tokio::test]
async fn a_limit_that_is_reached_while_no_daemon_is_there_ends_the_agent() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let limits = v1::Limits {
        wall: limit(Duration::from_millis(1500)),
        ..Default::default()
    };
    let agent = start(
        &daemon,
        &ctl,
        &["ignore-term"],
        v1::Limits {
            grace: limit(Duration::from_millis(100)),
            ..limits
        },
    )
    .await;
    daemon.kill9().await;
    home.recorded(&agent.uuid).await;
    assert_eq!(processes::marked(&agent.uuid), []);
    daemon.start_again().await;
    let ended = daemon.rpc().await.ended(&ctl.project(), agent.id).await;
    assert_eq!(
        (ended.state(), &*ended.outcome),
        (v1::State::Timeout, "timeout_wall")
    );
    let lines = log::lines(&ctl.log_path(agent.id));
    log::assert_whole(&lines);
    assert_eq!(lines.last().unwrap()["timedOut"], true);
    let seen = "ended by its shim, nothing alive; status timeout after the restart";
    held(21, seen);
}

#[tokio::test]
async fn a_standstill_of_everything_is_nobodys_silence() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let limits = v1::Limits {
        silence: limit(Duration::from_secs(6)),
        ..Default::default()
    };
    let rpc = daemon.rpc().await;
    let mut agents = Vec::new();
    for name in ["a", "b", "c"] {
        let puppet = Puppet::new(&home, name);
        let agent = start(&daemon, &ctl, &puppet.args(), limits).await;
        let selector = invocation(&ctl.project(), agent.id);
        let followed = rpc.follow(selector, "", true).await;
        agents.push((agent, puppet, followed));
        // None is silent for longer than one start takes.
        for (_, puppet, followed) in &mut agents {
            let before = format!("before {name}");
            puppet.prints(&before);
            followed.until(&before).await;
        }
    }
    let state = |agent: &v1::Invocation| {
        let dir = InvDir::at(home.invocation_dir(&agent.uuid));
        State::load(&dir).unwrap().unwrap()
    };
    let states: Vec<State> = agents.iter().map(|(agent, ..)| state(agent)).collect();
    let theirs: Vec<i32> = states.iter().filter_map(|state| state.agent_pid).collect();
    let shims: Vec<i32> = states.iter().map(|state| state.shim_pid).collect();
    assert_eq!(theirs.len(), 3);
    let signal = |pid: &i32, signal| processes::signal(*pid, signal);
    let ours = [daemon.pid()];
    let all = || theirs.iter().chain(&shims).chain(&ours);
    all().for_each(|pid| signal(pid, Signal::STOP));
    // The standstill itself: past the limit, and past what a busy machine may be late by.
    tokio::time::sleep(Duration::from_millis(8500)).await;
    let slept: Vec<u64> = shims
        .iter()
        .map(|pid| processes::main_sleeps(*pid))
        .collect();
    for (_, puppet, _) in &mut agents {
        puppet.prints("after");
        puppet.exits(0);
    }
    signal(&ours[0], Signal::CONT);
    // The agents last, so that each shim has looked at its clock before its agent has said a word.
    shims.iter().for_each(|pid| signal(pid, Signal::CONT));
    for (pid, slept) in shims.iter().zip(slept) {
        eventually("a shim to look at its clock", async || {
            (processes::main_sleeps(*pid) > slept).then_some(())
        })
        .await;
    }
    theirs.iter().for_each(|pid| signal(pid, Signal::CONT));
    for (agent, ..) in &agents {
        let ended = daemon.rpc().await.ended(&ctl.project(), agent.id).await;
        assert_eq!(ended.outcome, "success", "{ended:?}");
        let lines = log::lines(&ctl.log_path(agent.id));
        log::assert_whole(&lines);
        assert_eq!(log::messages(&lines, "output").last(), Some(&"after"));
    }
    let seen =
        "stopped 8.5 s with a silence of 6 s: all three agents go on, the same daemon serves";
    held(47, seen);
}
