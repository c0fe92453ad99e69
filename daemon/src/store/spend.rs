//! Sums of what ended invocations used. SQLite sums, by an index over the ends; where a day is asked
//! for it sums by quarters of an hour, of which every zone's days are made, and those are put
//! together here.
//!
//! Rows of the older tool have no such index. They are found by the one over the time at which they
//! were made, from a week before on: none of its agents runs for so long.

use std::collections::HashMap;

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::error::Failure;
use super::query::{self, Whose};
use super::{rows, schema};
use crate::domain::{Invocation, SpendGroup, SpendKey, SpendQuery, Spending, Spent, Zone};

/// Groups that are kept apart; what comes after them is summed as the rest. A page shows some
/// hundred, and this is a few MiB.
const GROUPS: usize = 20_000;

/// The offsets of all zones divide by it.
const QUARTER_MS: i64 = 15 * 60 * 1000;

/// Before the time asked for, in which a row of the older tool may have been made that ended in it.
pub(super) const FOREIGN_BEFORE_MS: i64 = 7 * 24 * 3600 * 1000;

/// One of ours whose sum has nothing in it but what ours used. A run that told nothing, before it failed,
/// is in the sum of the next one: that is ours where one of ours began the session.
pub(super) const OWN_ONLY: &str = "(s.cumulative IS NOT 1 OR EXISTS (
         SELECT 1 FROM steroidsd_invocations b
         WHERE b.session_id = s.session_id AND b.mode = 'fresh'))";

/// By what ours is found that one model answered, or that was asked for by that name.
const OWN_MODELS: &str = "s.answering_model, i.model";

/// As [`Invocation::counted_model`].
const OWN_MODEL: &str = "coalesce(s.answering_model, CAST(i.model AS TEXT))";

/// What a project's invocations used.
#[derive(Debug, Clone, Default)]
pub struct Used {
    /// Those that have ended.
    pub ended: Spending,
    /// Those that had not, at the same moment; ours and the older tool's.
    pub open: Vec<Invocation>,
}

/// What the invocations used that the query is about, and which are still at it.
pub(super) fn used(
    connection: &Connection,
    spend: &SpendQuery,
    zone: &Zone,
) -> Result<Used, Failure> {
    // One that ends between two statements would be counted twice, or not at all.
    let at_once = connection.unchecked_transaction()?;
    let mut sums = Sums {
        zone,
        by: &spend.by,
        groups: HashMap::new(),
        rest: Spent::default(),
        rest_groups: 0,
    };
    sums.read(&at_once, own(spend))?;
    let has_usage = schema::columns(&at_once, "task_invocations")?.contains("token_usage_json");
    sums.read(&at_once, foreign(spend, has_usage))?;
    let mut open = query::open(&at_once, Whose::Ours)?;
    open.extend(query::open(&at_once, Whose::Foreign)?);
    at_once.finish()?;
    Ok(Used {
        ended: Spending {
            groups: sums.groups.into_iter().collect(),
            rest: sums.rest,
            rest_groups: sums.rest_groups,
        },
        open,
    })
}

/// Sums as they come, put together by what is asked for.
struct Sums<'a> {
    zone: &'a Zone,
    by: &'a [SpendKey],
    groups: HashMap<SpendGroup, Spent>,
    rest: Spent,
    rest_groups: u64,
}

/// Columns in front of the keys.
pub(super) const COUNTS: usize = 11;

impl Sums<'_> {
    fn read(
        &mut self,
        connection: &Connection,
        (sql, values): (String, Vec<Value>),
    ) -> Result<(), Failure> {
        let mut statement = connection.prepare_cached(&sql)?;
        let mut found = statement.query(params_from_iter(values))?;
        while let Some(row) = found.next()? {
            let (group, spent) = (self.group(row)?, spent(row)?);
            // Without keys there is a row also where there is nothing.
            if spent.invocations == 0 {
                continue;
            }
            let is_full = self.groups.len() >= GROUPS;
            match self.groups.get_mut(&group) {
                Some(sum) => sum.add(&spent),
                None if is_full => {
                    self.rest.add(&spent);
                    self.rest_groups += 1;
                }
                None => {
                    self.groups.insert(group, spent);
                }
            }
        }
        Ok(())
    }

    fn group(&self, row: &Row<'_>) -> rusqlite::Result<SpendGroup> {
        let mut group = SpendGroup::default();
        for (index, key) in self.by.iter().enumerate() {
            let at = COUNTS + index;
            match key {
                SpendKey::Invocation => group.invocation = Some(rows::id_column(row, at)?),
                SpendKey::Task => group.task = Some(rows::text(row, at)?),
                SpendKey::Provider => group.provider = Some(rows::text(row, at)?),
                SpendKey::Model => group.model = Some(rows::text(row, at)?),
                SpendKey::Role => group.role = Some(rows::text(row, at)?),
                SpendKey::Day => {
                    let quarter: Option<i64> = row.get(at)?;
                    let began = quarter.unwrap_or(0).saturating_mul(QUARTER_MS);
                    group.day = Some(self.zone.day(began));
                }
                // Whose file this is knows who asks.
                SpendKey::Project => {}
            }
        }
        Ok(group)
    }
}

