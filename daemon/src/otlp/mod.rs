//! Tells an OpenTelemetry collector of invocations, by OTLP over HTTP: a trace of each that has ended,
//! made of its log, and sums of all. Off unless an endpoint is configured.
//!
//! Nothing waits for it, and no invocation fails by it: ends wait in a queue that drops
//! the oldest, a collector that is away costs a bounded number of attempts, and what is dropped is
//! counted. A trace is made at the end, from the log: so it is whole also where the daemon was
//! restarted in between, and an invocation that ended meanwhile has its trace from the daemon that
//! finds its end. Whose traces a daemon had not sent when it was told to end, the next one sends; the sums
//! are those of one daemon.

mod backlog;
mod hung;
mod send;
mod settings;
mod spans;
mod sums;
mod wire;
mod worker;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use settings::Settings;
pub use worker::{Sources, run};

/// How it is going. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Board(Arc<Mutex<Standing>>);

/// How it is going since the daemon started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Where to; empty: nowhere.
    pub endpoint: String,
    /// Spans that a collector took.
    pub sent: u64,
    /// Spans, or whole invocations where nobody counted theirs, that it was not to be told of any more.
    pub dropped: u64,
    /// Attempts that failed since one went well.
    pub failures: u32,
    /// Why the last one did.
    pub last_error: Option<String>,
}

impl Board {
    /// As it is now.
    pub fn look(&self) -> Standing {
        self.lock().clone()
    }

    /// What a person should know, if there is something.
    pub fn degraded(&self) -> Option<String> {
        let standing = self.lock();
        let why = standing.last_error.as_deref()?;
        let endpoint = &standing.endpoint;
        Some(format!(
            "otlp: {endpoint} {why}; traces and sums are dropped until it answers"
        ))
    }

    fn lock(&self) -> MutexGuard<'_, Standing> {
        // Every change is a few assignments, none of which can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
