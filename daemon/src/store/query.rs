//! Questions about invocations that a key or an index answers at once; lists are in [`super::list`].

use std::collections::BTreeSet;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use super::error::{Failure, StoreError};
use super::finish;
use super::rows::{self, COLUMNS, Detail, JOINED};
use crate::domain::{Evidence, Invocation, InvocationId};

/// Ids of ours that are not over, by our word.
pub(super) const OWN_OPEN_IDS: &str =
    "SELECT invocation_id FROM steroidsd_invocations WHERE state IN ('queued', 'running')";

/// Ids of the older tool's that are not over, by its own word: looked for task by task, as its index
/// is over tasks.
pub(super) const FOREIGN_OPEN_IDS: &str = "SELECT i.id FROM tasks t CROSS JOIN task_invocations i
     WHERE i.task_id = t.id AND i.status = 'running'
       AND NOT EXISTS (SELECT 1 FROM steroidsd_invocations s WHERE s.invocation_id = i.id)";

/// One invocation.
pub(super) fn by_id(
    connection: &Connection,
    id: InvocationId,
) -> Result<Option<Invocation>, Failure> {
    let sql = format!("SELECT {COLUMNS} FROM {JOINED} WHERE i.id = ?1");
    Ok(connection
        .prepare_cached(&sql)?
        .query_row([id.get()], rows::invocation)
        .optional()?)
}

/// Those of them that have ended. One that is gone has not, as it may come back.
pub(super) fn ended_of(
    connection: &Connection,
    ids: &BTreeSet<InvocationId>,
) -> Result<Vec<InvocationId>, Failure> {
    let mut is_ended = connection.prepare_cached(
        "SELECT 1 FROM task_invocations i LEFT JOIN steroidsd_invocations s ON s.invocation_id = i.id
         WHERE i.id = ?1 AND iif(s.state IS NULL, i.status IS NOT 'running',
                                 s.state NOT IN ('queued', 'running'))",
    )?;
    let mut ended = Vec::new();
    for id in ids {
        if is_ended.exists([id.get()])? {
            ended.push(*id);
        }
    }
    Ok(ended)
}

/// One that must be there.
pub(super) fn require(connection: &Connection, id: InvocationId) -> Result<Invocation, Failure> {
    Ok(by_id(connection, id)?.ok_or(StoreError::NoSuchInvocation { id })?)
}

/// One invocation with its prompt, its answer, and what its end was judged by.
pub(super) fn detail(connection: &Connection, id: InvocationId) -> Result<Option<Detail>, Failure> {
    let Some(invocation) = by_id(connection, id)? else {
        return Ok(None);
    };
    let texts = connection
        .prepare_cached(
            "SELECT coalesce(CAST(prompt AS TEXT), ''), CAST(response AS TEXT)
             FROM task_invocations WHERE id = ?1",
        )?
        .query_row([id.get()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let evidence: Option<String> = connection
        .prepare_cached("SELECT evidence FROM steroidsd_invocations WHERE invocation_id = ?1")?
        .query_row([id.get()], |row| row.get(0))
        .optional()?
        .flatten();
    Ok(texts.map(|(prompt, response)| Detail {
        invocation,
        prompt,
        response,
        evidence: evidence.and_then(|text| Evidence::of_column(&text)),
    }))
}

/// The session of the newest invocation of a task by a provider that has ended with one.
pub(super) fn last_session(
    connection: &Connection,
    task: &str,
    provider: &str,
) -> Result<Option<String>, Failure> {
    Ok(connection
        .prepare_cached(
            "SELECT s.session_id FROM task_invocations i
             JOIN steroidsd_invocations s ON s.invocation_id = i.id
             WHERE i.task_id = ?1 AND i.provider = ?2 AND s.state = 'ended' AND s.session_id <> ''
             ORDER BY i.id DESC LIMIT 1",
        )?
        .query_row([task, provider], |row| row.get(0))
        .optional()?)
}

/// Those with an id above `after`, oldest first, of one task or of all.
pub(super) fn after(
    connection: &Connection,
    task: Option<&str>,
    after: i64,
    limit: u32,
) -> Result<Vec<Invocation>, Failure> {
    let mut values = vec![Value::Integer(after)];
    let of_task = match task {
        Some(task) => {
            values.push(Value::Text(task.to_owned()));
            "AND i.task_id = ?"
        }
        None => "",
    };
    values.push(Value::Integer(i64::from(limit)));
    let sql =
        format!("SELECT {COLUMNS} FROM {JOINED} WHERE i.id > ? {of_task} ORDER BY i.id LIMIT ?");
    select(connection, &sql, values)
}

/// Of a range of ids, the first that is not queued, or else one that is; of one task, or of all.
pub(super) fn begun(
    connection: &Connection,
    task: Option<&str>,
    (first, last): (InvocationId, InvocationId),
) -> Result<Option<Invocation>, Failure> {
    // By ids alone at first: the other columns are behind prompts.
    let sql = format!(
        "SELECT {COLUMNS} FROM {JOINED} WHERE i.id = (
             SELECT i.id FROM {JOINED}
             WHERE i.id BETWEEN ?1 AND ?2 AND (?3 IS NULL OR i.task_id = ?3)
             ORDER BY s.state IS 'queued', i.id LIMIT 1)"
    );
    Ok(connection
        .prepare_cached(&sql)?
        .query_row((first.get(), last.get(), task), rows::invocation)
        .optional()?)
}

/// Whose invocations are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    Ours,
    Foreign,
}

