//! Another program holds the database, or writes to it without pause.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};
use steroids_proto::v1;
use steroids_tests::faults::{self, held};
use steroids_tests::{Ctl, Daemon, Home, Puppet, eventually, log, old_database, rpc};
use tonic::Code;

use super::{foreign, is_whole};

/// Takes the write lock; it is held until the connection is dropped.
fn hold(ctl: &Ctl) -> Connection {
    let db = foreign(ctl);
    db.execute_batch("BEGIN IMMEDIATE; UPDATE tasks SET title = 'held'")
        .unwrap();
    db
}

fn start_of(ctl: &Ctl, task: &str) -> v1::StartRequest {
    rpc::command(&ctl.project(), task, vec!["true".to_owned()])
}

#[tokio::test]
async fn a_lock_held_by_another_program_delays_rows_and_nothing_else() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let mut seen = Vec::new();
    for hold_ms in faults::share(vec![300], vec![4_000, 20_000]) {
        let name = format!("T{hold_ms}");
        let mut agent = Puppet::new(&home, &name);
        let started = rpc.start_fake(&ctl.project(), &name, &agent.args()).await;
        let lock = hold(&ctl);
        let since = Instant::now();
        agent.exits(7);
        home.recorded(&started.uuid).await;
        let other = {
            let (rpc, request) = (rpc.clone(), start_of(&ctl, &format!("{name}-other")));
            tokio::spawn(async move { rpc.start(request).await })
        };
        // Reads are answered meanwhile, and say what the database says.
        let now = rpc.get(&ctl.project(), started.id).await;
        assert_eq!(now.state(), v1::State::Running);
        ctl.run(["list"]).await.ok();
        // Not a wait for anything: how long the lock is held is what is tried.
        tokio::time::sleep(Duration::from_millis(hold_ms).saturating_sub(since.elapsed())).await;
        let before = rpc.get(&ctl.project(), started.id).await;
        assert_eq!(before.state(), v1::State::Running);
        drop(lock);
        let released = Instant::now();
        let ended = rpc.ended(&ctl.project(), started.id).await;
        assert_eq!((ended.exit_code, &*ended.outcome), (Some(7), "failed"));
        seen.push(format!(
            "held {:.1} s: row final {:.1} s after release",
            hold_ms as f64 / 1000.0,
            released.elapsed().as_secs_f64()
        ));
        let other = other.await.unwrap().unwrap();
        let other = rpc.ended(&ctl.project(), other.id).await;
        assert_eq!(other.outcome, "success");
    }
    if faults::is_long() {
        refused_when_it_takes_too_long(&daemon, &ctl, &mut seen).await;
    }
    assert!(is_whole(&old_database::path(ctl.folder())));
    held(37, seen.join("; "));
}

#[tokio::test]
async fn what_ended_by_itself_waits_for_its_row_since_its_end_and_uses_nothing() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let mut agent = Puppet::new(&home, "agent");
    let started = rpc.start_fake(&ctl.project(), "T", &agent.args()).await;
    let lives = async || {
        let shown = rpc.get(&ctl.project(), started.id).await;
        shown.live.unwrap_or_default()
    };
    eventually("what it uses", async || lives().await.processes).await;
    let lock = hold(&ctl);
    let before = std::time::SystemTime::now();
    agent.exits(5);
    home.recorded(&started.uuid).await;
    let ending = eventually("that it has ended", async || {
        let live = lives().await;
        (live.waits_for == "ending" && live.processes.is_none()).then_some(live)
    })
    .await;
    let since_1970 = before.duration_since(std::time::UNIX_EPOCH).unwrap();
    assert!(
        u128::try_from(ending.waits_since_ms).unwrap() >= since_1970.as_millis(),
        "{ending:?}"
    );
    assert_eq!(ending.memory_bytes, None);
    drop(lock);
    let ended = rpc.ended(&ctl.project(), started.id).await;
    assert_eq!(ended.exit_code, Some(5));
}

