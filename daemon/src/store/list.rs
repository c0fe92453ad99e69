//! Pages of invocations, newest first, over a history that may be a million rows.
//!
//! A row's prompt and answer lie before its status, so that reading the status of a row drags in
//! its whole text. Hence two ways. The newest few thousand rows are walked by id; most pages are
//! full by then. What is rare is picked instead: its ids come from indexes alone (`(task_id,
//! status, started_at_ms)` task by task for the shared table, `(state, outcome)` for ours), and
//! only the rows of the page are read.

use rusqlite::Connection;
use rusqlite::types::Value;

use super::error::Failure;
use super::query::select;
use super::rows::{COLUMNS, JOINED};
use crate::domain::{Invocation, Outcome, Page, Query};

/// Ids that are walked before the rest is picked: a few milliseconds' worth.
const WINDOW: i64 = 5000;

/// The states of what has ended.
const ENDED: [&str; 3] = ["completed", "failed", "timeout"];

/// A page.
pub(super) fn page(connection: &Connection, query: &Query) -> Result<Page, Failure> {
    let limit = query.limit.clamp(1, i32::MAX.unsigned_abs());
    let wanted = limit as usize;
    let read = |(sql, mut values): (String, Vec<Value>)| {
        values.push(Value::Integer(i64::from(limit) + 1));
        select(connection, &sql, values)
    };
    if !has_phase(query) {
        return Ok(cut(read(walk(query, 0))?, wanted));
    }
    if may_be_frequent(query) {
        let floor = top(connection, query)?.saturating_sub(WINDOW).max(0);
        let walked = read(walk(query, floor))?;
        if walked.len() > wanted || floor == 0 {
            return Ok(cut(walked, wanted));
        }
    }
    Ok(cut(read(picked(query))?, wanted))
}

/// Drops the one row too many that tells that there is another page.
fn cut(mut invocations: Vec<Invocation>, wanted: usize) -> Page {
    let more = invocations.len() > wanted;
    invocations.truncate(wanted);
    let next = invocations.last().filter(|_| more).map(|last| last.id);
    Page { invocations, next }
}

/// True if states, outcomes or times narrow the list.
fn has_phase(query: &Query) -> bool {
    has_states(query) || query.since_ms.is_some() || query.until_ms.is_some()
}

fn has_states(query: &Query) -> bool {
    !query.states.is_empty() || !query.outcomes.is_empty()
}

/// False for what is but a handful anyway.
fn may_be_frequent(query: &Query) -> bool {
    let open = |state: &&str| matches!(*state, "queued" | "running");
    query.states.is_empty() || !query.states.iter().all(open)
}

/// One above the highest id that may be on the page.
fn top(connection: &Connection, query: &Query) -> Result<i64, Failure> {
    if let Some(below) = query.below {
        return Ok(below.get());
    }
    Ok(connection
        .prepare_cached("SELECT coalesce(max(id), 0) + 1 FROM task_invocations")?
        .query_row([], |row| row.get(0))?)
}

/// The statement that walks down to `floor`; its limit is the last parameter, still to be given.
pub(super) fn walk(query: &Query, floor: i64) -> (String, Vec<Value>) {
    let mut values = Vec::new();
    let mut conditions = String::from("i.id > ?");
    values.push(Value::Integer(floor));
    narrow(query, "i.task_id", &mut conditions, &mut values);
    // What waits counts for when it was asked for. As no column it keeps the planner from jumping about in the
    // index over times, and sorting.
    let began = "coalesce(i.started_at_ms, s.queued_ms)";
    conditions.push_str(&in_time(began, query, &mut values));
    if has_states(query) {
        let mut any = vec![format!(
            "(s.uuid IS NULL AND i.status IN ({}))",
            shared_states(query)
        )];
        any.extend(own_states("s", query).map(|own| format!("({own})")));
        conditions.push_str(&format!(" AND ({})", any.join(" OR ")));
    }
    (listing(&conditions), values)
}

/// The statement that picks the ids first; its limit is the last parameter, still to be given.
pub(super) fn picked(query: &Query) -> (String, Vec<Value>) {
    let mut values = Vec::new();
    let mut conditions = format!("i.id IN ({})", pick(query, &mut values));
    // The plus keeps the planner on the ids that were picked.
    narrow(query, "+i.task_id", &mut conditions, &mut values);
    (listing(&conditions), values)
}

