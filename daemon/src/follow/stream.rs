//! One project's (or task's) part of a stream: which logs are open, and which invocations come
//! next.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::FollowError;
use super::past::Past;
use super::queued::Queued;
use super::source::Source;
use super::tail::{Extent, Tail};
use super::waits::Changes;
use crate::domain::cursor::{MAX_OPEN, Position, Reach, Scope};
use crate::domain::{Invocation, InvocationId, Phase};
use crate::watch::Hints;

/// Rows fetched at once; they wait here until their turn comes.
const ROWS: u32 = 64;

/// As many places are left to what begins: of a range one takes two more at most.
const LEFT: usize = 2;

/// A row that a cursor speaks of and that is not there may be put back: of what runs within seconds, of what
/// is over somewhat later.
const PUT_BACK_WITHIN: Duration = Duration::from_secs(60);

/// The open logs of one scope, in the order of their ids.
pub(super) struct Stream {
    pub(super) source: Arc<dyn Source>,
    pub(super) scope: Scope,
    pub(super) tails: Vec<Tail>,
    task: Option<String>,
    // It goes on from a cursor, which promised all of ours that came later.
    is_resumed: bool,
    // Every invocation up to this id was taken up, or is passed over.
    high: i64,
    // What ran when the stream began and has no place yet, below what is passed over up to `floor`.
    waiting: VecDeque<InvocationId>,
    floor: i64,
    queued: Queued,
    rows: VecDeque<Invocation>,
    more_rows: bool,
    // What the cursor was at, and has no row: the database may have been made anew a moment ago.
    missing: BTreeMap<InvocationId, Position>,
    is_missing_stale: bool,
    // Until then rows may be put back.
    missed_until: Instant,
    pub(super) past: Past,
    // None where the one log tells all there is to know.
    changes: Option<Changes>,
}

impl Stream {
    /// Of one invocation.
    pub(super) fn sole(source: Arc<dyn Source>, scope: Scope, tail: Tail) -> Stream {
        // Our own log tells its end itself. A receiver costs the project a poll of its database.
        let changes = (!tail.is_ours()).then(|| Changes::new(source.changes()));
        Stream {
            source,
            scope,
            tails: vec![tail.sole()],
            task: None,
            is_resumed: false,
            high: 0,
            waiting: VecDeque::new(),
            floor: 0,
            queued: Queued::default(),
            rows: VecDeque::new(),
            more_rows: false,
            missing: BTreeMap::new(),
            is_missing_stale: false,
            missed_until: Instant::now(),
            past: Past::default(),
            changes,
        }
    }

    /// Of a task, or of all in the project, going on where the reach ends. Whether its places are there
    /// is found out when the logs are read, or by [`Stream::check`].
    pub(super) async fn resume(
        source: Arc<dyn Source>,
        scope: Scope,
        task: Option<String>,
        reach: &Reach,
        hints: &Hints,
        extent: Extent,
    ) -> Result<Stream, FollowError> {
        let changes = Some(Changes::new(source.changes()));
        let past = Past::of(&source, reach.high, PUT_BACK_WITHIN).await?;
        let none = Reach::default();
        let reach = if past.untold().is_some() {
            &none
        } else {
            reach
        };
        let (mut tails, mut missing) = (Vec::new(), BTreeMap::new());
        for (&id, &position) in &reach.open {
            let Some(row) = source.invocation(id).await? else {
                missing.insert(id, position);
                continue;
            };
            let tail = Tail::new(&source, &row, hints, extent).promised();
            tails.push(tail.at(position));
        }
        Ok(Stream {
            source,
            scope,
            tails,
            task,
            // One at the very beginning promised no more than none does.
            is_resumed: reach.high > 0,
            high: reach.high,
            waiting: VecDeque::new(),
            floor: 0,
            queued: Queued::new(reach.queued.clone()),
            rows: VecDeque::new(),
            more_rows: true,
            missing,
            is_missing_stale: false,
            missed_until: match reach.places() {
                0 => Instant::now(),
                _ => Instant::now() + PUT_BACK_WITHIN,
            },
            past,
            changes,
        })
    }

    /// Looks where a client's cursor points, which may be no place at all.
    pub(super) async fn check(&mut self) -> Result<(), FollowError> {
        // All at once: each may wait for its disk.
        for checked in join_all(self.tails.iter_mut().map(Tail::check)).await {
            match checked {
                // It is told, or fails, when it is read.
                Err(FollowError::Log(_)) => {}
                checked => checked?,
            }
        }
        Ok(())
    }

