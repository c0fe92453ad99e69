//! Tasks, with what ran and runs for them.

use rusqlite::{Connection, params};

use super::error::Failure;
use super::rows;
use crate::domain::Task;

/// Tasks with an id above `after`, by id, and the `after` of the next page.
///
/// All counts come from the index over task, status and start, the newest of each from that over tasks;
/// those of ours that are not over, and those that ended without having been started, a few, are gathered once.
/// What the latter are says [`Invocation::was_started`](crate::domain::Invocation::was_started).
pub(super) fn page(
    connection: &Connection,
    after: Option<&str>,
    limit: u32,
) -> Result<(Vec<Task>, Option<String>), Failure> {
    let limit = limit.clamp(1, i32::MAX.unsigned_abs());
    let mut tasks: Vec<Task> = connection
        .prepare_cached(PAGE)?
        .query_map(params![after.unwrap_or(""), i64::from(limit) + 1], task)?
        .collect::<rusqlite::Result<_>>()?;
    let wanted = limit as usize;
    let next = if tasks.len() > wanted {
        tasks.truncate(wanted);
        tasks.last().map(|last| last.id.clone())
    } else {
        None
    };
    Ok((tasks, next))
}

pub(super) const PAGE: &str = "
    WITH running AS MATERIALIZED (
        SELECT i.task_id FROM steroidsd_invocations s JOIN task_invocations i
        ON i.id = s.invocation_id WHERE s.state = 'running'),
    unstarted AS MATERIALIZED (
        SELECT s.invocation_id AS id FROM steroidsd_invocations s
        JOIN task_invocations i ON i.id = s.invocation_id
        WHERE s.state = 'ended' AND s.outcome IN ('never_started', 'cancelled', 'lost')
            AND (s.outcome = 'never_started'
                OR i.started_at_ms = i.completed_at_ms AND s.queued_ms < i.started_at_ms))
    SELECT t.id, CAST(t.title AS TEXT), CAST(t.status AS TEXT),
        (SELECT count(*) FROM task_invocations i WHERE i.task_id = t.id),
        (SELECT count(*) FROM task_invocations i
             WHERE i.task_id = t.id AND i.status = 'running' AND NOT EXISTS (
                 SELECT 1 FROM steroidsd_invocations s WHERE s.invocation_id = i.id))
            + (SELECT count(*) FROM running WHERE running.task_id = t.id),
        (SELECT max(i.started_at_ms) FROM task_invocations i
             WHERE i.task_id = t.id AND i.id NOT IN (SELECT id FROM unstarted)),
        n.id, CAST(n.status AS TEXT), o.state, o.outcome
    FROM tasks t
    LEFT JOIN task_invocations n ON n.id = (
        SELECT i.id FROM task_invocations i WHERE i.task_id = t.id ORDER BY i.id DESC LIMIT 1)
    LEFT JOIN steroidsd_invocations o ON o.invocation_id = n.id
    WHERE t.id > ?1 ORDER BY t.id LIMIT ?2";

fn task(row: &rusqlite::Row<'_>) -> rusqlite::Result<Task> {
    Ok(Task {
        id: row.get(0)?,
        title: rows::text(row, 1)?,
        status: rows::text(row, 2)?,
        invocations: row.get(3)?,
        running: row.get(4)?,
        last_started_ms: row.get(5)?,
        last: match row.get::<_, Option<i64>>(6)? {
            Some(_) => Some(rows::phase(row, 7, 8)?),
            None => None,
        },
    })
}

/// True if there is such a task.
pub(super) fn exists(connection: &Connection, id: &str) -> Result<bool, Failure> {
    Ok(connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM tasks WHERE id = ?1)")?
        .query_row([id], |row| row.get(0))?)
}
