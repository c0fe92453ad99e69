//! Opening a log where a cursor points, and telling when that place is no more.

use super::{ActivityLogs, LogError, LogReader};
use crate::domain::cursor::{Generation, Position, head_hash};
use crate::domain::{InvocationId, Offset};

/// How much of a foreign log's first line tells it from another.
pub(super) const HEAD: usize = 4096;

/// What opening came to.
#[derive(Debug)]
pub enum Opened {
    /// Open at the position, or at the start, which needs a reason.
    Reader(LogReader, Option<Lost>),
    /// There is none, or something that is not read stands in its place.
    Absent,
}

/// Why a position is not to be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// Our own log was rebuilt since.
    Rebuilt,
    /// It was of another file.
    Replaced,
    /// The log ends before it.
    Truncated,
    /// No line begins there.
    InsideLine,
}

impl ActivityLogs {
    /// Opens a log at a position, or at the start without one. `rebuilt` is the generation of our
    /// own logs; a foreign one's is in the file.
    pub fn resume(
        &self,
        id: InvocationId,
        position: Option<Position>,
        rebuilt: Option<u32>,
    ) -> Result<Opened, LogError> {
        let mut reader = match self.reader(id, Offset::START) {
            Ok(reader) => reader,
            // What an agent put in the log's place is not read; our own is put back in time.
            Err(LogError::Missing { .. } | LogError::Refused { .. }) => return Ok(Opened::Absent),
            Err(error) => return Err(error),
        };
        let Some(position) = position else {
            return Ok(Opened::Reader(reader, None));
        };
        let found = match rebuilt {
            Some(times) => Some(Generation::Rebuilt(times)),
            None => reader.file_generation()?,
        };
        if found != Some(position.generation) {
            let lost = if rebuilt.is_some() {
                Lost::Rebuilt
            } else {
                Lost::Replaced
            };
            return Ok(Opened::Reader(reader, Some(lost)));
        }
        let lost = match reader.seek(position.offset) {
            Ok(()) => None,
            Err(LogError::PastEnd { .. }) => Some(Lost::Truncated),
            Err(LogError::InsideLine { .. }) => Some(Lost::InsideLine),
            Err(error) => return Err(error),
        };
        Ok(Opened::Reader(reader, lost))
    }
}

impl LogReader {
    /// The generation of a foreign log; `None` while it has no first line.
    pub fn file_generation(&self) -> Result<Option<Generation>, LogError> {
        let head = self.read_at(0, HEAD)?;
        Ok(generation(self.stat()?.st_ino, head))
    }
}

/// The generation of a foreign log that begins with these bytes, [`HEAD`] of them where it has as many;
/// `None` while it has no first line.
pub(super) fn generation(inode: u64, mut head: Vec<u8>) -> Option<Generation> {
    match memchr::memchr(b'\n', &head) {
        Some(end) => head.truncate(end),
        None if head.len() < HEAD => return None,
        None => {}
    }
    let head = head_hash(&head);
    Some(Generation::File { inode, head })
}
