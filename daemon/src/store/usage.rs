//! What an ended invocation used, as it is written: this run's part, also where its CLI counts over
//! the whole session, and the cost at a price that stands beside it.
//!
//! A CLI that goes on with a session may tell the sum over all of its runs. The part of each is the
//! difference to the run before it. Which one that is may come out later, when rows are put back
//! after a loss; so the parts of a session's runs are worked out anew whenever one of them has ended,
//! from the sums alone, and whatever the order they come to the same.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::error::Failure;
use super::rows::{Ending, count};
use super::{rows, schema};
use crate::domain::{InvocationId, Price, UsageTotals};

/// Runs of a session that are looked at, the newest: nobody resumes one so often.
const RUNS: u32 = 1000;

/// Writes it, and the parts of the session's other runs. Done again, as when a log is made anew, it
/// keeps the price of the first time.
pub(super) fn write(
    connection: &Connection,
    id: InvocationId,
    ending: &Ending,
) -> Result<(), Failure> {
    let used = ending.usage;
    write_sum(connection, id, used.filter(|used| used.cumulative).as_ref())?;
    let mut price = None;
    if used.is_some_and(|used| used.needs_price()) {
        price = stored_price(connection, id)?;
        if price.is_none() {
            price = ending.price;
            write_price(connection, id, price.as_ref())?;
        }
    }
    let used = match (used, price) {
        (Some(used), Some(price)) => Some(used.estimated_at(&price)),
        (used, _) => used,
    };
    write_part(connection, id, used.as_ref())?;
    if let Some(session) = &ending.session_id {
        settle(connection, session)?;
    }
    Ok(())
}

/// What the CLI told, where that is a sum over its session.
fn write_sum(
    connection: &Connection,
    id: InvocationId,
    sum: Option<&UsageTotals>,
) -> Result<(), Failure> {
    connection
        .prepare_cached(
            "UPDATE steroidsd_invocations
             SET thread_input_tokens = ?2, thread_output_tokens = ?3,
                 thread_cached_input_tokens = ?4, thread_cache_creation_tokens = ?5
             WHERE invocation_id = ?1",
        )?
        .execute(params![
            id.get(),
            sum.map(|sum| count(sum.input_tokens)),
            sum.map(|sum| count(sum.output_tokens)),
            sum.and_then(|sum| sum.cached_input_tokens).map(count),
            sum.and_then(|sum| sum.cache_creation_tokens).map(count),
        ])?;
    Ok(())
}

fn write_price(
    connection: &Connection,
    id: InvocationId,
    price: Option<&Price>,
) -> Result<(), Failure> {
    connection
        .prepare_cached(
            "UPDATE steroidsd_invocations
             SET price_input = ?2, price_output = ?3, price_cached_input = ?4,
                 price_cache_creation = ?5
             WHERE invocation_id = ?1",
        )?
        .execute(params![
            id.get(),
            price.map(|price| price.input),
            price.map(|price| price.output),
            price.and_then(|price| price.cached_input),
            price.and_then(|price| price.cache_creation)
        ])?;
    Ok(())
}

/// The price that it has had from its end on.
fn stored_price(connection: &Connection, id: InvocationId) -> Result<Option<Price>, Failure> {
    Ok(connection
        .prepare_cached(
            "SELECT price_input, price_output, price_cached_input, price_cache_creation
             FROM steroidsd_invocations WHERE invocation_id = ?1",
        )?
        .query_row([id.get()], |row| price(row, 0))
        .optional()?
        .flatten())
}

