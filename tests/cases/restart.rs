//! The daemon dies, at the worst moments and often; no agent notices and no line is lost.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand::RngExt;
use rustix::process::Signal;
use steroids_proto::v1;
use steroids_tests::{Daemon, Home, Puppet, assert_undisturbed, faults, log, processes, rpc};
use tonic::Code;

/// Kills per case; more for a long run.
fn kills() -> u32 {
    let asked = std::env::var("STEROIDS_TEST_KILLS").ok();
    asked.and_then(|value| value.parse().ok()).unwrap_or(5)
}

/// Kills the daemon at some moment of the next `most`, and starts it again: sometimes only to kill
/// it while it is starting.
async fn kill_at_a_random_moment(daemon: &mut Daemon, most: Duration) {
    let moment = rand::rng().random_range(Duration::ZERO..most);
    // Not a wait for anything: the moment itself is what is tried.
    tokio::time::sleep(moment).await;
    daemon.kill9().await;
    if rand::rng().random_bool(0.3) {
        *daemon = Daemon::launch(daemon.home(), Vec::new());
        let moment = rand::rng().random_range(Duration::ZERO..Duration::from_millis(60));
        // As above: somewhere in its start.
        tokio::time::sleep(moment).await;
        daemon.kill9().await;
    }
    daemon.start_again().await;
}

/// Waits for the last of its lines: with many kills it prints on for longer than anything is waited for.
async fn has_printed(daemon: &Daemon, project: &str, id: i64, count: u64) {
    let rpc = daemon.rpc().await;
    let mut followed = rpc.follow(rpc::invocation(project, id), "", true).await;
    followed.until(&format!("n {count:06}")).await;
}

#[tokio::test]
async fn numbered_lines_are_each_there_once_in_order_however_often_the_daemon_is_killed() {
    let kills = kills();
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let count = u64::from(kills) * 250;
    let text = count.to_string();
    let words = [
        "numbers",
        "--count",
        &text,
        "--every-ms",
        "2",
        "--exit",
        "7",
    ];
    let started = daemon
        .rpc()
        .await
        .start_fake(&ctl.project(), "T1", &words)
        .await;
    let pid = daemon.rpc().await.get(&ctl.project(), started.id).await.pid;
    let mut stream = ctl.spawn(["--json", "stream", "1"]);
    // It is there before the first kill: who finds no daemon to begin with is told so and ends.
    let mut seen = vec![stream.line().await.expect("the log has a first line")];
    for _ in 0..kills {
        kill_at_a_random_moment(&mut daemon, Duration::from_millis(400)).await;
        let now = daemon.rpc().await.get(&ctl.project(), started.id).await;
        assert!(
            now.state() != v1::State::Running || now.pid == pid,
            "{now:?}"
        );
    }
    has_printed(&daemon, &ctl.project(), started.id, count).await;
    let ended = daemon.rpc().await.ended(&ctl.project(), started.id).await;
    assert_eq!((ended.exit_code, &*ended.outcome), (Some(7), "failed"));
    let lines = log::lines(&ctl.log_path(started.id));
    log::assert_whole(&lines);
    log::assert_counts_to(&log::numbers(&lines), count);
    assert_eq!(
        lines.last().unwrap()["duration"],
        ended.duration_ms.unwrap()
    );
    assert_undisturbed(&ctl, &ended);
    // One client stayed through all of it.
    while let Some(line) = stream.line().await {
        seen.push(line);
    }
    let on_disk = std::fs::read_to_string(ctl.log_path(started.id)).unwrap();
    assert_eq!(seen.join("\n") + "\n", on_disk);
    let seen = format!("{kills} kills, {count} lines, same agent, exit 7, one client throughout");
    faults::held(1, seen);
}

#[tokio::test]
async fn split_lines_with_stderr_between_come_out_as_if_undisturbed() {
    let kills = kills();
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let count = u64::from(kills) * 250;
    let text = count.to_string();
    let words = [
        "split",
        "--count",
        &text,
        "--every-ms",
        "2",
        "--stderr-every",
        "3",
    ];
    let started = daemon
        .rpc()
        .await
        .start_fake(&ctl.project(), "T1", &words)
        .await;
    for _ in 0..kills {
        kill_at_a_random_moment(&mut daemon, Duration::from_millis(400)).await;
    }
    has_printed(&daemon, &ctl.project(), started.id, count).await;
    let ended = daemon.rpc().await.ended(&ctl.project(), started.id).await;
    assert_eq!(ended.outcome, "success");
    let lines = log::lines(&ctl.log_path(started.id));
    log::assert_counts_to(&log::numbers(&lines), count);
    assert_undisturbed(&ctl, &ended);
}

#[tokio::test]
async fn replayed_agents_come_out_as_if_undisturbed() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let mut started = Vec::new();
    for provider in ["claude", "codex", "gemini", "opencode"] {
        let recording = crate::recording(provider, "tools");
        let rpc = daemon.rpc().await;
        let words = ["replay", &recording];
        started.push(
            rpc.start_as(&ctl.project(), provider, provider, &words)
                .await,
        );
    }
    for _ in 0..kills() {
        kill_at_a_random_moment(&mut daemon, Duration::from_millis(700)).await;
    }
    for invocation in started {
        let ended = daemon
            .rpc()
            .await
            .ended(&ctl.project(), invocation.id)
            .await;
        assert_eq!((&*ended.outcome, ended.exit_code), ("success", Some(0)));
        log::assert_whole(&log::lines(&ctl.log_path(ended.id)));
        assert_undisturbed(&ctl, &ended);
    }
}

