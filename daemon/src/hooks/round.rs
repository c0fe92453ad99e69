//! What a hook's task keeps while it runs: a lane for each project, and what is left of lanes whose project
//! was given up.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use futures_util::FutureExt as _;
use futures_util::future::{pending, select_all};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::lane::Lane;
use super::outbox::Outbox;
use super::payload::Delivery;
use super::positions::Done;

/// Lanes of which something may be left.
const MOST_LEFT: usize = 1000;

/// What the task keeps.
pub(super) struct Round {
    /// Grows with the list of projects.
    pub(super) roster: watch::Receiver<u64>,
    /// Grows when a test went well.
    cures: watch::Receiver<u64>,
    /// By path.
    pub(super) lanes: BTreeMap<PathBuf, Lane>,
    /// Oldest first.
    left: VecDeque<Left>,
    /// The one that was served last: the next is looked at first.
    pub(super) last: Option<PathBuf>,
    /// When to look again at projects that could not be read.
    pub(super) look_again: Option<Instant>,
    /// The list was not gone through to its end.
    pub(super) is_stale: bool,
}

/// An event on its way whose project was given up, perhaps for good.
struct Left {
    root: PathBuf,
    outbox: Outbox,
    /// Read behind it, and counted as lost.
    lost: u64,
}

impl Round {
    pub(super) fn new(roster: watch::Receiver<u64>, cures: watch::Receiver<u64>) -> Round {
        Round {
            roster,
            cures,
            lanes: BTreeMap::new(),
            left: VecDeque::new(),
            last: None,
            look_again: None,
            is_stale: true,
        }
    }

    pub(super) fn is_stale(&self) -> bool {
        self.is_stale
            || self.roster.has_changed().unwrap_or(false)
            || self.look_again.is_some_and(|at| at <= Instant::now())
    }

    /// Lets nothing rest that failed before a test went well.
    pub(super) fn take_heart(&mut self) {
        if self.cures.has_changed().unwrap_or(false) {
            self.cures.mark_unchanged();
            self.outboxes().for_each(Outbox::take_heart);
        }
    }

    fn outboxes(&mut self) -> impl Iterator<Item = &mut Outbox> {
        let lanes = self.lanes.values_mut().map(|lane| &mut lane.outbox);
        lanes.chain(self.left.iter_mut().map(|left| &mut left.outbox))
    }

    /// Keeps what is on its way in a lane that ends. `lost` are those behind it. Tells how many there are no
    /// more for want of room.
    pub(super) fn keep(&mut self, root: PathBuf, outbox: Outbox, lost: u64) -> u64 {
        if !outbox.is_waiting() {
            return 0;
        }
        self.left.push_back(Left { root, outbox, lost });
        match self.left.len() > MOST_LEFT {
            true => self.left.pop_front().map_or(0, |_| 1),
            false => 0,
        }
    }

    /// What is on its way of a path's projects, in their order.
    pub(super) fn left_of(&self, root: &Path) -> Vec<Done> {
        let left = self.left.iter().filter(|left| left.root == root);
        left.filter_map(|left| left.outbox.event()).collect()
    }

    /// Gives back what is left of a project that is there again, with how many behind it are not lost then.
    pub(super) fn take_back(&mut self, root: &Path, event: Done) -> Option<(Outbox, u64)> {
        let is_it = |left: &Left| left.root == root && left.outbox.event() == Some(event);
        let left = self.left.remove(self.left.iter().position(is_it)?)?;
        Some((left.outbox, left.lost))
    }

    /// The next in turn to be attempted: what is left of lanes first, then by path.
    pub(super) fn next(&self, now: Instant) -> Option<(PathBuf, Delivery)> {
        let is_due = |outbox: &Outbox| outbox.rests_until(now).is_none();
        let left = self.left.iter().map(|left| (&left.root, &left.outbox));
        let last = self.last.as_ref();
        let lanes = self.lanes.iter().map(|(path, lane)| (path, &lane.outbox));
        let (before, after): (Vec<_>, Vec<_>) = lanes.partition(|(path, _)| Some(*path) <= last);
        let mut all = left.chain(after).chain(before);
        all.find_map(|(path, outbox)| {
            let delivery = outbox.delivery().filter(|_| is_due(outbox))?;
            Some((path.clone(), delivery.clone()))
        })
    }

    /// Where a delivery is on its way.
    pub(super) fn outbox(&mut self, id: &str) -> Option<&mut Outbox> {
        self.outboxes()
            .find(|outbox| outbox.delivery().is_some_and(|it| it.id == id))
    }

    /// A delivery is done with. Gives the event that its project's lane is done with by that; `None` where
    /// another database has that path by now.
    pub(super) fn done(&mut self, root: &Path, id: &str) -> Option<Done> {
        let is_it = |outbox: &Outbox| outbox.delivery().is_some_and(|it| it.id == id);
        if let Some(lane) = self.lanes.get_mut(root)
            && is_it(&lane.outbox)
        {
            lane.dropped();
            return Some(lane.done());
        }
        let at = self.left.iter().position(|left| is_it(&left.outbox))?;
        let event = self.left.remove(at)?.outbox.take();
        event.filter(|_| !self.lanes.contains_key(root))
    }

    /// Drops all that is left; tells how many.
    pub(super) fn drop_left(&mut self) -> u64 {
        std::mem::take(&mut self.left).len() as u64
    }

    /// How many are left of lanes.
    pub(super) fn count_left(&self) -> usize {
        self.left.len()
    }

    /// When the next attempt is made, where one waits for its time.
    pub(super) fn next_attempt(&self, now: Instant) -> Option<Instant> {
        let lanes = self.lanes.values().map(|lane| &lane.outbox);
        let all = lanes.chain(self.left.iter().map(|left| &left.outbox));
        let waiting = all.filter(|outbox| outbox.is_waiting());
        waiting.filter_map(|outbox| outbox.rests_until(now)).min()
    }

    /// Waits until there may be something to do. Cancel-safe.
    pub(super) async fn changed(&mut self) {
        let now = Instant::now();
        let left = self.left.iter().map(|left| &left.outbox);
        let outboxes = self.lanes.values().map(|lane| &lane.outbox).chain(left);
        let rests = outboxes.filter_map(|outbox| outbox.rests_until(now));
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
            .filter(|lane| lane.outbox.rests_until(now).is_none());
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
