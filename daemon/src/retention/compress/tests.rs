use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::activity_log::Step;
use crate::domain::{Evidence, Offset, Outcome};
use crate::projects::Projects;
use crate::store::{Begun, Ending, NewInvocation};

const HOUR: Duration = Duration::from_secs(60 * 60);

struct Room {
    _state: TempDir,
    _folder: TempDir,
    projects: Projects,
    project: Arc<Project>,
}

impl Room {
    async fn new() -> Room {
        let (state, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let owner = state.path().to_str().unwrap().to_owned();
        let projects = Projects::open(state.path(), owner).await.unwrap();
        let (project, _) = projects.register(folder.path(), true).await.unwrap();
        Room {
            _state: state,
            _folder: folder,
            projects,
            project,
        }
    }

    /// An invocation with a log of some KiB that was written two hours ago.
    async fn invocation(&self, name: u32, is_ended: bool) -> InvocationId {
        let uuid = format!("00000000-0000-4000-8000-{name:012}");
        let new = NewInvocation {
            task: format!("T{name}"),
            uuid: uuid.clone(),
            request_id: uuid,
            cwd: self.project.root.clone(),
            ..NewInvocation::default()
        };
        let Begun::New(begun) = self.project.store.begin(new, None).await.unwrap() else {
            panic!("new");
        };
        if is_ended {
            let ending = Ending {
                outcome: Outcome::Success,
                error: None,
                exit_code: 0,
                duration_ms: 1,
                completed_ms: 1,
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
            };
            self.project.store.finish(begun.id, ending).await.unwrap();
        }
        let path = self.plain(begun.id);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, lines()).unwrap();
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(now() - 2 * HOUR).unwrap();
        begun.id
    }

    fn plain(&self, id: InvocationId) -> PathBuf {
        self.project.logs().path(id)
    }

    fn packed(&self, id: InvocationId) -> PathBuf {
        self.plain(id).with_extension("log.zst")
    }

    async fn compress(&self, after: Duration) -> Compressed {
        let alone = self.projects.upkeep().await;
        let until = Instant::now() + HOUR;
        logs(&self.project, &alone, after, now(), until).await
    }
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn lines() -> String {
    let line = |n| format!("{{\"ts\":{n},\"type\":\"output\",\"msg\":\"line {n}\",\"raw\":{n}}}\n");
    (0..400).map(line).collect()
}

#[tokio::test]
async fn logs_of_ended_invocations_are_compressed_once_they_rest() {
    let room = Room::new().await;
    let ended = room.invocation(1, true).await;
    let running = room.invocation(2, false).await;
    assert_eq!(room.compress(3 * HOUR).await, Compressed::default());
    let done = room.compress(HOUR).await;
    assert_eq!((done.files, &done.failures[..]), (1, &[][..]));
    assert!(room.plain(running).exists() && !room.packed(running).exists());
    assert!(!room.plain(ended).exists());
    let took = fs::metadata(room.packed(ended)).unwrap().len();
    assert_eq!(done.saved, lines().len() as u64 - took);
    // It is as old as it was, and has its id for good.
    let files = room.project.logs().files().unwrap();
    let file = files.iter().find(|file| file.id == ended).unwrap();
    assert_eq!((file.is_packed, file.modified), (true, now() - 2 * HOUR));
    assert_eq!(room.compress(HOUR).await, Compressed::default());
    let mut reader = room.project.logs().reader(ended, Offset::START).unwrap();
    let Step::Batch(batch) = reader.next_batch(1 << 20).unwrap() else {
        panic!("lines");
    };
    assert_eq!(batch.bytes, lines());
}

#[tokio::test]
async fn the_older_tools_logs_stay_as_they_are() {
    let room = Room::new().await;
    let id = room.invocation(1, true).await;
    rusqlite::Connection::open(room.project.store.path())
        .unwrap()
        .execute_batch("DELETE FROM steroidsd_invocations")
        .unwrap();
    assert_eq!(room.compress(HOUR).await, Compressed::default());
    assert!(room.plain(id).exists());
}

#[tokio::test]
async fn a_log_that_cannot_be_compressed_is_told_and_stays() {
    let room = Room::new().await;
    let id = room.invocation(1, true).await;
    fs::create_dir(room.packed(id).with_extension("zst.new")).unwrap();
    let done = room.compress(HOUR).await;
    assert_eq!((done.files, done.failures.len()), (0, 1), "{done:?}");
    assert_eq!(fs::read_to_string(room.plain(id)).unwrap(), lines());
}

#[tokio::test]
async fn a_log_that_cannot_be_compressed_keeps_no_other_from_it() {
    let room = Room::new().await;
    let (first, second) = (
        room.invocation(1, true).await,
        room.invocation(2, true).await,
    );
    fs::hard_link(room.plain(first), room.plain(first).with_extension("copy")).unwrap();
    let done = room.compress(HOUR).await;
    assert_eq!((done.files, done.failures.len()), (1, 1), "{done:?}");
    assert!(room.plain(first).exists() && room.packed(second).exists());
}

#[test]
fn only_what_the_next_one_would_meet_too_is_of_the_disk() {
    use std::io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    for (kind, is_common) in [
        (StorageFull, true),
        (QuotaExceeded, true),
        (ReadOnlyFilesystem, true),
        (PermissionDenied, false),
        (ErrorKind::UnexpectedEof, false),
    ] {
        let error = LogError::Io {
            doing: "open",
            path: PathBuf::from("1.log"),
            source: kind.into(),
        };
        assert_eq!(is_of_disk(&SweepError::Log(error)), is_common, "{kind}");
    }
}
