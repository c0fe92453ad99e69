//! How far an invocation is, and what takes it further: a pure function of what happens, in whatever
//! order it does.
//!
//! ```text
//! Running ──stop──> Stopping ──grace is over, kill──> Killing ─┐
//!    │  └──────────────────────kill─────────────────────^  └───┘ again
//!    └───────────┬────────────┴───────────────────┘   the provider has ended
//!                └──> Draining ──recorded──> Ending
//! ```
//!
//! Who asks again can only make it shorter; a standstill of the host makes it longer, by the grace and
//! once. Nothing leads back. What changes nothing is no error.

/// Between the first two rounds of killing; later ones are further apart.
const KILL_AGAIN_MS: u64 = 50;

/// Between two rounds at most: what the kernel does not let go of is not worth more.
const LONGEST_PAUSE_MS: u64 = 1000;

/// Pipes that somebody holds open are closed after so long in all.
const DRAIN_MS: u64 = 5000;

/// How far the invocation is. Moments are monotonic milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// As it should be.
    Running,
    /// The provider was asked to end.
    Stopping {
        /// The end of its grace.
        kill_at: u64,
        /// How much of it a standstill of the host may give back; once.
        grace: u64,
    },
    /// It is being killed.
    Killing {
        /// The next round.
        again_at: u64,
        /// Between that one and the one after it.
        pause: u64,
    },
    /// It has ended; its pipes may hold more, or be held open.
    Draining {
        /// When it ended.
        since: u64,
        /// When they are closed in any case.
        until: u64,
    },
    /// All that is left is the exit record.
    Ending,
}

/// What may happen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// It is to end: gently, and by force at that moment.
    Stop {
        /// The end of its grace.
        kill_at: u64,
    },
    /// It is to end by force.
    Kill,
    /// Nothing but time.
    Time,
    /// The host, or everything on it, stood still for about so long.
    StoodStill {
        /// Milliseconds.
        late: u64,
    },
    /// The provider has ended.
    Ended,
    /// There is no room yet for what its pipes hold.
    Full {
        /// How long to wait for some at least.
        until: u64,
    },
    /// The exit record is handed in.
    Recorded,
}

/// What is to be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// Nothing.
    Nothing,
    /// Ask the provider to end.
    Ask,
    /// Kill it and its whole tree, once.
    Kill,
}

impl Phase {
    /// What follows from an event at this moment.
    pub(super) fn next(self, event: Event, now: u64) -> (Phase, Deed) {
        match (self, event) {
            (Phase::Running, Event::Stop { kill_at }) => {
                let grace = kill_at.saturating_sub(now);
                (Phase::Stopping { kill_at, grace }, Deed::Ask)
            }
            (Phase::Stopping { kill_at: at, grace }, Event::Stop { kill_at }) if kill_at < at => {
                let grace = grace.min(kill_at.saturating_sub(now));
                (Phase::Stopping { kill_at, grace }, Deed::Nothing)
            }
            // A provider that stood still as well has had nothing of its grace.
            (Phase::Stopping { kill_at, grace }, Event::StoodStill { late }) => {
                let kill_at = kill_at.max(now.saturating_add(late.min(grace)));
                (Phase::Stopping { kill_at, grace: 0 }, Deed::Nothing)
            }
            (Phase::Running | Phase::Stopping { .. }, Event::Kill) => killing(now, KILL_AGAIN_MS),
            (Phase::Stopping { kill_at, .. }, Event::Time) if kill_at <= now => {
                killing(now, KILL_AGAIN_MS)
            }
            (Phase::Killing { again_at, pause }, Event::Time) if again_at <= now => {
                killing(now, pause)
            }
            // Nothing is waited for any more.
            (Phase::Draining { .. }, Event::Kill) => {
                (Phase::Draining { since: 0, until: 0 }, Deed::Nothing)
            }
            (Phase::Draining { since, until }, Event::Full { until: later }) if until != 0 => {
                let until = until.max(later);
                (Phase::Draining { since, until }, Deed::Nothing)
            }
            (Phase::Draining { .. }, Event::Recorded) => (Phase::Ending, Deed::Nothing),
            (Phase::Running | Phase::Stopping { .. } | Phase::Killing { .. }, Event::Ended) => {
                let until = now.saturating_add(DRAIN_MS);
                (Phase::Draining { since: now, until }, Deed::Nothing)
            }
            (same, _) => (same, Deed::Nothing),
        }
    }

    /// When time alone changes something.
    pub(super) fn due(self) -> Option<u64> {
        match self {
            Phase::Stopping { kill_at, .. } => Some(kill_at),
            Phase::Killing { again_at, .. } => Some(again_at),
            Phase::Running | Phase::Draining { .. } | Phase::Ending => None,
        }
    }
}

fn killing(now: u64, pause: u64) -> (Phase, Deed) {
    let killing = Phase::Killing {
        again_at: now.saturating_add(pause),
        pause: (pause * 2).min(LONGEST_PAUSE_MS),
    };
    (killing, Deed::Kill)
}

#[cfg(test)]
mod tests;
