//! Opens SQLite connections the one way they are opened here.

use std::cell::Cell;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use super::error::{Failure, StoreError};
use super::sys;

/// How long one statement waits for another program's lock.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Between two looks at a lock, at most; not in step with whoever takes it again and again.
const LOOK_AGAIN: Duration = Duration::from_millis(3);

/// Statements kept prepared: about twice as many as the store has.
const STATEMENTS: usize = 64;

/// Pages a write may leave in the -wal before it is checkpointed (SQLite's own default).
const CHECKPOINT_PAGES: u32 = 1000;

/// A connection with nothing set but the wait for locks; follows no symbolic link.
pub(super) fn raw(db: &Path, mode: OpenFlags) -> rusqlite::Result<Connection> {
    sys::follow_no_links();
    // What was refused before has nothing to do with this one.
    sys::was_crowded();
    let flags = mode | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut connection = Connection::open_with_flags(db, flags)?;
    connection.busy_handler(Some(wait_for_lock))?;
    Ok(connection)
}

/// Whether to ask again for a lock that somebody holds, after a short while. Called with 0 when the
/// wait begins.
///
/// SQLite's own wait grows to 100 ms between two looks. Beside a program that writes without pause,
/// and leaves the lock free for moments only, it may go by all of them.
fn wait_for_lock(count: i32) -> bool {
    thread_local! {
        static SINCE: Cell<Option<Instant>> = const { Cell::new(None) };
    }
    let now = Instant::now();
    // On a thread that has not seen the wait begin, it begins now: every wait ends.
    let since = SINCE.get().filter(|_| count > 0).unwrap_or(now);
    SINCE.set(Some(since));
    if now - since >= BUSY_TIMEOUT {
        return false;
    }
    std::thread::sleep(LOOK_AGAIN.mul_f64(rand::random()));
    true
}

/// A connection that writes: WAL, every commit on the disk before it is reported.
pub(super) fn writing(db: &Path) -> Result<Connection, StoreError> {
    open_writing(db).map_err(|failure| failure.at(db))
}

fn open_writing(db: &Path) -> Result<Connection, Failure> {
    let connection = raw(db, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // SQLite falls back to reading, silently, where the file cannot be written.
    if connection.is_readonly("main")? {
        return Err(StoreError::unwritable(db, "the file is read-only".into()).into());
    }
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(StoreError::Unwritable {
            path: db.to_owned(),
            source: format!("journal mode is {mode}, WAL was refused").into(),
        }
        .into());
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// A connection that cannot write.
pub(super) fn reading(db: &Path) -> Result<Connection, StoreError> {
    let open = || {
        let connection = raw(db, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.pragma_update(None, "query_only", true)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        // Makes it a user of the -wal now, so that it is there when its identity is taken.
        connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| {
            row.get::<_, i64>(0)
        })?;
        Ok(connection)
    };
    open().map_err(|error| StoreError::from_sqlite(db, error))
}

/// True if the file has such a table now. (SQLite's own answer to that comes from what this
/// connection has seen of the file so far.)
pub(super) fn has_table(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1)",
        [name],
        |row| row.get(0),
    )
}
