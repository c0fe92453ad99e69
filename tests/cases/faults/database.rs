//! See `tests/harness/faults/database.rs`.

mod away;
mod deleted;
mod files;
mod locked;
mod migration;
mod moved;
mod older_tool;
mod outstanding;
mod read_only;
mod replaced;
mod runners;
mod waiting;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Instant;

use rusqlite::{Connection, OpenFlags};
use steroids_proto::v1;
use steroids_tests::{Ctl, Daemon, eventually, old_database};

/// Another program's connection to a project's database.
fn foreign(ctl: &Ctl) -> Connection {
    let db = Connection::open(old_database::path(ctl.folder())).unwrap();
    db.busy_timeout(std::time::Duration::from_secs(30)).unwrap();
    db
}

/// Whether SQLite finds everything in order; not in one that it would have to make first.
fn is_whole(db: &Path) -> bool {
    let db = Connection::open_with_flags(db, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    old_database::strings(&db, "PRAGMA integrity_check") == ["ok"]
}

/// How many descriptors of a process lead to a database, its -wal and its -shm, as these are now.
fn descriptors(pid: i32, ctl: &Ctl) -> [usize; 3] {
    ["", "-wal", "-shm"].map(|suffix| {
        let mut path = old_database::path(ctl.folder()).into_os_string();
        path.push(suffix);
        let wanted = fs::metadata(&path)
            .map(|file| (file.dev(), file.ino()))
            .unwrap();
        fs::read_dir(format!("/proc/{pid}/fd"))
            .unwrap()
            .flatten()
            .filter_map(|entry| fs::metadata(entry.path()).ok())
            .filter(|file| (file.dev(), file.ino()) == wanted)
            .count()
    })
}

/// Waits until a row can be read and `is` as wanted; tells how many seconds that took.
async fn row(
    daemon: &Daemon,
    ctl: &Ctl,
    id: i64,
    mut is: impl FnMut(&v1::Invocation) -> bool,
) -> f64 {
    let begun = Instant::now();
    let rpc = daemon.rpc().await;
    let what = format!("row {id} to be as wanted");
    eventually(&what, async || {
        let request = v1::GetRequest {
            project: ctl.project(),
            id,
            terms: false,
        };
        let answer = rpc.invocations().get(request).await.ok()?;
        is(&answer.into_inner().invocation?).then_some(())
    })
    .await;
    begun.elapsed().as_secs_f64()
}
