//! Of which budgets somebody has been told, so that nobody is told twice, whoever asks.

use rusqlite::{Connection, params};

use super::error::Failure;
use super::events::{self, NewEvent};

/// A budget that has come to a level.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Notice {
    /// `invocation`, `task` or `day`.
    pub scope: &'static str,
    /// Whose: the invocation's id, the task's, or the day.
    pub about: String,
    /// How much it is, exactly.
    pub bound: String,
    /// `warned` or `reached`.
    pub level: &'static str,
}

/// True if it was told before.
pub(super) fn is_told(connection: &Connection, notice: &Notice) -> Result<bool, Failure> {
    Ok(connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM steroidsd_budgets
                            WHERE scope = ?1 AND about = ?2 AND bound = ?3 AND level = ?4)",
        )?
        .query_row(
            params![notice.scope, notice.about, notice.bound, notice.level],
            |row| row.get(0),
        )?)
}

/// Tells it by an event, unless it was told before. True if it was told now.
pub(super) fn tell(
    connection: &Connection,
    notice: &Notice,
    event: &NewEvent,
) -> Result<bool, Failure> {
    let is_new = connection
        .prepare_cached(
            "INSERT INTO steroidsd_budgets (scope, about, bound, level, told_ms)
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            notice.scope,
            notice.about,
            notice.bound,
            notice.level,
            events::now_ms()
        ])?;
    if is_new == 0 {
        return Ok(false);
    }
    events::append(connection, event)?;
    Ok(true)
}
