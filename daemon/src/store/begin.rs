//! The first transaction of an invocation: its task, its row, our row beside it, the event.
//!
//! The request id is committed with the row, so a request that is repeated after any crash finds
//! what became of the first one.

use rusqlite::{Connection, OptionalExtension, params};

use super::error::{Failure, StoreError};
use super::events::{self, NewEvent};
use super::finish::free_request;
use super::rows::{NewInvocation, PathColumn};
use super::{locks, query, schema};
use crate::domain::{Invocation, InvocationId, Outcome, RowStatus};

/// What `begin` found.
#[derive(Debug, Clone, PartialEq)]
pub enum Begun {
    /// A new one: the caller has to launch it.
    New(Invocation),
    /// The request was made before; nothing was changed.
    Existing(Invocation),
}

/// Makes the rows of a new invocation, with an id above `floor`, which is told before there are any.
pub(super) fn begin(
    connection: &Connection,
    new: &NewInvocation,
    floor: i64,
    tell: impl Fn(InvocationId),
) -> Result<Begun, Failure> {
    if let Some(existing) = repeated(connection, new)? {
        return Ok(Begun::Existing(existing));
    }
    let id = next_id(connection, floor)?;
    tell(id);
    let started = if new.queued {
        None
    } else {
        Some(new.created_ms)
    };
    insert(connection, id, new, started)?;
    if started.is_some() {
        locks::take(connection, &new.task, &new.uuid)?;
    }
    let kind = if new.queued { "queued" } else { "started" };
    record(connection, kind, id, new)?;
    record_retried(connection, id, new)?;
    Ok(Begun::New(query::require(connection, id)?))
}

/// Tells of the one before it that it is tried again, by itself or by somebody.
pub(super) fn record_retried(
    connection: &Connection,
    id: InvocationId,
    new: &NewInvocation,
) -> Result<(), Failure> {
    let of = new.queueing.retry_of;
    let before = of.map(|of| query::by_id(connection, of)).transpose()?;
    // One that was deleted has nobody who would be told.
    let Some(before) = before.flatten() else {
        return Ok(());
    };
    let attempt = new.queueing.attempt;
    let message = format!("tried again as {id}, which is attempt {attempt}");
    events::record(connection, "retried", &before, message)
}

/// Puts back the rows of an invocation whose state folder outlived them; `None` if all is there.
pub(super) fn restore(
    connection: &Connection,
    id: InvocationId,
    new: &NewInvocation,
) -> Result<Option<Invocation>, Failure> {
    let ours = own_id(connection, "uuid", &new.uuid)?;
    let row = query::by_id(connection, id)?;
    match (&row, ours) {
        (Some(_), Some(own)) if own == id => return Ok(None),
        (None, Some(own)) if own == id => {}
        (None, None) => {}
        _ => {
            let uuid = new.uuid.clone();
            return Err(StoreError::IdTaken { id, uuid }.into());
        }
    }
    insert_task(connection, &new.task)?;
    // By what our own row says, if that is still there: it may have left the queue since.
    let waits = match ours {
        Some(_) => is_queued(connection, id)?,
        None => new.queued,
    };
    let started = (!waits).then_some(new.created_ms);
    insert_shared(connection, id, new, started)?;
    if ours.is_some() {
        end_again(connection, id)?;
    } else {
        // One that was not started for want of room has left its request to a later one, whichever is put back first.
        let holder = own_id(connection, "request_id", &new.request_id)?;
        if let Some(earlier) = holder.filter(|holder| *holder < id) {
            free_request(connection, earlier)?;
        }
        let is_taken = holder.is_some_and(|holder| holder > id);
        let request_id = if is_taken { &new.uuid } else { &new.request_id };
        let own = NewInvocation {
            request_id: request_id.clone(),
            ..new.clone()
        };
        insert_own(connection, id, &own, state(new))?;
        if !waits {
            locks::take(connection, &new.task, &new.uuid)?;
        }
    }
    record(connection, "restored", id, new)?;
    Ok(Some(query::require(connection, id)?))
}

fn is_queued(connection: &Connection, id: InvocationId) -> Result<bool, Failure> {
    Ok(connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM steroidsd_invocations
                            WHERE invocation_id = ?1 AND state = 'queued')",
        )?
        .query_row([id.get()], |row| row.get(0))?)
}

