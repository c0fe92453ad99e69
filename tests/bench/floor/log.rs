//! One file that grows.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt;
use std::path::Path;

use memchr::{memchr_iter, memrchr};

/// Read at once.
pub(super) const READ: usize = 256 * 1024;

/// A file, how far it was read, and who has asked for it.
pub(super) struct Log {
    file: File,
    /// What all that is read on is appended to, as a projection is.
    copy: Option<File>,
    /// Behind the last whole line that was read.
    pub(super) end: u64,
    pub(super) viewers: Vec<u64>,
    /// What the last [`Log::read_on`] made.
    pub(super) frames: Vec<u8>,
}

impl Log {
    pub(super) fn open(path: &Path, copy: Option<File>) -> io::Result<Log> {
        let mut log = Log {
            file: File::open(path)?,
            copy,
            end: 0,
            viewers: Vec::new(),
            frames: Vec::new(),
        };
        let length = log.file.metadata()?.len();
        // Nobody is there yet: what stands there already is read when somebody asks.
        log.end = log.last_line_before(length)?;
        Ok(log)
    }

    /// Makes the frames of all whole lines that came since the last look.
    pub(super) fn read_on(&mut self) -> io::Result<()> {
        let mut frames = std::mem::take(&mut self.frames);
        frames.clear();
        loop {
            let copy = self.copy.as_ref();
            let (after, is_all) = self.read_at(self.end, u64::MAX, copy, &mut frames)?;
            self.end = after;
            if is_all {
                break;
            }
        }
        self.frames = frames;
        Ok(())
    }

    /// Appends the frames of one read at `offset`, up to `end` at most; where it goes on, and
    /// whether that was all.
    pub(super) fn frames_at(
        &self,
        offset: u64,
        end: u64,
        frames: &mut Vec<u8>,
    ) -> io::Result<(u64, bool)> {
        self.read_at(offset, end, None, frames)
    }

    fn read_at(
        &self,
        offset: u64,
        end: u64,
        copy: Option<&File>,
        frames: &mut Vec<u8>,
    ) -> io::Result<(u64, bool)> {
        // What a provider prints is no JSON yet.
        let (before, behind): (&[u8], &[u8]) = match self.copy {
            None => (b"data: ", b"\n\n"),
            Some(_) => (b"data: {\"msg\":\"", b"\"}\n\n"),
        };
        thread_local! {
            static BUFFER: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) };
        }
        BUFFER.with_borrow_mut(|buffer| {
            buffer.resize(READ, 0);
            let wanted = usize::try_from(end - offset).unwrap_or(READ).min(READ);
            let read = self.file.read_at(&mut buffer[..wanted], offset)?;
            let whole = memrchr(b'\n', &buffer[..read]).map_or(0, |at| at + 1);
            if let Some(mut copy) = copy {
                copy.write_all(&buffer[..whole])?;
            }
            let mut begin = 0;
            for at in memchr_iter(b'\n', &buffer[..whole]) {
                frames.extend_from_slice(before);
                frames.extend_from_slice(&buffer[begin..at]);
                frames.extend_from_slice(behind);
                begin = at + 1;
            }
            Ok((offset + whole as u64, read < READ || whole == 0))
        })
    }

    fn last_line_before(&self, length: u64) -> io::Result<u64> {
        let from = length.saturating_sub(READ as u64);
        let mut buffer = vec![0; (length - from) as usize];
        self.file.read_exact_at(&mut buffer, from)?;
        Ok(from + memrchr(b'\n', &buffer).map_or(0, |at| at as u64 + 1))
    }
}
