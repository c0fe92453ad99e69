use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;
use crate::store::{NewInvocation, Store};

/// A state folder and a folder to make a project of.
struct Room {
    state: TempDir,
    project: TempDir,
}

impl Room {
    fn new() -> Room {
        Room {
            state: tempfile::tempdir().unwrap(),
            project: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> &Path {
        self.project.path()
    }

    async fn projects(&self) -> Projects {
        let owner = self.state.path().to_str().unwrap().to_owned();
        Projects::open(self.state.path(), owner).await.unwrap()
    }

    fn database(&self) -> PathBuf {
        self.path().join(".steroids/steroids.db")
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

async fn refused(projects: &Projects, path: impl AsRef<Path>, init: bool) -> ProjectError {
    match projects.register(path.as_ref(), init).await {
        Err(error) => error,
        Ok(_) => panic!("{} was registered", path.as_ref().display()),
    }
}

#[tokio::test]
async fn init_makes_a_project_that_is_there_after_a_restart() {
    let room = Room::new();
    let projects = room.projects().await;
    let changed = projects.changed();
    let (project, created) = projects.register(room.path(), true).await.unwrap();
    assert!(created);
    assert!(changed.has_changed().unwrap());
    let steroids = room.path().join(".steroids");
    assert_eq!(mode(&steroids), 0o700);
    assert_eq!(mode(&steroids.join("invocations")), 0o700);
    assert_eq!(mode(&room.database()), 0o600);
    assert_eq!(mode(&steroids.join("steroidsd.lock")), 0o600);
    let readme = fs::read_to_string(steroids.join("invocations/README.txt")).unwrap();
    assert_eq!(readme.lines().count(), 1);
    assert_eq!(mode(&room.state.path().join("projects.json")), 0o600);

    let (again, created) = projects.register(room.path(), true).await.unwrap();
    assert!(!created);
    assert!(Arc::ptr_eq(&project, &again));
    let trailing = PathBuf::from(format!("{}/./", room.path().display()));
    assert!(Arc::ptr_eq(
        &project,
        &projects.get(&trailing).await.unwrap()
    ));
    projects.close().await;
    drop((project, again, projects));

    let projects = room.projects().await;
    assert_eq!(projects.all().len(), 1);
    let list = projects.list().await.unwrap();
    assert_eq!(
        (list[0].standing, list[0].reason.as_str()),
        (Standing::Ready, "")
    );
    assert!(list[0].registered_at_ms > 1_600_000_000_000);
}

#[tokio::test]
async fn a_folder_without_a_database_is_no_project_until_init() {
    let room = Room::new();
    let projects = room.projects().await;
    for error in [
        refused(&projects, room.path(), false).await,
        projects.get(room.path()).await.err().unwrap(),
        projects.migrate(room.path()).await.unwrap_err(),
    ] {
        assert!(matches!(error, ProjectError::NotAProject { .. }), "{error}");
        assert!(
            error.todo().unwrap().contains("steroidsctl init"),
            "{error}"
        );
    }
    assert!(!room.path().join(".steroids").exists());

    let other = Room::new();
    other
        .projects()
        .await
        .register(other.path(), true)
        .await
        .unwrap();
    let error = projects.get(other.path()).await.err().unwrap();
    assert!(
        matches!(error, ProjectError::NotRegistered { .. }),
        "{error}"
    );
    assert!(
        error.todo().unwrap().contains("steroidsctl init"),
        "{error}"
    );
    assert!(matches!(
        projects.state(other.path()).await,
        Err(ProjectError::NotRegistered { .. })
    ));
}

#[tokio::test]
async fn a_path_that_cannot_be_trusted_is_refused_in_its_own_words() {
    let room = Room::new();
    let projects = room.projects().await;
    let real = room.path().join("real");
    fs::create_dir(&real).unwrap();

    let relative = refused(&projects, "some/project", true).await;
    assert!(matches!(relative, ProjectError::Relative { .. }));
    let dots = refused(&projects, real.join("../real"), true).await;
    assert!(matches!(dots, ProjectError::Relative { .. }));
    for odd in [&b"new\nline"[..], b"not \xff utf-8"] {
        use std::os::unix::ffi::OsStrExt;
        let odd = room.path().join(std::ffi::OsStr::from_bytes(odd));
        fs::create_dir(&odd).unwrap();
        let error = refused(&projects, &odd, true).await;
        assert!(matches!(error, ProjectError::Unprintable { .. }), "{error}");
    }

    let link = room.path().join("link");
    symlink(&real, &link).unwrap();
    fs::create_dir(real.join("sub")).unwrap();
    for (path, target) in [
        (link.clone(), real.clone()),
        (link.join("sub"), real.join("sub")),
    ] {
        let error = refused(&projects, &path, true).await;
        assert!(
            error.to_string().contains(target.to_str().unwrap()),
            "{error}"
        );
        assert!(matches!(error, ProjectError::Symlink { real: Some(real), .. } if real == target));
    }

    let gone = refused(&projects, room.path().join("gone"), true).await;
    assert!(matches!(gone, ProjectError::Missing { .. }));
    fs::write(room.path().join("file"), "").unwrap();
    let file = refused(&projects, room.path().join("file"), true).await;
    assert!(matches!(file, ProjectError::NotAFolder { .. }));
    let long = refused(&projects, format!("/{}", "x".repeat(5000)), true).await;
    assert!(matches!(long, ProjectError::TooLong { .. }));

    set_mode(&real, 0o777);
    let open = refused(&projects, &real, true).await;
    assert!(matches!(open, ProjectError::WorldWritable { .. }));
    set_mode(&real, 0o755);
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(&real, Some(65534), None).unwrap();
        let foreign = refused(&projects, &real, true).await;
        assert!(matches!(
            foreign,
            ProjectError::ForeignOwner { uid: 65534, .. }
        ));
    }
    assert!(projects.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_lies_in_the_project_is_reached_through_no_link() {
    let room = Room::new();
    let elsewhere = tempfile::tempdir().unwrap();
    symlink(elsewhere.path(), room.path().join(".steroids")).unwrap();
    let projects = room.projects().await;
    let error = refused(&projects, room.path(), true).await;
    assert!(matches!(error, ProjectError::Symlink { .. }), "{error}");

    fs::remove_file(room.path().join(".steroids")).unwrap();
    fs::create_dir(room.path().join(".steroids")).unwrap();
    for name in ["steroidsd.lock", "invocations", "steroids.db"] {
        let link = room.path().join(".steroids").join(name);
        // One of the names before may have let this one be made.
        let _ = fs::remove_file(&link);
        symlink(elsewhere.path().join(name), &link).unwrap();
        let _ = refused(&projects, room.path(), true).await;
        fs::remove_file(&link).unwrap();
    }
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    projects.register(room.path(), true).await.unwrap();
}

#[tokio::test]
async fn a_second_daemon_is_refused_by_the_name_of_the_first() {
    let room = Room::new();
    let first = room.projects().await;
    let (project, _) = first.register(room.path(), true).await.unwrap();
    let other = tempfile::tempdir().unwrap();
    let owner = other.path().to_str().unwrap().to_owned();
    let second = Projects::open(other.path(), owner).await.unwrap();
    let error = refused(&second, room.path(), true).await;
    let owner = room.state.path().to_str().unwrap().to_owned();
    assert!(
        matches!(&error, ProjectError::OwnedByOtherDaemon { owner: named, .. } if *named == owner),
        "{error}"
    );

    // Stopped, with an invocation in its shim's hands: still its project.
    let new = NewInvocation {
        task: "T".to_owned(),
        uuid: "u".to_owned(),
        cwd: room.path().to_owned(),
        ..NewInvocation::default()
    };
    project.store.begin(new, None).await.unwrap();
    let folder = room.state.path().join("inv/u");
    fs::create_dir_all(&folder).unwrap();
    first.close().await;
    drop((first, project));
    let error = refused(&second, room.path(), false).await;
    assert!(
        matches!(error, ProjectError::OwnedByOtherDaemon { .. }),
        "{error}"
    );

    // Gone for good: anybody's.
    fs::remove_dir(&folder).unwrap();
    second.register(room.path(), false).await.unwrap();
    let lock = fs::read_to_string(room.path().join(".steroids/steroidsd.lock")).unwrap();
    assert_eq!(lock.trim(), other.path().to_str().unwrap());
}

#[tokio::test]
async fn an_older_database_is_listed_and_served_after_its_migration() {
    let room = Room::new();
    let projects = room.projects().await;
    projects.register(room.path(), true).await.unwrap();
    projects.close().await;
    drop(projects);
    let older = rusqlite::Connection::open(room.database()).unwrap();
    older
        .execute_batch(
            "DROP TABLE steroidsd_schema; DROP TABLE steroidsd_invocations; DROP TABLE steroidsd_events;
             DROP TABLE steroidsd_budgets;
             DROP INDEX idx_task_invocations_task_status;
             ALTER TABLE task_invocations DROP COLUMN status;
             ALTER TABLE task_invocations DROP COLUMN completed_at_ms;
             ALTER TABLE task_invocations DROP COLUMN started_at_ms;
             DELETE FROM _migrations WHERE id = 10;
             INSERT INTO tasks (id, title) VALUES ('T', 'T');",
        )
        .unwrap();
    drop(older);

    let projects = room.projects().await;
    assert!(projects.all().is_empty());
    let list = projects.list().await.unwrap();
    assert_eq!(list[0].standing, Standing::NeedsMigration);
    assert!(
        list[0].reason.contains("steroidsctl migrate"),
        "{}",
        list[0].reason
    );
    let migrated = projects.migrate(room.path()).await.unwrap();
    assert_eq!((migrated.from, migrated.to), (9, 10));
    assert!(
        migrated
            .backup
            .unwrap()
            .starts_with(room.path().join(".steroids/backup"))
    );
    assert_eq!(projects.list().await.unwrap()[0].standing, Standing::Ready);
    assert_eq!(projects.migrate(room.path()).await.unwrap().from, 10);
}

#[tokio::test]
async fn a_newer_daemons_project_is_listed_as_read_only_and_not_touched() {
    let room = Room::new();
    let projects = room.projects().await;
    projects.register(room.path(), true).await.unwrap();
    projects.close().await;
    drop(projects);
    rusqlite::Connection::open(room.database())
        .unwrap()
        .execute("UPDATE steroidsd_schema SET version = 99", [])
        .unwrap();
    fs::remove_file(room.path().join(".steroids/steroidsd.lock")).unwrap();
    let before = fs::read(room.database()).unwrap();
    let projects = room.projects().await;
    assert_eq!(
        projects.list().await.unwrap()[0].standing,
        Standing::ReadOnly
    );
    projects.close().await;
    drop(projects);
    assert!(fs::read(room.database()).unwrap() == before);
    assert!(!room.path().join(".steroids/steroidsd.lock").exists());
}

#[tokio::test]
async fn a_project_that_is_gone_is_missing_and_served_again_when_it_is_back() {
    let room = Room::new();
    let projects = room.projects().await;
    let root = room.path().join("p");
    fs::create_dir(&root).unwrap();
    let (first, _) = projects.register(&root, true).await.unwrap();
    fs::rename(&root, room.path().join("away")).unwrap();
    assert_eq!(
        projects.list().await.unwrap()[0].standing,
        Standing::Missing
    );
    assert!(first.store.check().await.is_err());

    // Another folder under the same name is another project.
    fs::create_dir(&root).unwrap();
    let error = projects.get(&root).await.err().unwrap();
    assert!(matches!(error, ProjectError::NotAProject { .. }), "{error}");
    fs::remove_dir(&root).unwrap();
    fs::rename(room.path().join("away"), &root).unwrap();
    let second = projects.get(&root).await.unwrap();
    assert!(!Arc::ptr_eq(&first, &second));
    second.store.check().await.unwrap();
}

#[tokio::test]
async fn a_damaged_database_is_unusable_and_says_why() {
    let room = Room::new();
    let projects = room.projects().await;
    projects.register(room.path(), true).await.unwrap();
    projects.close().await;
    drop(projects);
    fs::write(room.database(), "no database any more, but some text").unwrap();
    let projects = room.projects().await;
    let list = projects.list().await.unwrap();
    assert_eq!(list[0].standing, Standing::Unusable);
    assert!(
        list[0].reason.contains("not a SQLite database"),
        "{}",
        list[0].reason
    );
}

#[tokio::test]
async fn a_list_of_projects_that_cannot_be_read_is_not_taken_for_an_empty_one() {
    let room = Room::new();
    fs::write(room.state.path().join("projects.json"), "{\"proj").unwrap();
    let error = Projects::open(room.state.path(), String::new())
        .await
        .err()
        .unwrap();
    assert!(matches!(error, ProjectError::Registry { .. }), "{error}");
}

#[tokio::test]
async fn many_who_ask_at_once_share_one_project() {
    let room = Room::new();
    let projects = room.projects().await;
    projects.register(room.path(), true).await.unwrap();
    projects.close().await;
    let error = projects.get(room.path()).await.err().unwrap();
    assert!(matches!(error, ProjectError::Closed), "{error}");
    drop(projects);
    // As if none could be opened at the start.
    let projects = room.projects().await;
    locked(&projects.shared.open).clear();
    let asked: Vec<_> = (0..20)
        .map(|_| {
            let projects = projects.clone();
            let path = room.path().to_owned();
            tokio::spawn(async move { projects.get(&path).await.unwrap() })
        })
        .collect();
    let mut got = Vec::new();
    for one in asked {
        got.push(one.await.unwrap());
    }
    assert!(got.iter().all(|one| Arc::ptr_eq(one, &got[0])));
    assert!(Store::inspect(&room.database()).is_ok());
}

#[tokio::test]
async fn a_disk_that_hangs_is_waited_for_once_and_holds_up_no_other_project() {
    let (room, other) = (Room::new(), tempfile::tempdir().unwrap());
    let projects = room.projects().await;
    for path in [room.path(), other.path()] {
        projects.register(path, true).await.unwrap();
    }
    let (let_go, hangs) = std::sync::mpsc::channel::<()>();
    let hung = move |_: &Shared, _: &Path| {
        // Ends when the other side is dropped.
        let _ = hangs.recv();
        Ok(())
    };
    let within = Some(Duration::from_millis(20));
    let waited = projects.at(room.path(), within, hung).await;
    assert!(matches!(waited, Err(ProjectError::NoAnswer { .. })));

    // At once, and without a thread of its own.
    for refused in [
        projects.get(room.path()).await.err(),
        projects.look_at(room.path()).await.err(),
        projects.register(room.path(), true).await.err(),
    ] {
        assert!(matches!(refused, Some(ProjectError::NoAnswer { .. })));
    }
    projects.get(other.path()).await.unwrap();
    projects.look().await;
    let answering = projects.answering().await;
    assert_eq!(answering.len(), 1);
    assert_eq!(answering[0].root, other.path());
    let said = format!(
        "project {}: its disk does not answer",
        room.path().display()
    );
    assert_eq!(projects.degraded(), [said]);

    // It answers again: whoever waits for its turn is served.
    let key = room.path().to_owned();
    let mut changed = projects.changed();
    drop(let_go);
    timeout(Duration::from_secs(30), changed.changed())
        .await
        .expect("who was refused is told")
        .unwrap();
    drop(projects.shared.turns.take(key).await);
    projects.get(room.path()).await.unwrap();
    assert_eq!(projects.degraded(), [""; 0]);
}

#[tokio::test]
async fn that_a_disk_hangs_is_known_also_where_nobody_waits_any_more() {
    let room = Room::new();
    let projects = room.projects().await;
    projects.register(room.path(), true).await.unwrap();
    let (_let_go, hangs) = std::sync::mpsc::channel::<()>();
    let (began, begun) = tokio::sync::oneshot::channel();
    let hung = move |_: &Shared, _: &Path| {
        let _ = began.send(());
        // Ends with the test.
        let _ = hangs.recv();
        Ok(())
    };
    let within = Some(Duration::from_millis(20));
    let asking = projects.at(room.path(), within, hung);
    tokio::select! {
        biased;
        _ = asking => panic!("it was answered"),
        _ = begun => {}
    }
    // The one that asked is gone; the next finds out by nothing but what is known.
    let known = async {
        while projects.degraded().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(30), known)
        .await
        .expect("it is known");
    let refused = projects.get(room.path()).await.err();
    assert!(matches!(refused, Some(ProjectError::NoAnswer { .. })));
}
