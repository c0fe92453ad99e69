//! Reading a log forward from an offset: the one way replay, catching up and following all go.
//!
//! A reader holds a descriptor and a position, no bytes: a batch is read when it is asked for, and
//! belongs to who asked. Only whole lines are given; a part of one stays in the file until the
//! rest is there. Where the file is no longer the one that was opened, or no longer holds the line
//! that ended at the position, the reader says so instead of giving other data. Of a log that is being
//! written it gives what its writer has written, and nothing that somebody else added.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use rustix::buffer::spare_capacity;
use rustix::fs::Stat;

use super::LogError;
use super::packed::Stored;
use super::paths::{Place, failed, file_name, packed_name};
use super::resume::HEAD;
use super::written::{FileKey, Written};
use crate::domain::{InvocationId, Offset};

/// The longest line that is given. Ours end at 1 MiB; of a foreign log's longer ones only the
/// place is told, as they would not fit a message.
pub const MAX_LINE: usize = 2 * 1024 * 1024;

const SCAN: usize = 64 * 1024;

/// One open log and how far it was read.
#[derive(Debug)]
pub struct LogReader {
    // Of a log that is, or was, written while it is open. First to go: it is of the file that is open.
    written: Option<Arc<Written>>,
    place: Arc<Place>,
    id: InvocationId,
    path: PathBuf,
    pub(super) stored: Stored,
    pub(super) at: u64,
    // No newline stands between `at` and here.
    pub(super) scanned: u64,
    // How much of the file's beginning tells its generation.
    pub(super) head: usize,
}

/// What there is at the position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Whole lines; the position is behind them now.
    Batch(Batch),
    /// A line over [`MAX_LINE`], passed over.
    TooLong {
        /// Where it begins.
        first: Offset,
        /// Where the next one does.
        next: Offset,
    },
    /// Nothing more yet.
    End,
    /// The log is not what it was; this reader can give nothing more of it.
    Broken(Break),
}

/// Why a log cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// It was removed, and no other is there.
    Deleted,
    /// Its name leads to another file.
    Replaced,
    /// It ends before the position.
    Truncated,
    /// No line ends at the position any more.
    Changed,
}

/// Whole lines of a log, in one piece of memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The lines, each with its newline.
    pub bytes: Bytes,
    /// Where the first one begins.
    pub first: Offset,
}

impl Batch {
    /// Where the line after the last one begins.
    pub fn next(&self) -> Offset {
        self.first.after(self.bytes.len())
    }

    /// The first line's bytes without the newline, and the offset behind it. They share the
    /// batch's memory.
    pub fn first_line(&self) -> Option<(Bytes, Offset)> {
        let end = memchr::memchr(b'\n', &self.bytes)?;
        Some((self.bytes.slice(..end), self.first.after(end + 1)))
    }

    /// Takes the lines before an offset off.
    pub fn advance(&mut self, to: Offset) {
        let bytes = usize::try_from(to.get().saturating_sub(self.first.get()));
        let bytes = bytes.unwrap_or(usize::MAX).min(self.bytes.len());
        self.bytes.advance(bytes);
        self.first = self.first.after(bytes);
    }
}

impl LogReader {
    pub(super) fn open(
        place: &Arc<Place>,
        id: InvocationId,
        from: Offset,
    ) -> Result<LogReader, LogError> {
        let stored = Stored::open(&place.open()?, id)?;
        let path = place.log_path(id);
        let place = Arc::clone(place);
        let mut reader = LogReader {
            place,
            id,
            path,
            stored,
            at: 0,
            scanned: 0,
            written: None,
            head: HEAD,
        };
        reader.seek(from)?;
        Ok(reader)
    }

    /// Goes to an offset at which a line begins; stays where it was if none does.
    pub fn seek(&mut self, to: Offset) -> Result<(), LogError> {
        let at = to.get();
        let len = self.given_len()?;
        if at > len {
            return Err(LogError::PastEnd {
                path: self.path.clone(),
                offset: to,
                len,
            });
        }
        if at > 0 && self.read_at(at - 1, 1)? != b"\n" {
            return Err(LogError::InsideLine {
                path: self.path.clone(),
                offset: to,
            });
        }
        self.at = at;
        self.scanned = at;
        Ok(())
    }

    /// The log's length now; of one that is being written, as far as it was.
    pub fn given_len(&mut self) -> Result<u64, LogError> {
        let stat = self.stat()?;
        Ok(self.given(&stat))
    }

    fn given(&mut self, stat: &Stat) -> u64 {
        let len = self.length(stat);
        let written = self.written((stat.st_dev, stat.st_ino));
        written.map_or(len, |written| written.min(len))
    }

    /// The length of the log's file now, with what somebody may have added.
    pub fn file_len(&self) -> Result<u64, LogError> {
        Ok(self.length(&self.stat()?))
    }

    /// It is shorter than what was read of it, or written.
    fn is_cut(&self, stat: &Stat) -> Result<bool, LogError> {
        let written = self.written.as_ref().map_or(0, |written| written.len());
        let least = self.at.max(written);
        // What was written since that look is no cut: a second one is later than what is told.
        Ok(self.length(stat) < least && self.file_len()? < least)
    }

    /// How far the file was written, if somebody writes it.
    pub(super) fn written(&mut self, file: FileKey) -> Option<u64> {
        if self.written.is_none() && !self.stored.is_packed() {
            self.written = Written::find(file);
        }
        self.written.as_ref().map(|written| written.len())
    }

    /// Where the next line begins.
    pub fn position(&self) -> Offset {
        Offset::new(self.at)
    }

