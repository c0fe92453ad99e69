//! The columns an [`Invocation`] is read from, and the types that go into rows.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, Value, ValueRef};
use rusqlite::{Row, ToSql};

use crate::domain::{
    Cause, Evidence, Invocation, InvocationId, Managed, Outcome, Phase, Price, Queueing, Resources,
    RowStatus, USD_LIMIT, UsageTotals, Used,
};

/// What `begin` writes.
#[derive(Debug, Clone, Default)]
pub struct NewInvocation {
    /// Created where it does not exist.
    pub task: String,
    /// Who it works as.
    pub role: String,
    /// The provider's configured name.
    pub provider: String,
    /// May be empty.
    pub model: String,
    /// As it goes to the provider.
    pub prompt: String,
    /// Unique in the project.
    pub request_id: String,
    /// Of the request's parameters.
    pub request_hash: String,
    /// Names the state folder.
    pub uuid: String,
    /// Session that goes on; decides the mode (`resume`, else `fresh`).
    pub resume: Option<String>,
    /// Absolute.
    pub cwd: PathBuf,
    /// The limits in force, as JSON.
    pub limits_json: String,
    /// What it may use of the machine, as JSON; `None`: nothing bounds it.
    pub resources_json: Option<String>,
    /// Of the parser that will read the spool.
    pub parser_version: u32,
    /// Epoch milliseconds.
    pub created_ms: i64,
    /// Has to wait for its turn.
    pub queued: bool,
    /// Where it stands among others.
    pub queueing: Queueing,
}

/// What `finish` writes.
#[derive(Debug, Clone)]
pub struct Ending {
    /// In one word.
    pub outcome: Outcome,
    /// One line: why it did not succeed.
    pub error: Option<String>,
    /// The provider's own; 128+n for a signal, -1 where there is none.
    pub exit_code: i32,
    /// By the shim's monotonic clock.
    pub duration_ms: i64,
    /// Epoch milliseconds.
    pub completed_ms: i64,
    /// The final answer.
    pub response: Option<String>,
    /// Session that can be resumed.
    pub session_id: Option<String>,
    /// Tokens and money, as its CLI told it: where that is the sum over a session, this run's part
    /// of it is written.
    pub usage: Option<UsageTotals>,
    /// At which its cost is estimated, where nobody says what it was.
    pub price: Option<Price>,
    /// Of the provider's process tree.
    pub rusage: Option<Rusage>,
    /// Processes found alive after the provider had ended.
    pub leftovers: Option<u32>,
    /// When the limit goes away that it ran into, in epoch milliseconds.
    pub resets_at_ms: Option<i64>,
    /// Of the API's answer.
    pub http_status: Option<u16>,
    /// Why it failed, where that is more than its outcome says.
    pub cause: Option<Cause>,
    /// What it was judged by.
    pub evidence: Evidence,
    /// The model that answered, where its CLI has named it.
    pub answering_model: Option<String>,
    /// Nothing ran, for want of room: its request may be made again.
    pub frees_request: bool,
}

/// One invocation with what only a question for it alone is answered with.
#[derive(Debug, Clone, PartialEq)]
pub struct Detail {
    /// The row.
    pub invocation: Invocation,
    /// As it went to the provider.
    pub prompt: String,
    /// The final answer.
    pub response: Option<String>,
    /// What its end was judged by.
    pub evidence: Option<Evidence>,
}

/// Resources, as the kernel counted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rusage {
    /// User time in microseconds.
    pub user_us: u64,
    /// System time in microseconds.
    pub system_us: u64,
    /// Largest resident set of one process, in KiB.
    pub max_rss_kib: u64,
    /// The most memory of all its processes at a time, in bytes.
    pub peak_bytes: Option<u64>,
    /// CPU time in microseconds, of all its processes.
    pub cpu_us: Option<u64>,
}

impl NewInvocation {
    /// `fresh` or `resume`.
    pub(super) fn mode(&self) -> &'static str {
        if self.resume.is_some() {
            "resume"
        } else {
            "fresh"
        }
    }
}

/// A path as a column value: text, or bytes where it is not UTF-8.
pub(super) struct PathColumn<'a>(pub(super) &'a Path);

impl ToSql for PathColumn<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let bytes = self.0.as_os_str().as_bytes();
        Ok(ToSqlOutput::Borrowed(match std::str::from_utf8(bytes) {
            Ok(text) => ValueRef::Text(text.as_bytes()),
            Err(_) => ValueRef::Blob(bytes),
        }))
    }
}

