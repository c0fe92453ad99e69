//! How a hook is doing since the daemon started, for who asks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// How one hook is doing. Times are epoch milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Events delivered.
    pub delivered: u64,
    /// When the last one was, and what.
    pub last_delivery_ms: Option<i64>,
    /// The word of that event.
    pub last_event: String,
    /// Attempts that failed since one went well.
    pub failures: u32,
    /// Events given up after their last attempt since one was delivered.
    pub given_up: u64,
    /// Events passed over, since they were too old, too many, or not wanted any more.
    pub skipped: u64,
    /// Why the last attempt failed; `None` once one went well.
    pub last_error: Option<String>,
    /// When that was.
    pub last_failure_ms: Option<i64>,
    /// Events to be delivered, as far as they were read.
    pub waiting: u64,
    /// When the next attempt is due, where one waits.
    pub next_attempt_ms: Option<i64>,
    /// The other side has said that it wants no more.
    pub is_off: bool,
    /// Why it does nothing just now; nothing is wrong with it.
    pub idle: Option<&'static str>,
}

/// One hook's, shared by who changes it and who asks.
#[derive(Debug, Clone, Default)]
pub(super) struct Board(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    // Held for a look or a change, never across an await.
    standing: Mutex<Standing>,
    /// Grows when a test went well: who rests need not.
    cures: watch::Sender<u64>,
}

impl Standing {
    /// In one word: ready, failing, given_up, off or idle.
    pub fn state(&self) -> &'static str {
        if self.is_off {
            "off"
        } else if self.given_up > 0 {
            "given_up"
        } else if self.failures > 0 {
            "failing"
        } else if self.idle.is_some() {
            "idle"
        } else {
            "ready"
        }
    }

    fn is_well(&mut self) {
        self.failures = 0;
        self.given_up = 0;
        self.is_off = false;
        self.last_error = None;
        self.last_failure_ms = None;
        self.idle = None;
    }

    /// What a person should know, if there is something.
    pub(super) fn trouble(&self, hook: &str) -> Option<String> {
        let why = self.last_error.as_deref().unwrap_or("no reason is known");
        if self.is_off {
            return Some(format!(
                "hook {hook}: switched off, as its endpoint {why}; `steroidsctl hooks test {hook}` tries it again"
            ));
        }
        let events = match self.given_up {
            0 => return None,
            1 => "1 event".to_owned(),
            count => format!("{count} events"),
        };
        Some(format!(
            "hook {hook}: {events} could not be delivered: {why}"
        ))
    }
}

impl Board {
    pub(super) fn lock(&self) -> MutexGuard<'_, Standing> {
        // Every change is a few assignments, none of which can panic.
        let standing = &self.0.standing;
        standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn look(&self) -> Standing {
        self.lock().clone()
    }

    /// An event came through.
    pub(super) fn succeeded(&self, event: &str, now_ms: i64) {
        let mut standing = self.lock();
        standing.delivered += 1;
        standing.last_delivery_ms = Some(now_ms);
        standing.last_event = event.to_owned();
        standing.is_well();
    }

    /// A test came through, so the next event may.
    pub(super) fn cured(&self) {
        self.lock().is_well();
        let cures = &self.0.cures;
        cures.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Tells when a test went well.
    pub(super) fn cures(&self) -> watch::Receiver<u64> {
        self.0.cures.subscribe()
    }

    /// An attempt did not; true if the one before went well.
    pub(super) fn failed(&self, why: &str, now_ms: i64) -> bool {
        let mut standing = self.lock();
        standing.failures = standing.failures.saturating_add(1);
        standing.last_error = Some(why.to_owned());
        standing.last_failure_ms = Some(now_ms);
        standing.idle = None;
        standing.failures == 1
    }
}