    /// The whole lines in the next `max` bytes, or the next one alone if it is longer.
    pub fn next_batch(&mut self, max: usize) -> Result<Step, LogError> {
        let stat = self.stat()?;
        let len = self.given(&stat);
        if stat.st_nlink == 0
            && let Some(broken) = self.broken_name(&stat)?
            && (broken == Break::Replaced || len <= self.at)
        {
            return Ok(Step::Broken(broken));
        }
        if self.is_cut(&stat)? {
            return Ok(Step::Broken(Break::Truncated));
        }
        // What was read of it before it had a writer may have been more.
        if len == self.scanned || len < self.at {
            return Ok(Step::End);
        }
        self.read_lines(len, max)
    }

    fn read_lines(&mut self, len: u64, max: usize) -> Result<Step, LogError> {
        let want = max.min(usize::try_from(len - self.at).unwrap_or(max));
        // With the newline before, which must still be there.
        let before = usize::from(self.at > 0);
        let mut bytes = self.read_at(self.at - before as u64, want + before)?;
        if before == 1 && bytes.first() != Some(&b'\n') {
            let truncated = bytes.is_empty();
            let broken = if truncated {
                Break::Truncated
            } else {
                Break::Changed
            };
            return Ok(Step::Broken(broken));
        }
        match memchr::memrchr(b'\n', &bytes[before..]) {
            Some(last) => {
                bytes.truncate(before + last + 1);
                Ok(self.batch(Bytes::from(bytes).slice(before..)))
            }
            None => {
                self.scanned = self.scanned.max(self.at + (bytes.len() - before) as u64);
                drop(bytes);
                self.long_line(len)
            }
        }
    }

    // The line is longer than a batch, or not there to its end.
    fn long_line(&mut self, len: u64) -> Result<Step, LogError> {
        while self.scanned < len {
            let left = usize::try_from(len - self.scanned).unwrap_or(SCAN);
            let piece = self.read_at(self.scanned, SCAN.min(left))?;
            if piece.is_empty() {
                break;
            }
            let Some(i) = memchr::memchr(b'\n', &piece) else {
                self.scanned += piece.len() as u64;
                continue;
            };
            let next = self.scanned + i as u64 + 1;
            let line = usize::try_from(next - self.at).unwrap_or(usize::MAX);
            if line > MAX_LINE {
                let first = self.position();
                self.at = next;
                self.scanned = next;
                return Ok(Step::TooLong {
                    first,
                    next: self.position(),
                });
            }
            let bytes = self.read_at(self.at, line)?;
            let whole = bytes.len() == line && bytes.last() == Some(&b'\n');
            return Ok(if whole {
                self.batch(bytes.into())
            } else {
                Step::Broken(Break::Changed)
            });
        }
        Ok(Step::End)
    }

    pub(super) fn batch(&mut self, bytes: Bytes) -> Step {
        let batch = Batch {
            bytes,
            first: self.position(),
        };
        self.at = batch.next().get();
        self.scanned = self.at;
        Step::Batch(batch)
    }

    /// Looks whether the log's name still leads to the file that is read here; costs a few system
    /// calls more than reading at the end does, so it is for the slow safety poll.
    pub fn check(&self) -> Result<Option<Break>, LogError> {
        let stat = self.stat()?;
        if self.is_cut(&stat)? {
            return Ok(Some(Break::Truncated));
        }
        self.broken_name(&stat)
    }

    fn broken_name(&self, ours: &Stat) -> Result<Option<Break>, LogError> {
        let (plain, packed) = match self.place.open() {
            Ok(folder) => (
                folder.stat(&file_name(self.id))?,
                folder.stat(&packed_name(self.id))?,
            ),
            Err(LogError::Missing { .. } | LogError::Refused { .. }) => (None, None),
            Err(error) => return Err(error),
        };
        let is_ours = |it: &Stat| (it.st_dev, it.st_ino) == (ours.st_dev, ours.st_ino);
        Ok(match (plain, packed) {
            (None, None) => Some(Break::Deleted),
            (Some(it), _) if is_ours(&it) => None,
            // Written anew: that is plain, and counts.
            (Some(_), _) => Some(Break::Replaced),
            // Compressed meanwhile; what is open here has the same bytes.
            (None, Some(_)) if !self.stored.is_packed() => None,
            (None, Some(it)) if is_ours(&it) => None,
            (None, Some(_)) => Some(Break::Replaced),
        })
    }

    fn length(&self, stat: &Stat) -> u64 {
        match &self.stored {
            Stored::Plain(_) => length(stat),
            Stored::Packed(packed) => packed.len(),
        }
    }

    pub(super) fn stat(&self) -> Result<Stat, LogError> {
        rustix::fs::fstat(self.stored.file()).map_err(|errno| failed("look at", &self.path, errno))
    }

    // As many of the bytes as are there, into memory that was not zeroed first.
    pub(super) fn read_at(&self, at: u64, max: usize) -> Result<Vec<u8>, LogError> {
        let file = match &self.stored {
            Stored::Plain(file) => file,
            Stored::Packed(packed) => return packed.read_at(at, max),
        };
        let mut bytes = Vec::with_capacity(max);
        while bytes.len() < max {
            let from = at + bytes.len() as u64;
            match rustix::io::pread(file, spare_capacity(&mut bytes), from) {
                Ok(0) => break,
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(failed("read", &self.path, errno)),
            }
        }
        // A vector may have room for more than it was asked for.
        bytes.truncate(max);
        Ok(bytes)
    }
}

fn length(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}
