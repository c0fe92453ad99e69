use std::os::unix::fs::symlink;
use std::path::PathBuf;

use steroids_shim::exit::End;
use steroids_shim::spec::PROTOCOL;
use tempfile::TempDir;

use super::*;
use crate::domain::{Evidence, InvocationId, Outcome};
use crate::projects::Projects;
use crate::retention::policy::LogLimits;
use crate::store::{Begun, Ending, NewInvocation};

const DAY: u64 = 24 * 60 * 60;

struct Room {
    state: TempDir,
    folder: TempDir,
    projects: Projects,
    project: Arc<Project>,
}

impl Room {
    async fn new() -> Room {
        let state = tempfile::tempdir().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let owner = state.path().to_str().unwrap().to_owned();
        let projects = Projects::open(state.path(), owner).await.unwrap();
        let (project, _) = projects.register(folder.path(), true).await.unwrap();
        Room {
            state,
            folder,
            projects,
            project,
        }
    }

    /// An invocation with a state folder of 5000 bytes and a log `days` old.
    async fn invocation(&self, name: u32, days: u64, outcome: Option<Outcome>) -> InvocationId {
        let uuid = uuid(name);
        let new = NewInvocation {
            task: "T".to_owned(),
            uuid: uuid.clone(),
            request_id: uuid.clone(),
            cwd: self.folder.path().to_owned(),
            ..NewInvocation::default()
        };
        let Begun::New(begun) = self.project.store.begin(new, None).await.unwrap() else {
            panic!("new");
        };
        let completed = now() - Duration::from_secs(days * DAY + 60);
        if let Some(outcome) = outcome {
            let ending = ending(outcome, completed);
            self.project.store.finish(begun.id, ending).await.unwrap();
        }
        fs::create_dir_all(self.spool(name)).unwrap();
        fs::write(self.spool(name).join("spool"), [b'x'; 5000]).unwrap();
        fs::write(self.project.logs().path(begun.id), "0123456789").unwrap();
        let file = fs::File::options()
            .write(true)
            .open(self.project.logs().path(begun.id));
        file.unwrap().set_modified(completed).unwrap();
        begun.id
    }

    fn spool(&self, name: u32) -> PathBuf {
        self.state.path().join("inv").join(uuid(name))
    }

    fn has_log(&self, id: InvocationId) -> bool {
        self.project.logs().path(id).exists()
    }
}

