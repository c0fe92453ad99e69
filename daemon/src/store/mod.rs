//! A project's database: the only SQL there is.
//!
//! One thread owns the writing connection, so that all writes have one order, and one the
//! reading. Every write is one `BEGIN IMMEDIATE` transaction, tried again as a whole when another
//! program holds the lock; the older tool, which shares the file, may write at any time. Rows
//! without one of ours beside them are that tool's, and are never changed.
//!
//! All async methods may be dropped: what they ask for is then done wholly or not at all.

mod access;
mod backup;
mod begin;
mod budgets;
mod connection;
mod error;
mod events;
mod finish;
mod footing;
mod list;
mod locks;
mod migrate;
mod migrations;
mod neighbour;
mod open;
mod place;
mod query;
mod queue;
mod revise;
mod rows;
mod runs;
mod schema;
mod spend;
mod stalls;
mod sys;
mod tasks;
#[cfg(test)]
mod tests;
mod transaction;
mod usage;
mod worker;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::watch;

pub use begin::Begun;
pub use budgets::Notice;
pub use error::StoreError;
pub(crate) use error::{CROWDED, READ_ONLY, is_crowded};
pub use events::{LifecycleEvent, NewEvent};
use finish::End;
pub use finish::{Finished, Rebuild};
pub use migrate::Migrated;
pub use neighbour::{Runner, running as neighbours};
pub use place::{Origin, Stamp};
pub use queue::Turned;
pub use revise::{Change, Revision};
pub use rows::{Detail, Ending, NewInvocation, Rusage};
pub use runs::RunUsed;
pub use schema::Schema;
pub use spend::Used;
pub use transaction::latency;

use crate::domain::{Invocation, InvocationId, Page, Query, SpendQuery, Task, Zone};
use access::Access;
use footing::Footing;
use query::Whose;
use worker::Worker;

/// An open database; clones share it.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    footing: Arc<Footing>,
    reader: Worker,
    writer: Access,
    changes: Arc<watch::Sender<u64>>,
    written: watch::Sender<u64>,
}

impl Store {
    /// Tells which schema the file has, and changes nothing; blocks.
    pub fn inspect(db: &Path) -> Result<Schema, StoreError> {
        schema::inspect(db)
    }

    /// Brings the file to the schema needed, creating it where it does not exist, after a backup
    /// into `backup_dir` if it has rows; blocks.
    pub fn migrate(db: &Path, backup_dir: &Path) -> Result<Migrated, StoreError> {
        migrate::migrate(db, backup_dir)
    }

    /// Opens a file of schema 010 or later and creates our tables in it; one with newer tables of
    /// ours is opened for reading only. Blocks.
    pub fn open(db: &Path) -> Result<Store, StoreError> {
        open::open(db)
    }

    /// State folders of our invocations that are not over, of a file that is not open; blocks.
    pub fn unfinished_uuids(db: &Path) -> Result<Vec<String>, StoreError> {
        open::unfinished_uuids(db)
    }

    /// True while the names of the database and its journals still lead to what was opened, and no
    /// damage was found in it.
    pub fn is_in_place(&self) -> bool {
        self.shared.footing.check().is_ok()
    }

    /// As [`Store::is_in_place`], with a look for damage where the file was written since the last
    /// one; says what is wrong, and blocks.
    pub fn examine(&self) -> Result<(), StoreError> {
        self.shared.footing.look()
    }

    /// True if every write is refused, because a newer steroidsd owns the tables.
    pub fn is_read_only(&self) -> bool {
        matches!(self.shared.writer, Access::ReadsOnly(_))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Grows when rows or events were written, by us or by another program.
    ///
    /// While somebody holds such a receiver, a poll once a second looks for foreign writes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        let receiver = self.shared.changes.subscribe();
        self.shared.reader.wake();
        receiver
    }

    /// Grows when we have written, and looks for nothing: what only we write, as events are, can be
    /// waited for without a poll.
    pub fn written(&self) -> watch::Receiver<u64> {
        self.shared.written.subscribe()
    }

    /// Wakes everybody who waits for changes.
    pub fn touch(&self) {
        bump(&self.shared.changes);
    }