/// Four columns from `first` on.
fn price(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<Price>> {
    let Some(input) = row.get::<_, Option<f64>>(first)? else {
        return Ok(None);
    };
    Ok(Some(Price {
        input,
        output: row.get::<_, Option<f64>>(first + 1)?.unwrap_or(input),
        cached_input: row.get(first + 2)?,
        cache_creation: row.get(first + 3)?,
    }))
}

/// This run's part, in our table and in the column that the older tool has added since.
fn write_part(
    connection: &Connection,
    id: InvocationId,
    used: Option<&UsageTotals>,
) -> Result<(), Failure> {
    connection
        .prepare_cached(
            "UPDATE steroidsd_invocations
             SET input_tokens = ?2, output_tokens = ?3, cached_input_tokens = ?4,
                 cache_creation_tokens = ?5, cost_usd = ?6, cost_estimated = ?7, cumulative = ?8
             WHERE invocation_id = ?1",
        )?
        .execute(params![
            id.get(),
            used.map(|used| count(used.input_tokens)),
            used.map(|used| count(used.output_tokens)),
            used.and_then(|used| used.cached_input_tokens).map(count),
            used.and_then(|used| used.cache_creation_tokens).map(count),
            used.and_then(|used| used.total_cost_usd),
            used.map(|used| used.estimated),
            used.map(|used| used.cumulative),
        ])?;
    let json = used.map(json);
    Ok(schema::set_extra(
        connection,
        id,
        "token_usage_json",
        &json,
    )?)
}

/// The older tool's keys. Its readers of cached input look under one name or the other, by
/// provider; both mean the same here. An estimate is not what that tool means by a cost.
fn json(used: &UsageTotals) -> String {
    let mut object = serde_json::json!({
        "inputTokens": used.input_tokens,
        "outputTokens": used.output_tokens,
    });
    let mut set = |key: &str, value: Option<serde_json::Value>| {
        if let Some(value) = value {
            object[key] = value;
        }
    };
    let cost = used.total_cost_usd.filter(|_| !used.estimated);
    set(
        "cachedInputTokens",
        used.cached_input_tokens.map(Into::into),
    );
    set("cacheReadTokens", used.cached_input_tokens.map(Into::into));
    set(
        "cacheCreationTokens",
        used.cache_creation_tokens.map(Into::into),
    );
    set("totalCostUsd", cost.map(Into::into));
    object.to_string()
}

/// One run of a session.
struct Run {
    id: InvocationId,
    /// As the CLI told it.
    told: UsageTotals,
    /// Of the session so far; otherwise of this run.
    is_sum: bool,
    price: Option<Price>,
    /// As it stands there.
    part: UsageTotals,
}

/// Works out the parts of a session's runs. Where no CLI counts over the session there is nothing
/// to do.
fn settle(connection: &Connection, session: &str) -> Result<(), Failure> {
    let mut runs = runs(connection, session)?;
    if !runs.iter().any(|run| run.is_sum) {
        return Ok(());
    }
    // A sum only grows, whatever the order in which rows were made or put back.
    runs.sort_by_key(|run| (run.told.all_tokens(), run.id));
    let is_ours = began_in_silence(connection, session)?;
    let mut before = is_ours.then(UsageTotals::default);
    for run in &runs {
        if run.is_sum {
            let part = before.and_then(|before| less(&run.told, &before));
            let part = UsageTotals {
                cumulative: part.is_none(),
                ..part.unwrap_or(run.told)
            };
            let part = match &run.price {
                Some(price) => part.estimated_at(price),
                None => part,
            };
            if part != run.part {
                write_part(connection, run.id, Some(&part))?;
            }
        }
        before = Some(run.told);
    }
    Ok(())
}

/// What is left of a sum without another one; `None` if that was no part of it.
fn less(sum: &UsageTotals, other: &UsageTotals) -> Option<UsageTotals> {
    let some = |sum: Option<u64>, other: Option<u64>| match (sum, other) {
        (Some(sum), other) => sum.checked_sub(other.unwrap_or(0)).map(Some),
        (None, None | Some(0)) => Some(None),
        (None, Some(_)) => None,
    };
    Some(UsageTotals {
        input_tokens: sum.input_tokens.checked_sub(other.input_tokens)?,
        output_tokens: sum.output_tokens.checked_sub(other.output_tokens)?,
        cached_input_tokens: some(sum.cached_input_tokens, other.cached_input_tokens)?,
        cache_creation_tokens: some(sum.cache_creation_tokens, other.cache_creation_tokens)?,
        ..UsageTotals::default()
    })
}

/// Whether one of ours began the session, and told nothing before it failed: then all of the first sum is ours.
fn began_in_silence(connection: &Connection, session: &str) -> Result<bool, Failure> {
    let mut began = connection.prepare_cached(
        "SELECT 1 FROM steroidsd_invocations
         WHERE session_id = ?1 AND state = 'ended' AND input_tokens IS NULL AND mode = 'fresh'",
    )?;
    Ok(began.exists(params![session])?)
}

fn runs(connection: &Connection, session: &str) -> Result<Vec<Run>, Failure> {
    Ok(connection
        .prepare_cached(
            "SELECT invocation_id, input_tokens, output_tokens, cached_input_tokens,
                    cache_creation_tokens, cost_usd, cost_estimated, cumulative,
                    thread_input_tokens, thread_output_tokens, thread_cached_input_tokens,
                    thread_cache_creation_tokens,
                    price_input, price_output, price_cached_input, price_cache_creation
             FROM steroidsd_invocations
             WHERE session_id = ?1 AND state = 'ended' AND input_tokens IS NOT NULL
             ORDER BY invocation_id DESC LIMIT ?2",
        )?
        .query_map(params![session, RUNS], run)?
        .collect::<rusqlite::Result<_>>()?)
}

fn run(row: &Row<'_>) -> rusqlite::Result<Run> {
    let part = rows::usage(row, 1)?.unwrap_or_default();
    let is_sum = row.get::<_, Option<i64>>(8)?.is_some();
    let told = match is_sum {
        true => rows::tokens(row, 8)?.unwrap_or_default(),
        false => part,
    };
    Ok(Run {
        id: rows::id_column(row, 0)?,
        told,
        is_sum,
        price: price(row, 12)?,
        part,
    })
}