/// The end of one that had ended when the row that others read was deleted: put back, it must not
/// say running for ever. Our own row knows the outcome, and not the reason in words.
fn end_again(connection: &Connection, id: InvocationId) -> Result<(), Failure> {
    let own: Option<(String, i64, i64)> = connection
        .prepare_cached(
            "SELECT outcome, ended_ms, max(ended_ms - created_ms, 0) FROM steroidsd_invocations
             WHERE invocation_id = ?1 AND state = 'ended'",
        )?
        .query_row([id.get()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((word, ended_ms, duration_ms)) = own else {
        return Ok(());
    };
    // One of a later release is no success that we know of.
    let outcome = word.parse().unwrap_or(Outcome::Failed);
    let status = outcome.row_status();
    connection
        .prepare_cached(
            "UPDATE task_invocations
             SET status = ?2, success = ?3, timed_out = ?4, error = ?5, exit_code = ?6,
                 duration_ms = ?7, completed_at_ms = ?8
             WHERE id = ?1",
        )?
        .execute(params![
            id.get(),
            status.as_str(),
            outcome.is_success(),
            status == RowStatus::Timeout,
            (!outcome.is_success()).then_some(word),
            if outcome.is_success() { 0 } else { -1 },
            duration_ms,
            ended_ms
        ])?;
    Ok(())
}

fn repeated(connection: &Connection, new: &NewInvocation) -> Result<Option<Invocation>, Failure> {
    let Some(id) = own_id(connection, "request_id", &new.request_id)? else {
        return Ok(None);
    };
    let Some(existing) = query::by_id(connection, id)? else {
        return Err(StoreError::RowDeleted { id }.into());
    };
    let same = existing
        .managed
        .as_ref()
        .is_some_and(|managed| managed.request_hash == new.request_hash);
    if same {
        return Ok(Some(existing));
    }
    Err(StoreError::RequestIdReused {
        request_id: new.request_id.clone(),
        id,
    }
    .into())
}

/// The invocation of ours whose `column` (a name of ours) has this value.
pub(super) fn own_id(
    connection: &Connection,
    column: &'static str,
    value: &str,
) -> Result<Option<InvocationId>, Failure> {
    let sql = format!("SELECT invocation_id FROM steroidsd_invocations WHERE {column} = ?1");
    let id: Option<i64> = connection
        .prepare_cached(&sql)?
        .query_row([value], |row| row.get(0))
        .optional()?;
    Ok(id.and_then(InvocationId::new))
}

/// The highest id that was ever given here.
pub(super) fn highest(connection: &Connection) -> Result<i64, Failure> {
    Ok(connection
        .prepare_cached(
            "SELECT max(
                 coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = 'task_invocations'), 0),
                 coalesce((SELECT max(id) FROM task_invocations), 0),
                 coalesce((SELECT max(invocation_id) FROM steroidsd_invocations), 0))",
        )?
        .query_row([], |row| row.get(0))?)
}

/// One above every id that was ever given, here or in a database before this one.
fn next_id(connection: &Connection, floor: i64) -> Result<InvocationId, Failure> {
    let top = highest(connection)?.max(floor);
    let next = top.checked_add(1).and_then(InvocationId::new);
    next.ok_or_else(|| Failure::Sql(rusqlite::Error::IntegralValueOutOfRange(0, top)))
}

fn insert(
    connection: &Connection,
    id: InvocationId,
    new: &NewInvocation,
    started: Option<i64>,
) -> Result<(), Failure> {
    insert_task(connection, &new.task)?;
    insert_shared(connection, id, new, started)?;
    insert_own(connection, id, new, state(new))
}

fn state(new: &NewInvocation) -> &'static str {
    if new.queued { "queued" } else { "running" }
}

/// `in_progress`, so that the older tool does not pick it up.
fn insert_task(connection: &Connection, task: &str) -> Result<(), Failure> {
    connection
        .prepare_cached(
            "INSERT INTO tasks (id, title, status) VALUES (?1, ?1, 'in_progress')
             ON CONFLICT (id) DO NOTHING",
        )?
        .execute([task])?;
    Ok(())
}

fn insert_shared(
    connection: &Connection,
    id: InvocationId,
    new: &NewInvocation,
    started: Option<i64>,
) -> Result<(), Failure> {
    // A queued one has no status: the CHECK knows no word for it, and the older tool skips NULL.
    let status = started.map(|_| "running");
    connection
        .prepare_cached(
            "INSERT INTO task_invocations
                 (id, task_id, role, provider, model, prompt, created_at, started_at_ms, status)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, datetime(?7 / 1000, 'unixepoch'), ?8, ?9)",
        )?
        .execute(params![
            id.get(),
            new.task,
            new.role,
            new.provider,
            new.model,
            new.prompt,
            new.created_ms,
            started,
            status
        ])?;
    insert_extra(connection, id, new, started)
}

/// Columns the older tool has added since, where this file has them.
fn insert_extra(
    connection: &Connection,
    id: InvocationId,
    new: &NewInvocation,
    started: Option<i64>,
) -> Result<(), Failure> {
    let set = |column: &str, value: &dyn rusqlite::ToSql| -> Result<(), Failure> {
        Ok(schema::set_extra(connection, id, column, value)?)
    };
    set("invocation_mode", &new.mode())?;
    set("resumed_from_session_id", &new.resume)?;
    set("last_activity_at_ms", &started)
}

fn insert_own(
    connection: &Connection,
    id: InvocationId,
    new: &NewInvocation,
    state: &str,
) -> Result<(), Failure> {
    let queueing = &new.queueing;
    let after: Vec<i64> = queueing.after.iter().map(|id| id.get()).collect();
    let after = (!after.is_empty()).then(|| serde_json::json!(after).to_string());
    connection
        .prepare_cached(
            "INSERT INTO steroidsd_invocations
                 (invocation_id, uuid, request_id, request_hash, mode, cwd, state, limits,
                  parser_version, created_ms, queued_ms, priority, after_ids, attempt, retry_of, resources)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15,
                     ?16)",
        )?
        .execute(params![
            id.get(),
            new.uuid,
            new.request_id,
            new.request_hash,
            new.mode(),
            PathColumn(&new.cwd),
            state,
            new.limits_json,
            new.parser_version,
            new.created_ms,
            queueing.queued_ms,
            queueing.priority,
            after,
            queueing.attempt,
            queueing.retry_of.map(InvocationId::get),
            new.resources_json
        ])?;
    Ok(())
}

fn record(
    connection: &Connection,
    kind: &str,
    id: InvocationId,
    new: &NewInvocation,
) -> Result<(), Failure> {
    let event = NewEvent {
        kind: kind.to_owned(),
        invocation: Some(id),
        task: Some(new.task.clone()),
        message: format!("{} {}", new.provider, new.role),
    };
    events::append(connection, &event).map(|_number| ())
}
