//! Any part of a log, without the rest: where its lines are, and what stands there.
//!
//! An [`Outline`] is made in one pass over the file, in bounded pieces on threads that may block,
//! and keeps every n-th matching line's place: n doubles as places run out, so that a log of a
//! million lines costs no more memory than one of a thousand. A [`Passage`] is some lines from a
//! place on. Both go by cursors, as following does, and never hold a log.
//!
//! Nobody waits here for what is not there yet: a torn last line is no line, and the log of an
//! invocation that has not printed is empty. A log that is not the one a cursor was given for is
//! refused as a gap, never read as if it were; one that is written anew while it is read from its
//! start is read again.

mod error;
mod filter;
mod lines;
mod outline;
mod passage;
mod shown;
mod written;

use bytes::Bytes;

use crate::domain::cursor::{InvocationCursor, Position};
use crate::domain::{Invocation, InvocationId};
use crate::projects::Project;
pub use error::BrowseError;
pub use filter::Filter;
use lines::Log;
use outline::Survey;

/// What an outline is to show.
#[derive(Debug, Clone, Default)]
pub struct OutlineQuery {
    /// Which lines.
    pub filter: Filter,
    /// Only those after this cursor; empty: from the first.
    pub after: String,
    /// Up to the one this cursor stands behind; empty: to the last.
    pub until: String,
    /// At most so many places, at least one.
    pub max_places: usize,
}

/// Where the lines are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// How many lines match.
    pub lines: u64,
    /// Every so many-th of them has a place, beginning with the first.
    pub stride: u64,
    /// The places, in order.
    pub places: Vec<Place>,
    /// Stands behind the last line that was looked at.
    pub end: String,
}

/// Where a line is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Stands before it.
    pub cursor: String,
    /// Epoch milliseconds; 0 if the line tells none.
    pub ts: i64,
}

/// Which lines are to be read.
#[derive(Debug, Clone, Default)]
pub struct ReadQuery {
    /// Those that match.
    pub filter: Filter,
    /// After this cursor; empty: from the first.
    pub after: String,
    /// At most so many, at least one.
    pub limit: usize,
    /// With the results of the tool calls among them.
    pub with_results: bool,
}

/// Some lines of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// Those that match, in order.
    pub lines: Vec<Line>,
    /// Results of the tool calls among them that are not among them themselves, in order.
    pub results: Vec<Line>,
    /// Stands behind the last line that was looked at.
    pub next: String,
    /// True if the log goes on there.
    pub more: bool,
    /// True if there is no log, which may still come.
    pub no_log: bool,
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Stands behind it.
    pub cursor: String,
    /// Epoch milliseconds; 0 if it tells none.
    pub ts: i64,
    /// Its type; empty if it is no JSON object with a type.
    pub kind: String,
    /// Its bytes, without the newline.
    pub bytes: Bytes,
}

/// How often a log is read from its start that is written anew meanwhile: once is an accident, more
/// is something that whoever asks had better wait out.
const ATTEMPTS: u32 = 3;

/// Tells where the lines of an invocation's log are. Who drops the wait ends the work.
///
/// # Errors
/// When a cursor cannot be honoured, or there is nothing to read.
pub async fn outline(
    project: &Project,
    id: InvocationId,
    query: OutlineQuery,
) -> Result<Outline, BrowseError> {
    let after = position("after", &query.after, id)?;
    let until = position("until", &query.until, id)?;
    let matcher = query.filter.compile()?;
    let most = query.max_places;
    let is_from_start = after.is_none() && until.is_none();
    settled(project, id, is_from_start, |log| {
        let matcher = matcher.clone();
        survey(move || Survey::open(&log, after, until, matcher, most))
    })
    .await
}

async fn survey(
    open: impl FnOnce() -> Result<Survey, BrowseError> + Send + 'static,
) -> Result<Outline, BrowseError> {
    let mut survey = blocking(open).await??;
    loop {
        let (back, is_done) = blocking(move || {
            let is_done = survey.advance();
            (survey, is_done)
        })
        .await?;
        survey = back;
        if is_done? {
            return Ok(survey.finish());
        }
    }
}

/// Reads some lines of an invocation's log.
///
/// # Errors
/// When the cursor cannot be honoured, or there is nothing to read.
pub async fn read(
    project: &Project,
    id: InvocationId,
    query: ReadQuery,
) -> Result<Passage, BrowseError> {
    let after = position("after", &query.after, id)?;
    let matcher = query.filter.compile()?;
    let (limit, with_results) = (query.limit, query.with_results);
    settled(project, id, after.is_none(), |log| {
        let matcher = matcher.clone();
        let read = move || passage::read(&log, after, &matcher, limit, with_results);
        async { blocking(read).await? }
    })
    .await
}

/// What was made of the log, if it was the same one all the while. From the start it is read again
/// if it was not: who named no cursor has none to forget.
async fn settled<T, F: Future<Output = Result<T, BrowseError>>>(
    project: &Project,
    id: InvocationId,
    is_from_start: bool,
    look: impl Fn(Log) -> F,
) -> Result<T, BrowseError> {
    for _ in 0..ATTEMPTS {
        let row = row(project, id).await?;
        let looked = match is_published(&row) {
            true => look(Log::of(project.logs(), &row)).await,
            false => Err(BrowseError::REBUILT),
        };
        let settled = match looked {
            Ok(seen) => still(project, &row).await.map(|()| seen),
            Err(error) => Err(error),
        };
        match settled {
            Err(BrowseError::Gap { .. }) if is_from_start => {}
            settled => return settled,
        }
    }
    Err(BrowseError::Unsettled)
}

/// False while another file is about to take the log's place, when nobody can tell which one is there.
/// Of what has ended nobody might see it through: that is taken as it is.
fn is_published(row: &Invocation) -> bool {
    let generation = row.managed.as_ref().map(|managed| managed.log_generation);
    row.phase.is_ended() || generation.is_none_or(|generation| generation.is_multiple_of(2))
}

async fn row(project: &Project, id: InvocationId) -> Result<Invocation, BrowseError> {
    let row = project.store.invocation(id).await;
    let row = row.map_err(|error| BrowseError::Store(Box::new(error)))?;
    row.ok_or(BrowseError::NoInvocation { id })
}

/// The log's generation is in its row, and goes up before and after another file takes its place:
/// what was read is of the one the row named if it names the same one still.
async fn still(project: &Project, before: &Invocation) -> Result<(), BrowseError> {
    let Some(managed) = &before.managed else {
        return Ok(());
    };
    let now = row(project, before.id).await?;
    let now = now.managed.map(|managed| managed.log_generation);
    if now == Some(managed.log_generation) {
        Ok(())
    } else {
        Err(BrowseError::REBUILT)
    }
}

/// Where a cursor points; the start is of whatever file is there.
fn position(
    field: &'static str,
    cursor: &str,
    id: InvocationId,
) -> Result<Option<Position>, BrowseError> {
    if cursor.is_empty() {
        return Ok(None);
    }
    let cursor = InvocationCursor::parse(cursor, id)
        .map_err(|source| BrowseError::CursorOutOfRange { field, source })?;
    Ok(Some(cursor.position))
}

/// Runs the work on a thread that may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BrowseError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(BrowseError::Stopping),
        },
    }
}

#[cfg(test)]
mod tests;
