//! One project's events on their way to one hook: in their order, one at a time.
//!
//! ```text
//! rows ──look──> wanted? ──yes──> pending ──attempt──> done
//!                  │ no, too old, too many    │ failed: rests, again; at last given up
//!                  └──────────> done <────────┘
//! ```

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use tokio::sync::watch;
use tokio::time::Instant;

use super::payload::{Delivery, outcome};
use super::positions::{Done, Positions};
use super::settings::HookSettings;
use crate::domain::Invocation;
use crate::projects::Project;
use crate::store::{LifecycleEvent, Store, StoreError};

/// Rows read at a time.
const BATCH: u32 = 256;
/// A hook that was away for long gets no more than the newest of what it missed.
const MOST_MISSED: i64 = 1000;
/// No pause between attempts is longer, whatever the other side asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// One project's events for one hook.
pub(super) struct Lane {
    pub(super) project: Arc<Project>,
    pub(super) changes: watch::Receiver<u64>,
    /// Number of the last event that was looked at.
    seen: i64,
    /// The last one that the hook is done with.
    done: Done,
    batch: VecDeque<LifecycleEvent>,
    /// Events up to this number are too many.
    floor: i64,
    /// Passed over since the last delivery.
    skipped: u64,
    pending: Option<Pending>,
    /// Failed attempts in a row, over all its events.
    failures: u32,
    /// Nothing is tried before.
    rests_until: Option<Instant>,
}

/// The event that comes next.
struct Pending {
    event: Done,
    attempts: u32,
    delivery: Delivery,
}

/// What became of an event after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// It is tried again.
    Again,
    /// It was its last attempt.
    GivenUp,
}

impl Lane {
    /// Begins after the event that the hook is done with, or when the hook was first known.
    pub(super) async fn open(
        project: Arc<Project>,
        hook: &str,
        positions: &Positions,
    ) -> Result<Lane, StoreError> {
        // Before the look, so that what comes during it is not missed.
        let mut changes = project.store.written();
        changes.mark_changed();
        let since_ms = positions.since_ms(hook);
        let done = match positions.done(hook, &project.root) {
            Some(done) if is_of(&project.store, done).await? => done,
            // Of a database that is gone. What is in both, as in a copy that was put back, is older.
            Some(done) => {
                let since_ms = done.ts_ms.map_or(since_ms, |ts_ms| ts_ms.max(since_ms));
                before(&project.store, since_ms).await?
            }
            None => before(&project.store, since_ms).await?,
        };
        Ok(Lane {
            project,
            changes,
            seen: done.number,
            done,
            batch: VecDeque::new(),
            floor: 0,
            skipped: 0,
            pending: None,
            failures: 0,
            rests_until: None,
        })
    }

    /// When there may be something to do here, if that is not now.
    pub(super) fn rests_until(&self, now: Instant) -> Option<Instant> {
        self.rests_until.filter(|until| *until > now)
    }

    /// Whether an attempt has to wait.
    pub(super) fn is_waiting(&self) -> bool {
        self.pending.is_some()
    }

    /// Events to be delivered, as far as they were read.
    pub(super) fn waiting(&self, hook: &HookSettings) -> usize {
        let is_named = |event: &&LifecycleEvent| hook.on.iter().any(|kind| *kind == event.kind);
        usize::from(self.pending.is_some()) + self.batch.iter().filter(is_named).count()
    }

    /// Goes on to the next event that is wanted; `None` if there is none now. Tells how many were
    /// passed over on the way that would have been wanted. With `is_off` all of them are.
    pub(super) async fn look(
        &mut self,
        hook: &HookSettings,
        now_ms: i64,
        is_off: bool,
    ) -> Result<u64, StoreError> {
        let oldest = now_ms.saturating_sub(millis(hook.max_age));
        let mut passed_over = 0;
        while self.pending.is_none() {
            let Some(event) = self.front().await? else {
                break;
            };
            let is_named = hook.on.iter().any(|kind| *kind == event.kind);
            if is_named {
                let invocation = match event.invocation {
                    Some(id) => self.project.store.invocation(id).await?,
                    None => None,
                };
                if hook.wants(&self.project, &event, invocation.as_ref()) {
                    if is_off || event.number <= self.floor || event.ts_ms < oldest {
                        passed_over += 1;
                        self.skipped += 1;
                    } else {
                        self.await_attempt(&event, invocation.as_ref());
                    }
                }
            }
            // Only now: whatever failed before is looked at again.
            self.batch.pop_front();
            self.seen = event.number;
            if self.pending.is_none() {
                self.done = Done::of(&event);
            }
        }
        Ok(passed_over)
    }