    /// Makes the rows of a new invocation, with an id above `floor`, or finds those that the same
    /// request made before.
    pub async fn begin(
        &self,
        new: NewInvocation,
        floor: Option<InvocationId>,
    ) -> Result<Begun, StoreError> {
        self.begin_telling(new, floor, |_| {}).await
    }

    /// As [`Store::begin`]. The id that a new one is going to have is told while nothing is committed yet,
    /// so that others need not wait for the disk to prepare for it; again where it has become another.
    pub async fn begin_telling(
        &self,
        new: NewInvocation,
        floor: Option<InvocationId>,
        tell: impl Fn(InvocationId) + Send + 'static,
    ) -> Result<Begun, StoreError> {
        let floor = floor.map_or(0, InvocationId::get);
        self.write(move |tx| begin::begin(tx, &new, floor, &tell))
            .await
    }

    /// Notes that the provider runs, with its process id where it is known. That means nothing after
    /// a power loss, so nothing waits for the disk.
    pub async fn launched(&self, id: InvocationId, pid: Option<i64>) -> Result<(), StoreError> {
        let change = move |tx: &Connection| finish::launched(tx, id, pid);
        self.write_with(transaction::unsynced, change).await
    }

    /// Writes how an invocation of ours ended; a second time changes nothing.
    pub async fn finish(&self, id: InvocationId, ending: Ending) -> Result<Finished, StoreError> {
        self.write(move |tx| finish::finish(tx, id, &ending, End::New))
            .await
    }

    /// The same of one whose row was final once, in a database that is gone: nobody is told again
    /// that it has finished.
    pub async fn finish_restored(
        &self,
        id: InvocationId,
        ending: Ending,
    ) -> Result<Finished, StoreError> {
        self.write(move |tx| finish::finish(tx, id, &ending, End::Restored))
            .await
    }

    /// Writes how an invocation of ours ended and makes the row of the next attempt, with an id
    /// above `floor`, in one transaction; a second time changes nothing.
    pub async fn finish_and_retry(
        &self,
        id: InvocationId,
        ending: Ending,
        next: NewInvocation,
        floor: i64,
    ) -> Result<(Finished, Option<Invocation>), StoreError> {
        self.write(move |tx| queue::finish_and_retry(tx, id, &ending, &next, floor))
            .await
    }

    /// Makes the row of one that waited say running, unless it has ended.
    pub async fn take_turn(&self, id: InvocationId, uuid: &str) -> Result<Turned, StoreError> {
        let uuid = uuid.to_owned();
        self.write(move |tx| queue::take_turn(tx, id, &uuid)).await
    }

    /// Makes the row of one that says running and was never started wait again.
    pub async fn wait_again(&self, id: InvocationId, uuid: &str) -> Result<Invocation, StoreError> {
        let uuid = uuid.to_owned();
        self.write(move |tx| queue::wait_again(tx, id, &uuid)).await
    }

    /// Puts back the rows of an invocation whose state folder outlived them, with its end if it
    /// has ended. What is there already stays.
    pub async fn restore(
        &self,
        id: InvocationId,
        new: NewInvocation,
        ending: Option<Ending>,
    ) -> Result<Invocation, StoreError> {
        let path = self.shared.path.clone();
        self.write(move |tx| {
            steroids_failpoint::check("store.restore").map_err(|source| {
                let path = path.clone();
                StoreError::Io { path, source }
            })?;
            let restored = begin::restore(tx, id, &new)?;
            match (&ending, restored) {
                (Some(ending), _) => Ok(finish::finish(tx, id, ending, End::New)?.invocation),
                (None, Some(restored)) => Ok(restored),
                (None, None) => query::require(tx, id),
            }
        })
        .await
    }

    /// Records an event for each of ours that another program has closed while it runs, and tells
    /// how many those are. Each is told once, for as long as the event is kept.
    pub async fn tell_overridden(&self) -> Result<usize, StoreError> {
        let ids = self.read(query::overridden).await?;
        if ids.is_empty() {
            return Ok(0);
        }
        self.write(move |tx| finish::tell_overridden(tx, &ids))
            .await
    }

    /// Keeps the older tool's runners from the tasks of what runs, for another hour.
    pub async fn renew_locks(&self) -> Result<(), StoreError> {
        self.write(locks::renew).await
    }

