//! The end of an invocation: terminal line, then row, in this order, so that a finished row means a
//! complete log. Both are tried until they are done; the provider is gone and nobody waits but
//! readers.

use steroids_shim::exit::ExitRecord;
use steroids_shim::paths::InvDir;
use steroids_shim::{durable, state};
use tracing::warn;

use super::again::{self, Next};
use super::floors::floor;
use super::holds;
use super::job::Job;
use crate::domain::Invocation;
use crate::projection::{Projection, Step};
use crate::store::{Ending, Store};

/// Writes the terminal line and the row; `None` once the daemon stops, or if it goes astray.
pub(super) async fn finish(
    job: &mut Job,
    projection: Box<Projection>,
    exit: ExitRecord,
) -> Option<Invocation> {
    let ending = finish_log(job, projection, exit.clone()).await?;
    steroids_failpoint::reach("end.logged");
    let ended = if was_final(&job.dir).await {
        // In a database that is gone: what followed from that has followed.
        restore_row(job, ending).await?
    } else {
        // Before its row is final: what waits for its place must not meet the same limit.
        holds::note(job, &ending).await;
        match again::prepare(job, &ending, &exit).await? {
            None => finish_row(job, ending).await?,
            Some(next) => finish_and_retry(job, ending, next).await?,
        }
    };
    // Whoever sees the row sees the place free.
    job.entry.give_place_back();
    // Who deleted the database as it ended took the log along, and with a final row nobody looks for that again.
    if !has_log(job).await && make_log(job, exit).await.is_none() {
        // Its folder is gone, too, or the daemon stops. The row is final all the same.
        job.stray = None;
    }
    steroids_failpoint::reach("end.row-committed");
    let dir = job.dir.clone();
    // A mark that could not be made is made by the next reconcile.
    let _ = tokio::task::spawn_blocking(move || mark_projected(&dir)).await;
    job.project.touch();
    Some(ended)
}

async fn finish_log(
    job: &mut Job,
    mut projection: Box<Projection>,
    exit: ExitRecord,
) -> Option<Ending> {
    loop {
        let exit = exit.clone();
        let finish = move || {
            let finished = projection.finish(&exit);
            (projection, finished)
        };
        let (back, finished) = job.blocking(finish).await?;
        projection = back;
        job.count_unknown(&mut projection);
        let finished = finished.map(|(ending, step)| (priced(job, &projection, ending), step));
        match finished {
            Ok((ending, Step::Rebuilt)) => {
                projection = job.publish_rebuilt(projection).await?;
                if projection.is_published() {
                    return Some(ending);
                }
            }
            Ok((ending, _)) => {
                job.inner.hints.poke(projection.log_path());
                return Some(ending);
            }
            Err(error) => job.bear(&error, Some(&mut projection)).await?,
        }
    }
}

async fn finish_row(job: &mut Job, ending: Ending) -> Option<Invocation> {
    let id = job.id;
    let change = |store: Store| {
        let ending = ending.clone();
        async move { store.finish(id, ending).await }
    };
    let finished = job.on_row(change).await?;
    job.inner.count(&job.project, &finished);
    job.inner.well(&job.spec.uuid);
    Some(finished.invocation)
}

/// The row of one that was final once: as it was, and nobody hears of its end again.
async fn restore_row(job: &mut Job, ending: Ending) -> Option<Invocation> {
    let id = job.id;
    let change = |store: Store| {
        let ending = ending.clone();
        async move { store.finish_restored(id, ending).await }
    };
    let finished = job.on_row(change).await?;
    job.inner.well(&job.spec.uuid);
    Some(finished.invocation)
}

/// With the price of today, which is the row's own from now on.
fn priced(job: &Job, projection: &Projection, ending: Ending) -> Ending {
    let prices = &job.inner.settings().prices;
    let price = prices.of(&job.spec.model, projection.model());
    Ending { price, ..ending }
}

/// The row, and that of the next attempt with it.
async fn finish_and_retry(job: &mut Job, ending: Ending, next: Next) -> Option<Invocation> {
    let (id, row) = (job.id, next.row());
    // The next attempt is what comes of the request: who sends it again is not to have two.
    let ending = Ending {
        frees_request: false,
        ..ending
    };
    let floor = floor(&job.inner, &job.project).await;
    let change = |store: Store| {
        let (ending, row) = (ending.clone(), row.clone());
        async move { store.finish_and_retry(id, ending, row, floor).await }
    };
    let (finished, retried) = job.on_row(change).await?;
    job.inner.count(&job.project, &finished);
    if retried.is_some() && !finished.repeated {
        job.inner.counts.retried(&job.spec.provider);
    }
    job.inner.well(&job.spec.uuid);
    next.settle(job, retried).await;
    Some(finished.invocation)
}

/// Makes a log anew that is not there. `None` as of [`finish_log`].
async fn make_log(job: &mut Job, exit: ExitRecord) -> Option<Ending> {
    let projection = job.open_projection().await?;
    finish_log(job, projection, exit).await
}

/// Whether its log is there. Where the disk does not say, it is.
async fn has_log(job: &Job) -> bool {
    let log = job.project.logs().path(job.id);
    let looked = tokio::task::spawn_blocking(move || log.try_exists()).await;
    // Only a panic, or the runtime's end, gives nothing.
    looked.is_ok_and(|there| there.unwrap_or(true))
}

/// Whether its log and row were final once.
pub(super) async fn was_final(dir: &InvDir) -> bool {
    let mark = dir.projected();
    let looked = tokio::task::spawn_blocking(move || mark.exists()).await;
    // Only a panic, or the runtime's end.
    looked.unwrap_or(false)
}

/// Tells the next reconcile, without a look into the database, that nothing is left to do here.
pub(super) fn mark_projected(dir: &InvDir) {
    // A shim that stood by and was never called has left room for its state, and nobody takes it.
    if let Err(error) = state::withdraw(dir) {
        warn!(dir = %dir.path().display(), %error, "room for a state stays");
    }
    if let Err(error) = durable::mark(&dir.projected()) {
        // The next reconcile looks once more, finds the row final, and changes nothing.
        warn!(dir = %dir.path().display(), %error, "could not mark a finished state folder");
    }
}