/// Held until a start gives up: then there is neither row nor process.
async fn refused_when_it_takes_too_long(daemon: &Daemon, ctl: &Ctl, seen: &mut Vec<String>) {
    let rpc = daemon.rpc().await;
    let lock = hold(ctl);
    let since = Instant::now();
    // Longer than a request may take, so without the harness' own deadline.
    let refused = rpc.invocations().start(start_of(ctl, "never")).await;
    let code = refused.unwrap_err().code();
    assert!(
        matches!(code, Code::Unavailable | Code::DeadlineExceeded),
        "{code:?}"
    );
    seen.push(format!(
        "Start refused after {:.0} s: {code:?}",
        since.elapsed().as_secs_f64()
    ));
    drop(lock);
    if code == Code::Unavailable {
        // There is no such task.
        ctl.run(["list", "--task", "never"]).await.exits(3);
    }
    ctl.run(["start", "--task", "after", "--", "true"])
        .await
        .ok();
}

/// Writes as the older tool does, and checkpoints, until told to stop; gives the number of rounds.
fn hammer(db: &Connection, stop: &AtomicBool) -> u64 {
    let mut rounds = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        rounds += 1;
        let begun = Instant::now();
        // It has to wait for us as we for it; what it loses that way is not what is tried.
        let _ = round(db, rounds);
        // As long off the lock as on it, however slow the machine is. SQLite has no queue: a program
        // that leaves no room at all keeps out whom it likes.
        std::thread::sleep(begun.elapsed());
    }
    rounds
}

fn round(db: &Connection, round: u64) -> rusqlite::Result<()> {
    db.execute_batch("BEGIN IMMEDIATE")?;
    let written = write_some(db, round);
    db.execute_batch(if written.is_ok() {
        "COMMIT"
    } else {
        "ROLLBACK"
    })?;
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_row| Ok(()))
}

fn write_some(db: &Connection, round: u64) -> rusqlite::Result<()> {
    let title = format!("round {round}");
    db.execute("UPDATE tasks SET title = ?1 WHERE id = 'old'", [&title])?;
    db.execute(
        "INSERT INTO audit (task_id, to_status, actor) VALUES ('old', 'review', ?1)",
        [&title],
    )?;
    db.execute(
        "UPDATE task_invocations SET response = ?1 WHERE task_id = ?2",
        params![title, "old"],
    )?;
    Ok(())
}

#[tokio::test]
async fn a_writer_that_never_rests_costs_no_client_an_answer_and_no_run_its_end() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.ctl(&home.folder("app"));
    drop(old_database::at_028(ctl.folder()));
    ctl.run(["init"]).await.ok();
    let stop = Arc::new(AtomicBool::new(false));
    let hammering = {
        let (db, stop) = (foreign(&ctl), Arc::clone(&stop));
        std::thread::spawn(move || hammer(&db, &stop))
    };
    let rpc = daemon.rpc().await;
    let begun = Instant::now();
    let least = faults::share(Duration::ZERO, Duration::from_secs(60));
    let mut runs = 0;
    while runs == 0 || begun.elapsed() < least {
        let mut started = Vec::new();
        for name in ["a", "b", "c", "d"] {
            let words = ["numbers", "--count", "50", "--every-ms", "2", "--exit", "3"];
            started.push(rpc.start_fake(&ctl.project(), name, &words).await);
        }
        for invocation in started {
            let ended = rpc.ended(&ctl.project(), invocation.id).await;
            assert_eq!((ended.exit_code, &*ended.outcome), (Some(3), "failed"));
            log::assert_counts_to(&log::numbers(&log::lines(&ctl.log_path(ended.id))), 50);
            runs += 1;
        }
    }
    stop.store(true, Ordering::Relaxed);
    let rounds = hammering.join().unwrap();
    let db = foreign(&ctl);
    let ended =
        "SELECT count(*) || '' FROM task_invocations WHERE status = 'failed' AND exit_code = 3";
    assert_eq!(old_database::strings(&db, ended), [runs.to_string()]);
    assert!(is_whole(&old_database::path(ctl.folder())));
    let seconds = begun.elapsed().as_secs_f64();
    let seen = format!(
        "{runs} runs by fours beside {rounds} foreign transactions, each with \
         checkpoint(TRUNCATE), in {seconds:.0} s: every row final, integrity ok"
    );
    held(38, seen);
}
