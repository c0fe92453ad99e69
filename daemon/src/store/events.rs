//! Lifecycle events: rows with a number that only grows, the cursor of who watches a project.

use std::time::UNIX_EPOCH;

use rusqlite::{Connection, Row, params};

use super::error::Failure;
use crate::domain::{Invocation, InvocationId};

/// What happened, to be recorded.
#[derive(Debug, Clone, Default)]
pub struct NewEvent {
    /// One word: started, finished, adopted, …
    pub kind: String,
    /// Whom it is about.
    pub invocation: Option<InvocationId>,
    /// Of which task.
    pub task: Option<String>,
    /// One line for a person; may be empty.
    pub message: String,
}

impl NewEvent {
    /// One about an invocation, with nothing more to say.
    pub fn about(about: &Invocation, kind: &str) -> NewEvent {
        NewEvent {
            kind: kind.to_owned(),
            invocation: Some(about.id),
            task: Some(about.task.clone()),
            message: String::new(),
        }
    }
}

/// What happened, as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifecycleEvent {
    /// Grows by one or more; never given twice in a database.
    pub number: i64,
    /// Epoch milliseconds.
    pub ts_ms: i64,
    /// One word: started, finished, adopted, …
    pub kind: String,
    /// Whom it is about.
    pub invocation: Option<InvocationId>,
    /// Of which task.
    pub task: Option<String>,
    /// One line for a person; may be empty.
    pub message: String,
}

/// Appends one, and tells its number.
pub(super) fn append(connection: &Connection, event: &NewEvent) -> Result<i64, Failure> {
    connection
        .prepare_cached(
            "INSERT INTO steroidsd_events (ts_ms, kind, invocation_id, task_id, message)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            now_ms(),
            event.kind,
            event.invocation.map(InvocationId::get),
            event.task,
            event.message
        ])?;
    Ok(connection.last_insert_rowid())
}

/// Appends one about an invocation.
pub(super) fn record(
    connection: &Connection,
    kind: &str,
    about: &Invocation,
    message: String,
) -> Result<(), Failure> {
    let event = NewEvent {
        message,
        ..NewEvent::about(about, kind)
    };
    append(connection, &event).map(|_number| ())
}

/// Those after number `after`, oldest first.
pub(super) fn after(
    connection: &Connection,
    after: i64,
    limit: u32,
) -> Result<Vec<LifecycleEvent>, Failure> {
    let events = connection
        .prepare_cached(
            "SELECT number, ts_ms, kind, invocation_id, task_id, message FROM steroidsd_events
             WHERE number > ?1 ORDER BY number LIMIT ?2",
        )?
        .query_map(params![after, limit], event)?
        .collect::<rusqlite::Result<_>>()?;
    Ok(events)
}

fn event(row: &Row<'_>) -> rusqlite::Result<LifecycleEvent> {
    Ok(LifecycleEvent {
        number: row.get(0)?,
        ts_ms: row.get(1)?,
        kind: row.get(2)?,
        invocation: row.get::<_, Option<i64>>(3)?.and_then(InvocationId::new),
        task: row.get(4)?,
        message: row.get(5)?,
    })
}

/// The newest number given, also where its event has been pruned since; 0 if there was none.
pub(super) fn last(connection: &Connection) -> Result<i64, Failure> {
    Ok(connection
        .prepare_cached(
            "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'steroidsd_events'",
        )?
        .query_row([], |row| row.get(0))?)
}

/// The number before the first event at this time or later; the newest one given if there is none.
pub(super) fn before(connection: &Connection, since_ms: i64) -> Result<i64, Failure> {
    let first: Option<i64> = connection
        .prepare_cached("SELECT min(number) FROM steroidsd_events WHERE ts_ms >= ?1")?
        .query_row([since_ms], |row| row.get(0))?;
    first.map_or_else(|| last(connection), |first| Ok(first - 1))
}

/// Deletes all but the newest `keep`, and tells how many went.
pub(super) fn prune(connection: &Connection, keep: i64) -> Result<usize, Failure> {
    let bound = last(connection)?.saturating_sub(keep);
    Ok(connection
        .prepare_cached("DELETE FROM steroidsd_events WHERE number <= ?1")?
        .execute([bound])?)
}

/// The wall clock; events are ordered by number, so a clock that jumps harms nothing.
pub(super) fn now_ms() -> i64 {
    steroids_failpoint::wall_clock()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or(0)
}
