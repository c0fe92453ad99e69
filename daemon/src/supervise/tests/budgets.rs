//! What budgets are held against, and what is told of them.

use steroids_provider::activity::Stream;
use steroids_provider::kind::Format;
use steroids_shim::spec::{self, Spec};
use steroids_shim::spool::Writer;

use super::lost::now_ms;
use super::*;
use crate::domain::queue::Reason;
use crate::domain::{Budget, Evidence, Outcome, Price, UsageTotals};
use crate::store::{Begun, Ending, NewInvocation};

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
async fn what_a_session_used_before_it_was_ours_keeps_nobody_from_a_start() {
    let mut bench = Bench::new(8, 8).await;
    let tokens = |tokens| Budget {
        tokens: Some(tokens),
        micro_usd: None,
    };
    bench.budgets.task = tokens(10);
    bench.budgets.day = tokens(1000);
    bench.restart().await;
    let project = bench.project().await;
    let admitted = |task| {
        let inner = &bench.supervisor.inner;
        inner.admit_by_budget(&project, task)
    };
    resumed(&project, "s-1", 5000).await;
    assert!(admitted("T-1").await.is_ok());
    // The next one of that session counts with its own part, which is too much for a task,
    resumed(&project, "s-1", 5011).await;
    let refused = admitted("T-1").await.unwrap_err();
    assert!(refused.to_string().contains("task T-1"), "{refused}");
    assert!(admitted("T-2").await.is_ok());
    // and then for the day.
    resumed(&project, "s-1", 6011).await;
    assert!(admitted("T-2").await.is_err());
}

/// A run that resumed a session has ended, which used so many tokens in all.
async fn resumed(project: &Project, session: &str, tokens: u64) {
    let request = NewInvocation {
        task: "T-1".to_owned(),
        uuid: format!("{session} {tokens}"),
        request_id: format!("{session} {tokens}"),
        resume: Some(session.to_owned()),
        ..NewInvocation::default()
    };
    let Begun::New(row) = project.store.begin(request, None).await.unwrap() else {
        panic!("there was one");
    };
    let ending = Ending {
        outcome: Outcome::Success,
        error: None,
        exit_code: 0,
        duration_ms: 1,
        completed_ms: i64::try_from(now_ms()).unwrap(),
        response: None,
        session_id: Some(session.to_owned()),
        usage: Some(UsageTotals {
            input_tokens: tokens,
            cumulative: true,
            ..UsageTotals::default()
        }),
        price: None,
        rusage: None,
        leftovers: None,
        resets_at_ms: None,
        http_status: None,
        answering_model: None,
        frees_request: false,
        cause: None,
        evidence: Evidence::default(),
    };
    project.store.finish(row.id, ending).await.unwrap();
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

/// A claude that names its model, which nobody asked for, and has not told yet what it cost.
const AT_WORK: &[u8] = br#"{"type":"system","subtype":"init","session_id":"s","model":"claude-opus-4-5"}
{"type":"assistant","message":{"id":"m","model":"claude-opus-4-5","content":[],"usage":{"input_tokens":2000000}}}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_is_priced_by_the_model_that_its_cli_names() {
    let mut bench = Bench::new(8, 8).await;
    let dir = bench.dir(&bench.start("r1").await);
    let mut spec = Spec::load(&dir).unwrap();
    (spec.kind, spec.format) = (Kind::Claude, Format::Json);
    // Whether or not another attempt follows.
    spec.turn.retry_on = vec!["interrupted".to_owned()];
    spec.turn.retry_max = 1;
    spec.store(&dir).unwrap();
    let mut spool = Writer::create(&dir.spool()).unwrap();
    spool.output(1, 1, Stream::Stdout, AT_WORK).unwrap();
    let price = Price {
        input: 5.0,
        output: 25.0,
        cached_input: None,
        cache_creation: None,
    };
    bench.prices = Prices::new(vec![("claude-*".to_owned(), price)]);
    bench.restart().await;
    bench.supervisor.reconcile(Scope::Startup).await;
    let inner = &bench.supervisor.inner;
    let used = eventually(async || inner.used_by(&inner.job(&spec.uuid)?)).await;
    assert_eq!((used.total_cost_usd, used.estimated), (Some(10.0), true));

    bench.stage.end(&dir);
    bench.there(2).await;
    let used = bench.ended(1).await.usage.unwrap();
    assert_eq!((used.total_cost_usd, used.estimated), (Some(10.0), true));
}
