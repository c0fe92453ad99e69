//! One invocation's log, from a position to its end.
//!
//! ```text
//!            ┌── Lines ──┐
//! open ──> reading ──> idle ──(hint, poll)──> reading … ──> finished
//!   └─ absent ┘  └─ broken: Gap, then open again at the start
//! ```
//!
//! Our own log ends with its terminal line, which the follower reports back; a log without one
//! ends when the row has and the file is read to its end. What the page cache holds is read on the
//! spot, and one read that had all there was is not followed by another before a hint. Any other read is a `spawn_blocking` that takes the reader along and brings it back: the
//! disk may be slow, and whoever drops the wait loses a descriptor, not a line, because the
//! position moves only when the bytes have arrived. To watch a log asks its disk as well, and is done where it
//! is opened, or looked at as if every hint had been lost.

mod ends;

use std::sync::Arc;

use crate::activity_log::{Batch, Break, LogReader, Lost, Opened, Step};
use crate::domain::cursor::{CursorError, Generation, Position};
use crate::domain::{Invocation, InvocationId, Offset};
use crate::watch::{Arming, Hint, Hints};

use super::FollowError;
use super::gap::{Gap, Why};
use super::look::{Look, blocking};
use super::row::Row;
use super::source::Source;
use super::trust::Trust;

/// A log that is replaced each time it was opened is read whole, or from where it is found later.
const LOOKS: usize = 3;

/// One invocation's log, and how far the subscriber has it.
pub(super) struct Tail {
    source: Arc<dyn Source>,
    id: InvocationId,
    row: Row,
    // None: at the start of whatever file is there.
    position: Option<Position>,
    // Until that is found: how many last lines of what is there to begin with.
    last: Option<u32>,
    reader: Option<LogReader>,
    hint: Hint,
    // Of our own log, while it grows: another file has its name.
    name: Option<Hint>,
    owed: Option<Gap>,
    trust: Trust,
    extent: Extent,
    told: Progress,
    // There may be something to read.
    pub(super) is_fresh: bool,
    // The row may have ended since it was looked at.
    pub(super) is_row_stale: bool,
    // Whether the file is still the log is to be looked at.
    is_unchecked: bool,
    // The stream is of nothing else.
    is_sole: bool,
    // Its log being gone is told: a cursor promised it, or it was seen to run. What had ended before
    // anybody came to a wide stream is simply not there once retention removed it.
    is_promised: bool,
    is_finished: bool,
    // That it cannot be read was told.
    is_unreadable: bool,
    // All that is to be given of it was, and more may come: a cursor still has to say how far that is.
    is_given: bool,
}

/// How far to read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Extent {
    /// To the end, whenever that comes.
    Whole,
    /// What is there now.
    Present,
    /// Up to a length, which was the file's when reading began.
    UpTo {
        len: u64,
        /// The invocation had ended before that: nothing is written behind it.
        is_end: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Nothing,
    Some,
}

/// What one step came to.
#[derive(Debug)]
pub(super) enum Told {
    Lines(Batch),
    Gap(Gap),
    Idle,
    Finished,
}

impl Tail {
    /// Begins at the log's start.
    pub(super) fn new(
        source: &Arc<dyn Source>,
        row: &Invocation,
        hints: &Hints,
        extent: Extent,
    ) -> Tail {
        let path = source.logs().path(row.id);
        let (is_foreign, is_over) = (row.managed.is_none(), row.phase.is_ended());
        let name = (!is_foreign && !is_over).then(|| hints.name_unarmed(&path));
        let hint = if is_foreign && !is_over {
            hints.file_unarmed(&path)
        } else {
            hints.local(&path)
        };
        Tail {
            source: Arc::clone(source),
            id: row.id,
            row: Row::of(row),
            position: None,
            last: None,
            reader: None,
            hint,
            name,
            owed: None,
            trust: Trust::default(),
            extent,
            told: Progress::Nothing,
            is_fresh: true,
            is_row_stale: false,
            is_unchecked: false,
            is_sole: false,
            is_promised: !is_over,
            is_finished: false,
            is_unreadable: false,
            is_given: false,
        }
    }

