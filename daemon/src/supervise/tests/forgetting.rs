//! A project that is to be forgotten, with its folder there or gone.

use super::super::job::Request;
use super::super::reconcile::{STARTING, uuid_of};
use super::super::waiting;
use super::*;
use crate::projects::ProjectError;

/// Looks after what cannot be taken up, as a daemon does.
async fn bench(max_running: usize) -> Bench {
    let bench = Bench::new(8, max_running).await;
    look_after(&bench);
    bench
}

fn look_after(bench: &Bench) {
    let supervisor = bench.supervisor.clone();
    bench.jobs.spawn(supervisor.clone().keep());
    bench.jobs.spawn(supervisor.look_after_strays());
}

async fn forget(bench: &Bench, discard: bool) -> Result<Forget, ForgetError> {
    bench.supervisor.forget(&bench.project.root, discard).await
}

fn busy(forgotten: Result<Forget, ForgetError>) -> Vec<i64> {
    match forgotten {
        Err(ForgetError::Busy { ids, .. }) => ids,
        other => panic!("{other:?}"),
    }
}

fn left(forgotten: &Result<Forget, ForgetError>) -> u64 {
    match forgotten {
        Err(ForgetError::Transcripts { count, bytes, .. }) => {
            assert!(*bytes > 0);
            *count
        }
        other => panic!("{other:?}"),
    }
}

/// The project's folder moved away; gives where it is.
fn away(bench: &Bench) -> PathBuf {
    let away = bench.project.root.with_file_name("away");
    fs::rename(&bench.project.root, &away).unwrap();
    away
}

/// One that has ended, of a project whose folder went before the daemon's restart.
async fn ended_without_its_folder(bench: &mut Bench) -> (InvDir, PathBuf) {
    let dir = bench.dir(&bench.start("r1").await);
    let moved = away(bench);
    bench.restart().await;
    bench.supervisor.reconcile(Scope::Startup).await;
    look_after(bench);
    bench.stage.end(&dir);
    (dir, moved)
}

async fn degraded(bench: &Bench, words: &str) {
    eventually(async || {
        let said = bench.supervisor.degraded().join("\n");
        said.contains(words).then_some(())
    })
    .await;
}

