//! What changes an invocation's rows after its start, the last transaction above all.
//!
//! The last one writes by id, whatever the row says by then: the older tool closes rows that look
//! dead to it, and what it wrote there is not what happened.

use rusqlite::{Connection, OptionalExtension, params};
use tracing::warn;

use super::error::{Failure, StoreError};
use super::events::{self, record};
use super::rows::{Ending, count};
use super::{locks, query, schema, usage};
use crate::domain::{Cause, Invocation, InvocationId, Phase, RowStatus};

/// The event of a row that another program closed while its invocation ran.
const OVERRIDDEN: &str = "row_overridden";

/// Whether an end is news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It is told.
    New,
    /// It was told once, in a database that is gone: told is that the row has it back.
    Restored,
}

impl End {
    /// The word of its event.
    fn kind(self) -> &'static str {
        match self {
            End::New => "finished",
            End::Restored => "restored",
        }
    }
}

/// What `finish` found.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// As it is now.
    pub invocation: Invocation,
    /// What another program had made of the row while it ran; overwritten, and told by an event.
    pub overridden: Option<String>,
    /// True if it had been finished before; nothing was changed.
    pub repeated: bool,
}

/// Writes how it ended, once.
pub(super) fn finish(
    connection: &Connection,
    id: InvocationId,
    ending: &Ending,
    end: End,
) -> Result<Finished, Failure> {
    let before = query::by_id(connection, id)?.ok_or(StoreError::NoSuchInvocation { id })?;
    if before.managed.is_none() {
        return Err(StoreError::NoSuchInvocation { id }.into());
    }
    if before.phase.is_ended() {
        return Ok(Finished {
            invocation: before,
            overridden: None,
            repeated: true,
        });
    }
    let overridden = foreign_word(connection, &before)?;
    write_ending(connection, id, ending)?;
    if let Some(managed) = &before.managed {
        let over = locks::release(connection, &managed.uuid)
            // The task's next one may have begun while this one was being finished.
            .and_then(|()| locks::renew(connection));
        match over {
            // The table is the older tool's, to change as it likes; how it ended is ours to write.
            Err(failure) if !failure.may_pass() => {
                warn!(invocation.id = %id, ?failure, "the locks of tasks are left as they are");
            }
            over => over?,
        }
    }
    if let Some(word) = &overridden {
        tell_once(connection, &before, word)?;
    }
    let message = match &ending.error {
        Some(error) => format!("{}: {error}", ending.outcome),
        None => ending.outcome.to_string(),
    };
    record(connection, end.kind(), &before, message)?;
    Ok(Finished {
        invocation: query::require(connection, id)?,
        overridden,
        repeated: false,
    })
}

/// All that a row says of the end.
pub(super) fn write_ending(
    connection: &Connection,
    id: InvocationId,
    ending: &Ending,
) -> Result<(), Failure> {
    write_shared(connection, id, ending)?;
    write_extra(connection, id, ending)?;
    write_own(connection, id, ending)?;
    if ending.frees_request {
        free_request(connection, id)?;
    }
    usage::write(connection, id, ending)
}

/// The same request starts another one from now on. The row keeps an id that nobody else has: its own uuid.
pub(super) fn free_request(connection: &Connection, id: InvocationId) -> Result<(), Failure> {
    connection
        .prepare_cached(
            "UPDATE steroidsd_invocations SET request_id = uuid WHERE invocation_id = ?1",
        )?
        .execute([id.get()])?;
    Ok(())
}

/// Records that another program had closed the row, unless that was told before.
pub(super) fn tell_once(
    connection: &Connection,
    about: &Invocation,
    word: &str,
) -> Result<(), Failure> {
    if is_told(connection, about.id)? {
        return Ok(());
    }
    record(connection, OVERRIDDEN, about, overridden_by(word))
}

/// The provider's process is there, or its row has only now left the queue.
pub(super) fn launched(
    connection: &Connection,
    id: InvocationId,
    pid: Option<i64>,
) -> Result<(), Failure> {
    let before = query::by_id(connection, id)?.ok_or(StoreError::NoSuchInvocation { id })?;
    if before.managed.is_none() {
        return Err(StoreError::NoSuchInvocation { id }.into());
    }
    if before.phase == Phase::Queued {
        connection
            .prepare_cached(
                "UPDATE task_invocations SET status = 'running', started_at_ms = ?2 WHERE id = ?1",
            )?
            .execute(params![id.get(), events::now_ms()])?;
        record(connection, "started", &before, String::new())?;
    }
    connection
        .prepare_cached(
            "UPDATE steroidsd_invocations SET state = 'running', pid = coalesce(?2, pid)
             WHERE invocation_id = ?1 AND state <> 'ended'",
        )?
        .execute(params![id.get(), pid])?;
    Ok(())
}

/// Where a log is that is written anew. Cursors into the one before must not fit it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rebuild {
    /// About to take the old one's place: the next odd generation.
    Written,
    /// In its place, or given up: the next even one.
    Published,
}

