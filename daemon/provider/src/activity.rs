//! What an agent did, one record at a time. A provider's parser makes activities; the projection
//! writes each as one line of the activity log.
//!
//! Activities borrow from the provider's line wherever they can, so that a line of plain text is
//! copied once, into the log.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::evidence::Cause;
use crate::outcome::Outcome;

/// Where and when the byte stands whose processing produced an activity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamp {
    /// Wall clock at which the bytes arrived at the shim, in epoch milliseconds.
    pub wall_ms: u64,
    /// The shim's monotonic clock at that moment, in milliseconds; durations come from this one.
    pub mono_ms: u64,
    /// Position in the spool; never falls from one activity to the next.
    pub raw: u64,
}

impl Stamp {
    /// The stamp of something that arrived at `since` and is shown only now.
    pub(crate) fn shown_late(self, since: Stamp) -> Stamp {
        Stamp {
            raw: self.raw,
            ..since
        }
    }
}

/// Which of the provider's two pipes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Whether an invocation began a new session or went on with one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A new session.
    Fresh,
    /// An earlier session goes on.
    Resume,
}

/// How urgent a notice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// For information.
    Info,
    /// Something is not as it should be; the run goes on.
    Warn,
    /// Something failed; the run goes on.
    Error,
}

/// State of one item of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanStatus {
    /// Not begun.
    Pending,
    /// Being worked on.
    InProgress,
    /// Done.
    Completed,
}

/// One item of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanItem {
    /// What is to be done.
    pub text: String,
    /// How far it is.
    pub status: PlanStatus,
}

/// Tokens and money; the same meaning for every provider.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Usage {
    /// Without cache reads and writes.
    pub input_tokens: u64,
    /// With reasoning.
    pub output_tokens: u64,
    /// Read from the provider's cache.
    pub cached_input_tokens: Option<u64>,
    /// Written to the provider's cache.
    pub cache_creation_tokens: Option<u64>,
    /// As the provider states it, in US dollars.
    pub total_cost_usd: Option<f64>,
    /// Of these tokens those that were used after the cost was stated, and are not in it.
    pub uncosted: Tokens,
    /// True for the final total (subagents included), which replaces sums.
    pub total: bool,
    /// True if it contains an earlier run of a resumed session that cannot be subtracted.
    pub cumulative: bool,
}

/// Tokens of each kind, 0 where nobody told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tokens {
    /// Without cache reads and writes.
    pub input: u64,
    /// With reasoning.
    pub output: u64,
    /// Read from the provider's cache.
    pub cached_input: u64,
    /// Written to the provider's cache.
    pub cache_creation: u64,
}

impl Tokens {
    /// These, of which those of the cache may not be told.
    pub fn new(
        input: u64,
        output: u64,
        cached_input: Option<u64>,
        cache_creation: Option<u64>,
    ) -> Tokens {
        Tokens {
            input,
            output,
            cached_input: cached_input.unwrap_or(0),
            cache_creation: cache_creation.unwrap_or(0),
        }
    }

    /// Of all kinds.
    pub fn all(&self) -> u64 {
        let kinds = [
            self.input,
            self.output,
            self.cached_input,
            self.cache_creation,
        ];
        kinds.into_iter().fold(0, u64::saturating_add)
    }

    /// Both together.
    pub fn plus(self, other: Tokens) -> Tokens {
        Tokens {
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            cached_input: self.cached_input.saturating_add(other.cached_input),
            cache_creation: self.cache_creation.saturating_add(other.cache_creation),
        }
    }
}

impl Usage {
    /// All of its tokens.
    pub fn tokens(&self) -> Tokens {
        let (input, output) = (self.input_tokens, self.output_tokens);
        let (cached, created) = (self.cached_input_tokens, self.cache_creation_tokens);
        Tokens::new(input, output, cached, created)
    }

    /// What was used, and then the other. A cost that comes later speaks of all before it.
    pub fn plus(self, other: Usage) -> Usage {
        let both = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (a, b) => a.or(b),
        };
        let money = match (self.total_cost_usd, other.total_cost_usd) {
            // To a billionth: 0.1 and 0.2 are 0.3.
            (Some(a), Some(b)) => Some(((a + b) * 1e9).round() / 1e9),
            (a, b) => a.or(b),
        };
        let uncosted = match (self.total_cost_usd, other.total_cost_usd) {
            (_, Some(_)) => other.uncosted,
            (Some(_), None) => self.uncosted.plus(other.tokens()),
            (None, None) => Tokens::default(),
        };
        Usage {
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
            cached_input_tokens: both(self.cached_input_tokens, other.cached_input_tokens),
            cache_creation_tokens: both(self.cache_creation_tokens, other.cache_creation_tokens),
            total_cost_usd: money.filter(|money| money.is_finite()),
            uncosted,
            ..self
        }
    }
}

/// A text and what is not as the provider printed it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text<'a> {
    /// The text. The encoder cuts it at 256 KiB and adds what it cut to `truncated_bytes`.
    pub text: Cow<'a, str>,
    /// Bytes that were cut before it came here.
    pub truncated_bytes: u64,
    /// True if bytes that are not UTF-8 became U+FFFD.
    pub lossy: bool,
}

