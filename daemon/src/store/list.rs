//! Pages of invocations, newest first, over a history that may be a million rows.
//!
//! A row's prompt and answer lie before its status, so that reading the status of a row drags in
//! its whole text. Hence two ways. The newest few thousand rows are walked by id; most pages are
//! full by then. What is rare is picked instead: its ids come from indexes alone (`(task_id,
//! status, started_at_ms)` task by task for the shared table, `(state, outcome)` and `(ended_ms)` for
//! ours), and only the rows of the page are read.
//!
//! A time asks for what was there in it: what has ended since, or has not, and began before. No index
//! knows the ends of the older tool's: of those that began in the week before, the rows are read.

use rusqlite::Connection;
use rusqlite::types::Value;

use super::error::Failure;
use super::query::{FOREIGN_OPEN_IDS, select};
use super::rows::{COLUMNS, JOINED};
use super::spend::FOREIGN_BEFORE_MS;
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
    if let Some(since) = query.since_ms {
        conditions.push_str(&format!(
            " AND iif(s.uuid IS NULL, {}, s.state IN ('queued', 'running') OR s.ended_ms >= ?)",
            foreign_since(since, &mut values)
        ));
        values.push(Value::Integer(since));
    }
    // As no column it keeps the planner from jumping about in the index over times, and sorting.
    conditions.push_str(&until(
        "coalesce(i.started_at_ms, s.queued_ms)",
        query,
        &mut values,
    ));
    if has_states(query) {
        let mut any = vec![format!(
            "(s.uuid IS NULL AND i.status IN ({}))",
            shared_states(query)
        )];
        let own = own_open("s", query).chain(own_ended("s", query));
        any.extend(own.map(|own| format!("({own})")));
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
    if query.is_last {
        conditions.push_str(
            " AND NOT EXISTS (SELECT 1 FROM steroidsd_invocations n WHERE n.retry_of = i.id)",
        );
        // What somebody has ended is not to be mended, unless that is what is asked for.
        if query.outcomes.is_empty() {
            conditions.push_str(" AND s.outcome IS NOT 'cancelled'");
        }
    }
}

/// A sub-select of the ids in the states and the time asked for, from indexes alone.
fn pick(query: &Query, values: &mut Vec<Value>) -> String {
    match has_states(query) {
        true => pick_states(query, values),
        false => pick_time(query, values),
    }
}

/// Of all that were there in a time.
fn pick_time(query: &Query, values: &mut Vec<Value>) -> String {
    let Some(since) = query.since_ms else {
        let began = by_task(query, values);
        return format!("{began}{}", until(BEGAN, query, values));
    };
    let mut picked = match query.task.is_none() && query.until_ms.is_none() {
        true => made_since(since, values),
        false => {
            let mut began = by_task(query, values);
            began.push_str(&format!(
                " AND (i.started_at_ms >= ? OR i.status = 'running' AND {FOREIGN})"
            ));
            values.push(Value::Integer(since));
            began.push_str(&until(BEGAN, query, values));
            vec![began, foreign_before(query, "", since, values)]
        }
    };
    for state in ["queued", "running"] {
        let began = began_until(query, values);
        picked.push(format!("{OWN} WHERE o.state = '{state}'{began}"));
    }
    let mut ended = format!("{OWN} WHERE o.ended_ms >= ?");
    values.push(Value::Integer(since));
    if query.until_ms.is_some() || query.task.is_some() {
        // Of what has ended since there may be many, of which no row is read.
        let began = by_task(query, values);
        let until = until(BEGAN, query, values);
        ended.push_str(&format!(" AND +o.invocation_id IN ({began}{until})"));
    }
    picked.push(ended);
    picked.join(" UNION ALL ")
}

/// Whosever began since, and those of the older tool's that were there then. By the index over the times at which
/// rows were made it does not matter what was before.
fn made_since(since: i64, values: &mut Vec<Value>) -> Vec<String> {
    // Those times are in whole seconds; of what lies before all calendars SQLite makes no text.
    let second = |ms: i64| ms.saturating_add(999).div_euclid(1000).max(0);
    let made = second(since);
    let before = second(since.saturating_sub(FOREIGN_BEFORE_MS));
    values.extend([made, before, made, since, since].map(Value::Integer));
    vec![
        "SELECT i.id FROM task_invocations i WHERE i.created_at >= datetime(?, 'unixepoch')"
            .to_owned(),
        "SELECT w.id FROM task_invocations w
         WHERE w.created_at >= datetime(?, 'unixepoch')
           AND w.created_at < datetime(?, 'unixepoch')
           AND NOT EXISTS (SELECT 1 FROM steroidsd_invocations s WHERE s.invocation_id = w.id)
           AND (w.completed_at_ms >= ? OR w.started_at_ms >= ?)"
            .to_owned(),
        FOREIGN_OPEN_IDS.to_owned(),
    ]
}

