//! One hook's task: takes the projects in turn and makes one attempt at a time, so that no hook holds
//! up another and a project that fails holds up no other. Nobody waits for it.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::attempt::{Courier, Failed};
use super::lane::Lane;
use super::outbox::After;
use super::payload::Delivery;
use super::positions::Positions;
use super::round::Round;
use super::settings::HookSettings;
use super::standing::Board;
use crate::projects::{Project, Projects, Since};
use crate::store::StoreError;

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

impl Worker {
    /// Delivers until told to stop.
    pub(super) async fn run(self) {
        let mut round = Round::new(self.projects.changed(), self.board.cures());
        while !self.stop.is_cancelled() {
            if round.is_stale() {
                self.refresh(&mut round).await;
            }
            round.take_heart();
            self.look(&mut round).await;
            self.show_next(&round);
            match round.next(Instant::now()) {
                Some((path, delivery)) => {
                    self.deliver(&mut round, &path, delivery).await;
                    round.last = Some(path);
                }
                None => tokio::select! {
                    () = self.stop.cancelled() => {}
                    () = round.changed() => {}
                },
            }
        }
    }

    /// Takes up projects that were added, and lets go of those given up or opened anew. Cancel-safe.
    async fn refresh(&self, round: &mut Round) {
        round.is_stale = true;
        round.roster.mark_unchanged();
        round.look_again = None;
        let served = self.projects.all();
        let ended: Vec<_> = round
            .lanes
            .extract_if(.., |_, lane| {
                !served.iter().any(|it| Arc::ptr_eq(it, &lane.project))
            })
            .collect();
        for (root, mut lane) in ended {
            self.passed_over(&mut lane);
            self.keep_left(round, root, lane);
        }
        for project in served {
            if round.lanes.contains_key(&project.root) {
                continue;
            }
            let root = project.root.clone();
            let Some(since) = self.projects.registered_since(&root).await else {
                // The list changes once more when it is in there.
                continue;
            };
            match self.open(round, project, since).await {
                Ok(lane) => drop(round.lanes.insert(root, lane)),
                Err(error) => {
                    debug!(hook = self.hook.name, project = %root.display(), %error, "cannot read its events");
                    round.look_again = Some(Instant::now() + ASK_AGAIN);
                }
            }
        }
        round.is_stale = false;
    }

    /// What is on its way is delivered all the same, as its body is made. What comes behind it cannot be
    /// told without its database.
    fn keep_left(&self, round: &mut Round, root: PathBuf, lane: Lane) {
        let (outbox, behind) = lane.end(&self.hook);
        let lost = behind + round.keep(root.clone(), outbox, behind);
        if lost > 0 {
            self.board.lock().skipped += lost;
            warn!(hook = self.hook.name, project = %root.display(), lost, "events lost with their database, unless that comes back");
        }
    }

    /// Opens a project's lane. With the database in which something on its way is, it goes on with that.
    async fn open(
        &self,
        round: &mut Round,
        project: Arc<Project>,
        since: Since,
    ) -> Result<Lane, StoreError> {
        let root = project.root.clone();
        let store = project.store.clone();
        let open = Lane::open(project, since, &self.hook.name, &self.positions);
        let mut lane = store.promptly(open).await?;
        for event in round.left_of(&root) {
            if store.promptly(lane.has(event)).await?
                && let Some((outbox, behind)) = round.take_back(&root, event)
            {
                lane.take_on(outbox);
                let mut standing = self.board.lock();
                standing.skipped = standing.skipped.saturating_sub(behind);
                break;
            }
        }
        Ok(lane)
    }

    /// Has every project that can be read make its next event ready. Cancel-safe, if it is called again.
    async fn look(&self, round: &mut Round) {
        let (now, now_ms) = (Instant::now(), now_ms());
        let is_off = self.board.lock().is_off;
        if is_off {
            self.board.lock().skipped += round.drop_left();
        }
        for lane in round.lanes.values_mut() {
            if lane.outbox.rests_until(now).is_some() {
                continue;
            }
            if is_off && lane.outbox.is_waiting() {
                lane.dropped();
                self.board.lock().skipped += 1;
            }
            lane.changes.mark_unchanged();
            if lane.outbox.is_waiting() {
                // What is ready needs no database: one that hangs does not keep it.
                continue;
            }
            // One that hangs holds up no other.
            let store = lane.project.store.clone();
            let look = lane.look(&self.hook, now_ms, is_off);
            match store.promptly(look).await {
                Ok(()) => self.note_seen(lane, false),
                // One that was given up goes with the next look at the list.
                Err(_) => lane.outbox.rest(now + ASK_AGAIN),
            }
            self.passed_over(lane);
        }
    }