/// Counts the generation of a log. Not simply by one: the row may be another one than at the count
/// before, put back in a new database.
pub(super) fn count_generation(
    connection: &Connection,
    id: InvocationId,
    rebuild: Rebuild,
) -> Result<u32, Failure> {
    let by = match rebuild {
        Rebuild::Written => "1 + log_generation % 2",
        Rebuild::Published => "2 - log_generation % 2",
    };
    let sql = format!(
        "UPDATE steroidsd_invocations SET log_generation = log_generation + {by}
         WHERE invocation_id = ?1 RETURNING log_generation"
    );
    let generation = connection
        .prepare_cached(&sql)?
        .query_row([id.get()], |row| row.get(0))
        .optional()?;
    Ok(generation.ok_or(StoreError::NoSuchInvocation { id })?)
}

/// Tells, once each, which of ours that run another program has closed: we go on all the same, and
/// write what is true at the end.
pub(super) fn tell_overridden(
    connection: &Connection,
    ids: &[InvocationId],
) -> Result<usize, Failure> {
    let mut told = 0;
    for id in ids {
        let Some(now) = query::by_id(connection, *id)? else {
            continue;
        };
        if now.managed.is_none() || now.phase != Phase::Running || is_told(connection, *id)? {
            continue;
        }
        if let Some(word) = foreign_word(connection, &now)? {
            record(connection, OVERRIDDEN, &now, overridden_by(&word))?;
            told += 1;
        }
    }
    Ok(told)
}

fn overridden_by(word: &str) -> String {
    format!("another program had set the row to {word}")
}

/// Whether there is an event that says so already.
pub(super) fn is_told(connection: &Connection, id: InvocationId) -> Result<bool, Failure> {
    Ok(connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM steroidsd_events WHERE kind = ?2 AND invocation_id = ?1)",
        )?
        .query_row(params![id.get(), OVERRIDDEN], |row| row.get(0))?)
}

/// The status another program wrote over ours, if one did.
fn foreign_word(connection: &Connection, before: &Invocation) -> Result<Option<String>, Failure> {
    let (status, completed): (Option<String>, Option<i64>) = connection
        .prepare_cached(
            "SELECT CAST(status AS TEXT), CAST(completed_at_ms AS INTEGER)
             FROM task_invocations WHERE id = ?1",
        )?
        .query_row([before.id.get()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let ours = match before.phase {
        Phase::Queued => None,
        _ => Some("running"),
    };
    if status.as_deref() == ours && completed.is_none() {
        return Ok(None);
    }
    Ok(Some(status.unwrap_or_else(|| "no status".to_owned())))
}

fn write_shared(connection: &Connection, id: InvocationId, ending: &Ending) -> Result<(), Failure> {
    let status = ending.outcome.row_status();
    // One that never left the queue starts when it ends, or lists by start time would miss it.
    connection
        .prepare_cached(
            "UPDATE task_invocations
             SET status = ?2, success = ?3, timed_out = ?4, error = ?5, exit_code = ?6,
                 duration_ms = ?7, completed_at_ms = ?8, response = ?9,
                 started_at_ms = coalesce(started_at_ms, ?8)
             WHERE id = ?1",
        )?
        .execute(params![
            id.get(),
            status.as_str(),
            ending.outcome.is_success(),
            status == RowStatus::Timeout,
            ending.error,
            ending.exit_code,
            ending.duration_ms,
            ending.completed_ms,
            ending.response
        ])?;
    Ok(())
}

/// Columns the older tool has added since, where this file has them.
fn write_extra(connection: &Connection, id: InvocationId, ending: &Ending) -> Result<(), Failure> {
    let set = |column: &str, value: &dyn rusqlite::ToSql| -> Result<(), Failure> {
        Ok(schema::set_extra(connection, id, column, value)?)
    };
    set("session_id", &ending.session_id)?;
    set("last_activity_at_ms", &ending.completed_ms)
}

fn write_own(connection: &Connection, id: InvocationId, ending: &Ending) -> Result<(), Failure> {
    let rusage = ending.rusage.as_ref();
    connection
        .prepare_cached(
            "UPDATE steroidsd_invocations
             SET state = 'ended', outcome = ?2, session_id = ?3, user_us = ?4, system_us = ?5,
                 max_rss_kib = ?6, leftovers = ?7, ended_ms = ?8, resets_at_ms = ?9,
                 http_status = ?10, cause = ?11, evidence = ?12,
                 peak_bytes = ?13, cpu_us = ?14, answering_model = ?15
             WHERE invocation_id = ?1",
        )?
        .execute(params![
            id.get(),
            ending.outcome.as_str(),
            ending.session_id,
            rusage.map(|rusage| count(rusage.user_us)),
            rusage.map(|rusage| count(rusage.system_us)),
            rusage.map(|rusage| count(rusage.max_rss_kib)),
            ending.leftovers,
            ending.completed_ms,
            ending.resets_at_ms,
            ending.http_status,
            ending.cause.map(Cause::as_str),
            ending.evidence.to_column(),
            rusage.and_then(|rusage| rusage.peak_bytes).map(count),
            rusage.and_then(|rusage| rusage.cpu_us).map(count),
            ending.answering_model
        ])?;
    Ok(())
}