/// What an invocation's processes used of the machine, where that was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    /// The most memory at a time.
    pub peak_memory_bytes: Option<u64>,
    /// CPU time, in milliseconds.
    pub cpu_ms: Option<u64>,
}

/// How an invocation ended; the fields of the last line of a process that ran.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// What it amounts to.
    pub outcome: Outcome,
    /// Monotonic, in milliseconds.
    pub duration_ms: u64,
    /// `None` if a signal ended it.
    pub exit_code: Option<i32>,
    /// Number of the signal that ended it.
    pub signal: Option<i32>,
    /// One line: why it did not succeed.
    pub error: Option<String>,
    /// It had given its final result and had to be ended.
    pub exit_forced: bool,
    /// The session that can be resumed.
    pub session_id: Option<String>,
    /// The final total, where there is one, else the sum.
    pub usage: Option<Usage>,
    /// Processes that were alive after it had ended.
    pub leftovers: u32,
    /// When the limit goes away that it ran into, in epoch milliseconds.
    pub resets_at_ms: Option<i64>,
    /// Of the API's answer, where that is why it ended.
    pub http_status: Option<u16>,
    /// Why it failed, where that is more than its outcome says.
    pub cause: Option<Cause>,
    /// What its processes used of the machine.
    pub used: Used,
}

/// One record of an invocation.
#[derive(Debug, Clone)]
pub enum Activity<'a> {
    /// Always first.
    Start {
        /// Who it works as: coder, reviewer, …
        role: Cow<'a, str>,
        /// The provider's configured name.
        provider: Cow<'a, str>,
        /// The model asked for.
        model: Cow<'a, str>,
        /// Fresh or resumed.
        mode: Mode,
        /// Working directory.
        cwd: Cow<'a, str>,
    },
    /// The CLI says who it is.
    Session {
        /// What `--resume` takes.
        session_id: Cow<'a, str>,
        /// The CLI's own version.
        provider_version: Option<Cow<'a, str>>,
    },
    /// A tool call begins.
    Tool {
        /// What a person wants to read: the shell command itself, `Read src/main.rs`.
        cmd: Text<'a>,
        /// The provider's name of the tool.
        name: Cow<'a, str>,
        /// The call's arguments as the provider printed them, without raw newlines.
        input: Option<Cow<'a, RawValue>>,
        /// Matches the result to the call.
        call_id: Option<Cow<'a, str>>,
        /// The call (a subagent's) within which this one was made.
        parent_call_id: Option<Cow<'a, str>>,
    },
    /// A tool call ended.
    ToolResult {
        /// Of the call.
        call_id: Cow<'a, str>,
        /// Whether it did what it was asked.
        ok: bool,
        /// Of a shell command, where the provider tells it.
        exit_code: Option<i32>,
        /// In milliseconds; measured here if the CLI gives none.
        duration_ms: Option<u64>,
        /// What it answered.
        msg: Option<Text<'a>>,
    },
    /// Assistant text, or a line of plain text.
    Output {
        /// The pipe it came from.
        stream: Stream,
        /// The text.
        msg: Text<'a>,
    },
    /// Reasoning the CLI shows.
    Thinking {
        /// The text.
        msg: Text<'a>,
    },
    /// The plan as it now is.
    Plan {
        /// All items.
        items: Vec<PlanItem>,
    },
    /// Tokens and money so far, or in all.
    Usage(Usage),
    /// The CLI waits, or tries again.
    Retry {
        /// Short: `rate_limit`, `overloaded`, …
        reason: Cow<'a, str>,
        /// Which attempt comes now.
        attempt: Option<u32>,
        /// In milliseconds.
        delay_ms: Option<u64>,
        /// What the CLI said.
        msg: Text<'a>,
    },
    /// Anything else it reports that does not end the run.
    Notice {
        /// How urgent.
        level: Level,
        /// What it said.
        msg: Text<'a>,
    },
    /// A message sent to the running agent.
    Input {
        /// The message.
        msg: Text<'a>,
    },
    /// A provider event the parser does not know, whole.
    Unknown {
        /// Its type, where it has one: `system/new_thing`.
        name: Option<Cow<'a, str>>,
        /// The event: JSON as it was, or text where it was not JSON.
        data: Foreign<'a>,
    },
    /// Last line of a process that ran.
    Complete(Box<Completion>),
    /// Last line of one that could not be started, or was lost.
    Error {
        /// One line: why.
        error: Cow<'a, str>,
        /// `lost`, `never_started`, `interrupted`.
        outcome: Outcome,
    },
}

/// Something a provider printed that nobody here understands.
#[derive(Debug, Clone)]
pub enum Foreign<'a> {
    /// Valid JSON, kept byte for byte, unless it is lossy.
    Json {
        /// The JSON itself.
        raw: Cow<'a, RawValue>,
        /// Bytes that are not UTF-8 were replaced.
        lossy: bool,
    },
    /// Anything else.
    Text(Text<'a>),
}
