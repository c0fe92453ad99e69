//! What each run used that has ended since a moment, for whoever adds up several databases: a run that is
//! in two of them, as in a copy, is known by its name.

use rusqlite::{Connection, Row, params, params_from_iter};

use super::error::Failure;
use super::{rows, schema, spend};
use crate::domain::{SpendKey, SpendQuery};

/// What one run used.
#[derive(Debug, Clone, PartialEq)]
pub struct RunUsed {
    /// Its uuid; of one of the older tool, which has none, what tells it from others.
    pub name: String,
    /// Of all kinds.
    pub tokens: u64,
    /// In US dollars.
    pub cost_usd: f64,
}

/// Of those that used something, and of which it is known how much of it is ours.
pub(super) fn used_since(connection: &Connection, since_ms: i64) -> Result<Vec<RunUsed>, Failure> {
    let at_once = connection.unchecked_transaction()?;
    let mut used = Vec::new();
    {
        // The plus keeps the planner from the index over states.
        let mut ours = at_once.prepare_cached(&format!(
            "SELECT uuid, coalesce(input_tokens, 0) + coalesce(output_tokens, 0)
                 + coalesce(cached_input_tokens, 0) + coalesce(cache_creation_tokens, 0) AS tokens,
                 coalesce({}, 0.0) AS cost
             FROM steroidsd_invocations s
             WHERE +state = 'ended' AND ended_ms >= ?1 AND (tokens > 0 OR cost > 0) AND {}",
            rows::cost("cost_usd"),
            spend::OWN_ONLY,
        ))?;
        let found = ours.query_map(params![since_ms], |row| {
            Ok(RunUsed {
                name: row.get(0)?,
                tokens: u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0),
                cost_usd: crate::domain::dollars(row.get(2)?),
            })
        })?;
        for run in found {
            used.push(run?);
        }
        let has_usage = schema::columns(&at_once, "task_invocations")?.contains("token_usage_json");
        let query = SpendQuery {
            since_ms: Some(since_ms),
            by: vec![SpendKey::Invocation, SpendKey::Task],
            ..SpendQuery::default()
        };
        let (sql, values) = spend::foreign(&query, has_usage);
        let mut theirs = at_once.prepare_cached(&sql)?;
        let mut found = theirs.query(params_from_iter(values))?;
        while let Some(row) = found.next()? {
            used.extend(foreign(row)?);
        }
    }
    at_once.finish()?;
    Ok(used)
}

fn foreign(row: &Row<'_>) -> Result<Option<RunUsed>, Failure> {
    let spent = spend::spent(row)?;
    let tokens = spent.all_tokens();
    if tokens == 0 && spent.cost_usd <= 0.0 {
        return Ok(None);
    }
    let id = rows::id_column(row, spend::COUNTS)?;
    let task = rows::text(row, spend::COUNTS + 1)?;
    Ok(Some(RunUsed {
        // Two projects may have the same id, and even the task; hardly with the same tokens.
        name: format!("{task} {id} {tokens}"),
        tokens,
        cost_usd: spent.cost_usd,
    }))
}