    /// Tells what a lane has passed over, if anything. Where it has not, how far it has come is not noted: before
    /// its first look that may be less far than what is noted.
    fn passed_over(&self, lane: &mut Lane) {
        let skipped = lane.take_passed_over();
        if skipped > 0 {
            self.note_seen(lane, true);
            self.board.lock().skipped += skipped;
            let root = lane.project.root.display();
            warn!(hook = self.hook.name, project = %root, skipped, "events passed over: too old, too many, or not wanted any more");
        }
    }

    fn note_seen(&self, lane: &Lane, is_settled: bool) {
        let (hook, root) = (&self.hook.name, &lane.project.root);
        self.positions.note(hook, root, lane.done(), is_settled);
    }

    /// Makes one attempt. Meanwhile what happens elsewhere is read: its database may be gone behind it.
    async fn deliver(&self, round: &mut Round, root: &Path, delivery: Delivery) {
        let attempt = self.courier.attempt(&self.hook, &delivery, &self.stop);
        let mut attempt = pin!(attempt);
        let attempted = loop {
            tokio::select! {
                attempted = &mut attempt => break attempted,
                () = self.attend(round) => {}
            }
        };
        self.note(round, root, &delivery, attempted);
    }

    /// Waits for something to happen, and reads it.
    async fn attend(&self, round: &mut Round) {
        round.changed().await;
        // What is left to be seen would be news again at once.
        round.take_heart();
        if round.is_stale() {
            self.refresh(round).await;
        }
        self.look(round).await;
        self.show_next(round);
    }

    /// Notes what an attempt came to.
    fn note(
        &self,
        round: &mut Round,
        root: &Path,
        delivery: &Delivery,
        attempted: Result<String, Failed>,
    ) {
        let hook = self.hook.name.as_str();
        let id = delivery.id.as_str();
        let Some(outbox) = round.outbox(id) else {
            return;
        };
        match attempted {
            Ok(said) => {
                debug!(hook, delivery = id, said, "delivered");
                self.board.succeeded(&delivery.event, now_ms());
                outbox.take_heart();
            }
            Err(Failed::Stopped) => return,
            Err(Failed::Nobody(why)) => {
                self.board.lock().idle = Some(why);
                outbox.take_heart();
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
            }
            Err(Failed::Later { why, after }) => {
                let is_news = self.board.failed(&why, now_ms());
                if is_news {
                    warn!(hook, delivery = id, why, "a hook failed");
                } else {
                    debug!(hook, delivery = id, why, "a hook failed");
                }
                if outbox.failed(&self.hook, after, Instant::now()) == After::Again {
                    return;
                }
                self.board.lock().given_up += 1;
                warn!(hook, delivery = id, why, "given up");
            }
        }
        if let Some(done) = round.done(root, id) {
            self.positions.note(hook, root, done, true);
        }
    }

    /// Says how much waits, and when the next attempt is made.
    fn show_next(&self, round: &Round) {
        let now = Instant::now();
        let next = round.next_attempt(now);
        let in_ms = |at: Instant| i64::try_from(at.duration_since(now).as_millis()).unwrap_or(0);
        let waiting = round.lanes.values().map(|lane| lane.waiting(&self.hook));
        let waiting = (waiting.sum::<usize>() + round.count_left()) as u64;
        let mut standing = self.board.lock();
        standing.waiting = waiting;
        standing.next_attempt_ms = next.map(|at| now_ms() + in_ms(at));
    }
}

/// The wall clock.
pub(super) fn now_ms() -> i64 {
    let since = steroids_failpoint::wall_clock().duration_since(UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}
