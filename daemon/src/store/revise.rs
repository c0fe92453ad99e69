//! How an invocation ended, judged once more: the row follows where it says something else.
//!
//! Everything that [`finish`](super::finish) writes is written again, from the same exit record, so
//! what does not depend on a parser comes out as it was. What was changed is found by comparing the
//! rows before and after, whatever columns there are.

use rusqlite::types::Value;
use rusqlite::{Connection, params};

use super::error::{Failure, StoreError};
use super::rows::Ending;
use super::{Store, events, finish, query};
use crate::domain::{Invocation, InvocationId, Phase};

/// The event of a log that was written anew, or a row that was judged anew.
const REBUILT: &str = "log_rebuilt";

/// A column that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its name.
    pub column: String,
    /// As text; `None` for NULL.
    pub before: Option<String>,
    /// The same now.
    pub after: Option<String>,
}

/// What is to be made of a row.
#[derive(Debug, Clone)]
pub struct Revision {
    /// As judged now.
    pub ending: Ending,
    /// Of the parser that judged.
    pub parser_version: u32,
    /// What is to be told of the log, where it was written anew.
    pub log: Option<String>,
    /// Write nothing.
    pub dry_run: bool,
}

impl Store {
    /// Has the row of one that has ended follow a new judgement; tells which columns differ.
    pub async fn revise(
        &self,
        id: InvocationId,
        revision: Revision,
    ) -> Result<Vec<Change>, StoreError> {
        self.write(move |tx| revise(tx, id, &revision)).await
    }
}

/// Has the row of an ended invocation of ours say what the revision says, and tells which columns
/// differ; none, also where it has not ended.
fn revise(
    connection: &Connection,
    id: InvocationId,
    revision: &Revision,
) -> Result<Vec<Change>, Failure> {
    let before = query::by_id(connection, id)?.ok_or(StoreError::NoSuchInvocation { id })?;
    if before.managed.is_none() || !before.phase.is_ended() {
        return Ok(Vec::new());
    }
    let stood = columns(connection, id)?;
    connection.execute_batch("SAVEPOINT revision")?;
    finish::write_ending(connection, id, &revision.ending)?;
    let changes = differing(stood, columns(connection, id)?);
    if revision.dry_run || changes.is_empty() {
        connection.execute_batch("ROLLBACK TO revision")?;
    } else {
        connection
            .prepare_cached(
                "UPDATE steroidsd_invocations SET parser_version = ?2 WHERE invocation_id = ?1",
            )?
            .execute(params![id.get(), revision.parser_version])?;
        // Closed anew by another program after it had ended: what happened is put back, and told.
        if let Some(word) = foreign_word(&before, &changes) {
            finish::tell_once(connection, &before, &word)?;
        }
    }
    connection.execute_batch("RELEASE revision")?;
    let is_news = !changes.is_empty() || revision.log.is_some();
    if is_news && !revision.dry_run {
        events::append(connection, &event(&before, revision, &changes))?;
    }
    Ok(changes)
}

fn event(about: &Invocation, revision: &Revision, changes: &[Change]) -> events::NewEvent {
    let mut message = match &revision.log {
        Some(log) => log.clone(),
        None => "the row was judged anew".to_owned(),
    };
    if let Some(outcome) = changes.iter().find(|change| change.column == "outcome") {
        let word = |word: &Option<String>| word.clone().unwrap_or_else(|| "none".to_owned());
        let (before, after) = (word(&outcome.before), word(&outcome.after));
        message.push_str(&format!("; outcome {before} is now {after}"));
    }
    events::NewEvent {
        kind: REBUILT.to_owned(),
        invocation: Some(about.id),
        task: Some(about.task.clone()),
        message,
    }
}

/// The status that another program has set, if one did: our own outcome had another.
fn foreign_word(before: &Invocation, changes: &[Change]) -> Option<String> {
    let Phase::Ended { status, .. } = before.phase else {
        return None;
    };
    let change = changes.iter().find(|change| change.column == "status")?;
    let word = change.before.as_deref().unwrap_or("no status");
    (word != status.as_str()).then(|| word.to_owned())
}

/// All columns of both rows, by name.
fn columns(connection: &Connection, id: InvocationId) -> Result<Vec<(String, Value)>, Failure> {
    let mut all = Vec::new();
    for (table, key) in [
        ("task_invocations", "id"),
        ("steroidsd_invocations", "invocation_id"),
    ] {
        let sql = format!("SELECT * FROM {table} WHERE {key} = ?1");
        // The older tool adds columns while we run; a statement kept would not know.
        let mut statement = connection.prepare(&sql)?;
        let names = statement.column_names().map(str::to_owned);
        let names: Vec<String> = names.collect();
        let values = statement.query_row([id.get()], |row| {
            (0..names.len()).map(|at| row.get(at)).collect()
        })?;
        let values: Vec<Value> = values;
        all.extend(names.into_iter().zip(values));
    }
    Ok(all)
}

fn differing(before: Vec<(String, Value)>, after: Vec<(String, Value)>) -> Vec<Change> {
    let both = before.into_iter().zip(after);
    let differ = both.filter(|((_, before), (_, after))| before != after);
    let mut changes: Vec<Change> = Vec::new();
    for ((column, before), (_, after)) in differ {
        // The two tables share a name or two, and mean the same by it.
        if changes.iter().all(|known| known.column != column) {
            changes.push(Change {
                column,
                before: text(before),
                after: text(after),
            });
        }
    }
    changes
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Integer(number) => Some(number.to_string()),
        Value::Real(number) => Some(number.to_string()),
        Value::Text(text) => Some(text),
        Value::Blob(bytes) => Some(format!("{} bytes", bytes.len())),
    }
}
