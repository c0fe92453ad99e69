//! Opens a database after looking at what it is, and starts its threads.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::watch;

use super::error::StoreError;
use super::footing::Footing;
use super::place::{self, Stamp};
use super::worker::{Pulse, Worker};
use super::{Access, Shared, Store, bump, connection, migrate, migrations, schema};

/// How often foreign writes are looked for while somebody waits for changes: the slow safety poll.
/// It is the only way to see the older tool's rows come and go.
const POLL: Duration = Duration::from_secs(1);

/// Damage is looked for at opening in files up to this size (a fraction of a second), and in
/// larger ones if they were not closed cleanly.
const CHECKED_BYTES: u64 = 16 << 20;

/// How thoroughly damage is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// A file that was not closed cleanly, before anything is built on it: also a large one.
    AfterCrash,
    /// One that was.
    AfterClose,
    /// While it is in use: of a large one only what every statement needs.
    InPassing,
}

impl Depth {
    /// As the file was left: who closes it last empties its -wal into it.
    fn at_opening(db: &Path) -> Depth {
        let wal = std::fs::symlink_metadata(place::beside(db, "-wal"));
        match wal.is_ok_and(|wal| wal.len() > 0) {
            true => Depth::AfterCrash,
            false => Depth::AfterClose,
        }
    }
}

/// A look for damage is given up after this.
const CHECK_TIME: Duration = Duration::from_secs(5);

pub(super) fn open(db: &Path) -> Result<Store, StoreError> {
    // Before any connection of ours, as each makes a -wal, and leaves it where it may only read.
    let depth = Depth::at_opening(db);
    let schema = schema::inspect(db)?;
    if schema.needs_migration() {
        return Err(StoreError::NeedsMigration {
            path: db.to_owned(),
            version: schema.migration(),
        });
    }
    // Before the look, so that what is written during it is looked at later.
    let looked = Stamp::of(db);
    look_for_damage(db, depth)?;
    let newer = schema.newer();
    let (reading, mut writing) = connect(db, newer.is_some())?;
    if let Some(writing) = &mut writing
        && migrate::lacks_own_tables(schema)
    {
        migrations::apply_own(writing).map_err(|error| StoreError::from_sqlite(db, error))?;
    }
    start(db, reading, writing, newer, looked)
}

/// The two connections, to the file that has the name now and not to one that had it for a moment.
fn connect(db: &Path, read_only: bool) -> Result<(Connection, Option<Connection>), StoreError> {
    let before = place::descriptors(db);
    let writing = if read_only {
        None
    } else {
        Some(connection::writing(db)?)
    };
    let reading = connection::reading(db)?;
    let opened = if read_only { 1 } else { 2 };
    // Where the file is open in this process already, SQLite may use a descriptor again.
    if before > 0 || place::descriptors(db) >= opened {
        return Ok((reading, writing));
    }
    Err(StoreError::Replaced {
        path: db.to_owned(),
    })
}

pub(super) fn unfinished_uuids(db: &Path) -> Result<Vec<String>, StoreError> {
    let connection = connection::reading(db)?;
    let ask = || {
        if !connection::has_table(&connection, "steroidsd_invocations")? {
            return Ok(Vec::new());
        }
        connection
            .prepare("SELECT uuid FROM steroidsd_invocations WHERE state IN ('queued', 'running')")?
            .query_map([], |row| row.get(0))?
            .collect()
    };
    ask().map_err(|error| StoreError::from_sqlite(db, error))
}

fn start(
    db: &Path,
    reading: Connection,
    writing: Option<Connection>,
    newer: Option<u32>,
    looked: Stamp,
) -> Result<Store, StoreError> {
    let footing = Arc::new(Footing::of(db, looked));
    let changes = Arc::new(watch::Sender::new(0));
    let watching = Watching {
        changes: Arc::clone(&changes),
        version: data_version(&reading).map_err(|error| StoreError::from_sqlite(db, error))?,
    };
    let spawned = |source| place::io_error(db, source);
    let reader = Worker::spawn("store-read", reading, watching).map_err(spawned)?;
    let writer = match (writing, newer) {
        (Some(writing), _) => {
            let checkpoint = Checkpoint {
                footing: Arc::clone(&footing),
            };
            Access::Writes(Worker::spawn("store-write", writing, checkpoint).map_err(spawned)?)
        }
        (None, version) => Access::ReadsOnly(version.unwrap_or(u32::MAX)),
    };
    Ok(Store {
        shared: Arc::new(Shared {
            path: db.to_owned(),
            footing,
            reader,
            writer,
            changes,
            written: watch::Sender::new(0),
        }),
    })
}

