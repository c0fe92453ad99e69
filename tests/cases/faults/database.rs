//! See `tests/harness/faults/database.rs`.

mod files;
mod locked;
mod migration;
mod moved;
mod older_tool;
mod read_only;
mod replaced;
mod runners;

use std::path::Path;
use std::time::Instant;

use rusqlite::Connection;
use steroids_proto::v1;
use steroids_tests::{Ctl, Daemon, eventually, old_database};

/// Another program's connection to a project's database.
fn foreign(ctl: &Ctl) -> Connection {
    let db = Connection::open(old_database::path(ctl.folder())).unwrap();
    db.busy_timeout(std::time::Duration::from_secs(30)).unwrap();
    db
}

/// Whether SQLite finds everything in order.
fn is_whole(db: &Path) -> bool {
    let db = Connection::open(db).unwrap();
    old_database::strings(&db, "PRAGMA integrity_check") == ["ok"]
}

/// What `status` says is wrong.
async fn degraded(daemon: &Daemon) -> Vec<String> {
    let mut rpc = daemon.rpc().await.daemon();
    let status = rpc.status(v1::StatusRequest {}).await.unwrap();
    status.into_inner().degraded
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
        };
        let answer = rpc.invocations().get(request).await.ok()?;
        is(&answer.into_inner().invocation?).then_some(())
    })
    .await;
    begun.elapsed().as_secs_f64()
}