    /// Counts where the rebuilding of a log is, and tells the new generation.
    pub async fn count_generation(
        &self,
        id: InvocationId,
        rebuild: Rebuild,
    ) -> Result<u32, StoreError> {
        self.write(move |tx| finish::count_generation(tx, id, rebuild))
            .await
    }

    /// Appends a lifecycle event, and tells its number.
    pub async fn record(&self, event: NewEvent) -> Result<i64, StoreError> {
        self.write(move |tx| events::append(tx, &event)).await
    }

    /// Deletes all but the newest `keep` events, and tells how many went.
    pub async fn prune_events(&self, keep: u32) -> Result<usize, StoreError> {
        self.write(move |tx| events::prune(tx, i64::from(keep)))
            .await
    }

    /// One invocation.
    pub async fn invocation(&self, id: InvocationId) -> Result<Option<Invocation>, StoreError> {
        self.read(move |db| query::by_id(db, id)).await
    }

    /// Those of them that have ended.
    pub async fn ended_of(
        &self,
        ids: BTreeSet<InvocationId>,
    ) -> Result<Vec<InvocationId>, StoreError> {
        self.read(move |db| query::ended_of(db, &ids)).await
    }

    /// The one whose state folder has this name.
    pub async fn by_uuid(&self, uuid: &str) -> Result<Option<Invocation>, StoreError> {
        let uuid = uuid.to_owned();
        self.read(move |db| query::by_uuid(db, &uuid)).await
    }

    /// Whether it has our row of an invocation.
    pub async fn has(&self, uuid: &str) -> Result<bool, StoreError> {
        let uuid = uuid.to_owned();
        let own = self
            .read(move |db| begin::own_id(db, "uuid", &uuid))
            .await?;
        Ok(own.is_some())
    }

    /// The one that a request with this id made.
    pub async fn by_request(&self, request_id: &str) -> Result<Option<Invocation>, StoreError> {
        let request_id = request_id.to_owned();
        self.read(move |db| query::by_request(db, &request_id))
            .await
    }

    /// The session of the newest invocation of a task by a provider that has ended with one.
    pub async fn last_session(
        &self,
        task: String,
        provider: String,
    ) -> Result<Option<String>, StoreError> {
        self.read(move |db| query::last_session(db, &task, &provider))
            .await
    }

    /// One invocation with its prompt, its answer, and what its end was judged by.
    pub async fn detail(&self, id: InvocationId) -> Result<Option<Detail>, StoreError> {
        self.read(move |db| query::detail(db, id)).await
    }

    /// A page of invocations, newest first.
    pub async fn invocations(&self, query: Query) -> Result<Page, StoreError> {
        self.read(move |db| list::page(db, &query)).await
    }