    /// As [`Stream::resume`] from the first, but passing over what has ended by now. What runs has
    /// its place at once, as far as `taken` ones of other streams leave any, so that the cursor
    /// speaks of it from the beginning: it is given whole, whenever it ends, or from its `last` lines on.
    pub(super) async fn of_running(
        source: Arc<dyn Source>,
        scope: Scope,
        task: Option<String>,
        hints: &Hints,
        extent: Extent,
        taken: usize,
        last: Option<u32>,
    ) -> Result<Stream, FollowError> {
        let none = Reach::default();
        let mut stream = Stream::resume(source, scope, task, &none, hints, extent).await?;
        let (floor, ids) = stream.source.standing(stream.task.as_deref()).await?;
        (stream.floor, stream.waiting) = (floor, ids.into());
        loop {
            let room = MAX_OPEN.saturating_sub(taken + stream.places());
            if room == 0 || !stream.take_up_waiting(hints, extent, room).await? {
                break;
            }
        }
        if stream.waiting.is_empty() {
            stream.high = floor;
        }
        if let Some(lines) = last {
            // What has no place yet is given whole: by then nobody could say what was there before.
            let tails = stream.tails.drain(..);
            stream.tails = tails.map(|tail| tail.at_last(lines)).collect();
            stream.check().await?;
        }
        Ok(stream)
    }

    /// Where nothing runs, begins with the last lines of the newest that has ended.
    pub(super) async fn take_up_newest(
        &mut self,
        lines: u32,
        hints: &Hints,
        extent: Extent,
    ) -> Result<(), FollowError> {
        // What has no place yet may run.
        let is_looked_through = self.waiting.is_empty() && self.places() < MAX_OPEN;
        if !is_looked_through || !self.tails.is_empty() {
            return Ok(());
        }
        let task = self.task.as_deref();
        let Some(row) = self.source.newest_ended(task, self.floor).await? else {
            return Ok(());
        };
        // It was queued a moment ago, and is given whole.
        let mut spans = self.queued.spans().iter();
        if spans.any(|span| span.contains(row.id)) {
            return Ok(());
        }
        let tail = Tail::new(&self.source, &row, hints, extent);
        self.tails.push(tail.at_last(lines));
        self.check().await
    }

    // Takes up the next of those that ran when the stream began; false if none is left, or there is no room.
    async fn take_up_waiting(
        &mut self,
        hints: &Hints,
        extent: Extent,
        room: usize,
    ) -> Result<bool, FollowError> {
        while let Some(&id) = self.waiting.front() {
            let row = self.source.invocation(id).await?;
            // What has ended between two of these is passed over.
            let behind = id.get() - 1;
            let has_room = |row| self.has_room(behind, row, room);
            if !row.as_ref().is_none_or(has_room) {
                return Ok(false);
            }
            self.waiting.pop_front();
            self.high = if self.waiting.is_empty() {
                self.floor
            } else {
                id.get()
            };
            // A row that was deleted has nothing more to give.
            if let Some(row) = row {
                self.take(behind, &row, hints, extent);
                return Ok(true);
            }
        }
        Ok(false)
    }

    // What is queued leaves some places to what begins.
    fn has_room(&self, behind: i64, row: &Invocation, room: usize) -> bool {
        row.phase != Phase::Queued || self.queued.takes_along(behind) || room > LEFT
    }

    fn take(&mut self, behind: i64, row: &Invocation, hints: &Hints, extent: Extent) {
        if row.phase == Phase::Queued {
            self.queued.push(behind, row.id);
        } else {
            self.open(row, hints, extent);
        }
    }

    // Opens the log of a row. Of another tool's runs many never had one.
    fn open(&mut self, row: &Invocation, hints: &Hints, extent: Extent) {
        let tail = Tail::new(&self.source, row, hints, extent);
        self.tails.push(match self.is_resumed && tail.is_ours() {
            true => tail.promised(),
            false => tail,
        });
    }

    // Opens the log of one that was queued and is no more; false if there is none, or no room.
    async fn take_up_begun(
        &mut self,
        hints: &Hints,
        extent: Extent,
        room: usize,
    ) -> Result<bool, FollowError> {
        if !self.queued.is_stale {
            return Ok(false);
        }
        for span in self.queued.spans().to_vec() {
            let row = self.source.begun(self.task.as_deref(), span).await?;
            let Some(row) = row else {
                // All their rows were deleted.
                if Instant::now() >= self.missed_until {
                    self.queued.forget(span);
                }
                continue;
            };
            if row.phase == Phase::Queued {
                continue;
            }
            // It stays stale where there is none.
            let has_room = self.queued.price(row.id) <= room;
            if has_room {
                self.queued.take(row.id);
                self.open(&row, hints, extent);
            }
            return Ok(has_room);
        }
        self.queued.is_stale = false;
        Ok(false)
    }

    /// Begins with the first there is where the cursor's database is gone for good; false if it is not, or may
    /// be put back yet.
    pub(super) async fn begin_anew(&mut self) -> Result<bool, FollowError> {
        if !self.past.is_due() {
            return Ok(false);
        }
        self.past.judge(&self.source, self.high).await?;
        if self.past.untold().is_none() {
            return Ok(false);
        }
        self.start_over();
        Ok(true)
    }

