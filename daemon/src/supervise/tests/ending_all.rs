//! All that runs is to end, with the daemon or with the host. What waits is kept, also what somebody has in
//! hand in that moment.

use tokio::task::JoinHandle;

use super::super::job::REQUESTS;
use super::*;
use crate::domain::Outcome;
use crate::domain::retry::StartRetry;
use crate::supervise::line::candidate;
use crate::supervise::queue::take_turn;
use crate::supervise::reconcile::uuid_of;
use crate::supervise::supervisor::Place;

/// Ends all that runs, and gives the wait for that; what has no job yet has been asked.
async fn end_all(bench: &Bench, with_host: bool, uuid: &str) -> JoinHandle<usize> {
    let supervisor = bench.supervisor.clone();
    let ending = tokio::spawn(async move {
        match with_host {
            true => supervisor.end_with_host().await,
            false => supervisor.shutdown(true).await,
        }
    });
    let inner = &bench.supervisor.inner;
    eventually(async || (inner.job(uuid)?.requests.capacity() < REQUESTS).then_some(())).await;
    ending
}

/// It waits still, and is started once that may be.
async fn is_kept(bench: &Bench, waits: &Invocation) {
    let dir = bench.dir(waits);
    assert_eq!(bench.row(waits.id.get()).await.phase, Phase::Queued);
    assert!(dir.queued().exists() && !dir.exit().exists());
    eventually(async || (bench.supervisor.queued() == 1).then_some(())).await;
    let launched = bench.stage.arrived().len();
    bench.supervisor.drain(false);
    assert_eq!(bench.launched(launched + 1).await, dir);
}

/// Another program's, until it is dropped.
fn lock(bench: &Bench) -> rusqlite::Connection {
    let other = rusqlite::Connection::open(bench.project.store.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    other
}

#[tokio::test(flavor = "multi_thread")]
async fn one_whose_turn_has_come_goes_back_into_the_line() {
    for with_host in [false, true] {
        let bench = Bench::new(8, 1).await;
        let first = bench.start("r1").await;
        let second = bench.start("r2").await;
        let (inner, dir) = (&bench.supervisor.inner, bench.dir(&second));
        let uuid = uuid_of(&dir);
        let entry = inner.line.take_out(&uuid, || inner.enter(&uuid)).unwrap();
        let ending = end_all(&bench, with_host, &uuid).await;
        let spec = Spec::load_queued(&dir).unwrap();
        let waiter = candidate(&spec, Some(&second));
        take_turn(Arc::clone(inner), waiter, entry, Place::of(inner, &uuid)).await;
        bench.stage.end(&bench.dir(&first));
        assert_eq!(ending.await.unwrap(), 1);
        is_kept(&bench, &second).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_being_written_down_comes_to_wait() {
    let bench = Bench::new(8, 1).await;
    let first = bench.start("r1").await;
    let other = lock(&bench);
    let (supervisor, request) = (bench.supervisor.clone(), bench.request("r2"));
    let starting = tokio::spawn(async move { supervisor.start(request).await });
    let uuid = entered(&bench, &first).await;
    let ending = end_all(&bench, false, &uuid).await;
    drop(other);
    let (second, _) = starting.await.unwrap().unwrap();
    bench.stage.end(&bench.dir(&first));
    assert_eq!(ending.await.unwrap(), 1);
    is_kept(&bench, &second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_attempt_of_one_that_has_failed_comes_to_wait() {
    let bench = Bench::new(8, 1).await;
    let retry = StartRetry {
        on: vec![Outcome::Interrupted],
        max: Some(1),
    };
    let request = StartRequest {
        retry: Some(retry),
        ..bench.request("r1")
    };
    let (first, _) = bench.supervisor.start(request).await.unwrap();
    let other = lock(&bench);
    // As with the host: nobody meant it.
    *held(&bench.stage.is_stopping) = Some(true);
    let by = Some(steroids_shim::exit::Reason::Shutdown);
    bench.stage.end_by(&bench.dir(&first), by);
    let uuid = entered(&bench, &first).await;
    let ending = end_all(&bench, false, &uuid).await;
    drop(other);
    assert_eq!(ending.await.unwrap(), 1);
    let second = bench.there(2).await;
    assert_eq!(second.phase, Phase::Queued);
    assert_eq!(bench.supervisor.queued(), 1);
    assert!(bench.dir(&second).queued().exists());
}

/// The state folder's name of the one that came after `first`, and has no row yet.
async fn entered(bench: &Bench, first: &Invocation) -> String {
    let first = uuid_of(&bench.dir(first));
    let inner = &bench.supervisor.inner;
    eventually(async || {
        let handles = inner.handles().into_iter();
        handles.map(|(uuid, _)| uuid).find(|uuid| *uuid != first)
    })
    .await
}
