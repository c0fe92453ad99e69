//! Those that wait for others: when they are looked at, and what ends them.

use super::dependents::Dependents;
use super::*;
use crate::store::NewEvent;

async fn after(bench: &Bench, name: &str, other: &Invocation) -> Invocation {
    let request = StartRequest {
        after: vec![other.id],
        ..bench.request(name)
    };
    bench.supervisor.start(request).await.unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_is_looked_at_once_for_all_and_again_when_there_may_be_news() {
    let bench = Bench::new(8, 8).await;
    let first = bench.start("r1").await;
    let second = after(&bench, "r2", &first).await;
    let (root, inner) = (&bench.project.root, &bench.supervisor.inner);
    let dependents = Dependents::default();
    let look = async || {
        assert!(dependents.look(inner).await);
        dependents.looked_at(root)
    };
    // A start is written about for a moment after its answer.
    let quiet = async || {
        eventually(async || {
            let seen = look().await?;
            (look().await? == seen).then_some(seen)
        })
        .await
    };
    let seen = quiet().await;
    // Somebody whom nobody was known to wait for,
    after(&bench, "r3", &second).await;
    let again = quiet().await;
    assert_ne!(again, seen);
    // and a word of which it is not known what it says.
    let project = bench.project().await;
    project.store.record(NewEvent::default()).await.unwrap();
    assert_ne!(look().await, Some(again));
    bench.stage.end(&bench.dir(&first));
    bench.stage.end(&bench.launched(2).await);
    bench.stage.end(&bench.launched(3).await);
    bench.ended(3).await;
    eventually(async || look().await.is_none().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_waits_in_vain_ends_also_where_its_row_is_gone_just_then() {
    let bench = Bench::new(8, 8).await;
    let first = bench.start("r1").await;
    let second = after(&bench, "r2", &first).await;
    let other = rusqlite::Connection::open(bench.project.store.path()).unwrap();
    let delete = "DELETE FROM steroidsd_invocations WHERE invocation_id = 2;
                  DELETE FROM task_invocations WHERE id = 2";
    other.execute_batch(delete).unwrap();
    bench.stage.vanish(&bench.dir(&first));
    let project = bench.project().await;
    let ended = eventually(async || {
        let row = project.store.invocation(second.id).await.unwrap()?;
        row.phase.is_ended().then_some(row)
    })
    .await;
    assert_eq!(outcome(&ended), "never_started");
    let error = ended.error.unwrap();
    assert!(error.contains("after invocation 1"), "{error}");
    assert!(!bench.dir(&second).queued().exists());
}