    /// Begins with the first there is, as another database is known to have the place of the cursor's.
    pub(super) fn begin_in_other(&mut self) {
        if self.past.untold().is_none() {
            self.past = Past::gone(self.high);
        }
        self.start_over();
    }

    fn start_over(&mut self) {
        self.tails.clear();
        self.missing.clear();
        self.rows.clear();
        self.queued = Queued::default();
        (self.high, self.more_rows, self.is_resumed) = (0, true, false);
    }

    /// Goes on with one whose row was put back; false if there is none. It has its place.
    pub(super) async fn take_up_missing(
        &mut self,
        hints: &Hints,
        extent: Extent,
    ) -> Result<bool, FollowError> {
        if !self.is_missing_stale {
            return Ok(false);
        }
        for (&id, &position) in &self.missing {
            if let Some(row) = self.source.invocation(id).await? {
                let tail = Tail::new(&self.source, &row, hints, extent).promised();
                self.missing.remove(&id);
                self.tails.push(tail.at(position));
                return Ok(true);
            }
        }
        self.is_missing_stale = false;
        if Instant::now() >= self.missed_until {
            // They were deleted, and have nothing more to give.
            self.missing.clear();
        }
        Ok(false)
    }

    /// How many of a cursor's places it takes.
    pub(super) fn places(&self) -> usize {
        self.tails.len() + self.missing.len() + self.queued.spans().len()
    }

    /// False if [`Stream::take_up`] would find none.
    pub(super) fn has_more(&self) -> bool {
        self.more_rows
            || self.past.is_due()
            || self.queued.is_stale
            || self.is_missing_stale
            || !(self.rows.is_empty() && self.waiting.is_empty())
    }

    /// Takes up the next invocation; false if there is none yet, or no place for it among `room`.
    pub(super) async fn take_up(
        &mut self,
        hints: &Hints,
        extent: Extent,
        room: usize,
    ) -> Result<bool, FollowError> {
        if self.take_up_begun(hints, extent, room).await?
            || self.take_up_waiting(hints, extent, room).await?
        {
            return Ok(true);
        }
        if !self.waiting.is_empty() {
            return Ok(false);
        }
        if self.rows.is_empty() && self.more_rows {
            let rows = self
                .source
                .after(self.task.as_deref(), self.high, ROWS)
                .await?;
            self.more_rows = rows.len() >= ROWS as usize;
            self.rows = rows.into();
        }
        let has_room = |row: &Invocation| self.has_room(self.high, row, room);
        if !self.rows.front().is_some_and(has_room) {
            return Ok(false);
        }
        let Some(row) = self.rows.pop_front() else {
            return Ok(false);
        };
        let behind = std::mem::replace(&mut self.high, row.id.get());
        self.take(behind, &row, hints, extent);
        Ok(true)
    }

    /// Takes word of changed rows and files, if any came.
    pub(super) fn notice(&mut self) {
        let changed = self.changes.as_mut().is_some_and(Changes::take);
        if changed {
            self.rows.clear();
            self.more_rows = true;
            self.queued.is_stale = !self.queued.spans().is_empty();
            self.is_missing_stale = !self.missing.is_empty();
        }
        for tail in &mut self.tails {
            if changed && !tail.is_ended() {
                tail.is_row_stale = true;
                tail.is_fresh = true;
            }
            tail.notice();
        }
    }

    /// Looks whether files have grown without a hint.
    pub(super) fn look_again(&mut self) {
        self.tails.iter_mut().for_each(Tail::look_again);
    }

    /// Looks at everything, as if every hint had been lost.
    pub(super) fn distrust(&mut self) {
        for tail in &mut self.tails {
            tail.distrust(self.changes.is_some());
        }
    }

    /// Ready while there is a hint of any kind, none of which it takes.
    pub(super) fn poll_hinted(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let changes = self.changes.as_mut();
        let is_hinted = changes.is_some_and(|changes| changes.poll(cx).is_ready())
            || self
                .tails
                .iter_mut()
                .any(|tail| tail.hint().poll_ready(cx).is_ready());
        if is_hinted {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    pub(super) fn reach(&self) -> Reach {
        let open = self
            .tails
            .iter()
            .filter(|tail| !tail.is_passed())
            .map(|tail| (tail.id(), tail.position()))
            .chain(self.missing.iter().map(|(&id, &position)| (id, position)))
            .collect();
        // Who comes back before it was told that its database is gone is told then.
        let untold = self.past.untold().map(InvocationId::get);
        Reach {
            high: untold.unwrap_or(self.high),
            open,
            queued: self.queued.spans().to_vec(),
        }
    }

    pub(super) fn tail(&mut self, id: InvocationId) -> Option<&mut Tail> {
        self.tails.iter_mut().find(|tail| tail.id() == id)
    }

    pub(super) fn drop_tail(&mut self, id: InvocationId) {
        self.tails.retain(|tail| tail.id() != id);
    }
}
