//! A log's lines, one after the other, without keeping them.
//!
//! Only what following would give as well is shown: lines too long for a message are passed over,
//! our own log ends with its terminal line, and while it is being written it ends where somebody
//! else's bytes begin, since the projection is about to write it anew.

use std::borrow::Cow;

use bytes::Bytes;

use super::BrowseError;
use crate::activity_log::{
    ActivityLogs, Batch, Break, LogReader, Lost, Opened, Step, is_ours, is_terminal, peek,
};
use crate::domain::cursor::{CursorError, Generation, InvocationCursor, Position};
use crate::domain::{Invocation, InvocationId, Offset};

/// Bytes read at once: large enough to make the system call cheap, small enough for the cache.
const READ: usize = 256 * 1024;

/// One invocation's log, as its row tells of it.
#[derive(Debug, Clone)]
pub(super) struct Log {
    pub(super) logs: ActivityLogs,
    pub(super) id: InvocationId,
    /// How often our own was rebuilt; `None` for the older tool's.
    pub(super) rebuilt: Option<u32>,
    pub(super) is_ended: bool,
}

/// A log being read.
pub(super) struct Lines {
    reader: LogReader,
    // What was read and not looked at yet; begins where we are.
    batch: Batch,
    generation: Generation,
    until: Option<Offset>,
    is_ours: bool,
    // So that any other line means it was spoiled.
    is_held_to_ours: bool,
    is_over: bool,
}

/// A line, where it is.
pub(super) struct Seen<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) first: Offset,
    pub(super) next: Offset,
}

/// Whether to look at the next line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Go {
    On,
    /// This line was the last one.
    StopBehind,
    /// This line is for the next look.
    StopBefore,
}

/// Why no more lines were looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    /// There are none.
    AtEnd,
    /// So many bytes as were allowed.
    Enough,
    /// The looker said so.
    ByLooker,
}

impl Log {
    pub(super) fn of(logs: &ActivityLogs, row: &Invocation) -> Log {
        Log {
            logs: logs.clone(),
            id: row.id,
            rebuilt: row.managed.as_ref().map(|managed| managed.log_generation),
            is_ended: row.phase.is_ended(),
        }
    }

    /// Opens it behind `after`, to be read up to `until`; `None` while it has no line.
    pub(super) fn open(
        &self,
        after: Option<Position>,
        until: Option<Position>,
    ) -> Result<Option<Lines>, BrowseError> {
        let until_offset = until.map(|until| until.offset);
        // The start is there in every file.
        let from = |position: Option<Position>| position.filter(|at| !at.offset.is_start());
        let (after, until) = (from(after), from(until));
        if until.is_some() {
            self.reader("until", until)?;
        }
        let Some(reader) = self.reader("after", after)? else {
            if after.is_some() || until.is_some() {
                return Err(BrowseError::DELETED);
            }
            return Ok(None);
        };
        let generation = match self.rebuilt {
            Some(times) => Some(Generation::Rebuilt(times)),
            None => reader.file_generation()?,
        };
        let Some(generation) = generation else {
            return Ok(None);
        };
        let first = reader.position();
        Ok(Some(Lines {
            reader,
            batch: Batch {
                bytes: Bytes::new(),
                first,
            },
            generation,
            until: until_offset,
            is_ours: self.rebuilt.is_some(),
            is_held_to_ours: self.rebuilt.is_some() && !self.is_ended,
            is_over: false,
        }))
    }

    /// Whether there is a file, with or without a line in it.
    pub(super) fn is_there(&self) -> Result<bool, BrowseError> {
        Ok(self.reader("after", None)?.is_some())
    }

    fn reader(
        &self,
        field: &'static str,
        position: Option<Position>,
    ) -> Result<Option<LogReader>, BrowseError> {
        match self.logs.resume(self.id, position, self.rebuilt)? {
            Opened::Reader(reader, None) => Ok(Some(reader)),
            Opened::Reader(_, Some(Lost::InsideLine)) => {
                let offset = position.map(|at| at.offset).unwrap_or_default();
                let invocation = self.id;
                let source = CursorError::InsideLine { invocation, offset };
                Err(BrowseError::CursorOutOfRange { field, source })
            }
            Opened::Reader(_, Some(lost)) => Err(BrowseError::lost(lost)),
            Opened::Absent if self.is_ended => Err(BrowseError::NoLog { id: self.id }),
            Opened::Absent => Ok(None),
        }
    }