    /// Makes it the only one of its stream.
    pub(super) fn sole(mut self) -> Tail {
        self.is_sole = true;
        self.promised()
    }

    /// Has it told where its log is gone.
    pub(super) fn promised(mut self) -> Tail {
        self.is_promised = true;
        self
    }

    /// Goes on where a cursor points.
    pub(super) fn at(mut self, position: Position) -> Tail {
        if !position.offset.is_start() {
            self.position = Some(position);
        }
        self
    }

    /// Begins with so many last lines of what [`Tail::check`] finds in its log; with all where it does not find
    /// them, since nobody could say later what was there.
    pub(super) fn at_last(mut self, lines: u32) -> Tail {
        self.last = Some(lines);
        self
    }

    /// Looks where it is to begin: a position that is gone becomes a gap, one inside a line is an error.
    pub(super) async fn check(&mut self) -> Result<(), FollowError> {
        let last = self.last.take();
        if self.position.is_none() && last.is_none() {
            return Ok(());
        }
        let mut opened = None;
        for _ in 0..LOOKS {
            if self.is_kept_waiting()? {
                return Ok(());
            }
            let found = self.open(last).await?;
            if !self.has_moved_on().await? {
                opened = Some(found);
                break;
            }
        }
        let Some((opened, begin)) = opened else {
            return Ok(());
        };
        match opened {
            Opened::Reader(reader, None) => {
                self.position = begin.filter(|at| !at.offset.is_start());
                self.reader = Some(reader);
            }
            Opened::Reader(reader, Some(Lost::InsideLine)) => {
                drop(reader);
                let (invocation, offset) = (self.id, self.position().offset);
                return Err(CursorError::InsideLine { invocation, offset }.into());
            }
            Opened::Reader(reader, Some(lost)) => self.start_over(lost.into(), Some(reader)),
            Opened::Absent if self.position.is_some() => self.lose(),
            // It may come yet: else that is told when it is read.
            Opened::Absent => {}
        }
        Ok(())
    }

    pub(super) fn id(&self) -> InvocationId {
        self.id
    }

    pub(super) fn is_ours(&self) -> bool {
        self.row.rebuilt.is_some()
    }

    pub(super) fn is_ended(&self) -> bool {
        self.row.is_ended
    }

    /// True while one that has ended is read to its end.
    pub(super) fn is_replayed(&self) -> bool {
        self.row.is_ended && !self.is_given
    }

    pub(super) fn hint(&mut self) -> &mut Hint {
        &mut self.hint
    }

    /// Takes word of its file, if any came.
    pub(super) fn notice(&mut self) {
        if !self.hint.take() {
            return;
        }
        self.is_fresh = true;
        if self.name.as_mut().is_some_and(Hint::take) {
            self.is_unchecked = true;
        }
    }

    /// True while it is read to its end, and whatever happens to its file is told of, except that
    /// somebody else writes to it.
    pub(super) fn is_at_rest(&self) -> bool {
        let is_watched = self.name.as_ref().is_some_and(Hint::is_watched);
        is_watched && self.reader.is_some() && !self.trust.is_shaken()
    }

    /// As it goes into a cursor: who comes back before a gap was told is told then.
    pub(super) fn position(&self) -> Position {
        let lost = self.owed.and_then(|gap| gap.lost);
        lost.or(self.position).unwrap_or(Position {
            generation: self.generation(),
            offset: Offset::START,
        })
    }

    /// True once there is nothing more of it to come: among others it is passed, or its end would be
    /// told at each return.
    pub(super) fn is_passed(&self) -> bool {
        self.is_finished && self.owed.is_none() && !self.is_sole
    }

    /// The terminal line was given: nothing comes after it.
    pub(super) fn finish(&mut self) {
        self.is_finished = true;
        self.reader = None;
    }

