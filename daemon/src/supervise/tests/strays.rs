//! What cannot be taken up at first: it has its place all the same, and its job as soon as can be.

use super::*;
use crate::domain::queue::Reason;

/// Another project, which is there.
async fn another(bench: &Bench) -> PathBuf {
    let folder = bench.project.root.with_file_name("another");
    fs::create_dir(&folder).unwrap();
    bench.projects.register(&folder, true).await.unwrap();
    folder
}

fn move_away(bench: &Bench) -> PathBuf {
    let away = bench.project.root.with_file_name("away");
    fs::rename(&bench.project.root, &away).unwrap();
    away
}

fn come_back(bench: &Bench, away: &Path) {
    fs::rename(away, &bench.project.root).unwrap();
}

async fn start_in(bench: &Bench, project: &Path, name: &str) -> Invocation {
    let request = StartRequest {
        project: project.to_owned(),
        ..bench.request(name)
    };
    bench.supervisor.start(request).await.unwrap().0
}

fn reason(bench: &Bench, row: &Invocation) -> Option<Reason> {
    let uuid = &row.managed.as_ref().unwrap().uuid;
    bench.supervisor.waits(uuid).map(|waits| waits.reason)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_runs_in_a_project_that_is_away_has_its_place() {
    let mut bench = Bench::new(8, 1).await;
    let dir = bench.dir(&bench.start("r1").await);
    let there = another(&bench).await;
    let away = move_away(&bench);
    bench.restart().await;
    bench.supervisor.reconcile(Scope::Startup).await;
    assert_eq!(bench.supervisor.running(), 1, "it has a place, and no job");
    let said = bench.supervisor.degraded().join("\n");
    assert!(
        said.contains("an unfinished invocation cannot be taken up"),
        "{said}"
    );
    let second = start_in(&bench, &there, "r2").await;
    assert_eq!(reason(&bench, &second), Some(Reason::Full(1)));
    // However often it is looked at, it has one place.
    bench.supervisor.reconcile(Scope::Wakeup).await;
    assert_eq!(reason(&bench, &second), Some(Reason::Full(1)));
    come_back(&bench, &away);
    bench.supervisor.reconcile(Scope::Wakeup).await;
    assert_eq!(bench.supervisor.running(), 1);
    let said = bench.supervisor.degraded().join("\n");
    assert!(!said.contains("cannot be taken up"), "{said}");
    assert_eq!(reason(&bench, &second), Some(Reason::Full(1)));
    bench.stage.end(&dir);
    assert_eq!(bench.launched(2).await, bench.dir(&second));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_is_free_when_its_shim_is_gone_whatever_became_of_the_project() {
    let mut bench = Bench::new(8, 1).await;
    let dir = bench.dir(&bench.start("r1").await);
    let there = another(&bench).await;
    let away = move_away(&bench);
    bench.restart().await;
    bench.supervisor.reconcile(Scope::Startup).await;
    let second = start_in(&bench, &there, "r2").await;
    assert_eq!(reason(&bench, &second), Some(Reason::Full(1)));
    bench.stage.end(&dir);
    bench.supervisor.reconcile(Scope::Wakeup).await;
    assert_eq!(bench.launched(2).await, bench.dir(&second));
    come_back(&bench, &away);
    bench.supervisor.reconcile(Scope::Wakeup).await;
    bench.ended(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_that_comes_back_is_taken_up_without_a_wakeup() {
    let mut bench = Bench::new(8, 1).await;
    let runs = bench.dir(&bench.start("r1").await);
    let waits = bench.start("r2").await;
    let away = move_away(&bench);
    bench.restart().await;
    bench.supervisor.reconcile(Scope::Startup).await;
    // Meanwhile it stands in the line as it did.
    assert_eq!(bench.supervisor.queued(), 1);
    bench.supervisor.inner.line.show(0);
    let uuid = &waits.managed.as_ref().unwrap().uuid;
    let stands = bench.supervisor.waits(uuid).unwrap();
    assert_eq!((stands.place, stands.of), (1, 1));
    let is_told = |why: &str| why.contains("steroidsctl projects forget");
    assert!(matches!(stands.reason, Reason::Blocked(why) if is_told(&why)));
    let supervisor = bench.supervisor.clone();
    bench.jobs.spawn(supervisor.look_after_strays());
    come_back(&bench, &away);
    bench.projects.get(&bench.project.root).await.unwrap();
    eventually(async || (bench.supervisor.running() == 1).then_some(())).await;
    eventually(async || (bench.supervisor.queued() == 1).then_some(())).await;
    bench.stage.end(&runs);
    assert_eq!(bench.launched(2).await, bench.dir(&waits));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_that_does_not_answer_holds_up_no_other_ones_turn() {
    let bench = Bench::new(8, 2).await;
    let there = another(&bench).await;
    let first = bench.start("r1").await;
    let runs = start_in(&bench, &there, "r2").await;
    let waits = start_in(&bench, &there, "r3").await;
    let after = StartRequest {
        after: vec![first.id],
        ..bench.request("r4")
    };
    bench.supervisor.start(after).await.unwrap();
    // Asked before anybody else does, so it is the first to hear that there is no answer.
    let turn = bench.projects.turn(&bench.project.root).await;
    let mut no_answer = Box::pin(bench.projects.get(&bench.project.root));
    assert!(futures_util::poll!(no_answer.as_mut()).is_pending());
    bench.supervisor.look_at_queue();
    bench.stage.end(&bench.dir(&runs));
    tokio::select! {
        biased;
        dir = bench.launched(3) => assert_eq!(dir, bench.dir(&waits)),
        _ = no_answer => panic!("it waited for the other project"),
    }
    drop(turn);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stray_whose_specification_is_gone_has_its_place_while_its_shim_lives_and_no_longer() {
    let damages: [fn(PathBuf) -> std::io::Result<()>; 2] =
        [|spec| fs::remove_file(spec), |spec| fs::write(spec, "{")];
    for damage in damages {
        let mut bench = Bench::new(8, 1).await;
        let dir = bench.dir(&bench.start("r1").await);
        let there = another(&bench).await;
        move_away(&bench);
        bench.restart().await;
        bench.supervisor.reconcile(Scope::Startup).await;
        damage(dir.spec()).unwrap();
        let second = start_in(&bench, &there, "r2").await;
        bench.supervisor.reconcile(Scope::Wakeup).await;
        assert_eq!(reason(&bench, &second), Some(Reason::Full(1)));
        bench.stage.vanish(&dir);
        bench.supervisor.reconcile(Scope::Wakeup).await;
        assert_eq!(bench.launched(2).await, bench.dir(&second));
    }
}

/// One that ran in the bench's project and is over, with nothing left to do. Its project is away.
async fn one_is_over_and_its_project_away(bench: &mut Bench) -> (InvDir, PathBuf) {
    let dir = bench.dir(&bench.start("r1").await);
    bench.stage.end(&dir);
    bench.ended(1).await;
    eventually(async || dir.projected().exists().then_some(())).await;
    let away = move_away(bench);
    bench.restart().await;
    (dir, away)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_what_is_over_nothing_is_told_when_its_project_is_away() {
    let mut bench = Bench::new(8, 8).await;
    let (dir, _) = one_is_over_and_its_project_away(&mut bench).await;
    bench.supervisor.reconcile(Scope::Startup).await;
    bench.supervisor.reconcile(Scope::Registered).await;
    assert_eq!(bench.supervisor.degraded(), Vec::<String>::new());

    // Perhaps its row is not final.
    fs::remove_file(dir.projected()).unwrap();
    bench.supervisor.reconcile(Scope::Startup).await;
    let said = bench.supervisor.degraded().join("\n");
    assert!(
        said.contains("an ended invocation cannot be taken up"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_is_put_back_into_the_older_database_that_its_project_comes_back_with() {
    let mut bench = Bench::new(8, 8).await;
    let steroids = |root: &Path| Project::database_folder(root);
    let older = bench.project.root.with_file_name("older");
    fs::create_dir(&older).unwrap();
    for file in fs::read_dir(steroids(&bench.project.root)).unwrap() {
        let file = file.unwrap();
        if file.file_type().unwrap().is_file() {
            fs::copy(file.path(), older.join(file.file_name())).unwrap();
        }
    }
    let (_, away) = one_is_over_and_its_project_away(&mut bench).await;
    bench.supervisor.reconcile(Scope::Startup).await;
    let supervisor = bench.supervisor.clone();
    bench.jobs.spawn(supervisor.look_after_strays());
    fs::remove_dir_all(steroids(&away)).unwrap();
    fs::rename(&older, steroids(&away)).unwrap();
    come_back(&bench, &away);
    eventually(async || {
        let project = bench.projects.get(&bench.project.root).await.ok()?;
        let row = project.store.invocation(InvocationId::new(1).unwrap());
        row.await.ok()??.phase.is_ended().then_some(())
    })
    .await;
}
