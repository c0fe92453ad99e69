//! What budgets are held against, and what is told of them.

use steroids_shim::spec::{self, Spec};

use super::*;
use crate::domain::queue::Reason;
use crate::domain::{Budget, UsageTotals};

/// What is told of the budgets of a run that used this.
async fn told(bench: &Bench, dir: &InvDir, micro_usd: u64, usage: UsageTotals) -> usize {
    let mut spec = Spec::load(dir).unwrap();
    spec.budget = Some(spec::Budget {
        micro_usd: Some(micro_usd),
        tokens: None,
        stops: false,
    });
    let (project, id) = (bench.project().await, InvocationId::new(1).unwrap());
    let inner = &bench.supervisor.inner;
    inner.budgets_after(&project, id, &spec, Some(usage)).await;
    let events = project.store.events(0, 100).await.unwrap();
    events.iter().filter(|event| event.kind == "budget").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_budget_is_told_of_once_and_none_of_what_is_not_ones_own() {
    let bench = Bench::new(8, 8).await;
    let dir = bench.dir(&bench.start("r1").await);
    let used = |cumulative| UsageTotals {
        total_cost_usd: Some(9.0),
        cumulative,
        ..UsageTotals::default()
    };
    // Of a session that was begun elsewhere.
    assert_eq!(told(&bench, &dir, 2_000_001, used(true)).await, 0);
    assert_eq!(told(&bench, &dir, 2_000_001, used(false)).await, 1);
    assert_eq!(told(&bench, &dir, 2_000_001, used(false)).await, 1);
    // Another one, though it reads the same.
    assert_eq!(told(&bench, &dir, 2_000_002, used(false)).await, 2);
    bench.stage.end(&dir);
    bench.ended(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_is_free_once_the_row_is_final_whatever_is_told_after_it() {
    let bench = Bench::new(8, 1).await;
    let mut request = bench.request("r1");
    request.budget.budget.tokens = Some(0);
    // Whoever tells of a budget waits for this.
    let turns = &bench.supervisor.inner.turns;
    let telling = turns.take(Path::new(""), "budget").await;
    let started = bench.supervisor.start(request).await.unwrap().0;
    bench.stage.end(&bench.dir(&started));
    bench.ended(1).await;
    let next = StartRequest {
        no_queue: true,
        ..bench.request("r2")
    };
    let next = eventually(async || bench.supervisor.start(next.clone()).await.ok())
        .await
        .0;
    drop(telling);
    bench.stage.end(&bench.dir(&next));
    bench.ended(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_waits_for_a_budget_that_only_grows_ends() {
    let mut bench = Bench::new(8, 1).await;
    let first = bench.start("r1").await;
    bench.start("r2").await;
    let nothing = Budget {
        tokens: Some(0),
        micro_usd: None,
    };
    bench.budgets.day = nothing;
    bench.restart().await;
    bench.supervisor.reconcile(Scope::Startup).await;
    bench.stage.end(&bench.dir(&first));
    bench.ended(1).await;
    // A day's budget is another one tomorrow.
    eventually(async || {
        let waits = bench.supervisor.queued() == 1;
        let uuid = bench.row(2).await.managed.unwrap().uuid;
        let reason = bench.supervisor.waits(&uuid)?.reason;
        let says = matches!(&reason, Reason::Blocked(why) if why.contains("budget"));
        (waits && says).then_some(())
    })
    .await;
    bench.budgets = Budgets {
        task: nothing,
        ..Budgets::default()
    };
    bench.restart().await;
    bench.supervisor.reconcile(Scope::Startup).await;
    let ended = bench.ended(2).await;
    assert_eq!(outcome(&ended), "never_started");
    let error = ended.error.unwrap();
    assert!(
        error.contains("budget of 0 tokens for task task-r2"),
        "{error}"
    );
    assert_eq!(bench.supervisor.queued(), 0);
    assert_eq!(bench.stage.arrived().len(), 1);
}
