//! After a restart, and at a wakeup.

use steroids_provider::activity::Stream;
use steroids_shim::spec::Spec;
use steroids_shim::spool::{Limited, Writer};
use steroids_shim::unit;

use super::*;
use crate::activity_log::Saved;
use crate::supervise::lost::{Ended, Worth};
use crate::supervise::reconcile::uuid_of;

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_is_adopted_once_and_what_has_ended_is_finished() {
    let mut bench = Bench::new(8, 8).await;
    let runs = bench.dir(&bench.start("r1").await);
    let ends = bench.dir(&bench.start("r2").await);
    bench.restart().await;
    bench.stage.end(&ends);
    let found = bench.supervisor.reconcile(Scope::Startup).await;
    assert_eq!((found.adopted, found.finished, found.lost), (1, 1, 0));
    assert!(bench.row(2).await.phase.is_ended());
    let again = bench.supervisor.reconcile(Scope::Wakeup).await;
    assert_eq!(again, Reconciled::default());
    bench.stage.end(&runs);
    bench.ended(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_database_does_not_take_is_told_in_its_order_once_it_does() {
    let mut bench = Bench::new(8, 8).await;
    let dir = bench.dir(&bench.start("r1").await);
    bench.restart().await;
    let other = rusqlite::Connection::open(bench.project.store.path()).unwrap();
    other.execute_batch(REFUSE).unwrap();
    bench.supervisor.reconcile(Scope::Startup).await;
    let mut spool = Writer::create(&dir.spool()).unwrap();
    let limit = limit(Limited::Silence, 9, "no output for 12m");
    spool.control(2, 2, &limit).unwrap();
    bench.stage.end(&dir);
    // Whatever was tried once has been refused by then.
    let lines = eventually(async || {
        let lines = bench.supervisor.degraded();
        lines
            .iter()
            .any(|it| it.contains("it has ended"))
            .then_some(lines)
    })
    .await;
    other.execute_batch("DROP TRIGGER no").unwrap();
    bench.ended(1).await;
    let project = bench.projects.get(&bench.project.root).await.unwrap();
    let events = project.store.events(0, 100).await.unwrap();
    let kinds: Vec<_> = events.iter().map(|event| event.kind.as_str()).collect();
    let expected = ["started", "adopted", "stalled", "finished"];
    assert_eq!(kinds, expected, "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_of_more_than_may_wait_to_be_told_is_told_before_the_end() {
    let bench = Bench::new(8, 8).await;
    let dir = bench.dir(&bench.start("r1").await);
    let other = rusqlite::Connection::open(bench.project.store.path()).unwrap();
    other.execute_batch(REFUSE).unwrap();
    let mut spool = Writer::create(&dir.spool()).unwrap();
    let uuid = uuid_of(&dir);
    for ends_ms in 1..=40 {
        let limit = limit(Limited::Wall, ends_ms, &format!("limit {ends_ms}"));
        spool.control(ends_ms + 1, 2, &limit).unwrap();
        eventually(async || {
            let live = bench.supervisor.vitals(&uuid).live?;
            (live.limit_at_ms == i64::try_from(ends_ms).ok()).then_some(())
        })
        .await;
    }
    bench.stage.end(&dir);
    other.execute_batch("DROP TRIGGER no").unwrap();
    bench.ended(1).await;
    let events = bench.project.store.events(0, 100).await.unwrap();
    let told = events
        .iter()
        .map(|event| (event.kind.as_str(), event.message.as_str()));
    let told: Vec<_> = told.collect();
    let last = told.len() - 2;
    assert_eq!(told[last], ("stalled", "limit 40"), "{told:?}");
    assert_eq!(told[last + 1].0, "finished", "{told:?}");
    assert!(told.len() < 30, "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_shim_that_never_took_over_has_left_goes_with_its_end() {
    let bench = Bench::new(8, 8).await;
    let dir = bench.dir(&bench.start("r1").await);
    let room = dir.path().join("state.json.tmp");
    fs::write(&room, "").unwrap();
    bench.stage.end(&dir);
    bench.ended(1).await;
    eventually(async || dir.projected().exists().then_some(())).await;
    assert!(!room.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_without_a_folder_is_ended_with_one_last_line_however_often() {
    let mut bench = Bench::new(8, 8).await;
    let dir = bench.dir(&bench.start("r1").await);
    bench.restart().await;
    bench.stage.vanish(&dir);
    bench.take_away(&dir);
    let (one, other) = tokio::join!(
        bench.supervisor.reconcile(Scope::Startup),
        bench.supervisor.reconcile(Scope::Startup),
    );
    assert!(one.lost + other.lost >= 1);
    assert_eq!(bench.ended(1).await.exit_code, Some(-1));
    let terminal = "\"type\":\"error\"";
    assert_eq!(
        bench.log(1).matches(terminal).count(),
        1,
        "{}",
        bench.log(1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_start_that_was_cut_has_left_goes_and_what_a_shim_has_used_stays() {
    let mut bench = Bench::new(8, 8).await;
    let (cut, used) = (bench.start("r1").await, bench.start("r2").await);
    let (cut, used) = (bench.dir(&cut), bench.dir(&used));
    bench.restart().await;
    for dir in [&cut, &used] {
        fs::remove_file(dir.spec()).unwrap();
    }
    bench.stage.vanish(&cut);
    fs::remove_file(cut.state()).unwrap();
    // As of one that nobody had seen begin.
    fs::remove_file(bench.project.logs().path(bench.row(1).await.id)).unwrap();
    // Folders that are somebody else's, and one of ours with something in it.
    let all = cut.path().parent().unwrap();
    let own = all.join(uuid::Uuid::new_v4().to_string());
    let others = [all.join("keep"), all.join(".removing-x"), own.clone()];
    for folder in &others {
        fs::create_dir(folder).unwrap();
    }
    fs::write(own.join("notes"), "").unwrap();
    bench.supervisor.reconcile(Scope::Startup).await;
    assert!(!cut.path().exists());
    assert!(used.path().exists());
    assert!(others.iter().all(|folder| folder.exists()));
    assert_eq!(outcome(&bench.ended(1).await), "never_started");
    bench.stage.vanish(&used);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_left_in_the_unit_of_one_that_has_recorded_its_end_is_left() {
    let mut bench = Bench::new(8, 8).await;
    let dir = bench.dir(&bench.start("r1").await);
    bench.restart().await;
    let spec = Spec::load(&dir).unwrap();
    let own = unit::name(&spec.uuid);
    let state = State {
        unit: Some(own.clone()),
        ..State::load(&dir).unwrap().unwrap()
    };
    state.store(&dir).unwrap();
    bench.stage.end(&dir);
    let launcher = &*bench.stage;
    // Its lock was free before somebody looked for the record.
    let declared = lost::declare(
        launcher,
        &spec,
        &dir,
        "shim lost",
        Worth::Counts,
        Ended::Now,
    )
    .await;
    assert!(matches!(declared, Ok(None)));
    lost::declare_unreadable(launcher, &spec.uuid, &dir).await;
    assert!(held(&launcher.ended_units).is_empty());
    let exit = ExitRecord::load(&dir).unwrap().unwrap();
    assert!(matches!(exit.end, End::Ran { .. }), "{exit:?}");

    fs::remove_file(dir.exit()).unwrap();
    let declared = lost::declare(
        launcher,
        &spec,
        &dir,
        "shim lost",
        Worth::Counts,
        Ended::Now,
    )
    .await;
    assert!(matches!(declared, Ok(Some(_))));
    assert_eq!(*held(&launcher.ended_units), [own]);
    bench.supervisor.reconcile(Scope::Startup).await;
    assert_eq!(outcome(&bench.ended(1).await), "lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_database_keeps_nothing_from_being_adopted() {
    let mut bench = Bench::new(8, 8).await;
    let dir = bench.dir(&bench.start("r1").await);
    bench.restart().await;
    let other = rusqlite::Connection::open(bench.project.store.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let reconciled = bench.supervisor.reconcile(Scope::Startup);
    let found = tokio::time::timeout(PATIENCE, reconciled).await.unwrap();
    assert_eq!((found.adopted, bench.supervisor.running()), (1, 1));
    drop(other);
    bench.stage.end(&dir);
    bench.ended(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_whose_shim_is_gone_is_lost() {
    let mut bench = Bench::new(8, 8).await;
    let dir = bench.dir(&bench.start("r1").await);
    bench.restart().await;
    bench.stage.vanish(&dir);
    let found = bench.supervisor.reconcile(Scope::Startup).await;
    assert_eq!(found.lost, 1);
    let ended = bench.ended(1).await;
    assert_eq!(ended.error.as_deref(), Some("shim lost"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_whose_shim_never_took_over_was_never_started() {
    let mut bench = Bench::new(8, 8).await;
    let dir = bench.dir(&bench.start("r1").await);
    bench.restart().await;
    bench.stage.vanish(&dir);
    fs::remove_file(dir.state()).unwrap();
    bench.supervisor.reconcile(Scope::Startup).await;
    let ended = bench.ended(1).await;
    assert_eq!(outcome(&ended), "never_started");
    assert_eq!(ended.error.as_deref(), Some("its shim never took over"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_exit_record_does_not_keep_a_row_running() {
    let mut bench = Bench::new(8, 8).await;
    let dir = bench.dir(&bench.start("r1").await);
    bench.restart().await;
    fs::write(dir.exit(), "{\"proto\":1,\"end\":").unwrap();
    bench.stage.vanish(&dir);
    bench.supervisor.reconcile(Scope::Startup).await;
    let ended = bench.ended(1).await;
    assert_eq!(outcome(&ended), "lost");
    assert!(ended.error.unwrap().contains("exit record"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_specification_does_not_keep_a_row_running() {
    for is_recorded in [true, false] {
        let mut bench = Bench::new(8, 8).await;
        let dir = bench.dir(&bench.start("r1").await);
        bench.restart().await;
        fs::write(dir.spec(), "{\"proto\":1,\"uuid\":").unwrap();
        bench.supervisor.reconcile(Scope::Startup).await;
        assert!(!bench.row(1).await.phase.is_ended(), "its shim lives");
        match is_recorded {
            true => bench.stage.end(&dir),
            false => bench.stage.vanish(&dir),
        }
        let found = bench.supervisor.reconcile(Scope::Wakeup).await;
        let counts = (usize::from(is_recorded), usize::from(!is_recorded));
        assert_eq!((found.finished, found.lost), counts);
        let ended = bench.row(1).await;
        let wanted = if is_recorded { "interrupted" } else { "lost" };
        assert_eq!(outcome(&ended), wanted);
        let error = ended.error.unwrap();
        assert!(error.contains("specification is damaged"), "{error}");
        assert!(bench.log(1).contains("specification is damaged"));
        assert_eq!(bench.supervisor.degraded(), Vec::<String>::new());
        let found = bench.supervisor.reconcile(Scope::Startup).await;
        assert_eq!(found, Reconciled::default());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_declared_lost_whose_lock_is_held() {
    let bench = Bench::new(8, 8).await;
    let dir = bench.dir(&bench.start("r1").await);
    let spec = Spec::load(&dir).unwrap();
    let lost = || End::Lost {
        error: "shim lost".to_owned(),
    };
    assert!(lost::close(&spec, &dir, lost()).is_err());
    assert_eq!(ExitRecord::load(&dir).unwrap(), None);
    bench.stage.vanish(&dir);
    // Its job may have the lock, to say the same.
    eventually(async || lost::close(&spec, &dir, lost()).ok()).await;
    assert!(ExitRecord::load(&dir).unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_of_the_host_nothing_is_killed() {
    let mut bench = Bench::new(8, 8).await;
    let dir = bench.dir(&bench.start("r1").await);
    bench.restart().await;
    bench.stage.vanish(&dir);
    let mut spec = Spec::load(&dir).unwrap();
    spec.boot_id = "another".to_owned();
    spec.store(&dir).unwrap();
    let mut bystander = std::process::Command::new("sleep")
        .arg("60")
        .env(steroids_shim::tree::MARKER, &spec.uuid)
        .spawn()
        .unwrap();
    bench.supervisor.reconcile(Scope::Startup).await;
    let ended = bench.ended(1).await;
    assert_eq!(ended.error.as_deref(), Some("host restarted"));
    assert!(bystander.try_wait().unwrap().is_none());
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_killed_between_last_line_and_row_writes_the_line_once() {
    let mut bench = Bench::new(8, 8).await;
    let dir = bench.dir(&bench.start("r1").await);
    bench.restart().await;
    bench.stage.vanish(&dir);
    bench.take_away(&dir);
    let exit = ExitRecord {
        proto: PROTOCOL,
        end: End::never_started("never started"),
        ended_ms: 1_700_000_000_000,
        spool_length: 0,
        rusage: None,
    };
    let row = bench.row(1).await;
    crate::projection::write_stub(bench.project.logs(), &row, &exit).unwrap();
    bench.supervisor.reconcile(Scope::Startup).await;
    bench.ended(1).await;
    assert_eq!(bench.log(1).matches("\"type\":\"error\"").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_without_a_folder_ends_and_hides_no_compressed_log() {
    let mut bench = Bench::new(8, 8).await;
    let dir = bench.dir(&bench.start("r1").await);
    bench.restart().await;
    bench.stage.vanish(&dir);
    bench.take_away(&dir);
    let (logs, id) = (bench.project.logs().clone(), bench.row(1).await.id);
    fs::write(
        logs.path(id),
        "{\"ts\":1,\"type\":\"output\"}\n".repeat(1000),
    )
    .unwrap();
    assert!(matches!(logs.pack(id, &|| false), Ok(Saved::Bytes(_))));
    bench.supervisor.reconcile(Scope::Startup).await;
    bench.ended(1).await;
    assert!(logs.is_packed(id), "no stub in its place");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_whose_folder_is_only_looked_at_is_not_told_to_run() {
    let bench = Bench::new(8, 1).await;
    bench.start("r1").await;
    let waits = bench.start("r2").await.managed.unwrap().uuid;
    let looked_at = bench.supervisor.inner.enter(&waits);
    assert!(looked_at.is_some());
    assert_eq!(bench.supervisor.running(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_many_end_at_once_has_one_end_in_its_log() {
    let mut bench = Bench::new(8, 8).await;
    let dir = bench.dir(&bench.start("r1").await);
    bench.restart().await;
    bench.stage.vanish(&dir);
    bench.take_away(&dir);
    let path = bench.project.logs().path(bench.row(1).await.id);
    fs::remove_file(&path).unwrap();
    let inner = &bench.supervisor.inner;
    let end = || {
        let (inner, project) = (Arc::clone(inner), Arc::clone(&bench.project));
        tokio::spawn(async move {
            let error = "copied".to_owned();
            open_rows::end_without_folder(&inner, &project, 1, End::Lost { error }).await;
        })
    };
    let ends: Vec<_> = (0..100).map(|_| end()).collect();
    for end in ends {
        end.await.unwrap();
    }
    assert!(bench.row(1).await.phase.is_ended());
    assert_eq!(bench.log(1).lines().count(), 2, "{}", bench.log(1));
}

/// In epoch milliseconds.
const LAST_NIGHT: u64 = 1_795_343_076_000;

/// Began last night, and printed five seconds later.
fn began_last_night(dir: &InvDir) {
    let mut spec = Spec::load(dir).unwrap();
    spec.created_ms = LAST_NIGHT;
    spec.store(dir).unwrap();
    let mut spool = Writer::create(&dir.spool()).unwrap();
    let at = LAST_NIGHT + 5_000;
    spool.output(at, 1, Stream::Stdout, b"works\n").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_found_lost_ended_with_its_last_sign_of_life_unless_somebody_was_there() {
    let mut bench = Bench::new(8, 8).await;
    let dirs = [bench.start("r1").await, bench.start("r2").await].map(|it| bench.dir(&it));
    let third = bench.dir(&bench.start("r3").await);
    bench.restart().await;
    dirs.iter().for_each(began_last_night);
    bench.stage.vanish(&dirs[0]);
    // Of another boot, and clocks may differ: never before its start.
    let mut spec = Spec::load(&third).unwrap();
    spec.boot_id = "another".to_owned();
    spec.created_ms = lost::now_ms();
    spec.store(&third).unwrap();
    let mut spool = Writer::create(&third.spool()).unwrap();
    spool.output(1, 1, Stream::Stdout, b"works\n").unwrap();
    bench.stage.vanish(&third);
    let began = lost::now_ms();
    bench.supervisor.reconcile(Scope::Startup).await;
    let ended = bench.ended(1).await;
    assert_eq!(outcome(&ended), "lost");
    assert_eq!(ended.duration_ms, Some(5_000));
    assert_eq!(ended.completed_ms, Some(signed(LAST_NIGHT + 5_000)));
    let last = bench.log(1).lines().last().unwrap().to_owned();
    let said = format!("\"ts\":{}", LAST_NIGHT + 5_000);
    assert!(last.contains(&said), "{last}");
    let ended = bench.ended(3).await;
    assert_eq!(ended.duration_ms, Some(0));
    assert_eq!(ended.completed_ms, Some(signed(spec.created_ms)));
    // This one runs on, and its shim is killed while the daemon looks.
    bench.stage.vanish(&dirs[1]);
    let ended = bench.ended(2).await;
    assert_eq!(outcome(&ended), "lost");
    assert!(ended.completed_ms >= Some(signed(began)), "{ended:?}");
}

fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap()
}