/// Refuses a damaged file.
pub(super) fn look_for_damage(db: &Path, depth: Depth) -> Result<(), StoreError> {
    let bytes = std::fs::symlink_metadata(db).map_or(0, |entry| entry.len());
    if bytes > CHECKED_BYTES {
        match depth {
            Depth::AfterCrash => {}
            Depth::AfterClose => return Ok(()),
            Depth::InPassing => return connection::reading(db).map(|_connection| ()),
        }
    }
    let connection = connection::raw(db, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .map_err(|error| StoreError::from_sqlite(db, error))?;
    let interrupt = connection.get_interrupt_handle();
    let (done, waiting) = std::sync::mpsc::channel::<()>();
    let checked = std::thread::scope(|scope| {
        scope.spawn(move || {
            if waiting.recv_timeout(CHECK_TIME) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                interrupt.interrupt();
            }
        });
        let checked = migrate::quick_check(&connection, db);
        drop(done);
        checked
    });
    match checked {
        Err(StoreError::Sqlite { source, .. })
            if source.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) =>
        {
            tracing::warn!(db = %db.display(), "database too large to be checked for damage");
            Ok(())
        }
        checked => checked,
    }
}

/// The reading thread's pulse: sees what other programs have committed.
struct Watching {
    changes: Arc<watch::Sender<u64>>,
    version: i64,
}

/// Another number whenever another connection has committed since it was asked last.
fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA data_version", [], |row| row.get(0))
}

impl Pulse for Watching {
    fn interval(&self) -> Option<Duration> {
        (self.changes.receiver_count() > 0).then_some(POLL)
    }

    fn beat(&mut self, connection: &Connection) {
        match data_version(connection) {
            Ok(version) => {
                // Our own writing thread is another connection too: a hint too many, harmless.
                if std::mem::replace(&mut self.version, version) != version {
                    bump(&self.changes);
                }
            }
            Err(error) => tracing::debug!(%error, "database could not be polled"),
        }
    }

    fn answers(&mut self) {
        bump(&self.changes);
    }

    fn end(&mut self, _connection: &Connection) {}
}

/// The writing thread's pulse: nothing but a tidy end.
struct Checkpoint {
    footing: Arc<Footing>,
}

impl Pulse for Checkpoint {
    fn interval(&self) -> Option<Duration> {
        None
    }

    fn beat(&mut self, _connection: &Connection) {}

    fn answers(&mut self) {}

    fn end(&mut self, connection: &Connection) {
        if self.footing.is_damaged() {
            // SQLite's own checkpoint, as it closes, would write into what somebody is to mend.
            let kept = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
            if let Err(error) = kept {
                tracing::warn!(%error, "a damaged database may be written to as it is closed");
            }
            return;
        }
        if self.footing.check().is_err() {
            // Nobody would see it. SQLite itself checkpoints only into a file that has its name.
            return;
        }
        // Passive: never waits for the older tool. What stays in the -wal is as safe there.
        let checkpointed =
            connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_row| Ok(()));
        if let Err(error) = checkpointed {
            tracing::warn!(%error, "database could not be checkpointed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Room;
    use super::*;

    #[test]
    fn a_file_that_somebody_has_only_read_since_was_closed_cleanly() {
        let room = Room::new();
        room.migrate().unwrap();
        let writing = connection::writing(&room.db()).unwrap();
        writing.execute("CREATE TABLE t (n)", []).unwrap();
        assert_eq!(Depth::at_opening(&room.db()), Depth::AfterCrash);
        drop(writing);
        assert_eq!(Depth::at_opening(&room.db()), Depth::AfterClose);
        // Leaves a -wal with nothing in it.
        drop(connection::reading(&room.db()).unwrap());
        assert!(place::beside(&room.db(), "-wal").exists());
        assert_eq!(Depth::at_opening(&room.db()), Depth::AfterClose);
    }
}
