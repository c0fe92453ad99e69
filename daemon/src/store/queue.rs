//! Rows that wait: their turn comes, or they are put back; and the next attempt, whose row is made
//! in the transaction that makes the one before it final.

use std::path::Path;

use rusqlite::{Connection, params};

use super::begin::{self, Begun};
use super::error::{Failure, StoreError};
use super::events::{self, record};
use super::finish::{self, End, Finished};
use super::rows::{Ending, NewInvocation, PathColumn};
use super::{locks, query};
use crate::domain::{Invocation, InvocationId, Phase};

/// What became of a row whose turn has come.
#[derive(Debug, Clone, PartialEq)]
pub enum Turned {
    /// It says running now, or has said so before.
    Running(Invocation),
    /// It has ended, and must not be started.
    Ended(Invocation),
}

/// The turn of one that waits has come: its row says running.
pub(super) fn take_turn(
    connection: &Connection,
    id: InvocationId,
    uuid: &str,
) -> Result<Turned, Failure> {
    let before = ours(connection, id, uuid)?;
    match before.phase {
        Phase::Ended { .. } => return Ok(Turned::Ended(before)),
        Phase::Running => return Ok(Turned::Running(before)),
        Phase::Queued => {}
    }
    let now = events::now_ms();
    connection
        .prepare_cached(
            "UPDATE task_invocations SET status = 'running', started_at_ms = ?2 WHERE id = ?1",
        )?
        .execute(params![id.get(), now])?;
    set_state(connection, id, "running")?;
    locks::take(connection, &before.task, uuid)?;
    let message = format!("{} {}", before.provider, before.role);
    record(connection, "started", &before, message)?;
    Ok(Turned::Running(query::require(connection, id)?))
}

/// One whose turn had come, and that was not started after all, waits again. One that has ended, or
/// waits, stays as it is.
pub(super) fn wait_again(
    connection: &Connection,
    id: InvocationId,
    uuid: &str,
) -> Result<Invocation, Failure> {
    let before = ours(connection, id, uuid)?;
    if before.phase != Phase::Running {
        return Ok(before);
    }
    connection
        .prepare_cached(
            "UPDATE task_invocations SET status = NULL, started_at_ms = NULL WHERE id = ?1",
        )?
        .execute([id.get()])?;
    set_state(connection, id, "queued")?;
    locks::release(connection, uuid)?;
    record(connection, "queued", &before, "waits again".to_owned())?;
    query::require(connection, id)
}

/// Writes how one ended, and makes the row of the next attempt with it: both or neither. Where the
/// end had been written before, nothing is made.
pub(super) fn finish_and_retry(
    connection: &Connection,
    id: InvocationId,
    ending: &Ending,
    next: &NewInvocation,
    floor: i64,
) -> Result<(Finished, Option<Invocation>), Failure> {
    let mut finished = finish::finish(connection, id, ending, End::New)?;
    if finished.repeated {
        // By the transaction that wrote the end, if it made one.
        let made = begin::own_id(connection, "uuid", &next.uuid)?;
        let made = made.map(|id| query::require(connection, id)).transpose()?;
        return Ok((finished, made));
    }
    let retried = match begin::begin(connection, next, floor, |_| {})? {
        Begun::New(retried) => retried,
        Begun::Existing(retried) => {
            begin::record_retried(connection, retried.id, next)?;
            retried
        }
    };
    finished.invocation = query::require(connection, id)?;
    Ok((finished, Some(retried)))
}

fn ours(connection: &Connection, id: InvocationId, uuid: &str) -> Result<Invocation, Failure> {
    let row = query::by_id(connection, id)?.ok_or(StoreError::NoSuchInvocation { id })?;
    let is_it = row.managed.as_ref().is_some_and(|it| it.uuid == uuid);
    if !is_it {
        let uuid = uuid.to_owned();
        return Err(StoreError::IdTaken { id, uuid }.into());
    }
    Ok(row)
}

/// Says where one is to work now.
pub(super) fn moved(
    connection: &Connection,
    id: InvocationId,
    uuid: &str,
    cwd: &Path,
) -> Result<(), Failure> {
    ours(connection, id, uuid)?;
    connection
        .prepare_cached("UPDATE steroidsd_invocations SET cwd = ?2 WHERE invocation_id = ?1")?
        .execute(params![id.get(), PathColumn(cwd)])?;
    Ok(())
}

fn set_state(connection: &Connection, id: InvocationId, state: &str) -> Result<(), Failure> {
    connection
        .prepare_cached("UPDATE steroidsd_invocations SET state = ?2 WHERE invocation_id = ?1")?
        .execute(params![id.get(), state])?;
    Ok(())
}