/// Those that are not over, oldest first.
pub(super) fn open(connection: &Connection, whose: Whose) -> Result<Vec<Invocation>, Failure> {
    let ids = match whose {
        Whose::Ours => OWN_OPEN_IDS,
        Whose::Foreign => FOREIGN_OPEN_IDS,
    };
    let sql = format!("SELECT {COLUMNS} FROM {JOINED} WHERE i.id IN ({ids}) ORDER BY i.id");
    select(connection, &sql, Vec::new())
}

/// Ours that run by our word, and not by the row's: another program has closed it, and nobody was told.
pub(super) fn overridden(connection: &Connection) -> Result<Vec<InvocationId>, Failure> {
    let ids = connection
        .prepare_cached(
            "SELECT s.invocation_id FROM steroidsd_invocations s
             JOIN task_invocations i ON i.id = s.invocation_id
             WHERE s.state = 'running'
               AND (i.status IS NOT 'running' OR i.completed_at_ms IS NOT NULL)",
        )?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<i64>>>()?;
    let mut overridden = Vec::new();
    for id in ids.into_iter().filter_map(InvocationId::new) {
        // Of these few alone: it takes a walk through all events, and SQLite would begin with it.
        if !finish::is_told(connection, id)? {
            overridden.push(id);
        }
    }
    Ok(overridden)
}

/// The highest id there is, and which invocations up to it are not over, ascending; of one task, or
/// of all.
pub(super) fn standing(
    connection: &Connection,
    task: Option<&str>,
) -> Result<(i64, Vec<InvocationId>), Failure> {
    // The highest first: one that begins between the two statements is above it.
    let highest = connection
        .prepare_cached("SELECT coalesce(max(id), 0) FROM task_invocations")?
        .query_row([], |row| row.get(0))?;
    let sql = format!(
        "SELECT i.id FROM task_invocations i
         WHERE i.id IN ({OWN_OPEN_IDS} UNION ALL {FOREIGN_OPEN_IDS})
           AND i.id <= ?1 AND (?2 IS NULL OR i.task_id = ?2)
         ORDER BY i.id"
    );
    let ids = connection
        .prepare_cached(&sql)?
        .query_map((highest, task), |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<i64>>>()?;
    let ids = ids.into_iter().filter_map(InvocationId::new).collect();
    Ok((highest, ids))
}

/// How many run; what waits does not.
pub(super) fn running_count(connection: &Connection) -> Result<i64, Failure> {
    let own = "SELECT invocation_id FROM steroidsd_invocations WHERE state = 'running'";
    let sql = format!("SELECT count(*) FROM ({own} UNION ALL {FOREIGN_OPEN_IDS})");
    Ok(connection
        .prepare_cached(&sql)?
        .query_row([], |row| row.get(0))?)
}

/// The one whose state folder has this name.
pub(super) fn by_uuid(connection: &Connection, uuid: &str) -> Result<Option<Invocation>, Failure> {
    one_of_ours(connection, "uuid", uuid)
}

/// The one that this request made.
pub(super) fn by_request(
    connection: &Connection,
    request_id: &str,
) -> Result<Option<Invocation>, Failure> {
    one_of_ours(connection, "request_id", request_id)
}

/// `column` is unique among ours.
fn one_of_ours(
    connection: &Connection,
    column: &'static str,
    value: &str,
) -> Result<Option<Invocation>, Failure> {
    let sql = format!("SELECT {COLUMNS} FROM {JOINED} WHERE s.{column} = ?1");
    Ok(connection
        .prepare_cached(&sql)?
        .query_row([value], rows::invocation)
        .optional()?)
}

/// Reads invocations with a statement over [`COLUMNS`].
pub(super) fn select(
    connection: &Connection,
    sql: &str,
    values: Vec<Value>,
) -> Result<Vec<Invocation>, Failure> {
    Ok(connection
        .prepare_cached(sql)?
        .query_map(params_from_iter(values), rows::invocation)?
        .collect::<rusqlite::Result<_>>()?)
}