    fn await_attempt(&mut self, event: &LifecycleEvent, invocation: Option<&Invocation>) {
        let skipped = std::mem::take(&mut self.skipped);
        self.pending = Some(Pending {
            event: Done::of(event),
            attempts: 0,
            delivery: Delivery::of(&self.project, event, invocation, skipped),
        });
    }

    async fn front(&mut self) -> Result<Option<LifecycleEvent>, StoreError> {
        if self.batch.is_empty() {
            let store = &self.project.store;
            let read = store.events(self.seen, BATCH).await?;
            if read.len() == BATCH as usize {
                self.floor = store.last_event().await? - MOST_MISSED;
            }
            self.batch = read.into();
        }
        Ok(self.batch.front().cloned())
    }

    /// What is to be attempted.
    pub(super) fn delivery(&self) -> Option<&Delivery> {
        self.pending.as_ref().map(|pending| &pending.delivery)
    }

    /// The last event that the hook is done with.
    pub(super) fn done(&self) -> Done {
        self.done
    }

    /// The event was delivered, or there is nobody to deliver it to.
    pub(super) fn settled(&mut self) {
        self.dropped();
        self.take_heart();
    }

    /// The event is no longer wanted.
    pub(super) fn dropped(&mut self) {
        if let Some(pending) = self.pending.take() {
            self.done = pending.event;
        }
    }

    /// An attempt failed. The pauses go on growing from one event to the next: what is away for one
    /// of them is away for all.
    pub(super) fn failed(
        &mut self,
        hook: &HookSettings,
        asked: Option<Duration>,
        now: Instant,
    ) -> After {
        self.failures = self.failures.saturating_add(1);
        let pause =
            pause(hook.retry_after, self.failures).mul_f64(rand::rng().random_range(0.5..=1.0));
        let asked = asked.unwrap_or_default().min(LONGEST_PAUSE);
        self.rests_until = Some(now + pause.max(asked));
        match &mut self.pending {
            Some(pending) if pending.attempts < hook.retries => {
                pending.attempts += 1;
                After::Again
            }
            _ => {
                self.dropped();
                After::GivenUp
            }
        }
    }

    /// What failed may go well now.
    pub(super) fn take_heart(&mut self) {
        self.failures = 0;
        self.rests_until = None;
    }

    /// Its database does not answer.
    pub(super) fn rest(&mut self, until: Instant) {
        self.rests_until = Some(until);
    }
}

impl Done {
    fn of(event: &LifecycleEvent) -> Done {
        Done {
            number: event.number,
            ts_ms: Some(event.ts_ms),
        }
    }
}

/// Whether an event is of this database: that of its number happened when it did. One that is not
/// kept any more cannot be told from another.
async fn is_of(store: &Store, done: Done) -> Result<bool, StoreError> {
    if done.number > store.last_event().await? {
        return Ok(false);
    }
    let there = store.events(done.number - 1, 1).await?;
    let same = there.first().filter(|event| event.number == done.number);
    Ok(match (same, done.ts_ms) {
        (Some(event), Some(ts_ms)) => event.ts_ms == ts_ms,
        _ => true,
    })
}

/// The event before the first of this time or later.
async fn before(store: &Store, since_ms: i64) -> Result<Done, StoreError> {
    let number = store.event_before(since_ms).await?;
    let there = store.events(number - 1, 1).await?;
    let event = there.first().filter(|event| event.number == number);
    let unknown = Done {
        number,
        ts_ms: None,
    };
    Ok(event.map_or(unknown, Done::of))
}

impl HookSettings {
    /// Whether an event passes the filters. One that is about no task or no provider's invocation
    /// passes those: better told once too often.
    fn wants(
        &self,
        project: &Project,
        event: &LifecycleEvent,
        invocation: Option<&Invocation>,
    ) -> bool {
        let provider = invocation.map(|it| it.provider.as_str());
        let task = event.task.as_deref();
        self.project.pass(&project.root.to_string_lossy())
            && provider.is_none_or(|provider| self.provider.pass(provider))
            && task.is_none_or(|task| self.task.pass(task))
            && (event.kind != "finished" || self.outcome.pass(invocation.map_or("", outcome)))
    }
}

/// Before the attempt after so many failed ones, at most.
fn pause(first: Duration, failures: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    first.saturating_mul(doubled).min(LONGEST_PAUSE.max(first))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_five_minutes() {
        let second = Duration::from_secs(1);
        let pauses = [1, 2, 3, 9, 10, 1000].map(|failures| pause(second, failures).as_secs());
        assert_eq!(pauses, [1, 2, 4, 256, 300, 300]);
        assert_eq!(pause(Duration::from_secs(900), 7).as_secs(), 900);
    }
}