/// Ours are picked by our own word.
fn pick_states(query: &Query, values: &mut Vec<Value>) -> String {
    let in_states = format!(" AND i.status IN ({})", shared_states(query));
    let mut foreign = by_task(query, values);
    foreign.push_str(&format!("{in_states} AND {FOREIGN}"));
    if let Some(since) = query.since_ms {
        foreign.push_str(" AND (i.started_at_ms >= ? OR i.status = 'running')");
        values.push(Value::Integer(since));
    }
    foreign.push_str(&until("i.started_at_ms", query, values));
    let mut picked = vec![foreign];
    if let Some(since) = query.since_ms {
        picked.push(foreign_before(query, &in_states, since, values));
    }
    // One select each: the planner would answer an OR of them by a scan.
    for condition in own_open("o", query) {
        let began = began_until(query, values);
        picked.push(format!("{OWN} WHERE {condition}{began}"));
    }
    for condition in own_ended("o", query) {
        let mut ended = format!("{OWN} WHERE {condition}");
        if let Some(since) = query.since_ms {
            // The plus keeps both to their indexes, of which neither has what the other is about.
            ended.push_str(
                " AND +o.invocation_id IN (
                     SELECT e.invocation_id FROM steroidsd_invocations e WHERE e.ended_ms >= ?)",
            );
            values.push(Value::Integer(since));
        }
        ended.push_str(&began_until(query, values));
        picked.push(ended);
    }
    picked.join(" UNION ALL ")
}

/// Of the older tool's that began before the time asked for those that ended in it.
fn foreign_before(query: &Query, in_states: &str, since: i64, values: &mut Vec<Value>) -> String {
    let began = by_task(query, values);
    let before = since.saturating_sub(FOREIGN_BEFORE_MS);
    values.extend([before, since].map(Value::Integer));
    let until = until("i.started_at_ms", query, values);
    values.push(Value::Integer(since));
    format!(
        "SELECT w.id FROM task_invocations w WHERE w.id IN (
             {began}{in_states} AND i.started_at_ms >= ? AND i.started_at_ms < ?{until} AND {FOREIGN})
         AND w.completed_at_ms >= ?"
    )
}

/// Ids of ours, to be narrowed.
const OWN: &str = "SELECT o.invocation_id FROM steroidsd_invocations o";

/// A row is the older tool's.
const FOREIGN: &str = "NOT EXISTS (
     SELECT 1 FROM steroidsd_invocations s WHERE s.invocation_id = i.id)";

/// When a row's invocation began; what waits, when it was asked for.
const BEGAN: &str = "coalesce(i.started_at_ms, (
     SELECT q.queued_ms FROM steroidsd_invocations q WHERE q.invocation_id = i.id))";

/// Ids of all, task by task, to be narrowed.
fn by_task(query: &Query, values: &mut Vec<Value>) -> String {
    let mut all = "SELECT i.id FROM tasks t CROSS JOIN task_invocations i
         WHERE i.task_id = t.id"
        .to_owned();
    if let Some(task) = &query.task {
        all.push_str(" AND t.id = ?");
        values.push(Value::Text(task.clone()));
    }
    all
}

/// True of a row of the older tool's that has not ended, or has since.
fn foreign_since(since: i64, values: &mut Vec<Value>) -> &'static str {
    let before = since.saturating_sub(FOREIGN_BEFORE_MS);
    values.extend([since, before, since].map(Value::Integer));
    "(i.status = 'running' OR i.started_at_ms >= ?
      OR i.started_at_ms >= ? AND i.completed_at_ms >= ?)"
}

/// The end of the time asked for, as a condition on what is told by `began`.
fn until(began: &str, query: &Query, values: &mut Vec<Value>) -> String {
    let Some(until) = query.until_ms else {
        return String::new();
    };
    values.push(Value::Integer(until));
    format!(" AND {began} < ?")
}

/// The same of one of ours, by its row. No column of our own beside the state, or statistics have all be walked.
fn began_until(query: &Query, values: &mut Vec<Value>) -> String {
    let until = until(BEGAN, query, values);
    if until.is_empty() {
        return until;
    }
    format!(" AND EXISTS (SELECT 1 FROM task_invocations i WHERE i.id = o.invocation_id{until})")
}

/// The states as a list of the shared table's words, in which there are no outcomes.
fn shared_states(query: &Query) -> String {
    let words: Vec<&str> = (query.states.iter().copied())
        .filter(|state| matches!(*state, "running" | "completed" | "failed" | "timeout"))
        .filter(|_| query.outcomes.is_empty())
        .collect();
    quoted(&words)
}

/// The states of what has not ended as conditions on our table. Words that are no state give none.
fn own_open<'a>(alias: &'a str, query: &'a Query) -> impl Iterator<Item = String> + 'a {
    let states = query.states.iter().copied();
    states
        .filter(|state| matches!(*state, "queued" | "running"))
        .filter(|_| query.outcomes.is_empty())
        .map(move |state| format!("{alias}.state = '{state}'"))
}

/// Those of what has, with the outcomes.
fn own_ended<'a>(alias: &'a str, query: &'a Query) -> impl Iterator<Item = String> + 'a {
    let states = match &query.states[..] {
        // Outcomes alone: in whatever state that is.
        [] => &ENDED[..],
        states => states,
    };
    states.iter().filter_map(move |state| {
        let outcomes: Vec<&str> = Outcome::ALL
            .iter()
            .filter(|outcome| outcome.row_status().as_str() == *state)
            .filter(|outcome| query.outcomes.is_empty() || query.outcomes.contains(outcome))
            .map(|outcome| outcome.as_str())
            .collect();
        let list = quoted(&outcomes);
        (!outcomes.is_empty())
            .then(|| format!("{alias}.state = 'ended' AND {alias}.outcome IN ({list})"))
    })
}

/// Words of ours as an SQL list.
fn quoted(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    quoted.join(", ")
}
