//! Lifecycle events of limits that are near and of waits for a person: `stalled` when a limit is near,
//! `waiting` when somebody is waited for, `resumed` when a silence or a wait is over.
//!
//! What was told last stands in the invocation's own row, in the transaction that tells it. So each
//! is told once, whichever daemon comes to see it, and one that is over by then not at all, unless the database refused
//! it meanwhile: then it is told late.

use rusqlite::{Connection, OptionalExtension, params};

use super::Store;
use super::error::{Failure, StoreError};
use super::events::{self, NewEvent};
use crate::domain::{InvocationId, Stalls};

/// The events' words.
const STALLED: &str = "stalled";
const WAITING: &str = "waiting";
const RESUMED: &str = "resumed";

/// Where in the spool those stalls and waits began that were told and are not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Told {
    silence: Option<i64>,
    wall: Option<i64>,
    waiting: Option<i64>,
}

impl Told {
    /// What is told once all is told that is to be, where this was before: of waits perhaps no new one.
    fn of(stalls: &Stalls, before: &Told) -> Told {
        let waiting = stalls.waiting.as_ref().map(|asking| asking.raw);
        Told {
            silence: stalls.silence.as_ref().map(|stall| stall.raw),
            wall: stalls.wall.as_ref().map(|stall| stall.raw),
            waiting: waiting.filter(|_| stalls.tells_waiting || waiting == before.waiting),
        }
    }
}

impl Store {
    /// Tells by events how near a running invocation is to its limits, and whom it waits for, as far as
    /// that was not told before. Says whether there was anything to tell.
    pub async fn tell_stalls(&self, id: InvocationId, stalls: Stalls) -> Result<bool, StoreError> {
        // Mostly there is nothing to tell, and no need to write.
        let told = self.read(move |db| told(db, id)).await?;
        if told.is_none_or(|(told, _task)| told == Told::of(&stalls, &told)) {
            return Ok(false);
        }
        self.write(move |tx| tell(tx, id, &stalls)).await
    }
}

/// What was told of an invocation of ours, and its task; `None` unless it runs.
fn told(connection: &Connection, id: InvocationId) -> Result<Option<(Told, String)>, Failure> {
    Ok(connection
        .prepare_cached(
            "SELECT s.silence_told, s.wall_told, s.waiting_told, CAST(i.task_id AS TEXT)
             FROM steroidsd_invocations s JOIN task_invocations i ON i.id = s.invocation_id
             WHERE s.invocation_id = ?1 AND s.state = 'running'",
        )?
        .query_row([id.get()], |row| {
            let told = Told {
                silence: row.get(0)?,
                wall: row.get(1)?,
                waiting: row.get(2)?,
            };
            Ok((told, row.get(3)?))
        })
        .optional()?)
}

fn tell(connection: &Connection, id: InvocationId, stalls: &Stalls) -> Result<bool, Failure> {
    let Some((before, task)) = told(connection, id)? else {
        return Ok(false);
    };
    let now = Told::of(stalls, &before);
    if now == before {
        return Ok(false);
    }
    let record = |kind: &str, message: &str| {
        let event = NewEvent {
            kind: kind.to_owned(),
            invocation: Some(id),
            task: Some(task.clone()),
            message: message.to_owned(),
        };
        events::append(connection, &event).map(|_number| ())
    };
    let is_over = |before: Option<i64>, now| before.is_some() && before != now;
    // Of one answer that ends both a person is told once.
    if is_over(before.silence, now.silence) || is_over(before.waiting, now.waiting) {
        let why = stalls.went_on.as_deref().unwrap_or("it printed again");
        record(RESUMED, why)?;
    }
    for (before, stall) in [
        (before.silence, &stalls.silence),
        (before.wall, &stalls.wall),
    ] {
        if let Some(stall) = stall
            && before != Some(stall.raw)
        {
            record(STALLED, &stall.msg)?;
        }
    }
    if let Some(asking) = &stalls.waiting
        && now.waiting.is_some()
        && now.waiting != before.waiting
    {
        record(WAITING, &asking.msg)?;
    }
    connection
        .prepare_cached(
            "UPDATE steroidsd_invocations SET silence_told = ?2, wall_told = ?3, waiting_told = ?4
             WHERE invocation_id = ?1",
        )?
        .execute(params![id.get(), now.silence, now.wall, now.waiting])?;
    Ok(true)
}