    /// Gives what is next, in at most `max` bytes where lines allow. Dropping the future loses
    /// nothing. One log of many that cannot be read, and will not be by waiting, is a gap.
    pub(super) async fn step(&mut self, max: usize) -> Result<Told, FollowError> {
        match self.try_step(max).await {
            Err(FollowError::Log(error)) if !self.is_sole && !error.passes() => {
                Ok(self.unreadable(&error))
            }
            told => told,
        }
    }

    async fn try_step(&mut self, max: usize) -> Result<Told, FollowError> {
        if let Some(gap) = self.owed.take() {
            return Ok(Told::Gap(gap));
        }
        if self.is_finished {
            return Ok(Told::Finished);
        }
        if self.is_given || self.is_past_extent() {
            return Ok(self.rested());
        }
        if self.is_row_stale || self.trust.is_shaken() {
            Box::pin(self.refresh()).await?;
        }
        if self.is_kept_waiting()? {
            return Ok(self.rested());
        }
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => {
                let (opened, _) = Box::pin(self.open(None)).await?;
                if Box::pin(self.has_moved_on()).await? {
                    return Ok(Told::Idle);
                }
                match opened {
                    Opened::Reader(reader, None) => reader,
                    Opened::Reader(reader, Some(lost)) => {
                        self.start_over(lost.into(), Some(reader));
                        return Ok(self.told_gap());
                    }
                    Opened::Absent => return Ok(self.absent()),
                }
            }
        };
        self.read(reader, max).await
    }

    /// True while what has the log's name is not to be read, going by what the row said last.
    fn is_kept_waiting(&mut self) -> Result<bool, FollowError> {
        let (generation, is_ended) = (self.row.rebuilt.unwrap_or(0), self.row.is_ended);
        if self.trust.is_awaiting(generation, is_ended) {
            return Ok(true);
        }
        let is_look = !matches!(self.extent, Extent::Whole);
        // Of what has ended nobody might see it through, and a look does not wait.
        if self.reader.is_some() || is_look && is_ended {
            return Ok(false);
        }
        let is_kept = !self.trust.may_open(generation, is_ended);
        if is_kept && is_look && self.is_sole {
            // To end with nothing would say that there is nothing.
            return Err(FollowError::BeingRebuilt { id: self.id });
        }
        Ok(is_kept)
    }

    async fn read(&mut self, mut reader: LogReader, max: usize) -> Result<Told, FollowError> {
        let look = Look {
            max,
            check: self.is_unchecked.then(|| self.arming()),
            foreign: (!self.is_ours()).then_some(self.position.map(|at| at.generation)),
        };
        let (reader, read) = match look.cached(&mut reader) {
            Some(read) => (reader, read),
            None => Box::pin(look.waiting(reader)).await?,
        };
        let is_all = read.is_all();
        self.is_unchecked = false;
        if let Extent::Present = self.extent {
            self.extent = Extent::UpTo {
                len: read.len,
                is_end: self.row.is_ended && !self.row.lingers,
            };
        }
        // Of our own log the one it was opened with: the row's may already be the next.
        let known = read.generation.or(self.position.map(|at| at.generation));
        let generation = known.unwrap_or_else(|| self.generation());
        match read.step {
            Step::Batch(batch) => {
                self.position = Some(Position {
                    generation,
                    offset: batch.next(),
                });
                self.reader = Some(reader);
                self.told = Progress::Some;
                self.is_unreadable = false;
                // Whatever is written from here on is hinted, so nothing is to be looked at before.
                self.is_fresh = !(is_all && self.is_open_ended());
                Ok(Told::Lines(batch))
            }
            Step::TooLong { first, next } => {
                self.position = Some(Position {
                    generation,
                    offset: next,
                });
                self.reader = Some(reader);
                let lost = Some(Position {
                    generation,
                    offset: first,
                });
                Ok(Told::Gap(Gap {
                    why: Why::LineTooLong,
                    lost,
                }))
            }
            Step::End => {
                self.reader = Some(reader);
                Ok(self.at_end())
            }
            // All of it was read before.
            Step::Broken(Break::Deleted) if self.row.is_ended => Ok(self.at_end()),
            Step::Broken(broken) => {
                self.spoiled(Why::of(broken));
                Ok(self.told_gap())
            }
        }
    }

    /// True where the end of what is there is not the end of the stream.
    fn is_open_ended(&self) -> bool {
        !self.row.is_ended && matches!(self.extent, Extent::Whole)
    }

    /// A line of our own log is none of ours: nothing from there on is taken for the log.
    pub(super) fn reject(&mut self, at: Offset) {
        self.position = Some(Position {
            offset: at,
            ..self.position()
        });
        self.spoiled(Why::Changed);
    }

    fn spoiled(&mut self, why: Why) {
        self.start_over(why, None);
        if self.is_ours() && !self.row.is_ended {
            self.trust.spoiled();
            // Whoever can write it anew may not know yet.
            self.name.iter_mut().for_each(Hint::doubt);
        }
        // What comes now may be of another generation, and cursors have to say of which.
        self.is_row_stale = true;
    }

    /// True while a line that is none of ours can still be put right by a rebuild.
    pub(super) fn is_held_to_ours(&self) -> bool {
        self.is_ours() && !self.row.is_ended && self.trust.is_strict()
    }

    /// Looks whether it has grown without a hint.
    pub(super) fn look_again(&mut self) {
        self.is_fresh = true;
    }

    /// Looks at everything, as if every hint had been lost.
    pub(super) fn distrust(&mut self, is_told_of_rows: bool) {
        self.look_again();
        self.is_unchecked = true;
        self.is_row_stale = !(self.row.is_ended || self.is_ours() && is_told_of_rows);
        self.trust.polled();
    }

    fn generation(&self) -> Generation {
        match self.row.rebuilt {
            Some(times) => Generation::Rebuilt(times),
            // Of a file not looked at yet; an offset at the start needs no generation.
            None => Generation::File { inode: 0, head: 0 },
        }
    }

    // What is to be done where it may block: the disk of a log may hang.
    fn arming(&self) -> [Option<Arming>; 2] {
        [
            Some(self.hint.arming()),
            self.name.as_ref().map(Hint::arming),
        ]
    }

    async fn refresh(&mut self) -> Result<(), FollowError> {
        // A row that is gone is put back by those who keep rows; the log goes on meanwhile.
        if let Some(row) = self.source.invocation(self.id).await? {
            self.row = self.row.again(&row);
        }
        self.is_row_stale = false;
        Ok(())
    }

    /// Whether another log may have taken the place of what was opened as this generation: then it is opened
    /// again. Of what has ended nobody makes another while it is followed.
    async fn has_moved_on(&mut self) -> Result<bool, FollowError> {
        if !self.is_ours() || self.row.is_ended {
            return Ok(false);
        }
        let before = self.row.rebuilt;
        self.refresh().await?;
        Ok(self.row.rebuilt != before)
    }

    // With where it is to be read from.
    async fn open(&mut self, last: Option<u32>) -> Result<(Opened, Option<Position>), FollowError> {
        let logs = self.source.logs().clone();
        let (id, position, rebuilt) = (self.id, self.position, self.row.rebuilt);
        let has_ended = self.row.is_ended;
        self.trust.opened(rebuilt.unwrap_or(0));
        let arming = self.arming();
        // Watched before it is looked at: what happens in between is hinted.
        let opening = move || {
            arming.iter().flatten().for_each(Arming::arm);
            match last {
                Some(lines) => logs.open_last(id, lines, rebuilt, has_ended),
                None => Ok((logs.resume(id, position, rebuilt)?, position)),
            }
        };
        Ok(blocking(opening).await??)
    }
}
