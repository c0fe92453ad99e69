//! While an agent runs and ends, and somebody takes its files away.

use steroids_shim::exit::Reason;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

use super::*;
use crate::domain::Outcome;
use crate::domain::retry::StartRetry;
use crate::supervise::StillEnding;
use crate::supervise::troubles::Why;

type Stopped = Result<(Invocation, bool), StopError>;

#[tokio::test(flavor = "multi_thread")]
async fn a_state_folder_taken_away_ends_the_row() {
    let bench = Bench::new(8, 8).await;
    let dir = bench.dir(&bench.start("r1").await);
    bench.take_away(&dir);
    bench.stage.vanish(&dir);
    let ended = bench.ended(1).await;
    assert_eq!(outcome(&ended), "lost");
    assert!(bench.log(1).contains("\"type\":\"error\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_rewritten_while_the_database_was_replaced_does_not_keep_a_row_running() {
    let bench = Bench::new(8, 8).await;
    let dir = bench.dir(&bench.start("r1").await);
    let log = bench.project.logs().path(InvocationId::new(1).unwrap());
    eventually(async || fs::metadata(&log).ok().filter(|log| log.len() > 0)).await;
    let steroids = bench.project.root.join(".steroids");
    for name in ["steroids.db", "steroids.db-wal", "steroids.db-shm"] {
        let _ = fs::remove_file(steroids.join(name));
    }
    bench
        .projects
        .register(&bench.project.root, true)
        .await
        .unwrap();
    fs::write(&log, "not what was written\n").unwrap();
    bench.stage.end(&dir);
    let uuid = dir.path().file_name().unwrap().to_str().unwrap().to_owned();
    let ended = eventually(async || {
        let project = bench.projects.get(&bench.project.root).await.unwrap();
        let row = project.store.by_uuid(&uuid).await.unwrap();
        row.filter(|row| row.phase.is_ended())
    })
    .await;
    assert_eq!(outcome(&ended), "success");
    assert!(bench.log(1).starts_with("{\"ts\":"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_of_one_that_has_ended_says_so() {
    let bench = Bench::new(8, 8).await;
    let dir = bench.dir(&bench.start("r1").await);
    bench.stage.end(&dir);
    bench.ended(1).await;
    let id = InvocationId::new(1).unwrap();
    let stopped = bench
        .supervisor
        .stop(&bench.project.root, id, None, None)
        .await;
    assert!(stopped.unwrap().1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_an_agent_has_written_ends_nothing_while_its_shim_lives() {
    for is_of_this_daemon in [true, false] {
        let mut bench = Bench::new(8, 8).await;
        let dir = bench.dir(&bench.start("r1").await);
        bench.stage.record(&dir, Some(Reason::Wall));
        if !is_of_this_daemon {
            bench.restart().await;
            let found = bench.supervisor.reconcile(Scope::Startup).await;
            assert_eq!((found.adopted, found.finished), (1, 0));
        }
        let stopping = stop(&bench, &dir).await;
        assert!(!bench.row(1).await.phase.is_ended());
        bench.stage.end(&dir);
        let (ended, had_ended) = stopping.await.unwrap().unwrap();
        assert_eq!((outcome(&ended), had_ended), ("success", false));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_passed_on_while_the_log_cannot_be_written() {
    let bench = Bench::new(0, 8).await;
    let (supervisor, request) = (bench.supervisor.clone(), bench.request("r1"));
    let starting = tokio::spawn(async move { supervisor.start(request).await });
    let dir = bench.launched(1).await;
    let logs = bench.project.logs().folder();
    fs::rename(logs, logs.with_file_name("away")).unwrap();
    fs::write(logs, "in the way").unwrap();
    bench.stage.turns.add_permits(1);
    starting.await.unwrap().unwrap();
    let stopping = stop(&bench, &dir).await;
    fs::remove_file(logs).unwrap();
    fs::rename(logs.with_file_name("away"), logs).unwrap();
    bench.stage.end(&dir);
    assert!(stopping.await.unwrap().unwrap().0.phase.is_ended());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_passed_on_while_another_program_has_the_database() {
    let bench = Bench::new(8, 8).await;
    let dir = bench.dir(&bench.start("r1").await);
    let log = bench.project.logs().path(InvocationId::new(1).unwrap());
    eventually(async || fs::metadata(&log).ok().filter(|log| log.len() > 0)).await;
    let other = rusqlite::Connection::open(bench.project.store.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    // Its generation is to be counted, before a new one takes its place.
    fs::write(&log, "not what was written\n").unwrap();
    let anew = log.with_extension("log.new");
    eventually(async || {
        // As whatever its shim writes.
        fs::write(dir.path().join("hint"), "").unwrap();
        anew.exists().then_some(())
    })
    .await;
    let stopping = stop(&bench, &dir).await;
    other.execute_batch("ROLLBACK").unwrap();
    bench.stage.end(&dir);
    assert!(stopping.await.unwrap().unwrap().0.phase.is_ended());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_one_that_is_still_ending_its_grace_and_its_record_tell_what_comes_next() {
    let bench = Bench::new(8, 8).await;
    let row = bench.start("r1").await;
    let uuid = row.managed.as_ref().unwrap().uuid.as_str();
    let still = |grace| {
        let asked = std::time::Instant::now();
        bench.supervisor.still_ending(uuid, asked, grace)
    };
    let hour = Duration::from_secs(60 * 60);
    let next = still(Some(hour)).await;
    assert!(
        matches!(next, StillEnding::Graced(left) if left <= hour),
        "{next:?}"
    );
    // Its own, where none was said.
    let next = still(None).await;
    assert!(
        matches!(next, StillEnding::Graced(left) if left < hour),
        "{next:?}"
    );
    assert_eq!(still(Some(Duration::ZERO)).await, StillEnding::Killed);
    let inner = &bench.supervisor.inner;
    let root = &bench.project.root;
    inner.mute(uuid, root, row.id, Some(Why::Mute));
    assert_eq!(still(None).await, StillEnding::Unheard);
    inner.mute(uuid, root, row.id, None);
    bench.stage.end(&bench.dir(&row));
    assert_eq!(still(None).await, StillEnding::Over);
    let none = bench
        .supervisor
        .still_ending("none", std::time::Instant::now(), None);
    assert_eq!(none.await, StillEnding::Unknown);
}

/// Has the first one stopped, and gives the wait for that once its shim was told.
async fn stop(bench: &Bench, dir: &InvDir) -> JoinHandle<Stopped> {
    let socket = bench.stage.door(dir);
    socket.set_nonblocking(true).unwrap();
    let socket = UnixListener::from_std(socket).unwrap();
    let (supervisor, project) = (bench.supervisor.clone(), bench.project.root.clone());
    let id = InvocationId::new(1).unwrap();
    let stopping = tokio::spawn(async move { supervisor.stop(&project, id, None, None).await });
    let heard = async {
        loop {
            let mut lines = BufReader::new(socket.accept().await.unwrap().0).lines();
            // It is greeted, and asked how it is, before; a job that was busy may have come twice.
            while let Some(line) = lines.next_line().await.unwrap() {
                if line.contains("\"stop\"") {
                    return;
                }
            }
        }
    };
    let heard = tokio::time::timeout(PATIENCE, heard).await;
    heard.expect("its shim is told");
    stopping
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuilt_log_has_a_generation_that_nothing_read_meanwhile_can_have() {
    let bench = Bench::new(8, 8).await;
    let dir = bench.dir(&bench.start("r1").await);
    let log = bench.project.logs().path(InvocationId::new(1).unwrap());
    eventually(async || fs::metadata(&log).ok().filter(|log| log.len() > 0)).await;
    fs::write(&log, "not what was written\n").unwrap();
    bench.stage.end(&dir);
    let ended = bench.ended(1).await;
    // One before the new file has the name, one after.
    assert_eq!(ended.managed.unwrap().log_generation, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_stops_by_its_unit_is_not_tried_again_and_what_ends_with_the_host_is() {
    // Nobody may answer: then nobody knows that it was meant.
    for goes_down in [Some(false), Some(true), None] {
        let bench = Bench::new(8, 8).await;
        *held(&bench.stage.is_stopping) = goes_down;
        let dir = bench.dir(&start_again(&bench).await);
        bench.stage.end_by(&dir, Some(Reason::Shutdown));
        assert_eq!(retried(&bench).await, goes_down != Some(false));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_told_to_end_while_no_daemon_looked_is_tried_again() {
    let mut bench = Bench::new(8, 8).await;
    let dir = bench.dir(&start_again(&bench).await);
    bench.restart().await;
    bench.stage.end_by(&dir, Some(Reason::Shutdown));
    bench.supervisor.reconcile(Scope::Startup).await;
    assert!(retried(&bench).await);
}

/// One that is tried again where it is interrupted.
async fn start_again(bench: &Bench) -> Invocation {
    let retry = StartRetry {
        on: vec![Outcome::Interrupted],
        max: Some(1),
    };
    let request = StartRequest {
        retry: Some(retry),
        ..bench.request("r1")
    };
    bench.supervisor.start(request).await.unwrap().0
}

async fn retried(bench: &Bench) -> bool {
    let ended = bench.ended(1).await;
    assert_eq!(outcome(&ended), "interrupted");
    ended.managed.unwrap().queueing.retried_by.is_some()
}