fn uuid(name: u32) -> String {
    format!("00000000-0000-4000-8000-{name:012}")
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn ending(outcome: Outcome, completed: SystemTime) -> Ending {
    let since = completed.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Ending {
        outcome,
        error: None,
        exit_code: 0,
        duration_ms: 1,
        completed_ms: i64::try_from(since.as_millis()).unwrap(),
        response: None,
        session_id: None,
        usage: None,
        price: None,
        rusage: None,
        leftovers: None,
        resets_at_ms: None,
        http_status: None,
        answering_model: None,
        frees_request: false,
        cause: None,
        evidence: Evidence::default(),
    }
}

#[tokio::test]
async fn old_logs_go_and_nothing_else() {
    let room = Room::new().await;
    let old = room.invocation(1, 9, Some(Outcome::Success)).await;
    let new = room.invocation(2, 1, Some(Outcome::Failed)).await;
    let running = room.invocation(3, 30, None).await;
    let logs = room.project.logs().folder().to_owned();
    let elsewhere = room.folder.path().join("elsewhere");
    fs::write(&elsewhere, "keep").unwrap();
    for (target, name) in [(&elsewhere, "77.log"), (&elsewhere, "x.log")] {
        symlink(target, logs.join(name)).unwrap();
    }
    fs::write(logs.join("078.log"), "not our name").unwrap();

    let dry = sweep_logs(&room, Some(7), true).await;
    assert!(room.has_log(old));
    let wet = sweep_logs(&room, Some(7), false).await;
    assert_eq!(dry, wet);
    assert_eq!((wet.files, wet.bytes, wet.kept_running), (1, 10, 1));
    assert_eq!(wet.failures, [""; 0]);
    assert!(!room.has_log(old) && room.has_log(new) && room.has_log(running));

    assert_eq!(sweep_logs(&room, None, false).await, Swept::default());
    let all = sweep_logs(&room, Some(0), false).await;
    assert_eq!((all.files, all.kept_running), (1, 1));
    assert!(room.has_log(running));
    for kept in ["README.txt", "77.log", "x.log", "078.log"] {
        assert!(logs.join(kept).symlink_metadata().is_ok(), "{kept}");
    }
    assert_eq!(fs::read(&elsewhere).unwrap(), b"keep");
}

async fn sweep_logs(room: &Room, days: Option<u32>, dry_run: bool) -> Swept {
    let alone = room.projects.upkeep().await;
    let limits = LogLimits {
        days,
        ..LogLimits::default()
    };
    let projects = [Arc::clone(&room.project)];
    logs(&projects, &alone, &limits, dry_run, now()).await
}

#[tokio::test]
async fn the_log_of_the_older_tools_running_invocation_stays() {
    let room = Room::new().await;
    let id = room.invocation(1, 30, Some(Outcome::Success)).await;
    let foreign = rusqlite::Connection::open(room.project.store.path()).unwrap();
    foreign
        .execute_batch(
            "DELETE FROM steroidsd_invocations;
             UPDATE task_invocations SET status = 'running', completed_at_ms = NULL;",
        )
        .unwrap();
    let swept = sweep_logs(&room, Some(0), false).await;
    assert_eq!((swept.files, swept.kept_running), (0, 1));
    assert!(room.has_log(id));
}

#[tokio::test]
async fn what_a_crash_left_of_a_log_that_was_being_made_goes_and_not_one_that_is() {
    let room = Room::new().await;
    let ended = room.invocation(1, 1, Some(Outcome::Success)).await;
    let running = room.invocation(2, 1, None).await;
    let half = |id| room.project.logs().path(id).with_extension("log.new");
    for id in [ended, running] {
        fs::write(half(id), "half").unwrap();
    }
    assert_eq!(sweep_logs(&room, Some(7), true).await.files, 0);
    assert!(half(ended).exists());
    let swept = sweep_logs(&room, None, false).await;
    assert_eq!(swept, Swept::default());
    assert!(!half(ended).exists() && half(running).exists());
    assert!(room.has_log(ended));
}

async fn sweep_spools(room: &Room, limits: SpoolLimits, dry_run: bool) -> Swept {
    let alone = room.projects.upkeep().await;
    let (state, projects) = (room.state.path(), &room.projects.all());
    let swept = spools(state, projects, &alone, limits, dry_run, now()).await;
    swept.unwrap()
}

#[tokio::test]
async fn spools_go_once_their_row_is_final_and_no_earlier() {
    let room = Room::new().await;
    room.invocation(1, 9, Some(Outcome::Success)).await;
    room.invocation(2, 3, Some(Outcome::Success)).await;
    room.invocation(3, 30, None).await;
    let inv = room.state.path().join("inv");
    let unknown = inv.join(uuid(4));
    fs::create_dir(&unknown).unwrap();
    fs::create_dir(inv.join("not-a-uuid")).unwrap();
    fs::create_dir(inv.join(".removing-half")).unwrap();

    let week = SpoolLimits {
        days: Some(7),
        max_bytes: None,
    };
    let dry = sweep_spools(&room, week, true).await;
    assert!(room.spool(1).exists() && inv.join(".removing-half").exists());
    let wet = sweep_spools(&room, week, false).await;
    assert_eq!(dry, wet);
    assert_eq!((wet.files, wet.kept_running, wet.failures.len()), (1, 1, 0));
    assert!(wet.bytes >= 5000, "{}", wet.bytes);
    assert!(!room.spool(1).exists() && !inv.join(".removing-half").exists());

    let none = SpoolLimits {
        days: None,
        max_bytes: Some(0),
    };
    assert_eq!(sweep_spools(&room, none, false).await.files, 1);
    assert!(!room.spool(2).exists());
    assert!(room.spool(3).exists() && unknown.exists() && inv.join("not-a-uuid").exists());
}

#[tokio::test]
async fn the_spool_of_one_that_lives_stays_whatever_its_row_says() {
    let room = Room::new().await;
    room.invocation(1, 9, Some(Outcome::Lost)).await;
    room.invocation(2, 9, Some(Outcome::Lost)).await;
    let lock = lock::acquire(&InvDir::at(room.spool(1)).lock()).unwrap();

    let week = SpoolLimits {
        days: Some(7),
        max_bytes: None,
    };
    let dry = sweep_spools(&room, week, true).await;
    let wet = sweep_spools(&room, week, false).await;
    assert_eq!(dry, wet);
    assert_eq!((wet.files, wet.kept_running, wet.failures.len()), (1, 1, 0));
    assert!(room.spool(1).exists() && !room.spool(2).exists());
    drop(lock);
    assert_eq!(sweep_spools(&room, week, false).await.files, 1);
}

/// The state folder of one whose project is gone, with a record of its end.
fn left_behind(room: &Room, name: u32, days: u64) -> InvDir {
    let dir = InvDir::at(room.spool(name));
    fs::create_dir_all(dir.path()).unwrap();
    fs::write(dir.spool(), [b'x'; 50_000]).unwrap();
    let ended = now() - Duration::from_secs(days * DAY + 60);
    let ended = ended.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let record = ExitRecord {
        proto: PROTOCOL,
        end: End::Lost {
            error: "shim lost".to_owned(),
        },
        ended_ms: u64::try_from(ended.as_millis()).unwrap(),
        spool_length: 0,
        rusage: None,
    };
    record.store(&dir).unwrap();
    fs::write(dir.projected(), b"").unwrap();
    dir
}

#[tokio::test]
async fn what_a_project_that_is_gone_has_left_goes_by_age_and_crowds_nobody_out() {
    let room = Room::new().await;
    room.invocation(1, 0, Some(Outcome::Success)).await;
    let (old, late) = (left_behind(&room, 2, 9), left_behind(&room, 3, 2));
    let unprojected = left_behind(&room, 4, 9);
    fs::remove_file(unprojected.projected()).unwrap();
    let limits = SpoolLimits {
        days: Some(7),
        max_bytes: Some(30_000),
    };
    let swept = sweep_spools(&room, limits, false).await;
    let gone: Vec<_> = swept.items.iter().map(|it| (&*it.name, it.why)).collect();
    assert_eq!(gone, [(&*uuid(2), Why::Age)]);
    assert!(!old.path().exists() && late.path().exists());
    // All that is over, where somebody asks for that.
    let all = SpoolLimits {
        days: Some(0),
        max_bytes: None,
    };
    assert_eq!(sweep_spools(&room, all, false).await.files, 2);
    assert!(!late.path().exists() && unprojected.path().exists());
}

#[tokio::test]
async fn a_state_folder_without_invocations_is_nothing_to_do() {
    let room = Room::new().await;
    let limits = SpoolLimits::default();
    assert_eq!(sweep_spools(&room, limits, false).await, Swept::default());
    assert_eq!(events(&room.project).await.unwrap(), 0);
}

/// A copy of the room's project, as it is by now, under a path of its own.
async fn copied(room: &Room, into: &TempDir) -> Arc<Project> {
    let steroids = into.path().join(".steroids");
    fs::create_dir(&steroids).unwrap();
    let db = rusqlite::Connection::open(room.project.store.path()).unwrap();
    let made = format!("VACUUM INTO '{}'", steroids.join("steroids.db").display());
    db.execute_batch(&made).unwrap();
    let (copy, _) = room.projects.register(into.path(), true).await.unwrap();
    copy
}

async fn sweep_week(room: &Room, projects: &[&Arc<Project>]) -> Swept {
    let projects: Vec<_> = projects.iter().map(|it| Arc::clone(it)).collect();
    let alone = room.projects.upkeep().await;
    let week = SpoolLimits {
        days: Some(7),
        max_bytes: None,
    };
    let swept = spools(room.state.path(), &projects, &alone, week, false, now()).await;
    swept.unwrap()
}

#[tokio::test]
async fn of_an_original_and_its_copy_the_row_counts_that_is_written_to() {
    let (room, folder) = (Room::new().await, tempfile::tempdir().unwrap());
    let mut ids = Vec::new();
    for name in 1..=4 {
        ids.push(room.invocation(name, 9, None).await);
    }
    let copy = copied(&room, &folder).await;
    for id in ids {
        let ended = ending(Outcome::Success, now() - Duration::from_secs(9 * DAY));
        room.project.store.finish(id, ended).await.unwrap();
    }
    let elsewhere = room.folder.path().join("before-it-was-moved");
    for (name, project, is_projected) in [
        (1, &room.project.root, true),
        (2, &elsewhere, true),
        // The row of a project that it was not started in, and no word of its own: it may run.
        (3, &elsewhere, false),
        (4, &copy.root, true),
    ] {
        let dir = InvDir::at(room.spool(name));
        let spec = serde_json::json!({ "project": project });
        fs::write(dir.spec(), spec.to_string()).unwrap();
        if is_projected {
            fs::write(dir.projected(), b"").unwrap();
        }
    }
    for projects in [[&copy, &room.project], [&room.project, &copy]] {
        let swept = sweep_week(&room, &projects).await;
        assert_eq!(swept.kept_running, 2);
        let there = [1, 2, 3, 4].map(|name| room.spool(name).exists());
        assert_eq!(there, [false, false, true, true]);
    }
}

#[tokio::test]
async fn the_row_of_a_copy_alone_removes_nothing_that_was_never_final() {
    let (room, folder) = (Room::new().await, tempfile::tempdir().unwrap());
    for name in [1, 2] {
        room.invocation(name, 9, Some(Outcome::Lost)).await;
    }
    let copy = copied(&room, &folder).await;
    for name in [1, 2] {
        let dir = InvDir::at(room.spool(name));
        let spec = serde_json::json!({ "project": room.project.root });
        fs::write(dir.spec(), spec.to_string()).unwrap();
    }
    fs::write(InvDir::at(room.spool(2)).projected(), b"").unwrap();
    // The project that they were started in cannot be read.
    sweep_week(&room, &[&copy]).await;
    assert_eq!([1, 2].map(|name| room.spool(name).exists()), [true, false]);
    // A copy may have its path, and the folder that it was in be elsewhere.
    for projects in [vec![&room.project], vec![&copy, &room.project]] {
        let swept = sweep_week(&room, &projects).await;
        assert_eq!((swept.files, swept.kept_running), (0, 1));
    }
    fs::write(InvDir::at(room.spool(1)).projected(), b"").unwrap();
    sweep_week(&room, &[&copy, &room.project]).await;
    assert!(!room.spool(1).exists(), "by its own row");
}

#[tokio::test]
async fn a_project_that_fails_is_asked_no_more_and_keeps_no_other_from_being_asked() {
    let (room, folder) = (Room::new().await, tempfile::tempdir().unwrap());
    for name in [1, 2] {
        room.invocation(name, 9, Some(Outcome::Success)).await;
    }
    // More than are asked for at a time.
    for name in 3..1200 {
        fs::create_dir_all(room.spool(name)).unwrap();
    }
    let fails = copied(&room, &folder).await;
    fails.store.clone().close().await;
    let swept = sweep_week(&room, &[&fails, &room.project]).await;
    assert_eq!((swept.files, swept.kept_running), (2, 0));
    assert!(room.spool(3).exists());
}