struct OwnedPath(PathBuf);

impl FromSql for OwnedPath {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                Ok(OwnedPath(PathBuf::from(OsStr::from_bytes(bytes))))
            }
            _ => Err(FromSqlError::InvalidType),
        }
    }
}

/// A `u64` count as SQLite's signed integer, held at its largest value.
pub(super) fn count(value: u64) -> Value {
    Value::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}

/// `SELECT` list for [`invocation`], over `task_invocations i LEFT JOIN steroidsd_invocations s`.
/// Text that an older program stored as a blob, or not at all, must not make a row unreadable.
pub(super) const COLUMNS: &str = "i.id, CAST(i.task_id AS TEXT), CAST(i.role AS TEXT), \
     CAST(i.provider AS TEXT), CAST(i.model AS TEXT), CAST(i.status AS TEXT), \
     CAST(i.error AS TEXT), CAST(i.started_at_ms AS INTEGER), CAST(i.completed_at_ms AS INTEGER), \
     CAST(i.duration_ms AS INTEGER), CAST(i.exit_code AS INTEGER), \
     s.uuid, s.request_id, s.request_hash, s.mode, s.cwd, s.state, s.outcome, s.session_id, \
     s.input_tokens, s.output_tokens, s.cached_input_tokens, s.cache_creation_tokens, s.cost_usd, \
     s.cost_estimated, s.cumulative, s.leftovers, s.pid, s.log_generation, \
     s.queued_ms AS queued_ms, s.priority AS priority, s.after_ids AS after_ids, \
     s.attempt AS attempt, s.retry_of AS retry_of, \
     (SELECT n.invocation_id FROM steroidsd_invocations n WHERE n.retry_of = s.invocation_id) \
         AS retried_by, s.resets_at_ms AS resets_at_ms, s.http_status AS http_status, \
     s.cause AS cause, s.resources AS resources, s.peak_bytes AS peak_bytes, s.cpu_us AS cpu_us, \
     s.answering_model AS answering_model";

/// `FROM` for [`COLUMNS`].
pub(super) const JOINED: &str =
    "task_invocations i LEFT JOIN steroidsd_invocations s ON s.invocation_id = i.id";

/// What a run cost by a column of ours or of the older tool's, for a sum; NULL where that is what no run costs, as releases
/// before this one may have stored it. [`usage`] reads a row's by the same bound.
pub(super) fn cost(column: &str) -> String {
    format!("iif({column} BETWEEN 0 AND {USD_LIMIT:?}, {column}, NULL)")
}

/// Reads [`COLUMNS`].
pub(super) fn invocation(row: &Row<'_>) -> rusqlite::Result<Invocation> {
    let phase = phase(row, 5, 16)?;
    let ended = phase.is_ended();
    Ok(Invocation {
        id: id_column(row, 0)?,
        task: text(row, 1)?,
        role: text(row, 2)?,
        provider: text(row, 3)?,
        model: text(row, 4)?,
        answering_model: row.get("answering_model")?,
        phase,
        error: row.get(6)?,
        started_ms: row.get(7)?,
        completed_ms: if ended { row.get(8)? } else { None },
        duration_ms: if ended { row.get(9)? } else { None },
        exit_code: if ended {
            row.get::<_, Option<i64>>(10)?
                .and_then(|code| i32::try_from(code).ok())
        } else {
            None
        },
        session_id: row.get(18)?,
        usage: usage(row, 19)?,
        managed: managed(row)?,
    })
}

/// How one is, by the row's status and, where it is ours, its state and the outcome behind that.
pub(super) fn phase(row: &Row<'_>, status: usize, state: usize) -> rusqlite::Result<Phase> {
    let status: Option<String> = row.get(status)?;
    Ok(match row.get::<_, Option<String>>(state)?.as_deref() {
        None => foreign_phase(status.as_deref()),
        Some("queued") => Phase::Queued,
        Some("running") => Phase::Running,
        Some(_) => own_end(
            status.as_deref(),
            row.get::<_, Option<String>>(state + 1)?.as_deref(),
        ),
    })
}

pub(super) fn text(row: &Row<'_>, index: usize) -> rusqlite::Result<String> {
    Ok(row.get::<_, Option<String>>(index)?.unwrap_or_default())
}