async fn is_forgotten(bench: &Bench) {
    assert_eq!(bench.projects.list().await.unwrap(), []);
    assert_eq!(bench.supervisor.degraded(), Vec::<String>::new());
    assert!(bench.projects.all().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_one_that_is_there_stay_and_it_is_served_again() {
    let bench = bench(1).await;
    let dir = bench.dir(&bench.start("r1").await);
    bench.stage.end(&dir);
    bench.ended(1).await;
    eventually(async || forget(&bench, false).await.ok()).await;
    is_forgotten(&bench).await;
    let got = bench.projects.get(&bench.project.root).await;
    assert!(matches!(got, Err(ProjectError::NotRegistered { .. })));
    assert!(dir.path().exists(), "what is over goes by its age");

    // Its lock is free: whoever has another state folder may serve it.
    let other = bench.project.root.with_file_name("other");
    fs::create_dir(&other).unwrap();
    let others = Projects::open(&other, "other".to_owned()).await.unwrap();
    let (theirs, _) = others.register(&bench.project.root, false).await.unwrap();
    let row = theirs.store.invocation(InvocationId::new(1).unwrap()).await;
    assert!(row.unwrap().unwrap().phase.is_ended());
    others.close().await;
    drop((theirs, others));

    let request = bench.request("r2");
    let refused = bench.supervisor.start(request).await.unwrap_err();
    assert!(refused.to_string().contains("not registered"), "{refused}");
    let registered = bench.projects.register(&bench.project.root, true).await;
    assert!(!registered.unwrap().1);
    assert_eq!(bench.start("r2").await.id.get(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_or_waits_in_it_keeps_it() {
    let bench = bench(1).await;
    let runs = bench.start("r1").await;
    let waits = bench.start("r2").await;
    assert_eq!(busy(forget(&bench, true).await), [1, 2]);
    assert_eq!(bench.row(1).await.phase, Phase::Running);
    let supervisor = &bench.supervisor;
    let root = &bench.project.root;
    supervisor.stop(root, waits.id, None, None).await.unwrap();
    bench.stage.end(&bench.dir(&runs));
    bench.ended(1).await;
    eventually(async || forget(&bench, false).await.ok()).await;
    is_forgotten(&bench).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_started_in_one_that_is_being_forgotten_nor_the_other_way_round() {
    let bench = bench(1).await;
    let starts = &bench.supervisor.inner.starts;
    let forgetting = starts.close(&bench.project.root).unwrap();
    let refused = bench.supervisor.start(bench.request("r1")).await;
    let refused = refused.unwrap_err();
    assert!(
        matches!(refused, StartError::Project(ProjectError::Busy { .. })),
        "{refused:?}"
    );
    drop(forgetting);
    let starting = starts.begin(&bench.project.root).unwrap();
    let refused = forget(&bench, false).await;
    assert!(matches!(refused, Err(ForgetError::Starting { .. })));
    drop(starting);
    forget(&bench, false).await.unwrap();
    is_forgotten(&bench).await;
}

/// Another project's disk may hang for as long.
#[tokio::test]
async fn whoever_is_at_the_upkeep_is_not_waited_for_without_end_and_starts_begin_meanwhile() {
    let bench = bench(1).await;
    let hangs = bench.projects.upkeep().await;
    let (supervisor, root) = (bench.supervisor.clone(), bench.project.root.clone());
    let forgetting = tokio::spawn(async move { supervisor.forget(&root, false).await });
    // On one thread: it comes as far as it can.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    bench.start("r1").await;
    tokio::time::pause();
    let refused = forgetting.await.unwrap();
    assert!(
        matches!(refused, Err(ForgetError::Upkeep { .. })),
        "{refused:?}"
    );
    tokio::time::resume();
    drop(hangs);
    assert_eq!(busy(forget(&bench, false).await), [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_without_its_folder_goes_only_where_that_is_said() {
    let mut bench = bench(1).await;
    let dir = bench.dir(&bench.start("r1").await);
    away(&bench);
    degraded(&bench, "it goes on").await;
    assert_eq!(busy(forget(&bench, true).await), [1]);
    bench.stage.end(&dir);
    degraded(&bench, "cannot be taken up").await;
    degraded(&bench, "steroidsctl projects forget").await;
    let refused = eventually(async || {
        // Its job ends a moment after that is told.
        let forgotten = forget(&bench, false).await;
        (!matches!(forgotten, Err(ForgetError::Busy { .. }))).then_some(forgotten)
    });
    assert_eq!(left(&refused.await), 1);
    assert!(dir.path().exists());
    assert_eq!(bench.projects.list().await.unwrap().len(), 1);

    let forgotten = forget(&bench, true).await.unwrap();
    assert_eq!(forgotten.transcripts, 1);
    assert!(!dir.path().exists());
    is_forgotten(&bench).await;
    let again = forget(&bench, true).await;
    assert!(matches!(again, Err(ForgetError::Unknown { .. })));

    bench.restart().await;
    bench.supervisor.reconcile(Scope::Startup).await;
    is_forgotten(&bench).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_is_written_down_when_the_folder_is_back() {
    let mut bench = bench(1).await;
    let (dir, moved) = ended_without_its_folder(&mut bench).await;
    assert_eq!(left(&forget(&bench, false).await), 1);
    fs::rename(&moved, &bench.project.root).unwrap();
    bench.projects.get(&bench.project.root).await.unwrap();
    bench.ended(1).await;
    let forgotten = eventually(async || forget(&bench, false).await.ok()).await;
    assert_eq!(forgotten.transcripts, 0);
    assert!(dir.path().exists());
    is_forgotten(&bench).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_vanished_without_a_record_counts_as_ended() {
    let mut bench = bench(1).await;
    let dir = bench.dir(&bench.start("r1").await);
    away(&bench);
    bench.restart().await;
    bench.supervisor.reconcile(Scope::Startup).await;
    assert_eq!(busy(forget(&bench, true).await), [1], "its shim lives");
    bench.stage.vanish(&dir);
    assert_eq!(left(&forget(&bench, false).await), 1);
    assert_eq!(forget(&bench, true).await.unwrap().transcripts, 1);
    is_forgotten(&bench).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_in_one_that_is_gone_can_be_stopped_and_then_discarded() {
    let mut bench = bench(1).await;
    let runs = bench.dir(&bench.start("r1").await);
    let waits = bench.start("r2").await;
    let after_restart = bench.start("r3").await;
    away(&bench);
    let root = bench.project.root.clone();
    assert_eq!(busy(forget(&bench, true).await), [1, 2, 3]);
    let stopped = bench.supervisor.stop(&root, waits.id, None, None).await;
    assert!(matches!(stopped, Err(StopError::Homeless { .. })));
    assert_eq!(busy(forget(&bench, true).await), [1, 3]);

    bench.restart().await;
    bench.stage.end(&runs);
    bench.supervisor.reconcile(Scope::Startup).await;
    assert_eq!(busy(forget(&bench, true).await), [3]);
    let stopped = bench
        .supervisor
        .stop(&root, after_restart.id, None, None)
        .await;
    assert!(matches!(stopped, Err(StopError::Homeless { .. })));
    assert_eq!(left(&forget(&bench, false).await), 3);
    assert_eq!(forget(&bench, true).await.unwrap().transcripts, 3);
    is_forgotten(&bench).await;
    assert_eq!(
        bench.stage.arrived().len(),
        1,
        "nothing that waited was started"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stopped_while_its_project_was_gone_is_written_down_when_that_is_back() {
    let bench = bench(1).await;
    let runs = bench.dir(&bench.start("r1").await);
    let waits = bench.start("r2").await;
    let moved = away(&bench);
    let root = bench.project.root.clone();
    bench
        .supervisor
        .stop(&root, waits.id, None, None)
        .await
        .unwrap_err();
    fs::rename(&moved, &root).unwrap();
    bench.projects.get(&root).await.unwrap();
    eventually(async || {
        // A wakeup passes over what somebody has in care in that moment, and another one comes.
        bench.supervisor.reconcile(Scope::Wakeup).await;
        bench.row(2).await.phase.is_ended().then_some(())
    })
    .await;
    assert!(bench.log(2).contains("stopped on request"));
    bench.stage.end(&runs);
    bench.ended(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_in_one_that_is_gone_is_stopped_also_while_it_is_looked_at() {
    // Whoever looks lets go of it, or ends it, as its turn does.
    for ends_it in [false, true] {
        let bench = bench(1).await;
        let runs = bench.dir(&bench.start("r1").await);
        let waits = bench.start("r2").await;
        away(&bench);
        let (inner, uuid) = (&bench.supervisor.inner, uuid_of(&bench.dir(&waits)));
        let mut looks = eventually(async || inner.enter(&uuid)).await;
        let (supervisor, root) = (bench.supervisor.clone(), bench.project.root.clone());
        let stopping =
            tokio::spawn(async move { supervisor.stop(&root, waits.id, None, None).await });
        let asked = tokio::time::timeout(PATIENCE, looks.requests.recv()).await;
        asked.expect("in time").expect("it is asked");
        if ends_it {
            let kept = waiting::keep_end(inner, &uuid, waits.id, waiting::cancelled()).await;
            kept.unwrap();
        }
        drop(looks);
        let stopped = stopping.await.unwrap();
        assert!(
            matches!(stopped, Err(StopError::Homeless { .. })),
            "{ends_it}: {stopped:?}"
        );
        assert!(ExitRecord::load(&bench.dir(&waits)).unwrap().is_some());
        bench.stage.end(&runs);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_cannot_be_written_down_says_so_and_leaves_it_waiting() {
    let bench = bench(1).await;
    let runs = bench.dir(&bench.start("r1").await);
    let waits = bench.start("r2").await;
    away(&bench);
    let root = bench.project.root.clone();
    // Where a record is written before it has its name.
    let in_the_way = bench.dir(&waits).exit().with_extension("json.tmp");
    fs::create_dir(&in_the_way).unwrap();
    let stop = async || bench.supervisor.stop(&root, waits.id, None, None).await;
    let stopped = stop().await;
    assert!(
        matches!(stopped, Err(StopError::Unkept { .. })),
        "{stopped:?}"
    );
    fs::remove_dir(&in_the_way).unwrap();
    assert_eq!(open(&bench).await, [(1, false), (2, true)]);
    let stopped = stop().await;
    assert!(
        matches!(stopped, Err(StopError::Homeless { .. })),
        "{stopped:?}"
    );
    assert_eq!(open(&bench).await, [(1, false)]);
    bench.stage.end(&runs);
}

/// What runs or waits of which no row is to be had, and whether it waits.
async fn open(bench: &Bench) -> Vec<(i64, bool)> {
    let found = bench.supervisor.elsewhere(&[]).await.into_iter();
    let mut found: Vec<_> = found.map(|it| (it.id.get(), it.waits)).collect();
    found.sort_unstable();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_has_looked_at_since_the_start_or_just_now_is_listed_and_stopped() {
    let mut bench = bench(1).await;
    let runs = bench.start("r1").await;
    let waits = bench.start("r2").await;
    let dirs = [&runs, &waits].map(|row| bench.dir(row));
    away(&bench);
    bench.restart().await;
    let inner = Arc::clone(&bench.supervisor.inner);
    assert!(
        open(&bench).await.is_empty(),
        "as if all had been looked at"
    );
    inner.line.close(STARTING, true);
    assert_eq!(open(&bench).await, [(1, false), (2, true)]);
    inner.line.close(STARTING, false);
    let looks = dirs.each_ref().map(|dir| inner.enter(&uuid_of(dir)));
    assert!(looks.iter().all(Option::is_some));
    assert_eq!(open(&bench).await, [(1, false), (2, true)]);
    drop(looks);
    inner.line.close(STARTING, true);
    let root = bench.project.root.clone();
    let stopped = bench.supervisor.stop(&root, waits.id, None, None).await;
    assert!(matches!(stopped, Err(StopError::Homeless { .. })));
    let supervisor = bench.supervisor.clone();
    let stopping = tokio::spawn(async move { supervisor.stop(&root, runs.id, None, None).await });
    bench.stage.end(&dirs[0]);
    let stopped = stopping.await.unwrap();
    assert!(
        matches!(stopped, Err(StopError::Homeless { .. })),
        "{stopped:?}"
    );
    assert!(open(&bench).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_its_turn_ends_without_its_project_is_kept_until_that_is_back() {
    // Nobody else looks after what cannot be taken up.
    let bench = Bench::new(8, 1).await;
    let runs = bench.dir(&bench.start("r1").await);
    let waits = bench.start("r2").await;
    let (inner, uuid) = (&bench.supervisor.inner, uuid_of(&bench.dir(&waits)));
    let turn = inner
        .task_turns
        .take(&bench.project.root, &waits.task)
        .await;
    bench.stage.end(&runs);
    bench.ended(1).await;
    // Its turn has come, and waits for that of its task.
    let stop = eventually(async || inner.job(&uuid)).await.requests;
    away(&bench);
    let asked = stop.send(Request::Stop {
        grace: None,
        why: None,
        shutdown: false,
    });
    asked.await.unwrap();
    drop(turn);
    eventually(async || inner.strays.has(&uuid).then_some(())).await;
    assert!(ExitRecord::load(&bench.dir(&waits)).unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_its_way_out_is_taken_up_by_nobody() {
    let mut bench = bench(1).await;
    let (dir, _) = ended_without_its_folder(&mut bench).await;
    bench.restart().await;
    // Killed between the two steps of a removal.
    let name = dir.path().file_name().unwrap().to_str().unwrap();
    let half = dir.path().with_file_name(format!(".removing-{name}"));
    fs::rename(dir.path(), &half).unwrap();
    bench.supervisor.reconcile(Scope::Startup).await;
    assert_eq!(bench.supervisor.degraded(), Vec::<String>::new());
    assert_eq!(forget(&bench, false).await.unwrap().transcripts, 0);
    assert!(!half.exists(), "it goes with the next removal");
    is_forgotten(&bench).await;
}
