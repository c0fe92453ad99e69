//! Logs made anew when somebody asks.

use super::*;
use crate::projects::Upkeep;
use crate::store::Rebuild;

const RESTORE: Reproject = Reproject {
    dry_run: false,
    restore: true,
};

async fn ended(bench: &Bench) -> Invocation {
    let started = bench.start("r1").await;
    bench.stage.end(&bench.dir(&started));
    bench.ended(started.id.get()).await
}

async fn reproject(bench: &Bench, what: Reproject) -> Result<Reprojected, ReprojectError> {
    let id = InvocationId::new(1).unwrap();
    let root = &bench.project.root;
    bench.supervisor.reproject(root, id, what).await
}

async fn did(bench: &Bench) -> Did {
    reproject(bench, Reproject::default()).await.unwrap().did
}

fn log_path(bench: &Bench) -> PathBuf {
    bench.project.logs().path(InvocationId::new(1).unwrap())
}

async fn generation(bench: &Bench) -> u32 {
    bench.row(1).await.managed.unwrap().log_generation
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_made_anew_where_it_differs_and_counted_before_and_after() {
    let bench = Bench::new(8, 8).await;
    ended(&bench).await;
    let whole = bench.log(1);
    // At once: the job may still be about to let go.
    assert_eq!(did(&bench).await, Did::Nothing);
    fs::write(log_path(&bench), "false\n").unwrap();
    let dry = Reproject {
        dry_run: true,
        restore: false,
    };
    assert_eq!(reproject(&bench, dry).await.unwrap().did, Did::Rebuilt);
    assert_eq!(
        (bench.log(1).as_str(), generation(&bench).await),
        ("false\n", 0)
    );
    assert_eq!(did(&bench).await, Did::Rebuilt);
    assert_eq!((bench.log(1), generation(&bench).await), (whole.clone(), 2));
    assert_eq!(did(&bench).await, Did::Nothing);
    assert_eq!(generation(&bench).await, 2);

    fs::remove_file(log_path(&bench)).unwrap();
    let refused = reproject(&bench, Reproject::default()).await;
    assert!(matches!(refused, Err(ReprojectError::LogDeleted { .. })));
    assert_eq!(reproject(&bench, RESTORE).await.unwrap().did, Did::Restored);
    assert_eq!(bench.log(1), whole);
    assert_eq!(bench.supervisor.running(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generation_that_a_crash_left_odd_is_counted_on() {
    let mut bench = Bench::new(8, 8).await;
    let id = ended(&bench).await.id;
    for restarts in [false, true] {
        let store = &bench.project.store;
        store.count_generation(id, Rebuild::Written).await.unwrap();
        if restarts {
            bench.restart().await;
            bench.supervisor.reconcile(Scope::Startup).await;
            assert_eq!(generation(&bench).await, 4);
        }
        assert_eq!(did(&bench).await, Did::Nothing);
        assert_eq!(generation(&bench).await % 2, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_what_is_gone_and_what_is_anothers_is_refused() {
    let bench = Bench::new(8, 8).await;
    let refused = reproject(&bench, RESTORE).await;
    assert!(matches!(refused, Err(ReprojectError::NotFound { .. })));
    let started = bench.start("r1").await;
    let refused = reproject(&bench, RESTORE).await;
    assert!(matches!(refused, Err(ReprojectError::StillRunning { .. })));
    let dir = bench.dir(&started);
    bench.stage.end(&dir);
    bench.ended(1).await;
    assert_eq!(did(&bench).await, Did::Nothing);

    let record = fs::read(dir.exit()).unwrap();
    fs::remove_file(dir.exit()).unwrap();
    let refused = reproject(&bench, RESTORE).await;
    assert!(matches!(refused, Err(ReprojectError::SpoolDamaged { .. })));
    fs::write(dir.exit(), record).unwrap();
    let spec = fs::read_to_string(dir.spec()).unwrap();
    let newer = format!("\"proto\":{}", PROTOCOL + 1);
    let foreign = spec.replace(&format!("\"proto\":{PROTOCOL}"), &newer);
    assert_ne!(foreign, spec);
    fs::write(dir.spec(), foreign).unwrap();
    let refused = reproject(&bench, RESTORE).await;
    assert!(matches!(refused, Err(ReprojectError::Foreign { .. })));
    bench.take_away(&dir);
    let refused = reproject(&bench, RESTORE).await;
    assert!(matches!(refused, Err(ReprojectError::SpoolGone { .. })));
    let foreign = rusqlite::Connection::open(bench.project.store.path()).unwrap();
    let forget = "DELETE FROM steroidsd_invocations";
    foreign.execute(forget, []).unwrap();
    let refused = reproject(&bench, RESTORE).await;
    assert!(matches!(refused, Err(ReprojectError::NotManaged { .. })));
}

/// Asks, and gives one that waits for nobody time enough to be done.
async fn asked(bench: &Bench) -> tokio::task::JoinHandle<Result<Reprojected, ReprojectError>> {
    let (supervisor, root) = (bench.supervisor.clone(), bench.project.root.clone());
    let id = InvocationId::new(1).unwrap();
    let asked = tokio::spawn(async move { supervisor.reproject(&root, id, RESTORE).await });
    wait_a_while(bench).await;
    asked
}

async fn wait_a_while(bench: &Bench) {
    for _ in 0..50 {
        bench.row(1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_comes_first_or_last_and_never_in_between() {
    let bench = Bench::new(8, 8).await;
    let dir = bench.dir(&ended(&bench).await);
    assert_eq!(did(&bench).await, Did::Nothing);
    let retention: Upkeep = bench.projects.upkeep().await;
    let asked = asked(&bench).await;
    assert!(!asked.is_finished());
    bench.take_away(&dir);
    drop(retention);
    let refused = asked.await.unwrap();
    assert!(matches!(refused, Err(ReprojectError::SpoolGone { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_no_longer_waits_has_given_it_up_and_a_daemon_that_stops_too() {
    let bench = Bench::new(8, 8).await;
    ended(&bench).await;
    assert_eq!(did(&bench).await, Did::Nothing);
    fs::write(log_path(&bench), "false\n").unwrap();
    let retention = bench.projects.upkeep().await;
    let gone = asked(&bench).await;
    gone.abort();
    assert!(gone.await.is_err_and(|e| e.is_cancelled()));
    drop(retention);
    wait_a_while(&bench).await;
    assert_eq!(bench.log(1), "false\n");

    let retention = bench.projects.upkeep().await;
    let asked = asked(&bench).await;
    bench.let_go.cancel();
    let refused = asked.await.unwrap();
    assert!(matches!(refused, Err(ReprojectError::GivenUp)));
    bench.jobs.close();
    bench.jobs.wait().await;
    drop(retention);
    assert_eq!(bench.log(1), "false\n");
}
