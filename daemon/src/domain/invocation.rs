//! One invocation as everybody sees it, and the states it goes through:
//!
//! ```text
//! (requested) ──> Queued ──> Running ──> Ended(outcome)
//!                    └──────────────────────^   (stopped before it ran, or could not be started)
//! ```

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use steroids_provider::activity::Tokens;
use steroids_provider::evidence::Cause;
use steroids_provider::outcome::{Outcome, RowStatus};

use super::spend::dollars;
use super::{Price, Resources, Used};

/// The row's id, unique within its project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InvocationId(i64);

impl InvocationId {
    /// Takes a row's id; `None` unless it is positive.
    pub fn new(id: i64) -> Option<Self> {
        (id > 0).then_some(InvocationId(id))
    }

    /// The number.
    pub fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for InvocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where an invocation is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Waits for its turn.
    Queued,
    /// Its row says running.
    Running,
    /// Its row is final. A row of the older tool has no outcome of its own.
    Ended {
        /// The row's status.
        status: RowStatus,
        /// In one word, where we know it.
        outcome: Option<Outcome>,
    },
}

impl Phase {
    /// True once nothing more can happen.
    pub fn is_ended(self) -> bool {
        matches!(self, Phase::Ended { .. })
    }

    /// The word as it stands in answers: queued, running, completed, failed, timeout.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Queued => "queued",
            Phase::Running => "running",
            Phase::Ended { status, .. } => status.as_str(),
        }
    }
}

/// Tokens and money of an invocation. Input excludes cache reads and writes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct UsageTotals {
    /// Without cache reads and writes.
    pub input_tokens: u64,
    /// With reasoning.
    pub output_tokens: u64,
    /// Read from the provider's cache.
    pub cached_input_tokens: Option<u64>,
    /// Written to the provider's cache.
    pub cache_creation_tokens: Option<u64>,
    /// In US dollars.
    pub total_cost_usd: Option<f64>,
    /// Of these tokens those that are not in the cost: they were used after it was stated. No row has them.
    pub uncosted: Tokens,
    /// The cost, or a part of it, is not what the provider states, but tokens at the configured prices.
    pub estimated: bool,
    /// It contains an earlier run of the session that is not known, or not subtracted yet.
    pub cumulative: bool,
}

impl UsageTotals {
    /// Of all kinds.
    pub fn all_tokens(&self) -> u64 {
        self.tokens().all()
    }

    /// All of its tokens.
    pub fn tokens(&self) -> Tokens {
        let (input, output) = (self.input_tokens, self.output_tokens);
        let (cached, created) = (self.cached_input_tokens, self.cache_creation_tokens);
        Tokens::new(input, output, cached, created)
    }

    /// Those of its tokens of which nobody stated what they cost.
    pub fn unpriced(&self) -> Tokens {
        match self.total_cost_usd {
            Some(_) => self.uncosted,
            None => self.tokens(),
        }
    }

    /// Whether what it cost is not known, or not of all of it.
    pub fn needs_price(&self) -> bool {
        self.unpriced() != Tokens::default()
    }

    /// The same with the cost of these at this price, on top of what was stated.
    pub fn estimated_at(self, price: &Price) -> UsageTotals {
        let stated = self.total_cost_usd.unwrap_or(0.0);
        UsageTotals {
            total_cost_usd: Some(dollars(stated + price.of(&self.unpriced()))),
            uncosted: Tokens::default(),
            estimated: true,
            ..self
        }
    }
}

/// How a running invocation of ours is doing, as far as its log has been written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Live {
    /// Of its last line, in epoch milliseconds.
    pub last_activity_ms: i64,
    /// Of the last line that a person would look at.
    pub last_type: &'static str,
    /// What that line says, on one short line.
    pub last_text: String,
    /// Tool calls so far.
    pub tools: u64,
    /// Those of them without a result.
    pub open_tools: u64,
    /// Lines of its log.
    pub lines: u64,
    /// What it used so far.
    pub usage: Option<UsageTotals>,
    /// It took messages, and takes none any more.
    pub input_closed: bool,
    /// The model that answers, where its CLI has named it.
    pub answering_model: Option<String>,
    /// The session that it told last.
    pub session_id: Option<Arc<str>>,
    /// What it waits for, in one word; empty where nobody can know.
    pub waits_for: &'static str,
    /// Of a tool: its name.
    pub waits_on: String,
    /// Since when, in epoch milliseconds.
    pub waits_since_ms: i64,
    /// Where in the spool the wait for a person began: for a message, or for an answer to what looks like a question.
    pub waits_raw: Option<i64>,
    /// Of a retry: until when, in epoch milliseconds, where it said so.
    pub waits_until_ms: Option<i64>,
    /// The limit that is near, if one is.
    pub limit: &'static str,
    /// When that ends it, in epoch milliseconds.
    pub limit_at_ms: Option<i64>,
}

