//! One hook's task: takes the projects in turn and makes one attempt at a time, so that no hook holds
//! up another and a project that fails holds up no other. Nobody waits for it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use futures_util::FutureExt as _;
use futures_util::future::{pending, select_all};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::attempt::{Courier, Failed};
use super::lane::{After, Lane};
use super::positions::Positions;
use super::settings::HookSettings;
use super::standing::Board;
use crate::projects::Projects;

/// A database that does not answer is asked again after this.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// One hook, at work.
pub(super) struct Worker {
    pub(super) hook: HookSettings,
    pub(super) board: Board,
    pub(super) courier: Arc<Courier>,
    pub(super) projects: Projects,
    pub(super) positions: Positions,
    pub(super) stop: CancellationToken,
}

/// What the task keeps while it runs.
struct Round {
    /// Grows with the list of projects.
    roster: watch::Receiver<u64>,
    /// Grows when a test went well.
    cures: watch::Receiver<u64>,
    /// By path.
    lanes: BTreeMap<PathBuf, Lane>,
    /// The one that was served last: the next is looked at first.
    last: Option<PathBuf>,
    /// When to look again at projects that could not be read.
    look_again: Option<Instant>,
}

impl Worker {
    /// Delivers until told to stop.
    pub(super) async fn run(self) {
        let mut roster = self.projects.changed();
        roster.mark_changed();
        let mut round = Round {
            roster,
            cures: self.board.cures(),
            lanes: BTreeMap::new(),
            last: None,
            look_again: None,
        };
        while !self.stop.is_cancelled() {
            if round.is_stale() {
                self.refresh(&mut round).await;
            }
            round.take_heart();
            let next = self.next(&mut round).await;
            self.show_next(&round);
            match next {
                Some(path) => {
                    if let Some(lane) = round.lanes.get_mut(&path) {
                        self.deliver(lane).await;
                    }
                    round.last = Some(path);
                }
                None => tokio::select! {
                    () = self.stop.cancelled() => {}
                    () = round.changed() => {}
                },
            }
        }
    }

    /// Takes up projects that were added, and lets go of those given up or opened anew.
    async fn refresh(&self, round: &mut Round) {
        round.roster.mark_unchanged();
        round.look_again = None;
        let served = self.projects.all();
        round
            .lanes
            .retain(|_, lane| served.iter().any(|it| Arc::ptr_eq(it, &lane.project)));
        for project in served {
            if round.lanes.contains_key(&project.root) {
                continue;
            }
            let root = project.root.clone();
            match Lane::open(project, &self.hook.name, &self.positions).await {
                Ok(lane) => drop(round.lanes.insert(root, lane)),
                Err(error) => {
                    debug!(hook = self.hook.name, project = %root.display(), %error, "cannot read its events");
                    round.look_again = Some(Instant::now() + ASK_AGAIN);
                }
            }
        }
    }

    /// The next project in turn with an event to be delivered now.
    async fn next(&self, round: &mut Round) -> Option<PathBuf> {
        let (now, now_ms) = (Instant::now(), now_ms());
        let is_off = self.board.lock().is_off;
        let last = round.last.as_ref();
        let (before, after): (Vec<PathBuf>, Vec<PathBuf>) = round
            .lanes
            .keys()
            .cloned()
            .partition(|path| Some(path) <= last);
        for path in after.into_iter().chain(before) {
            let Some(lane) = round.lanes.get_mut(&path) else {
                continue;
            };
            if lane.rests_until(now).is_some() {
                continue;
            }
            if is_off && lane.is_waiting() {
                lane.dropped();
                self.board.lock().skipped += 1;
            }
            lane.changes.mark_unchanged();
            match lane.look(&self.hook, now_ms, is_off).await {
                Ok(skipped) => self.passed_over(lane, skipped),
                // One that was given up goes with the next look at the list.
                Err(_) => lane.rest(now + ASK_AGAIN),
            }
            if lane.is_waiting() {
                return Some(path);
            }
        }
        None
    }

