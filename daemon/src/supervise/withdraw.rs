//! A start that was refused at its commit: whether it has a row nobody knows yet.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use steroids_shim::exit::End;
use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::stop::is_open;
use super::supervisor::{Entry, Inner};
use crate::domain::Invocation;
use crate::projects::Project;

/// Between two looks for a database that was lost.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A start that was refused at its commit is seen through for so long: as long as somebody takes who
/// has moved a database away and puts it back. After that its row waits for the next wakeup.
pub(super) const WITHDRAW_WITHIN: Duration = Duration::from_secs(5 * 60);

/// Ends the row of a start that was refused at its commit, if there is one: a database that was moved
/// away just behind it has the row unseen, and shows it as running when it is back. Given up, it is
/// left to the next wakeup, which ends rows of ours that have no state folder.
pub(super) async fn withdraw(
    inner: Arc<Inner>,
    root: PathBuf,
    mut entry: Entry,
    turn: OwnedMutexGuard<()>,
) {
    let uuid = entry.uuid().to_owned();
    let mut until = Instant::now() + WITHDRAW_WITHIN;
    let mut ends = 0;
    loop {
        // The row itself says whether it has ended: its database may have been lost again meanwhile.
        let pause = if ends > 1 { LOOK_AGAIN } else { Duration::ZERO };
        let found = tokio::select! {
            () = inner.stop.cancelled() => break,
            () = sleep_until(until) => break,
            // Who stops it, or everything, waits for one more look, and for no database.
            _ = entry.requests.recv() => {
                until = until.min(Instant::now() + LOOK_AGAIN);
                continue;
            }
            found = open_row(&inner, &root, &uuid, pause) => found,
        };
        let Some((project, row)) = found else {
            break;
        };
        let end = End::never_started("never started: its database was lost as it began");
        super::open_rows::end_without_folder(&inner, &project, row.id.get(), end).await;
        ends += 1;
    }
    drop((entry, turn));
}

/// A row, once its database answers; `None` if there is none that has not ended. Cancel-safe.
async fn open_row(
    inner: &Inner,
    root: &Path,
    uuid: &str,
    pause: Duration,
) -> Option<(Arc<Project>, Invocation)> {
    let mut opened = inner.projects.changed();
    sleep(pause).await;
    loop {
        if let Ok(project) = inner.projects.get(root).await
            && let Ok(row) = project.store.by_uuid(uuid).await
        {
            return row.filter(is_open).map(|row| (project, row));
        }
        // One that is back as the file it was is opened by nobody.
        let _ = timeout(LOOK_AGAIN, opened.changed()).await;
    }
}
