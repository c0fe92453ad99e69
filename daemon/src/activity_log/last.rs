//! The last lines of a log, found from its end: what that costs grows with them, not with the log.

use super::resume::Opened;
use super::{ActivityLogs, LogError, LogReader, MAX_LINE, Step, ends_log};
use crate::domain::cursor::{Generation, Position};
use crate::domain::{InvocationId, Offset};

/// Read at once, from the end towards the start.
const PIECE: usize = 256 * 1024;

/// Read at most: a disk is kept no longer than for a second or two by lines of any length.
const MOST: u64 = 256 * 1024 * 1024;

impl ActivityLogs {
    /// Opens a log where its last `lines` whole lines begin, and says where that is; no position where it
    /// has no whole line. Where they have more than 256 MiB it is fewer. `rebuilt` is the generation of our own
    /// logs; a foreign one's is in the file. One of ours that `has_ended` ends with its terminal line,
    /// whatever somebody wrote behind that.
    pub fn open_last(
        &self,
        id: InvocationId,
        lines: u32,
        rebuilt: Option<u32>,
        has_ended: bool,
    ) -> Result<(Opened, Option<Position>), LogError> {
        let mut opened = self.resume(id, None, rebuilt)?;
        let Opened::Reader(reader, _) = &mut opened else {
            return Ok((opened, None));
        };
        reader.seek_last(lines, has_ended && rebuilt.is_some())?;
        let generation = match rebuilt {
            Some(times) => Some(Generation::Rebuilt(times)),
            None => reader.file_generation()?,
        };
        let offset = reader.position();
        let position = generation.map(|generation| Position { generation, offset });
        Ok((opened, position))
    }
}

impl LogReader {
    /// Goes to where the last `lines` whole lines begin; to the start where there are no more. A last
    /// line that is not whole yet comes after them; what stands behind a terminal line does not count where
    /// the log `is_over`.
    pub(super) fn seek_last(&mut self, lines: u32, is_over: bool) -> Result<(), LogError> {
        let len = self.given_len()?;
        let end = match is_over {
            true => self.behind_terminal(len)?,
            false => len,
        };
        let at = self.behind_newline(end, u64::from(lines) + 1)?;
        self.seek(Offset::new(at))
    }

    // Behind the first terminal line, which mostly is the last line; the end where there is none.
    fn behind_terminal(&mut self, len: u64) -> Result<u64, LogError> {
        let end = self.behind_newline(len, 1)?;
        let begin = self.behind_newline(end, 2)?;
        let line = usize::try_from(end - begin).unwrap_or(usize::MAX);
        if line <= MAX_LINE && ends_log(self.read_at(begin, line)?.trim_ascii_end()) {
            return Ok(end);
        }
        self.seek(Offset::START)?;
        loop {
            match self.next_batch(PIECE)? {
                Step::Batch(mut batch) => {
                    while let Some((line, next)) = batch.first_line() {
                        if ends_log(&line) {
                            return Ok(next.get());
                        }
                        batch.advance(next);
                    }
                }
                Step::TooLong { .. } => {}
                Step::End | Step::Broken(_) => return Ok(end),
            }
        }
    }

    // Behind the newline that is so many newlines before `end`. Where there are fewer it is 0, or, where
    // much has been read, behind the first that was found.
    fn behind_newline(&self, end: u64, mut left: u64) -> Result<u64, LogError> {
        let (mut at, mut found) = (end, 0);
        while at > 0 && (found == 0 || end - at < MOST) {
            let from = at.saturating_sub(PIECE as u64);
            let piece = self.read_at(from, usize::try_from(at - from).unwrap_or(PIECE))?;
            for newline in memchr::memrchr_iter(b'\n', &piece) {
                found = from + newline as u64 + 1;
                left -= 1;
                if left == 0 {
                    return Ok(found);
                }
            }
            at = from;
        }
        Ok(if at == 0 { 0 } else { found })
    }
}
