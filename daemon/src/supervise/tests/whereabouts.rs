//! A project that is deleted, made anew or replaced under a job.

use std::os::unix::fs::PermissionsExt as _;

use steroids_provider::activity::Stream;
use steroids_shim::spool::{Limited, Writer};

use super::*;
use crate::supervise::reconcile::uuid_of;

/// A run that has printed something, which is in its log.
struct Scene {
    bench: Bench,
    dir: InvDir,
    spool: Writer,
}

impl Scene {
    async fn new() -> Scene {
        let bench = Bench::new(8, 1).await;
        let dir = bench.dir(&bench.start("r1").await);
        let mut spool = Writer::create(&dir.spool()).unwrap();
        spool.output(2, 2, Stream::Stdout, b"before\n").unwrap();
        let mut scene = Scene { bench, dir, spool };
        scene.logged("before").await;
        let supervisor = scene.bench.supervisor.clone();
        scene.bench.jobs.spawn(supervisor.clone().keep());
        scene.bench.jobs.spawn(supervisor.look_after_strays());
        scene
    }

    async fn logged(&mut self, words: &str) {
        let log = self
            .bench
            .project
            .logs()
            .path(InvocationId::new(1).unwrap());
        eventually(async || {
            let text = fs::read_to_string(&log).ok()?;
            text.contains(words).then_some(())
        })
        .await;
    }

    fn prints(&mut self, line: &str) {
        let line = format!("{line}\n");
        self.spool
            .output(3, 3, Stream::Stdout, line.as_bytes())
            .unwrap();
    }

    fn root(&self) -> PathBuf {
        self.bench.project.root.clone()
    }

    async fn deleted(&self) {
        // The job may be writing in it.
        eventually(async || fs::remove_dir_all(self.root()).ok()).await;
    }

    async fn made_anew(&self) {
        fs::create_dir(self.root()).unwrap();
        self.bench
            .projects
            .register(&self.root(), true)
            .await
            .unwrap();
    }

    /// `status` says that somebody has to do something.
    async fn is_told(&self, words: &str) {
        eventually(async || {
            let said = self.bench.supervisor.degraded().join("\n");
            (said.contains(words) && said.contains("steroidsctl init")).then_some(())
        })
        .await;
    }

    /// Its row is there again, and final.
    async fn ended(&self) {
        eventually(async || {
            let project = self.bench.projects.get(&self.root()).await.ok()?;
            let row = project.store.invocation(InvocationId::new(1).unwrap());
            let row = row.await.ok()??;
            row.phase.is_ended().then_some(())
        })
        .await;
    }

    async fn events(&self, kinds: &[&str]) -> Vec<String> {
        eventually(async || {
            let project = self.bench.projects.get(&self.root()).await.ok()?;
            let events = project.store.events(0, 100).await.ok()?;
            let told: Vec<_> = events.into_iter().map(|event| event.kind).collect();
            let has = |kind: &&str| told.iter().any(|told| told == kind);
            kinds.iter().all(has).then_some(told)
        })
        .await
    }
}