    /// The cursor of a position in it.
    pub(super) fn cursor(&self, position: Position) -> String {
        let invocation = self.id;
        InvocationCursor {
            invocation,
            position,
        }
        .to_string()
    }

    /// The cursor of the start.
    pub(super) fn start(&self) -> String {
        let generation = match self.rebuilt {
            Some(times) => Generation::Rebuilt(times),
            // Of a file not looked at yet; an offset at the start needs no generation.
            None => Generation::File { inode: 0, head: 0 },
        };
        let offset = Offset::START;
        self.cursor(Position { generation, offset })
    }
}

impl Lines {
    /// Shows each line from where we are, through about `most` bytes.
    pub(super) fn walk(
        &mut self,
        most: u64,
        mut look: impl FnMut(&Seen<'_>) -> Go,
    ) -> Result<Stopped, BrowseError> {
        let from = self.at().get();
        while !self.is_over {
            if self.at().get() - from >= most {
                return Ok(Stopped::Enough);
            }
            if self.batch.bytes.is_empty() && !self.fill()? {
                return Ok(Stopped::AtEnd);
            }
            if let Some(stopped) = self.walk_batch(&mut look) {
                return Ok(stopped);
            }
        }
        Ok(Stopped::AtEnd)
    }

    fn walk_batch(&mut self, look: &mut impl FnMut(&Seen<'_>) -> Go) -> Option<Stopped> {
        // Shares the memory, so that we can move on in it meanwhile.
        let Batch { bytes, first } = self.batch.clone();
        let mut start = 0;
        let mut stopped = None;
        for end in memchr::memchr_iter(b'\n', &bytes) {
            let line = Seen {
                bytes: &bytes[start..end],
                first: first.after(start),
                next: first.after(end + 1),
            };
            if self.is_behind(&line) {
                self.is_over = true;
                break;
            }
            let go = look(&line);
            if go == Go::StopBefore {
                stopped = Some(Stopped::ByLooker);
                break;
            }
            start = end + 1;
            self.is_over = self.is_ours && line.is_terminal();
            if go == Go::StopBehind {
                stopped = Some(Stopped::ByLooker);
            }
            if self.is_over || stopped.is_some() {
                break;
            }
        }
        self.batch.advance(first.after(start));
        stopped
    }

    /// True of a line that is not to be shown, nor any after it.
    fn is_behind(&self, line: &Seen<'_>) -> bool {
        self.until.is_some_and(|until| line.first >= until)
            || self.is_held_to_ours && !is_ours(line.bytes)
    }

    /// Reads on; false at the end.
    fn fill(&mut self) -> Result<bool, BrowseError> {
        while !self.is_over {
            match self.reader.next_batch(READ)? {
                Step::Batch(batch) => {
                    self.batch = batch;
                    return Ok(true);
                }
                Step::TooLong { next, .. } => self.batch.first = next,
                // Removed while it was read, which was all there was.
                Step::End | Step::Broken(Break::Deleted) => break,
                Step::Broken(broken) => return Err(BrowseError::broken(broken)),
            }
        }
        Ok(false)
    }

    /// True if there is a line where we are.
    pub(super) fn has_more(&mut self) -> Result<bool, BrowseError> {
        Ok(!self.is_over && (!self.batch.bytes.is_empty() || self.fill()?))
    }

    /// An error if another file's lines may be among those shown.
    pub(super) fn verify(&self) -> Result<(), BrowseError> {
        if self.is_ours || self.reader.file_generation()? == Some(self.generation) {
            Ok(())
        } else {
            Err(BrowseError::REPLACED)
        }
    }

    /// Behind the last line that was looked at.
    pub(super) fn at(&self) -> Offset {
        self.batch.first
    }

    /// An offset in the file that is read.
    pub(super) fn position(&self, offset: Offset) -> Position {
        Position {
            generation: self.generation,
            offset,
        }
    }
}

impl<'a> Seen<'a> {
    /// Its time and type; none and an empty one if it is no JSON object with a type.
    pub(super) fn head(&self) -> (i64, Cow<'a, str>) {
        peek(self.bytes).unwrap_or((0, Cow::Borrowed("")))
    }

    fn is_terminal(&self) -> bool {
        is_terminal(&self.head().1)
    }
}
