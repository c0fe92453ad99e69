//! A migration that is killed at any of its statements. It is done by a process of its own: this
//! very test program, told by a variable to be one.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rusqlite::Connection;
use steroids_tests::faults::{self, held};
use steroids_tests::{CutDisk, old_database};
use steroidsd::store::Store;

const VARIABLE: &str = "STEROIDS_TEST_MIGRATE";
const CHILD: &str = "faults::database::migration::the_process_that_is_killed";

/// Migrates the project that the variable names; without one there is nothing to do.
#[test]
fn the_process_that_is_killed() {
    let Some(project) = std::env::var_os(VARIABLE).map(PathBuf::from) else {
        return;
    };
    let backups = project.join(".steroids/backup");
    Store::migrate(&old_database::path(&project), &backups).unwrap();
}

/// Migrates `project` in another process, killed after `after` points if that is given; false if
/// it was.
fn migrate(project: &Path, after: Option<u64>) -> bool {
    let points = project.join("fail-points");
    let line = after.map(|after| format!("store.migrate kill after {after}\n"));
    fs::write(&points, line.unwrap_or_default()).unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD, "--test-threads", "1"])
        .env(VARIABLE, project)
        .env("STEROIDS_FAIL_POINTS", &points)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(
        status.success() || status.signal() == Some(9),
        "a migration failed: {status}"
    );
    status.success()
}

/// All that a file says of its schema, but for our own tables.
fn schema(db: &Connection) -> Vec<String> {
    let all = "SELECT coalesce(sql, name) FROM sqlite_master \
               WHERE tbl_name NOT LIKE 'steroidsd%' AND name <> 'sqlite_sequence' ORDER BY 1";
    old_database::strings(db, all)
}

/// What the first `count` migrations make of an empty file (of one at `from`: what is left of them).
fn expected(start: &Start, count: u32) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    start.make(folder.path());
    let db = Connection::open(old_database::path(folder.path())).unwrap();
    let files = old_database::migrations();
    for file in &files[start.at as usize..count as usize] {
        let sql = fs::read_to_string(file).unwrap();
        db.execute_batch(sql.split("-- DOWN").next().unwrap())
            .unwrap();
    }
    schema(&db)
}

/// Where a migration begins.
struct Start {
    at: u32,
    rows: u32,
}

impl Start {
    fn make(&self, project: &Path) {
        if self.at == 0 {
            fs::create_dir_all(project.join(".steroids")).unwrap();
        } else {
            drop(old_database::at_009(project, self.rows));
        }
    }
}

/// Where the ledger of a file says it is.
fn ledger(db: &Connection) -> u32 {
    let has = "SELECT count(*) || '' FROM sqlite_master WHERE name = '_migrations'";
    if old_database::strings(db, has) == ["0"] {
        return 0;
    }
    let top = "SELECT coalesce(max(id), 0) || '' FROM _migrations";
    old_database::strings(db, top)[0].parse().unwrap()
}

fn assert_at_a_step(start: &Start, project: &Path, after: u64) {
    let path = old_database::path(project);
    if !path.exists() {
        assert_eq!(start.at, 0);
        return;
    }
    let db = Connection::open(&path).unwrap();
    assert_eq!(
        old_database::strings(&db, "PRAGMA integrity_check"),
        ["ok"],
        "killed after {after}"
    );
    let at = ledger(&db);
    assert!(at >= start.at, "killed after {after}");
    assert_eq!(schema(&db), expected(start, at), "killed after {after}");
    if start.rows > 0 {
        assert_rows(start, &db);
    }
}

fn assert_rows(start: &Start, db: &Connection) {
    let count = "SELECT count(*) || '' FROM task_invocations WHERE task_id = 'old'";
    assert_eq!(old_database::strings(db, count), [start.rows.to_string()]);
}

/// Every backup that has its final name is whole.
fn assert_backups(start: &Start, project: &Path) -> usize {
    let mut whole = 0;
    let Ok(entries) = fs::read_dir(project.join(".steroids/backup")) else {
        return 0;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_some_and(|extension| extension == "db") {
            let db = Connection::open(&path).unwrap();
            assert_eq!(old_database::strings(&db, "PRAGMA integrity_check"), ["ok"]);
            assert_eq!(ledger(&db), start.at);
            assert_rows(start, &db);
            whole += 1;
        }
    }
    whole
}

/// What else goes as a migration is killed.
#[derive(Clone, Copy)]
enum Loss {
    Nothing,
    /// The power, and with it what was not synced; again when the next one has completed.
    Power,
}

/// Kills a migration at its point `after`, and lets the next one complete; false once it was not
/// killed, since it has no more points.
fn killed_once(start: &Start, after: u64, loss: Loss) -> bool {
    let mut disk = match loss {
        Loss::Nothing => None,
        Loss::Power => Some(CutDisk::mount().expect("one could be had before")),
    };
    let place = disk.as_ref().map_or(std::env::temp_dir(), CutDisk::path);
    let folder = tempfile::tempdir_in(place).unwrap();
    let project = folder.path();
    start.make(project);
    disk.iter().for_each(CutDisk::sync);
    if migrate(project, Some(after)) {
        return false;
    }
    disk.iter_mut().for_each(CutDisk::lose);
    assert_at_a_step(start, project, after);
    assert_backups(start, project);
    assert!(migrate(project, None), "nobody kills it now");
    disk.iter_mut().for_each(CutDisk::lose);
    let db = Connection::open(old_database::path(project)).unwrap();
    assert_eq!(ledger(&db), 10, "killed after {after}");
    assert_eq!(schema(&db), expected(start, 10), "killed after {after}");
    let own = "SELECT version || '' FROM steroidsd_schema";
    assert_eq!(old_database::strings(&db, own).len(), 1);
    if start.rows > 0 {
        assert_rows(start, &db);
        drop(db);
        assert!(assert_backups(start, project) > 0, "killed after {after}");
    }
    true
}

/// All points from the first to the last; in the short form few of them.
fn killed_everywhere(start: &Start, some: &[u64], loss: Loss) -> u64 {
    if !faults::is_long() {
        for after in some {
            assert!(
                killed_once(start, *after, loss),
                "there is no point {after}"
            );
        }
        return some.len() as u64;
    }
    let mut after = 0;
    while killed_once(start, after, loss) {
        after += 1;
    }
    assert!(after > *some.last().unwrap());
    after
}

/// Of a new database, and of one at 009.
fn killed_on_both(loss: Loss) -> (u64, u64) {
    let fresh = Start { at: 0, rows: 0 };
    let old = Start { at: 9, rows: 3 };
    (
        killed_everywhere(&fresh, &[0, 1, 2, 9, 30, 60, 80], loss),
        killed_everywhere(&old, &[0, 1, 3, 5, 8, 12], loss),
    )
}

#[test]
fn a_migration_killed_anywhere_is_at_a_step_and_the_next_one_completes() {
    let (fresh, old) = killed_on_both(Loss::Nothing);
    let seen = format!(
        "killed at {fresh} points of a new database and {old} of one at 009: at a step each \
         time, completed by the next, every backup whole"
    );
    held(41, seen);
}

#[test]
fn a_migration_ended_by_a_power_cut_is_at_a_step_and_the_next_one_completes() {
    if CutDisk::mount().is_none() {
        return held(41, "not shown: needs root, loop devices and mkfs.ext4");
    }
    let (fresh, old) = killed_on_both(Loss::Power);
    let seen = format!(
        "the power cut at {fresh} points of a new database and {old} of one at 009: at a step \
         each time, completed by the next, every backup whole"
    );
    held(41, seen);
}
