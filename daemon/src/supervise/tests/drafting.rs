//! The folder of the next invocation, and what a daemon finds of the one before it.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use steroids_shim::spec::Spec;

use super::*;

impl Bench {
    fn drafts(&self) -> Vec<InvDir> {
        let entries = fs::read_dir(self.supervisor.state_dir().join("drafts"));
        let entries = entries.into_iter().flatten();
        entries
            .map(|entry| InvDir::at(entry.unwrap().path()))
            .collect()
    }

    /// The one for the next start, once it can be taken.
    async fn draft(&self) -> InvDir {
        let ready = eventually(async || self.supervisor.inner.drafts.ready_in()).await;
        InvDir::at(ready)
    }

    /// As if a power loss had taken the name back.
    fn unname(&self, dir: &InvDir) -> InvDir {
        let name = dir.path().file_name().unwrap();
        let draft = self.supervisor.state_dir().join("drafts").join(name);
        fs::rename(dir.path(), &draft).unwrap();
        InvDir::at(draft)
    }
}

fn inode(dir: &InvDir) -> u64 {
    fs::metadata(dir.path()).unwrap().ino()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_takes_the_folder_that_is_there_and_a_long_one_makes_its_own() {
    let mut bench = Bench::new(8, 8).await;
    bench.start("r1").await;
    let draft = bench.draft().await;
    let made = inode(&draft);
    let started = bench.start("r2").await;
    let dir = bench.dir(&started);
    assert_eq!(inode(&dir), made);
    assert_eq!(dir.path().file_name(), draft.path().file_name());
    let spec = Spec::load(&dir).unwrap();
    assert_eq!((spec.invocation, spec.request_id.as_str()), (2, "r2"));
    for file in fs::read_dir(dir.path()).unwrap() {
        let mode = file.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    bench.draft().await;
    let mut long = bench.request("r3");
    long.env.insert("LONG".to_owned(), "x".repeat(20_000));
    let third = bench.supervisor.start(long).await.unwrap().0;
    let dir = bench.dir(&third);
    let spec = fs::read(dir.spec()).unwrap();
    assert!(spec.ends_with(b"}\n"), "a draft is filled up");
    assert_eq!(Spec::load(&dir).unwrap().invocation, 3);
    bench.draft().await;
    bench.restart().await;
    assert_eq!(bench.drafts(), [], "nobody took the last");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_refused_leaves_the_folder_to_the_next() {
    let bench = Bench::new(8, 8).await;
    let first = bench.start("r1").await;
    let draft = bench.draft().await;
    assert_eq!(bench.start("r1").await.id, first.id);
    let mut twice = bench.request("r2");
    twice.task = first.task.clone();
    bench.supervisor.start(twice).await.unwrap_err();
    assert_eq!(bench.draft().await, draft);
    let next = bench.start("r3").await;
    assert_eq!(
        bench.dir(&next).path().file_name(),
        draft.path().file_name()
    );
    let all = fs::read_dir(bench.supervisor.state_dir().join("inv"));
    assert_eq!(all.unwrap().count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_has_to_wait_leaves_none_and_has_a_name_of_its_own() {
    let bench = Bench::new(8, 1).await;
    let runs = bench.dir(&bench.start("r1").await);
    let draft = bench.draft().await;
    let waits = bench.start("r2").await;
    let next = bench.draft().await;
    assert_ne!(next, draft);
    assert!(eventually(async || (!draft.path().exists()).then_some(true)).await);
    assert!(bench.dir(&waits).queued().exists());
    bench.stage.end(&runs);
    bench.launched(2).await;
    assert_eq!(Spec::load(&bench.dir(&waits)).unwrap().invocation, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_a_power_loss_took_back_is_given_again() {
    let mut bench = Bench::new(8, 8).await;
    let (runs, begun) = (bench.start("r1").await, bench.start("r2").await);
    let (runs, begun) = (bench.dir(&runs), bench.dir(&begun));
    let specs = [&runs, &begun].map(|dir| Spec::load(dir).unwrap());
    bench.draft().await;
    bench.restart().await;
    // Of the second only the row says that it was to begin.
    bench.stage.vanish(&begun);
    fs::remove_file(begun.state()).unwrap();
    bench.unname(&runs);
    bench.unname(&begun);
    bench.supervisor.reconcile(Scope::Startup).await;
    assert_eq!([&runs, &begun].map(|dir| Spec::load(dir).unwrap()), specs);
    assert_eq!(outcome(&bench.ended(2).await), "never_started");
    // Its job ends a moment after its row.
    eventually(async || (bench.supervisor.running() == 1).then_some(())).await;
    bench.stage.end(&runs);
    bench.ended(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_is_nobodys_without_a_row_unless_a_shim_was_at_work() {
    let mut bench = Bench::new(8, 8).await;
    for (request, has_traces) in [("r1", false), ("r2", true)] {
        let begun = bench.start(request).await;
        let dir = bench.dir(&begun);
        let unfilled = bench.draft().await;
        bench.restart().await;
        let draft = bench.unname(&dir);
        bench.stage.vanish(&dir);
        let db = rusqlite::Connection::open(bench.project.store.path()).unwrap();
        for (table, id) in [
            ("steroidsd_invocations", "invocation_id"),
            ("task_invocations", "id"),
        ] {
            let delete = format!("DELETE FROM {table} WHERE {id} = {}", begun.id);
            db.execute(&delete, []).unwrap();
        }
        if !has_traces {
            fs::remove_file(draft.state()).unwrap();
        }
        fs::create_dir(unfilled.path()).unwrap();
        fs::write(unfilled.spec(), [0; 100]).unwrap();
        bench.supervisor.reconcile(Scope::Startup).await;
        assert_eq!(dir.spec().exists(), has_traces, "{request}");
        assert!(!draft.path().exists() && !unfilled.path().exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_or_asked_for_is_not_removed() {
    let mut bench = Bench::new(8, 8).await;
    let drafts = bench.supervisor.state_dir().join("drafts");
    let mut spec = Spec::load(&bench.dir(&bench.start("r1").await)).unwrap();
    bench.draft().await;
    bench.restart().await;
    // Of a project that is not there; of a later release; a folder that is somebody else's.
    let (away, later) = (
        uuid::Uuid::new_v4().to_string(),
        uuid::Uuid::new_v4().to_string(),
    );
    spec.project = "/no/such/project".into();
    for uuid in [&away, &later] {
        fs::create_dir(drafts.join(uuid)).unwrap();
    }
    spec.uuid = away.clone();
    spec.store(&InvDir::at(drafts.join(&away))).unwrap();
    fs::write(
        drafts.join(&later).join("spec.json"),
        "{\"proto\":99,\"x\":1}",
    )
    .unwrap();
    fs::create_dir(drafts.join("mine")).unwrap();
    fs::write(drafts.join("file"), "").unwrap();
    bench.supervisor.reconcile(Scope::Startup).await;
    let taken = |uuid: &str| {
        InvDir::new(bench.supervisor.state_dir(), uuid)
            .spec()
            .exists()
    };
    assert!(taken(&away) && taken(&later));
    assert!(drafts.join("mine").is_dir() && drafts.join("file").is_file());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_draft_cannot_become_the_state_folder_a_start_makes_its_own() {
    let bench = Bench::new(8, 8).await;
    bench.start("r1").await;
    let draft = bench.draft().await;
    // The name that it is to get is taken.
    let name = draft.path().file_name().unwrap();
    let taken = bench.supervisor.state_dir().join("inv").join(name);
    fs::create_dir(&taken).unwrap();
    fs::write(taken.join("mine"), "").unwrap();
    let started = bench.start("r2").await;
    assert_eq!(bench.dir(&started).path(), taken);
    assert_eq!(Spec::load(&bench.dir(&started)).unwrap().invocation, 2);
    assert!(!draft.path().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_that_is_torn_while_it_is_filled_is_no_specification() {
    let bench = Bench::new(8, 8).await;
    let mut spec = Spec::load(&bench.dir(&bench.start("r1").await)).unwrap();
    let dir = bench.draft().await;
    let draft = bench.supervisor.inner.drafts.lend().keep().unwrap();
    let empty = fs::read(dir.spec()).unwrap();
    spec.env.push(("WORDS".to_owned(), "words ".repeat(500)));
    assert!(draft.fill(&spec).unwrap());
    assert_eq!(Spec::load(&dir).unwrap(), spec);
    let whole = fs::read(dir.spec()).unwrap();
    let used = whole.iter().rposition(|byte| *byte == b'}').unwrap();
    for sector in (0..=used / 512).map(|sector| sector * 512) {
        let mut torn = whole.clone();
        torn[sector..sector + 512].copy_from_slice(&empty[sector..sector + 512]);
        fs::write(dir.spec(), torn).unwrap();
        assert!(Spec::load(&dir).is_err(), "{sector}");
    }
}
