//! What every provider's parser is: a pure state machine, lines and times in, activities out.
//!
//! A parser is total: every line becomes an activity or is on a written list of what is ignored,
//! by event type and subtype. What it does not know it hands on as [`Activity::Unknown`].

use crate::activity::{Activity, Stamp, Stream, Usage, Used};
use crate::evidence::Evidence;
use crate::outcome::Outcome;
use crate::signal;

/// One line of a provider's output.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// The pipe it came from.
    pub stream: Stream,
    /// Without the newline. At most 8 MiB: of a longer line the beginning.
    pub bytes: &'a [u8],
    /// Of the newline, or of the last byte of a line that has none.
    pub at: Stamp,
    /// False for a last line that was cut before its newline.
    pub complete: bool,
    /// Bytes of this line that were not kept.
    pub truncated_bytes: u64,
}

/// What is not in the activity log, and why. Each provider has one table of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IgnoreRule {
    /// Type and subtype of the event (`message/user`), or what a line of text begins with.
    pub event: &'static str,
    /// What a reader of the log would gain from it, namely nothing.
    pub reason: &'static str,
}

/// Takes activities, in the order in which they are to be written.
pub trait Sink {
    /// Takes one. `at.raw` never falls.
    fn activity(&mut self, at: Stamp, activity: &Activity<'_>);

    /// Is told that the line being parsed gave no activity on purpose. For the accounts, and to
    /// tell it from a line nobody answered for: that is shown as unknown.
    fn ignored(&mut self, _rule: &'static IgnoreRule) {}

    /// Is told that the line being parsed gave no activity yet: a delta to be joined, evidence for
    /// the verdict.
    fn held(&mut self, _what: &'static str) {}
}

impl<F: FnMut(Stamp, &Activity<'_>)> Sink for F {
    fn activity(&mut self, at: Stamp, activity: &Activity<'_>) {
        self(at, activity);
    }
}

/// What the time limits need to know of a running provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Vitals {
    /// Tool calls begun and not ended.
    pub open_tools: u32,
    /// Background tasks (shells, subagents) begun and not ended.
    pub background: u32,
    /// The final result was given, and nothing followed that takes it back.
    pub result_seen: bool,
}

/// Why we ended a provider that had not ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// Somebody asked for it.
    Stop,
    /// The `wall` limit.
    Wall,
    /// The `silence` or `tool_silence` limit.
    Silence,
    /// It had given its final result and did not exit.
    PostResult,
    /// The host is shutting down.
    Shutdown,
}

impl EndedBy {
    /// The word as it stands in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            EndedBy::Stop => "stop",
            EndedBy::Wall => "wall",
            EndedBy::Silence => "silence",
            EndedBy::PostResult => "post_result",
            EndedBy::Shutdown => "shutdown",
        }
    }
}

/// The facts of a process that ran and ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exit {
    /// Its exit code, where it exited.
    pub code: Option<i32>,
    /// The signal that ended it, otherwise.
    pub signal: Option<i32>,
    /// Set if we ended it.
    pub ended_by: Option<EndedBy>,
    /// Monotonic, in milliseconds.
    pub duration_ms: u64,
    /// Processes that were alive after it had ended.
    pub leftovers: u32,
    /// What its processes used of the machine.
    pub used: Used,
    /// Of them, how many the kernel ended as they had reached this bound of memory, in bytes.
    pub over_memory: Option<OverMemory>,
}

/// Processes that the kernel ended for the memory they had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverMemory {
    /// The bound, in bytes.
    pub max: u64,
    /// How many.
    pub killed: u64,
}

impl Exit {
    /// The name of the signal that ended it: `SIGKILL`.
    pub fn signal_name(&self) -> Option<String> {
        self.signal.map(|number| signal::name(number).into())
    }
}

/// What an invocation amounts to, from the evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// In one word.
    pub outcome: Outcome,
    /// One line: why it did not succeed.
    pub error: Option<String>,
    /// Its final result was there and it had to be ended.
    pub exit_forced: bool,
    /// When the limit goes away that it ran into, where that was told; in epoch milliseconds.
    pub resets_at_ms: Option<i64>,
    /// What it was judged by.
    pub evidence: Evidence,
    /// The session that can be resumed.
    pub session_id: Option<String>,
    /// The final total, where there is one, else the sum of what was counted.
    pub usage: Option<Usage>,
    /// The final answer: the CLI's final text, else the assistant text joined; at most 2 MB.
    pub response: Option<String>,
}

/// One CLI's output format.
pub trait Parser: Send {
    /// Takes the next line.
    fn line(&mut self, line: &Line<'_>, out: &mut dyn Sink);

    /// A further message was handed to it: a result that it gave before is not its last word. Of no
    /// meaning where a CLI takes none, or has no final event.
    fn asked(&mut self) {}

    /// What the time limits need to know now.
    fn vitals(&self) -> Vitals;

    /// The model that answers, where the CLI has named it; also after the end.
    fn model(&self) -> Option<&str> {
        None
    }

    /// Gives out what was held back (joined deltas), and judges. Called once, after the last line.
    fn end(&mut self, at: Stamp, exit: &Exit, out: &mut dyn Sink) -> Verdict;
}