    fn passed_over(&self, lane: &Lane, skipped: u64) {
        let root = &lane.project.root;
        self.positions
            .note(&self.hook.name, root, lane.done(), skipped > 0);
        if skipped > 0 {
            self.board.lock().skipped += skipped;
            warn!(hook = self.hook.name, project = %root.display(), skipped, "events passed over: too old, too many, or not wanted any more");
        }
    }

    /// Makes one attempt.
    async fn deliver(&self, lane: &mut Lane) {
        let Some(delivery) = lane.delivery() else {
            return;
        };
        let hook = self.hook.name.as_str();
        let (id, event) = (delivery.id.clone(), delivery.event.clone());
        let attempt = self.courier.attempt(&self.hook, delivery, &self.stop).await;
        match attempt {
            Ok(said) => {
                debug!(hook, delivery = id, said, "delivered");
                self.board.succeeded(&event, now_ms());
                lane.settled();
            }
            Err(Failed::Stopped) => return,
            Err(Failed::Nobody(why)) => {
                self.board.lock().idle = Some(why);
                lane.settled();
            }
            Err(Failed::Gone(why)) => {
                warn!(
                    hook,
                    delivery = id,
                    why,
                    "its endpoint wants no more; switched off"
                );
                self.board.failed(&why, now_ms());
                self.board.lock().is_off = true;
                lane.dropped();
            }
            Err(Failed::Later { why, after }) => {
                let is_news = self.board.failed(&why, now_ms());
                if is_news {
                    warn!(hook, delivery = id, why, "a hook failed");
                } else {
                    debug!(hook, delivery = id, why, "a hook failed");
                }
                if lane.failed(&self.hook, after, Instant::now()) == After::GivenUp {
                    self.board.lock().given_up += 1;
                    warn!(hook, delivery = id, why, "given up");
                }
            }
        }
        if !lane.is_waiting() {
            let root = &lane.project.root;
            self.positions.note(hook, root, lane.done(), true);
        }
    }

    /// Says how much waits, and when the next attempt is made.
    fn show_next(&self, round: &Round) {
        let now = Instant::now();
        let waiting = round.lanes.values().filter(|lane| lane.is_waiting());
        let next = waiting.filter_map(|lane| lane.rests_until(now)).min();
        let in_ms = |at: Instant| i64::try_from(at.duration_since(now).as_millis()).unwrap_or(0);
        let waiting = round.lanes.values().map(|lane| lane.waiting(&self.hook));
        let waiting = waiting.sum::<usize>() as u64;
        let mut standing = self.board.lock();
        standing.waiting = waiting;
        standing.next_attempt_ms = next.map(|at| now_ms() + in_ms(at));
    }
}

impl Round {
    fn is_stale(&self) -> bool {
        self.roster.has_changed().unwrap_or(false)
            || self.look_again.is_some_and(|at| at <= Instant::now())
    }

    /// Lets nothing rest that failed before a test went well.
    fn take_heart(&mut self) {
        if self.cures.has_changed().unwrap_or(false) {
            self.cures.mark_unchanged();
            self.lanes.values_mut().for_each(Lane::take_heart);
        }
    }

    /// Waits until there may be something to do. Cancel-safe.
    async fn changed(&mut self) {
        let now = Instant::now();
        let rests = self.lanes.values().filter_map(|lane| lane.rests_until(now));
        let due = rests.chain(self.look_again).min();
        let due = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => pending().await,
            }
        };
        let awake = self
            .lanes
            .values_mut()
            .filter(|lane| lane.rests_until(now).is_none());
        let awake = awake.map(|lane| next_change(&mut lane.changes).boxed());
        let list = next_change(&mut self.roster).boxed();
        let cure = next_change(&mut self.cures).boxed();
        select_all(awake.chain([list, cure, due.boxed()])).await;
    }
}

/// Waits for the next change, and leaves it to be seen. What is closed has no more.
async fn next_change(changes: &mut watch::Receiver<u64>) {
    match changes.changed().await {
        Ok(()) => changes.mark_changed(),
        Err(_) => pending().await,
    }
}

/// The wall clock.
pub(super) fn now_ms() -> i64 {
    let since = steroids_failpoint::wall_clock().duration_since(UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}
