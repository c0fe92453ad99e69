//! One file that grows.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use memchr::{memchr_iter, memrchr};

/// Read at once.
pub(super) const READ: usize = 256 * 1024;

/// A file, how far it was read, and who has asked for it.
pub(super) struct Log {
    file: File,
    /// Behind the last whole line that was read.
    pub(super) end: u64,
    pub(super) viewers: Vec<u64>,
    /// What the last [`Log::read_on`] made.
    pub(super) frames: Vec<u8>,
}

impl Log {
    pub(super) fn open(path: &Path) -> io::Result<Log> {
        let mut log = Log {
            file: File::open(path)?,
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
            let (after, is_all) = self.frames_at(self.end, u64::MAX, &mut frames)?;
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
        thread_local! {
            static BUFFER: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) };
        }
        BUFFER.with_borrow_mut(|buffer| {
            buffer.resize(READ, 0);
            let wanted = usize::try_from(end - offset).unwrap_or(READ).min(READ);
            let read = self.file.read_at(&mut buffer[..wanted], offset)?;
            let whole = memrchr(b'\n', &buffer[..read]).map_or(0, |at| at + 1);
            let mut begin = 0;
            for at in memchr_iter(b'\n', &buffer[..whole]) {
                frames.extend_from_slice(b"data: ");
                frames.extend_from_slice(&buffer[begin..=at]);
                frames.push(b'\n');
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