#[tokio::test]
async fn an_agent_that_ends_while_no_daemon_is_there_ends_with_its_own_code_and_times() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let mut agent = Puppet::new(&home, "agent");
    let rpc = daemon.rpc().await;
    let started = rpc.start_fake(&ctl.project(), "T1", &agent.args()).await;
    agent.prints("before");
    let selector = rpc::invocation(&ctl.project(), started.id);
    rpc.follow(selector.clone(), "", true)
        .await
        .until("before")
        .await;
    daemon.kill9().await;
    agent.prints("while away");
    agent.exits(3);
    home.recorded(&started.uuid).await;
    let gone = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    daemon.start_again().await;

    let rpc = daemon.rpc().await;
    let ended = rpc.get(&ctl.project(), started.id).await;
    assert_eq!(
        ended.exit_code,
        Some(3),
        "final before the daemon says ready: {ended:?}"
    );
    assert!(ended.completed_at_ms.unwrap() <= i64::try_from(gone.as_millis()).unwrap());
    let events = rpc.follow(selector, "", true).await.rest().await.unwrap();
    let lines = rpc::values(&events);
    assert_eq!(log::messages(&lines, "output"), ["before", "while away"]);
    assert!(
        lines
            .iter()
            .all(|line| line["ts"].as_u64().unwrap() <= gone.as_millis() as u64)
    );
    assert_undisturbed(&ctl, &ended);
    let seen = "exit 3 before ready, both lines, nothing dated after the agent's end";
    faults::held(2, seen);
}

#[tokio::test]
async fn a_daemon_asked_to_end_leaves_agents_alive_and_streams_resumable() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let mut agents = Vec::new();
    for name in ["a", "b", "c"] {
        let mut puppet = Puppet::new(&home, name);
        let started = rpc.start_fake(&ctl.project(), name, &puppet.args()).await;
        puppet.prints("before");
        let selector = rpc::invocation(&ctl.project(), started.id);
        let mut followed = rpc.follow(selector, "", true).await;
        let seen = followed.until("before").await;
        agents.push((puppet, started, followed, seen));
    }
    let asked = Instant::now();
    assert_eq!(daemon.term().await, 0);
    let ended = asked.elapsed();
    let mut cursors = Vec::new();
    for (puppet, started, followed, seen) in &mut agents {
        assert_eq!(processes::marked(&started.uuid).len(), 1);
        let end = loop {
            match followed.next().await {
                Ok(Some(event)) => seen.push(event),
                other => break other,
            }
        };
        assert_eq!(end.unwrap_err().code(), Code::Unavailable);
        puppet.prints("after");
        puppet.exits(0);
        cursors.push(seen.last().unwrap().cursor.clone());
    }
    daemon.start_again().await;
    let rpc = daemon.rpc().await;
    for ((_, started, _, seen), cursor) in agents.iter().zip(cursors) {
        let selector = rpc::invocation(&ctl.project(), started.id);
        let rest = rpc
            .follow(selector, &cursor, true)
            .await
            .rest()
            .await
            .unwrap();
        let all = [rpc::bytes(seen), rpc::bytes(&rest)].concat();
        assert_eq!(all, std::fs::read(ctl.log_path(started.id)).unwrap());
    }
    let seen = format!(
        "exit 0 after {} ms, 3 agents alive, 3 streams resumed",
        ended.as_millis()
    );
    faults::held(8, seen);
}

#[tokio::test]
async fn a_shim_that_is_killed_takes_its_agent_along_and_the_row_says_lost() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let mut agent = Puppet::new(&home, "agent");
    let started = rpc.start_fake(&ctl.project(), "T1", &agent.args()).await;
    agent.prints("kept");
    let selector = rpc::invocation(&ctl.project(), started.id);
    rpc.follow(selector, "", true).await.until("kept").await;
    processes::signal(home.shim(&started.uuid), Signal::KILL);
    let ended = rpc.ended(&ctl.project(), started.id).await;
    assert_eq!((&*ended.outcome, ended.exit_code), ("lost", Some(-1)));
    assert_eq!(processes::marked(&started.uuid), []);
    let lines = log::lines(&ctl.log_path(started.id));
    log::assert_whole(&lines);
    assert_eq!(log::messages(&lines, "output"), ["kept"]);
}

#[tokio::test]
async fn a_deleted_database_gets_its_rows_back_and_no_id_twice() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let first = ctl.start_fake("T1", &["exit", "5"]).await;
    daemon.rpc().await.ended(&ctl.project(), first).await;
    assert_eq!(daemon.term().await, 0);
    for name in ["steroids.db", "steroids.db-wal", "steroids.db-shm"] {
        let path = ctl.folder().join(".steroids").join(name);
        assert!(std::fs::remove_file(&path).is_ok() || !path.exists());
    }
    daemon.start_again().await;
    ctl.run(["init"]).await.ok();
    let second = ctl.start_fake("T1", &["exit", "0"]).await;
    assert!(second > first);
    let back = daemon.rpc().await.get(&ctl.project(), first).await;
    assert_eq!(back.exit_code, Some(5));
}
