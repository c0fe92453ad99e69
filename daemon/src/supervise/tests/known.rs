//! What had ended, and what had followed from that, when its project's database was deleted.

use steroids_provider::activity::Stream;
use steroids_provider::kind::Format;
use steroids_shim::spec::Spec;
use steroids_shim::spool::{Limited, Writer};

use super::*;

/// As claude says it, without a time at which the limit is over.
const LIMITED: &[u8] = br#"{"type":"result","subtype":"success","is_error":true,"api_error_status":429,"result":"limit"}
"#;

/// Its agent has printed this, and exited with 1.
fn fails(bench: &Bench, dir: &InvDir, printed: &[u8], change: impl FnOnce(&mut Spec)) {
    let mut spec = Spec::load(dir).unwrap();
    change(&mut spec);
    spec.store(dir).unwrap();
    let mut spool = Writer::create(&dir.spool()).unwrap();
    spool.output(1, 1, Stream::Stdout, printed).unwrap();
    let record = ExitRecord {
        proto: PROTOCOL,
        end: End::Ran {
            code: Some(1),
            signal: None,
            ended_by: None,
            duration_ms: 1,
            leftovers: 0,
        },
        ended_ms: 1_700_000_000_000,
        spool_length: spool.length(),
        rusage: None,
    };
    record.store(dir).unwrap();
    bench.stage.vanish(dir);
}

/// A new database has its place, and gets its rows back.
async fn lose_the_database(bench: &Bench) {
    let steroids = bench.project.root.join(".steroids");
    for name in ["steroids.db", "steroids.db-wal", "steroids.db-shm"] {
        let _ = fs::remove_file(steroids.join(name));
    }
    let registered = bench.projects.register(&bench.project.root, true).await;
    registered.unwrap();
    bench.supervisor.reconcile(Scope::Registered).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_was_noted_holds_nobody_again() {
    let mut bench = Bench::new(8, 8).await;
    let started = [bench.start("r1").await, bench.start("r2").await];
    bench.restart().await;
    for row in &started {
        fails(&bench, &bench.dir(row), LIMITED, |spec| {
            (spec.kind, spec.format) = (Kind::Claude, Format::Json);
        });
    }
    bench.supervisor.reconcile(Scope::Startup).await;
    for row in &started {
        let id = row.id.get();
        assert_eq!(outcome(&bench.ended(id).await), "rate_limited");
        let marked = bench.dir(row).projected();
        eventually(async || marked.exists().then_some(())).await;
    }
    assert_eq!(bench.supervisor.holds().len(), 1);
    bench.supervisor.lift("command", false).await.unwrap();

    lose_the_database(&bench).await;
    for row in &started {
        let id = row.id.get();
        assert_eq!(outcome(&bench.ended(id).await), "rate_limited");
    }
    assert_eq!(bench.supervisor.holds(), []);
    // Nobody is told again that they have finished; who watches learns how they ended.
    let events = bench.project().await.store.events(0, 100).await.unwrap();
    let told: Vec<_> = events.iter().map(|it| it.kind.as_str()).collect();
    assert_eq!(told, ["restored"; 4]);
    assert!(events[3].message.starts_with("rate_limited"), "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_was_made_is_not_made_again() {
    let mut bench = Bench::new(8, 8).await;
    let first = bench.dir(&bench.start("r1").await);
    bench.restart().await;
    fails(&bench, &first, b"", |spec| {
        spec.turn.retry_on = vec!["failed".to_owned()];
        spec.turn.retry_max = 1;
    });
    bench.supervisor.reconcile(Scope::Startup).await;
    let second = bench.dir(&bench.there(2).await);
    // Its turn comes, and it succeeds.
    bench.restart().await;
    let spec = Spec::load_queued(&second).unwrap();
    spec.store(&second).unwrap();
    fs::remove_file(second.queued()).unwrap();
    bench.stage.end(&second);
    bench.supervisor.reconcile(Scope::Startup).await;
    assert_eq!(outcome(&bench.ended(2).await), "success");

    for is_marked in [true, false] {
        if !is_marked {
            // As a daemon that was killed before it had made the mark leaves it.
            fs::remove_file(first.projected()).unwrap();
        }
        // Whose job is there is not put back, and that ends a moment after the row.
        eventually(async || (bench.supervisor.running() == 0).then_some(())).await;
        lose_the_database(&bench).await;
        assert_eq!(outcome(&bench.ended(1).await), "failed");
        assert_eq!(outcome(&bench.ended(2).await), "success");
        let retried = bench.row(1).await.managed.unwrap().queueing.retried_by;
        assert_eq!(retried, InvocationId::new(2));
        assert_eq!(bench.supervisor.queued(), 0);
        assert!(!second.queued().exists());
        eventually(async || first.projected().exists().then_some(())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_was_near_before_an_end_is_not_told_anew_with_its_row() {
    let bench = Bench::new(8, 8).await;
    let dir = bench.dir(&bench.start("r1").await);
    let mut spool = Writer::create(&dir.spool()).unwrap();
    let limit = limit(Limited::Silence, 9, "no output for 12m");
    spool.control(2, 2, &limit).unwrap();
    bench.stage.end(&dir);
    bench.ended(1).await;
    let told = async || {
        let events = bench.project().await.store.events(0, 100).await.unwrap();
        let kinds = events.into_iter().map(|event| event.kind);
        kinds.collect::<Vec<_>>()
    };
    assert_eq!(told().await, ["started", "stalled", "finished"]);
    eventually(async || dir.projected().exists().then_some(())).await;
    eventually(async || (bench.supervisor.running() == 0).then_some(())).await;

    lose_the_database(&bench).await;
    bench.ended(1).await;
    assert_eq!(told().await, ["restored", "restored"]);
}