pub(super) fn spent(row: &Row<'_>) -> rusqlite::Result<Spent> {
    let count = |at: usize| -> rusqlite::Result<u64> {
        // A sum of SQLite's whole numbers may overflow, and then it fails; of these a float holds
        // every one that occurs.
        Ok(row.get::<_, f64>(at)? as u64)
    };
    Ok(Spent {
        invocations: count(0)?,
        running: 0,
        without_usage: count(1)?,
        without_cost: count(2)?,
        estimated: count(3)?,
        cumulative: count(4)?,
        input_tokens: count(5)?,
        output_tokens: count(6)?,
        cached_input_tokens: count(7)?,
        cache_creation_tokens: count(8)?,
        cost_usd: crate::domain::dollars(row.get(9)?),
        estimated_usd: crate::domain::dollars(row.get(10)?),
    })
}

/// The statement over ours.
pub(super) fn own(spend: &SpendQuery) -> (String, Vec<Value>) {
    let mut values = Vec::new();
    // The plus keeps the planner from the index over states, in which most of a history is one.
    let mut conditions = String::from("+s.state = 'ended'");
    for (sign, bound) in [(">=", spend.since_ms), ("<", spend.until_ms)] {
        if let Some(bound) = bound {
            conditions.push_str(&format!(" AND s.ended_ms {sign} ?"));
            values.push(Value::Integer(bound));
        }
    }
    narrow(spend, OWN_MODELS, &mut conditions, &mut values);
    if spend.own_only {
        conditions.push_str(" AND ");
        conditions.push_str(OWN_ONLY);
    }
    // A row that was deleted was paid for all the same. Of one task they are found by its index.
    let from = match spend.task {
        Some(_) => {
            "task_invocations i
             CROSS JOIN steroidsd_invocations s ON s.invocation_id = i.id"
        }
        None => {
            "steroidsd_invocations s
             LEFT JOIN task_invocations i ON i.id = s.invocation_id"
        }
    };
    let cost = rows::cost("s.cost_usd");
    let sql = format!(
        "SELECT total(1), total(s.input_tokens IS NULL),
             total(s.input_tokens IS NOT NULL AND {cost} IS NULL
                   AND (s.cost_usd IS NOT NULL
                        OR s.input_tokens + s.output_tokens + coalesce(s.cached_input_tokens, 0)
                           + coalesce(s.cache_creation_tokens, 0) > 0)),
             total(s.cost_estimated AND {cost} IS NOT NULL), total(s.cumulative),
             total(s.input_tokens), total(s.output_tokens), total(s.cached_input_tokens),
             total(s.cache_creation_tokens), total({cost}),
             total(iif(s.cost_estimated, {cost}, 0)){}
         FROM {from} WHERE {conditions}{}",
        keys(&spend.by, "s.invocation_id", "s.ended_ms", OWN_MODEL),
        grouped(&spend.by),
    );
    (sql, values)
}