/// One invocation, from its row and ours beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Invocation {
    /// The row's id.
    pub id: InvocationId,
    /// Task it belongs to.
    pub task: String,
    /// Who it works as.
    pub role: String,
    /// The provider's configured name.
    pub provider: String,
    /// The model asked for; may be empty.
    pub model: String,
    /// The model that answered, where its CLI has named it.
    pub answering_model: Option<String>,
    /// Where it is in its life.
    pub phase: Phase,
    /// One line: why it did not succeed.
    pub error: Option<String>,
    /// Epoch milliseconds.
    pub started_ms: Option<i64>,
    /// Epoch milliseconds.
    pub completed_ms: Option<i64>,
    /// As measured by the shim's monotonic clock.
    pub duration_ms: Option<i64>,
    /// The provider's own; 128+n for a signal, -1 where there is none. `None` until it ended.
    pub exit_code: Option<i32>,
    /// Session that can be resumed.
    pub session_id: Option<String>,
    /// Tokens and money.
    pub usage: Option<UsageTotals>,
    /// `None` for a row of the older tool, which is never changed.
    pub managed: Option<Managed>,
}

impl Invocation {
    /// For which model it counts: the one that answered, else the one that was asked for.
    pub fn counted_model(&self) -> &str {
        self.answering_model.as_deref().unwrap_or(&self.model)
    }

    /// When it was started. One that ended before its turn came never was, though its row says so at the moment of
    /// its end, or lists by start time would miss it.
    pub fn began_ms(&self) -> Option<i64> {
        let ended_waiting = self.managed.is_some()
            && self.phase.is_ended()
            && self.started_ms == self.completed_ms
            && self.asked_ms() < self.started_ms;
        self.started_ms.filter(|_| !ended_waiting)
    }

    /// Whether its provider was started, or is being started: not that of one whose turn never came, nor where
    /// the turn came and there was nothing that could be started.
    pub fn was_started(&self) -> bool {
        let never = matches!(
            self.phase,
            Phase::Ended {
                outcome: Some(Outcome::NeverStarted),
                ..
            }
        );
        !never && self.began_ms().is_some()
    }

    /// When it was asked for, if it has waited since, or waits.
    pub fn queued_ms(&self) -> Option<i64> {
        let has_waited = self.started_ms.is_none() || self.asked_ms() < self.started_ms;
        self.asked_ms().filter(|_| has_waited)
    }

    fn asked_ms(&self) -> Option<i64> {
        self.managed.as_ref()?.queueing.queued_ms
    }
}

/// What only we know of an invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Managed {
    /// Names the state folder.
    pub uuid: String,
    /// The client's own id of the request.
    pub request_id: String,
    /// Hash of the request's parameters.
    pub request_hash: String,
    /// `fresh` or `resume`.
    pub mode: String,
    /// Absolute working directory.
    pub cwd: PathBuf,
    /// Process id of the provider, once it runs.
    pub pid: Option<i64>,
    /// Grows by one each time the log is rebuilt.
    pub log_generation: u32,
    /// Processes found alive after the provider had ended.
    pub leftovers: Option<u32>,
    /// Where it stands among others.
    pub queueing: Queueing,
    /// When the limit goes away that it ran into, in epoch milliseconds.
    pub resets_at_ms: Option<i64>,
    /// Of the API's answer, where that is why it ended.
    pub http_status: Option<u16>,
    /// Why it failed, where that is more than its outcome says.
    pub cause: Option<Cause>,
    /// What it may use of the machine; `None`: nothing bounds it.
    pub resources: Option<Resources>,
    /// What it used of the machine.
    pub used: Used,
}

/// Where an invocation stands among others: before it started, and after it failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Queueing {
    /// When it was asked for, in epoch milliseconds; `None` in rows from before there was a queue.
    pub queued_ms: Option<i64>,
    /// Of those that wait the higher go first.
    pub priority: i32,
    /// It starts when these have succeeded.
    pub after: Vec<InvocationId>,
    /// Counted from 1; 0 in rows from before there was a queue.
    pub attempt: u32,
    /// The attempt before this one.
    pub retry_of: Option<InvocationId>,
    /// The attempt after this one.
    pub retried_by: Option<InvocationId>,
}

/// Which invocations to list; empty means all.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Of this task only.
    pub task: Option<String>,
    /// In these states only: queued, running, completed, failed, timeout.
    pub states: Vec<&'static str>,
    /// With one of these outcomes only, which none has that has not ended, and none of the older tool's.
    pub outcomes: Vec<Outcome>,
    /// Without a later attempt only.
    pub is_last: bool,
    /// Of this provider only.
    pub provider: Option<String>,
    /// Ended at or after, in epoch milliseconds, or not yet.
    pub since_ms: Option<i64>,
    /// Started before, in epoch milliseconds; what waits counts for when it was asked for.
    pub until_ms: Option<i64>,
    /// Only ids below this one (the page before ended there).
    pub below: Option<InvocationId>,
    /// At most so many.
    pub limit: u32,
}

/// Invocations, newest first, and where the next page begins.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The rows.
    pub invocations: Vec<Invocation>,
    /// The `below` of the next page; `None` on the last.
    pub next: Option<InvocationId>,
}

/// A task, with what runs for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// The older tool's word.
    pub status: String,
    /// All its invocations.
    pub invocations: i64,
    /// Of those, running or queued now.
    pub running: i64,
    /// Epoch milliseconds of the newest start.
    pub last_started_ms: Option<i64>,
    /// How its newest invocation is; `None`: it has none.
    pub last: Option<Phase>,
}