fn listing(conditions: &str) -> String {
    format!("SELECT {COLUMNS} FROM {JOINED} WHERE {conditions} ORDER BY i.id DESC LIMIT ?")
}

/// What narrows a list besides states and times.
fn narrow(query: &Query, task: &str, conditions: &mut String, values: &mut Vec<Value>) {
    let mut add = |condition: &str, value: Value| {
        conditions.push_str(" AND ");
        conditions.push_str(condition);
        values.push(value);
    };
    if let Some(below) = query.below {
        add("i.id < ?", Value::Integer(below.get()));
    }
    if let Some(id) = &query.task {
        add(&format!("{task} = ?"), Value::Text(id.clone()));
    }
    if let Some(provider) = &query.provider {
        add("i.provider = ?", Value::Text(provider.clone()));
    }
}

/// A sub-select of the ids in the states and the time asked for, from indexes alone.
fn pick(query: &Query, values: &mut Vec<Value>) -> String {
    let mut foreign = "SELECT i.id FROM tasks t CROSS JOIN task_invocations i
         WHERE i.task_id = t.id"
        .to_owned();
    if let Some(task) = &query.task {
        foreign.push_str(" AND t.id = ?");
        values.push(Value::Text(task.clone()));
    }
    foreign.push_str(&in_time("i.started_at_ms", query, values));
    if !has_states(query) {
        let waiting = in_time("o.queued_ms", query, values);
        return format!(
            "{foreign} UNION ALL SELECT o.invocation_id FROM steroidsd_invocations o
             WHERE o.state = 'queued'{waiting}"
        );
    }
    // Ours are picked by our own word.
    let list = shared_states(query);
    let mut picked = vec![format!(
        "{foreign} AND i.status IN ({list}) AND NOT EXISTS (
             SELECT 1 FROM steroidsd_invocations s WHERE s.invocation_id = i.id)"
    )];
    for condition in own_states("o", query) {
        // One select each: the planner would answer an OR of them by a scan.
        let mut own =
            format!("SELECT o.invocation_id FROM steroidsd_invocations o WHERE {condition}");
        let time = in_time("coalesce(r.started_at_ms, o.queued_ms)", query, values);
        if !time.is_empty() {
            own.push_str(
                " AND EXISTS (SELECT 1 FROM task_invocations r WHERE r.id = o.invocation_id",
            );
            own.push_str(&time);
            own.push(')');
        }
        picked.push(own);
    }
    picked.join(" UNION ALL ")
}

/// The time asked for, as conditions on what is told by `began`.
fn in_time(began: &str, query: &Query, values: &mut Vec<Value>) -> String {
    let mut conditions = String::new();
    for (sign, bound) in [(">=", query.since_ms), ("<", query.until_ms)] {
        if let Some(bound) = bound {
            conditions.push_str(&format!(" AND {began} {sign} ?"));
            values.push(Value::Integer(bound));
        }
    }
    conditions
}

/// The states as a list of the shared table's words, in which there are no outcomes.
fn shared_states(query: &Query) -> String {
    let words: Vec<&str> = (query.states.iter().copied())
        .filter(|state| matches!(*state, "running" | "completed" | "failed" | "timeout"))
        .filter(|_| query.outcomes.is_empty())
        .collect();
    quoted(&words)
}

/// The states and outcomes as conditions on our table. Words that are no state give none.
fn own_states<'a>(alias: &'a str, query: &'a Query) -> impl Iterator<Item = String> + 'a {
    let states = match &query.states[..] {
        // Outcomes alone: in whatever state that is.
        [] => &ENDED[..],
        states => states,
    };
    states.iter().filter_map(move |state| match *state {
        "queued" | "running" => query
            .outcomes
            .is_empty()
            .then(|| format!("{alias}.state = '{state}'")),
        "completed" | "failed" | "timeout" => {
            let outcomes: Vec<&str> = Outcome::ALL
                .iter()
                .filter(|outcome| outcome.row_status().as_str() == *state)
                .filter(|outcome| query.outcomes.is_empty() || query.outcomes.contains(outcome))
                .map(|outcome| outcome.as_str())
                .collect();
            let list = quoted(&outcomes);
            (!outcomes.is_empty())
                .then(|| format!("{alias}.state = 'ended' AND {alias}.outcome IN ({list})"))
        }
        _ => None,
    })
}

/// Words of ours as an SQL list.
fn quoted(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    quoted.join(", ")
}