/// The statement over the older tool's. Where its file has no column for what was used, nobody knows.
pub(super) fn foreign(spend: &SpendQuery, has_usage: bool) -> (String, Vec<Value>) {
    const TIME: &str = "coalesce(CAST(i.completed_at_ms AS INTEGER),
         CAST(i.started_at_ms AS INTEGER), unixepoch(i.created_at) * 1000, 0)";
    let mut values = Vec::new();
    let mut conditions = String::from(
        "i.status IS NOT 'running' AND NOT EXISTS (
             SELECT 1 FROM steroidsd_invocations s WHERE s.invocation_id = i.id)",
    );
    let mut bound = |condition: &str, bound: i64| {
        conditions.push_str(" AND ");
        conditions.push_str(condition);
        values.push(Value::Integer(bound));
    };
    if let Some(since) = spend.since_ms {
        // Of what lies before all calendars SQLite makes no text.
        let made = since.saturating_sub(FOREIGN_BEFORE_MS).max(0) / 1000;
        bound("i.created_at >= datetime(?, 'unixepoch')", made);
        bound(&format!("{TIME} >= ?"), since);
    }
    if let Some(until) = spend.until_ms {
        bound(&format!("{TIME} < ?"), until);
    }
    narrow(spend, "i.model", &mut conditions, &mut values);
    let used = match has_usage {
        true => "iif(json_valid(i.token_usage_json), i.token_usage_json, NULL)",
        false => "NULL",
    };
    let cost = rows::cost("told");
    let sql = format!(
        "WITH found AS (
             SELECT {TIME} AS ended, i.id AS id, i.task_id, i.role, i.provider, i.model,
                    {used} AS used
             FROM task_invocations i WHERE {conditions}),
         counted AS (
             SELECT *,
                 max(0, coalesce(CAST(used ->> '$.inputTokens' AS INTEGER), 0)) AS input,
                 max(0, coalesce(CAST(used ->> '$.outputTokens' AS INTEGER), 0)) AS output,
                 max(0, coalesce(CAST(used ->> '$.cachedInputTokens' AS INTEGER),
                                 CAST(used ->> '$.cacheReadTokens' AS INTEGER), 0)) AS cached,
                 max(0, coalesce(CAST(used ->> '$.cacheCreationTokens' AS INTEGER), 0)) AS created,
                 CAST(used ->> '$.totalCostUsd' AS REAL) AS told
             FROM found),
         priced AS (SELECT *, {cost} AS cost FROM counted)
         SELECT total(1), total(used IS NULL),
             total(used IS NOT NULL AND cost IS NULL
                   AND (told IS NOT NULL OR input + output + cached + created > 0)),
             0.0, 0.0, total(input), total(output), total(cached), total(created),
             total(cost), 0.0{}
         FROM priced i{}",
        keys(&spend.by, "i.id", "i.ended", "CAST(i.model AS TEXT)"),
        grouped(&spend.by),
    );
    (sql, values)
}

/// The models are those of a row by any of which it is found, the one first for which it counts.
fn narrow(spend: &SpendQuery, models: &str, conditions: &mut String, values: &mut Vec<Value>) {
    // That none was asked for says nothing of one that answered.
    let model = match spend.model.as_deref() {
        Some("") => format!("coalesce(nullif(?, ''), {models}, '') = ''"),
        _ => format!("? IN ({models})"),
    };
    for (condition, wanted) in [
        ("i.task_id = ?", &spend.task),
        ("i.provider = ?", &spend.provider),
        (&*model, &spend.model),
    ] {
        if let Some(wanted) = wanted {
            conditions.push_str(" AND ");
            conditions.push_str(condition);
            values.push(Value::Text(wanted.clone()));
        }
    }
}

/// The columns behind the counts.
fn keys(by: &[SpendKey], id: &str, ended: &str, model: &str) -> String {
    let columns = by.iter().map(|key| match key {
        SpendKey::Invocation => format!(", {id}"),
        SpendKey::Task => ", CAST(i.task_id AS TEXT)".to_owned(),
        SpendKey::Provider => ", CAST(i.provider AS TEXT)".to_owned(),
        SpendKey::Model => format!(", {model}"),
        SpendKey::Role => ", CAST(i.role AS TEXT)".to_owned(),
        SpendKey::Day => format!(", {ended} / {QUARTER_MS}"),
        SpendKey::Project => ", NULL".to_owned(),
    });
    columns.collect()
}

/// By all of them. The newest invocations first: they are kept apart if not all can be.
fn grouped(by: &[SpendKey]) -> String {
    if by.is_empty() {
        return String::new();
    }
    let places: Vec<String> = (COUNTS + 1..=COUNTS + by.len())
        .map(|place| place.to_string())
        .collect();
    let newest = by.iter().position(|key| *key == SpendKey::Invocation);
    let order = newest.map_or_else(String::new, |at| {
        format!(" ORDER BY {} DESC", COUNTS + 1 + at)
    });
    format!(" GROUP BY {}{order}", places.join(", "))
}