    /// A task's invocations with an id above `after`, oldest first.
    pub async fn of_task_after(
        &self,
        task: &str,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Invocation>, StoreError> {
        let task = task.to_owned();
        self.read(move |db| query::after(db, Some(&task), after, limit))
            .await
    }

    /// All invocations with an id above `after`, oldest first.
    pub async fn after(&self, after: i64, limit: u32) -> Result<Vec<Invocation>, StoreError> {
        self.read(move |db| query::after(db, None, after, limit))
            .await
    }

    /// Of those from one id to another the first that is not queued, or else one that is; of one task, or of all.
    pub async fn begun(
        &self,
        task: Option<&str>,
        first: InvocationId,
        last: InvocationId,
    ) -> Result<Option<Invocation>, StoreError> {
        let task = task.map(str::to_owned);
        self.read(move |db| query::begun(db, task.as_deref(), (first, last)))
            .await
    }

    /// Ours that are queued or running, oldest first.
    pub async fn unfinished(&self) -> Result<Vec<Invocation>, StoreError> {
        self.read(|db| query::open(db, Whose::Ours)).await
    }

    /// The older tool's that are running, oldest first.
    pub async fn foreign_running(&self) -> Result<Vec<Invocation>, StoreError> {
        self.read(|db| query::open(db, Whose::Foreign)).await
    }

    /// The highest id that was ever given, as far as the file tells.
    pub async fn highest(&self) -> Result<i64, StoreError> {
        self.read(begin::highest).await
    }

    /// The highest id there is, and which invocations up to it are queued or running, whoever owns
    /// them, oldest first; of one task, or of all.
    pub async fn standing(
        &self,
        task: Option<&str>,
    ) -> Result<(i64, Vec<InvocationId>), StoreError> {
        let task = task.map(str::to_owned);
        self.read(move |db| query::standing(db, task.as_deref()))
            .await
    }

    /// What invocations used, and which are still at it. Days are those of the zone.
    pub async fn used(&self, spend: SpendQuery, zone: Zone) -> Result<Used, StoreError> {
        self.read(move |db| spend::used(db, &spend, &zone)).await
    }

    /// What each run used that has ended since, in epoch milliseconds.
    pub async fn used_since(&self, since_ms: i64) -> Result<Vec<RunUsed>, StoreError> {
        self.read(move |db| runs::used_since(db, since_ms)).await
    }

    /// Tells by an event that a budget has come to a level, once. True if that was now.
    pub async fn tell_budget(&self, notice: Notice, event: NewEvent) -> Result<bool, StoreError> {
        let asked = notice.clone();
        if self.read(move |db| budgets::is_told(db, &asked)).await? {
            return Ok(false);
        }
        self.write(move |tx| budgets::tell(tx, &notice, &event))
            .await
    }

    /// True if that was told before.
    pub async fn is_budget_told(&self, notice: Notice) -> Result<bool, StoreError> {
        self.read(move |db| budgets::is_told(db, &notice)).await
    }

    /// How many are running, whoever owns them.
    pub async fn running_count(&self) -> Result<i64, StoreError> {
        self.read(query::running_count).await
    }

    /// Tasks by id after `after`, and the `after` of the next page.
    pub async fn tasks(
        &self,
        after: Option<String>,
        limit: u32,
    ) -> Result<(Vec<Task>, Option<String>), StoreError> {
        self.read(move |db| tasks::page(db, after.as_deref(), limit))
            .await
    }

    /// True if there is such a task.
    pub async fn task_exists(&self, task: &str) -> Result<bool, StoreError> {
        let task = task.to_owned();
        self.read(move |db| tasks::exists(db, &task)).await
    }

    /// Lifecycle events after number `after`, oldest first.
    pub async fn events(&self, after: i64, limit: u32) -> Result<Vec<LifecycleEvent>, StoreError> {
        self.read(move |db| events::after(db, after, limit)).await
    }

    /// After which number the events at this time, in epoch milliseconds, and later begin.
    pub async fn event_before(&self, since_ms: i64) -> Result<i64, StoreError> {
        self.read(move |db| events::before(db, since_ms)).await
    }

    /// The newest event's number; 0 if there was none.
    pub async fn last_event(&self) -> Result<i64, StoreError> {
        self.read(events::last).await
    }

    /// Answers while both threads do, and the files are those that were opened.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.read(|_db| Ok(())).await?;
        match &self.shared.writer {
            Access::Writes(writer) => writer.run(|_db| ()).await.map_err(|_gone| self.closed()),
            Access::ReadsOnly(_) => Ok(()),
        }
    }

    /// Carries out what waits, checkpoints and closes the file; later calls are refused.
    pub async fn close(self) {
        if tokio::task::spawn_blocking(move || self.shut())
            .await
            .is_err()
        {
            tracing::error!("closing a database panicked");
        }
    }

    /// Whether a thread of it has ended that nobody told to: nothing is answered any more.
    pub fn has_lost_a_thread(&self) -> bool {
        let writer = matches!(&self.shared.writer, Access::Writes(writer) if writer.is_lost());
        writer || self.shared.reader.is_lost()
    }

    /// As [`Store::close`]; blocks.
    pub fn shut(&self) {
        self.shared.footing.note_closing();
        self.shared.reader.stop();
        if let Access::Writes(writer) = &self.shared.writer {
            writer.stop();
        }
        self.shared.footing.set_strays_aside();
        // Who waits for changes comes to see that there will be none.
        bump(&self.shared.changes);
        bump(&self.shared.written);
    }
}

fn bump(changes: &watch::Sender<u64>) {
    changes.send_modify(|count| *count = count.wrapping_add(1));
}