/// Another project, in which one waits for a place.
async fn waits_elsewhere(bench: &Bench) -> InvDir {
    let folder = bench.project.root.with_file_name("another");
    fs::create_dir(&folder).unwrap();
    bench.projects.register(&folder, true).await.unwrap();
    let request = StartRequest {
        project: folder,
        ..bench.request("r2")
    };
    let second = bench.supervisor.start(request).await.unwrap().0;
    assert_eq!(second.phase, Phase::Queued);
    bench.dir(&second)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_ends_without_its_project_gives_its_place_back_and_is_finished_when_that_is_back()
{
    let mut scene = Scene::new().await;
    let second = waits_elsewhere(&scene.bench).await;
    scene.deleted().await;
    scene.prints("after");
    scene.is_told("it goes on").await;
    assert_eq!(
        scene.bench.supervisor.running(),
        1,
        "it is supervised all the same"
    );
    scene.bench.stage.end(&scene.dir);
    assert_eq!(scene.bench.launched(2).await, second);
    scene.is_told("cannot be taken up").await;

    scene.made_anew().await;
    scene.ended().await;
    let log = scene.bench.log(1);
    assert!(log.contains("before") && log.contains("after"), "{log}");
    let said = scene.bench.supervisor.degraded().join("\n");
    assert!(!said.contains(scene.root().to_str().unwrap()), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_whose_shim_vanishes_without_its_project_gives_its_place_back() {
    let mut scene = Scene::new().await;
    let second = waits_elsewhere(&scene.bench).await;
    scene.deleted().await;
    scene.prints("after");
    scene.is_told("it goes on").await;
    scene.bench.stage.vanish(&scene.dir);
    assert_eq!(scene.bench.launched(2).await, second);
    scene.is_told("cannot be taken up").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_without_a_project_says_what_has_become_of_it() {
    let mut scene = Scene::new().await;
    scene.deleted().await;
    scene.prints("after");
    scene.is_told("it goes on").await;
    let (supervisor, root) = (scene.bench.supervisor.clone(), scene.root());
    let id = InvocationId::new(1).unwrap();
    let stopping = tokio::spawn(async move { supervisor.stop(&root, id, None, None).await });
    scene.bench.stage.end(&scene.dir);
    let stopped = stopping.await.unwrap();
    assert!(
        matches!(stopped, Err(StopError::Homeless { .. })),
        "{stopped:?}"
    );
    let (supervisor, root) = (&scene.bench.supervisor, scene.root());
    let other = supervisor
        .stop(&root, InvocationId::new(2).unwrap(), None, None)
        .await;
    assert!(matches!(other, Err(StopError::Project(_))), "{other:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_goes_on_in_a_project_that_was_made_anew_under_its_path() {
    let mut scene = Scene::new().await;
    scene.deleted().await;
    scene.made_anew().await;
    scene.prints("after");
    scene.logged("after").await;
    assert!(scene.bench.log(1).contains("before"));
    scene.events(&["log_rebuilt"]).await;
    scene.bench.stage.end(&scene.dir);
    scene.ended().await;
    assert!(scene.bench.log(1).contains("complete"));
    // Its job ends a moment after its row.
    eventually(async || scene.bench.supervisor.degraded().is_empty().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_goes_on_in_no_project_in_which_its_id_is_another_ones() {
    let mut scene = Scene::new().await;
    let other = waits_elsewhere(&scene.bench).await;
    let root = scene.root();
    let (theirs, aside) = (root.with_file_name("another"), root.with_file_name("aside"));
    fs::rename(&root, &aside).unwrap();
    fs::rename(&theirs, &root).unwrap();
    scene.prints("after");
    scene.is_told("invocation 1 of").await;
    let row = {
        let project = scene.bench.projects.get(&root).await.unwrap();
        let row = project.store.invocation(InvocationId::new(1).unwrap());
        row.await.unwrap().unwrap()
    };
    let managed = row.managed.unwrap();
    assert_eq!((row.phase, managed.log_generation), (Phase::Queued, 0));
    assert!(other.path().ends_with(&managed.uuid));
    assert!(!root.join(".steroids/invocations/1.log").exists());
    // Back at its place it has all that was printed meanwhile.
    fs::rename(&root, &theirs).unwrap();
    fs::rename(&aside, &root).unwrap();
    scene.logged("after").await;
    assert!(scene.bench.log(1).contains("before"));
    scene.bench.stage.end(&scene.dir);
    scene.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_database_is_refilled_nobody_can_say_what_it_does_not_have() {
    let mut bench = Bench::new(8, 8).await;
    let dir = bench.dir(&bench.start("r1").await);
    let root = bench.project.root.clone();
    let (running, other) = (InvocationId::new(1).unwrap(), InvocationId::new(7).unwrap());
    let cared = bench.supervisor.cared(&root);
    assert!(cared.has_project() && cared.has(running) && cared.has_task("task-r1"));
    assert!(!cared.has(other) && !cared.has_task("another"));
    let elsewhere = bench.supervisor.cared(&root.with_file_name("another"));
    assert!(!elsewhere.has_project() && !elsewhere.has(running));

    bench.stage.end(&dir);
    bench.ended(1).await;
    bench.restart().await;
    let before = bench.supervisor.cared(&root);
    assert!(!before.has_project());
    fs::remove_dir_all(root.join(".steroids")).unwrap();
    let (_project, refill) = bench.projects.revive(&root).await.unwrap();
    assert!(bench.supervisor.cared(&root).has(running));
    drop(refill.expect("it was made anew"));
    assert!(!bench.supervisor.cared(&root).has(running));
    // What was looked for in between may have been put back since.
    assert!(before.has(running) && before.has_task("task-r1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_in_a_folder_that_was_moved_ends_there_once_that_is_registered() {
    let mut scene = Scene::new().await;
    let moved = scene.root().with_file_name("moved");
    fs::rename(scene.root(), &moved).unwrap();
    scene.prints("after");
    scene.bench.stage.end(&scene.dir);
    scene.is_told("cannot be taken up").await;
    let (project, _) = scene.bench.projects.register(&moved, false).await.unwrap();
    let id = InvocationId::new(1).unwrap();
    eventually(async || {
        let row = project.store.invocation(id).await.ok()??;
        row.phase.is_ended().then_some(())
    })
    .await;
    let log = fs::read_to_string(project.logs().path(id)).unwrap();
    let has = |words| log.contains(words);
    assert!(has("before") && has("after") && has("complete"), "{log}");
    assert_eq!(scene.bench.supervisor.degraded(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_in_a_folder_that_was_moved_and_registered_ends_there() {
    let mut scene = Scene::new().await;
    let moved = scene.root().with_file_name("moved");
    fs::rename(scene.root(), &moved).unwrap();
    let (project, _) = scene.bench.projects.register(&moved, false).await.unwrap();
    scene.prints("after");
    let id = InvocationId::new(1).unwrap();
    eventually(async || {
        let log = fs::read_to_string(project.logs().path(id)).ok()?;
        log.contains("after").then_some(())
    })
    .await;
    scene.bench.stage.end(&scene.dir);
    eventually(async || {
        let row = project.store.invocation(id).await.ok()??;
        row.phase.is_ended().then_some(())
    })
    .await;
    assert!(!scene.root().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_tells_reaches_the_database_that_took_the_place_of_a_deleted_one() {
    let mut scene = Scene::new().await;
    let before = scene.bench.project().await;
    eventually(async || fs::remove_dir_all(scene.root().join(".steroids")).ok()).await;
    eventually(async || {
        let now = scene.bench.projects.get(&scene.root()).await.ok()?;
        (!Arc::ptr_eq(&now, &before)).then_some(())
    })
    .await;
    let limit = limit(Limited::Silence, 9, "no output for 12m");
    scene.spool.control(4, 4, &limit).unwrap();
    scene.events(&["log_rebuilt", "stalled"]).await;
    scene.prints("after");
    scene.events(&["resumed"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_where_its_project_was_is_told_where_that_was_moved_to() {
    let mut scene = Scene::new().await;
    let refused = rusqlite::Connection::open(scene.bench.project.store.path()).unwrap();
    refused.execute_batch(REFUSE).unwrap();
    let limit = limit(Limited::Wall, 9, "runs for 12m");
    scene.spool.control(4, 4, &limit).unwrap();
    let supervisor = scene.bench.supervisor.clone();
    let uuid = uuid_of(&scene.dir);
    // Told in the same breath.
    eventually(async || {
        let live = supervisor.vitals(&uuid).live?;
        (!live.limit.is_empty()).then_some(())
    })
    .await;
    let moved = scene.root().with_file_name("moved");
    fs::rename(scene.root(), &moved).unwrap();
    // What is there now cannot be asked, so nobody knows what it is.
    fs::create_dir(scene.root()).unwrap();
    fs::set_permissions(scene.root(), fs::Permissions::from_mode(0o777)).unwrap();
    let (project, _) = scene.bench.projects.register(&moved, false).await.unwrap();
    scene.prints("after");
    scene.bench.stage.end(&scene.dir);
    refused.execute_batch("DROP TRIGGER no").unwrap();
    let kinds = eventually(async || {
        let events = project.store.events(0, 100).await.ok()?;
        let kinds: Vec<_> = events.into_iter().map(|event| event.kind).collect();
        kinds.contains(&"finished".to_owned()).then_some(kinds)
    })
    .await;
    assert_eq!(kinds, ["started", "stalled", "finished"]);
}
