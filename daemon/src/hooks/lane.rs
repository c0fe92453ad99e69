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

use tokio::sync::watch;

use super::outbox::Outbox;
use super::payload::{Delivery, outcome};
use super::positions::{Done, Positions};
use super::settings::HookSettings;
use crate::domain::Invocation;
use crate::projects::{Project, Since};
use crate::store::{LifecycleEvent, Store, StoreError};

/// Rows read at a time.
const BATCH: u32 = 256;
/// A hook that was away for long gets no more than the newest of what it missed.
const MOST_MISSED: i64 = 1000;

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
    /// Passed over, and not told of yet.
    passed_over: u64,
    /// The event that comes next.
    pub(super) outbox: Outbox,
}

impl Lane {
    /// Begins after the event that the hook is done with; or when the hook was first known, or this path
    /// registered or found there again: what was before is no news, and was told under the path that the project
    /// had then.
    pub(super) async fn open(
        project: Arc<Project>,
        since: Since,
        hook: &str,
        positions: &Positions,
    ) -> Result<Lane, StoreError> {
        // Before the look, so that what comes during it is not missed.
        let mut changes = project.store.written();
        changes.mark_changed();
        let since_ms = positions
            .since_ms(hook)
            .max(since.registered_ms)
            .max(since.back_ms.unwrap_or_default());
        let done = match positions.done(hook, &project.root) {
            Some(done) if is_of(&project.store, done).await? => match since.back_ms {
                // What was in between was told under the path that it had then.
                Some(back_ms) => {
                    let back = before(&project.store, back_ms).await?;
                    if back.number > done.number {
                        back
                    } else {
                        done
                    }
                }
                None => done,
            },
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
            passed_over: 0,
            outbox: Outbox::default(),
        })
    }

    /// Events to be delivered, as far as they were read.
    pub(super) fn waiting(&self, hook: &HookSettings) -> usize {
        let is_named = |event: &&LifecycleEvent| hook.on.iter().any(|kind| *kind == event.kind);
        usize::from(self.outbox.is_waiting()) + self.batch.iter().filter(is_named).count()
    }

    /// Goes on to the next event that is wanted, and makes it ready; with `is_off` to the end. Whoever calls it
    /// asks [`Lane::take_passed_over`] what it came by, also where it failed or was cut. Cancel-safe, if it is
    /// called again.
    pub(super) async fn look(
        &mut self,
        hook: &HookSettings,
        now_ms: i64,
        is_off: bool,
    ) -> Result<(), StoreError> {
        let oldest = now_ms.saturating_sub(millis(hook.max_age));
        while !self.outbox.is_waiting() {
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
                        self.passed_over += 1;
                        self.skipped += 1;
                    } else {
                        self.await_attempt(&event, invocation.as_ref());
                    }
                }
            }
            // Only now: whatever failed before is looked at again.
            self.batch.pop_front();
            self.seen = event.number;
            if !self.outbox.is_waiting() {
                self.done = Done::of(&event);
            }
        }
        Ok(())
    }

    /// How many events were passed over that would have been wanted, since it was asked last.
    pub(super) fn take_passed_over(&mut self) -> u64 {
        std::mem::take(&mut self.passed_over)
    }

    fn await_attempt(&mut self, event: &LifecycleEvent, invocation: Option<&Invocation>) {
        let skipped = std::mem::take(&mut self.skipped);
        let delivery = Delivery::of(&self.project, event, invocation, skipped);
        self.outbox.put(Done::of(event), delivery);
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

    /// The last event that the hook is done with.
    pub(super) fn done(&self) -> Done {
        self.done
    }

    /// The event on its way was delivered, or is no longer wanted.
    pub(super) fn dropped(&mut self) {
        if let Some(event) = self.outbox.take() {
            self.done = event;
        }
    }

    /// Goes on with what was on its way when this database was given up; that must be an event of it.
    pub(super) fn take_on(&mut self, outbox: Outbox) {
        if let Some(event) = outbox.event() {
            self.seen = self.seen.max(event.number);
            self.outbox = outbox;
        }
    }

    /// Whether an event is of this database, for certain.
    pub(super) async fn has(&self, event: Done) -> Result<bool, StoreError> {
        let there = self.project.store.events(event.number - 1, 1).await?;
        let there = there.first().map(Done::of);
        Ok(there == Some(event))
    }

    /// Ends it. Gives what is on its way, and how many were read behind it.
    pub(super) fn end(self, hook: &HookSettings) -> (Outbox, u64) {
        let behind = self.waiting(hook) - usize::from(self.outbox.is_waiting());
        (self.outbox, behind as u64)
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

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    use super::*;
    use crate::hooks::pattern::Patterns;
    use crate::hooks::settings::Action;
    use crate::projects::Projects;

    const SINCE_EVER: Since = Since {
        registered_ms: 0,
        back_ms: None,
    };

    fn hook() -> HookSettings {
        HookSettings {
            name: "h".to_owned(),
            on: vec!["held"],
            outcome: Patterns::default(),
            project: Patterns::default(),
            provider: Patterns::default(),
            task: Patterns::default(),
            action: Action::Notify,
            timeout: Duration::from_secs(1),
            retries: 0,
            retry_after: Duration::from_secs(1),
            max_age: Duration::from_secs(1),
        }
    }

    #[tokio::test]
    async fn what_a_look_passed_over_is_told_wherever_it_is_cut() {
        let (state, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let projects = Projects::open(state.path(), "o".to_owned()).await.unwrap();
        let (project, _) = projects.register(folder.path(), true).await.unwrap();
        // Read in twelve parts: in which of them a look is cut depends on the disk.
        let count = u64::from(BATCH) * 12 - 1;
        let db = rusqlite::Connection::open(folder.path().join(".steroids/steroids.db")).unwrap();
        let insert = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1)
             INSERT INTO steroidsd_events (ts_ms, kind, message) SELECT 1, 'held', '' FROM n";
        db.execute(insert, [i64::try_from(count).unwrap()]).unwrap();
        let positions = Positions::open(state.path(), ["h"].into_iter(), 0);
        let (hook, long_after) = (hook(), i64::MAX);
        let mut cut_within = false;
        for polls in 0..30 {
            let lane = Lane::open(Arc::clone(&project), SINCE_EVER, "h", &positions).await;
            let mut lane = lane.unwrap();
            {
                let mut look = pin!(lane.look(&hook, long_after, false));
                let mut left = polls;
                let cut = poll_fn(|context| match left {
                    0 => Poll::Ready(()),
                    _ => {
                        left -= 1;
                        look.as_mut().poll(context).map(|looked| looked.unwrap())
                    }
                });
                cut.await;
            }
            let before = lane.take_passed_over();
            cut_within |= (1..count).contains(&before);
            lane.look(&hook, long_after, false).await.unwrap();
            assert_eq!(before + lane.take_passed_over(), count, "{polls}");
        }
        assert!(cut_within, "no look was cut between two events");
        projects.close().await;
    }
}