/// Ids of rows are positive, whoever wrote them: SQLite's AUTOINCREMENT gives no others.
pub(super) fn id_column(row: &Row<'_>, index: usize) -> rusqlite::Result<InvocationId> {
    let id: i64 = row.get(index)?;
    InvocationId::new(id).ok_or(rusqlite::Error::IntegralValueOutOfRange(index, id))
}

/// Seven columns from `first` on: four counts, the cost, whether it is estimated, and whether an
/// earlier run is in all of it.
pub(super) fn usage(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<UsageTotals>> {
    let Some(counted) = tokens(row, first)? else {
        return Ok(None);
    };
    let told: Option<f64> = row.get(first + 4)?;
    let cost = told.filter(|usd| (0.0..=USD_LIMIT).contains(usd));
    let is_estimated = row.get::<_, Option<bool>>(first + 5)?.unwrap_or(false);
    Ok(Some(UsageTotals {
        total_cost_usd: cost,
        estimated: is_estimated && cost.is_some(),
        cumulative: row.get::<_, Option<bool>>(first + 6)?.unwrap_or(false),
        ..counted
    }))
}

/// Four columns of counts from `first` on.
pub(super) fn tokens(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<UsageTotals>> {
    let Some(input) = row.get::<_, Option<i64>>(first)? else {
        return Ok(None);
    };
    let tokens = |value: i64| u64::try_from(value).unwrap_or(0);
    Ok(Some(UsageTotals {
        input_tokens: tokens(input),
        output_tokens: tokens(row.get::<_, Option<i64>>(first + 1)?.unwrap_or(0)),
        cached_input_tokens: row.get::<_, Option<i64>>(first + 2)?.map(tokens),
        cache_creation_tokens: row.get::<_, Option<i64>>(first + 3)?.map(tokens),
        ..UsageTotals::default()
    }))
}

fn managed(row: &Row<'_>) -> rusqlite::Result<Option<Managed>> {
    let Some(uuid) = row.get(11)? else {
        return Ok(None);
    };
    Ok(Some(Managed {
        uuid,
        request_id: row.get(12)?,
        request_hash: row.get(13)?,
        mode: row.get(14)?,
        cwd: row.get::<_, OwnedPath>(15)?.0,
        pid: row.get(27)?,
        log_generation: row.get(28)?,
        leftovers: row.get(26)?,
        queueing: queueing(row)?,
        resets_at_ms: row.get("resets_at_ms")?,
        http_status: row.get("http_status")?,
        cause: row
            .get::<_, Option<String>>("cause")?
            .and_then(|word| word.parse().ok()),
        resources: row
            .get::<_, Option<String>>("resources")?
            .and_then(|column| Resources::of_column(&column)),
        used: Used {
            peak_bytes: row.get("peak_bytes")?,
            cpu_us: row.get("cpu_us")?,
        },
    }))
}

/// By name: these columns came later, and may not be the last.
fn queueing(row: &Row<'_>) -> rusqlite::Result<Queueing> {
    let id = |name: &str| -> rusqlite::Result<Option<InvocationId>> {
        Ok(row.get::<_, Option<i64>>(name)?.and_then(InvocationId::new))
    };
    let after: Option<String> = row.get("after_ids")?;
    let after: Vec<i64> = after
        .and_then(|ids| serde_json::from_str(&ids).ok())
        .unwrap_or_default();
    Ok(Queueing {
        queued_ms: row.get("queued_ms")?,
        priority: row.get::<_, Option<i32>>("priority")?.unwrap_or(0),
        after: after.into_iter().filter_map(InvocationId::new).collect(),
        attempt: row.get::<_, Option<u32>>("attempt")?.unwrap_or(0),
        retry_of: id("retry_of")?,
        retried_by: id("retried_by")?,
    })
}

/// A row of the older tool says only what its status says; no status is from before there was one.
fn foreign_phase(status: Option<&str>) -> Phase {
    match status {
        Some("running") => Phase::Running,
        other => Phase::Ended {
            status: row_status(other),
            outcome: None,
        },
    }
}

/// Our own outcome decides, also where another program has rewritten the status since.
fn own_end(status: Option<&str>, outcome: Option<&str>) -> Phase {
    let outcome = outcome.and_then(|word| word.parse::<Outcome>().ok());
    Phase::Ended {
        status: outcome.map_or_else(|| row_status(status), Outcome::row_status),
        outcome,
    }
}

fn row_status(word: Option<&str>) -> RowStatus {
    match word {
        Some("failed") => RowStatus::Failed,
        Some("timeout") => RowStatus::Timeout,
        _ => RowStatus::Completed,
    }
}
