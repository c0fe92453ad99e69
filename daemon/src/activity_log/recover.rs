//! What a crash left of a log: whole lines, and perhaps a torn one at the end.
//!
//! The torn one is cut. Of the others only the last are looked at, from the end backwards: the
//! projection goes on after the last `raw` and needs to know how many lines it caused.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::OFlags;

use super::line::{RAW_SUFFIX, is_terminal, is_valid, peek, raw_of_end};
use super::paths::{Place, failed, file_name};
use super::{LogError, MAX_LINE};
use crate::domain::{InvocationId, Offset};

const BLOCK: usize = 64 * 1024;

/// Where a log stands after its torn last line was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovered {
    /// Its length: whole lines only.
    pub len: Offset,
    /// How many bytes were cut.
    pub cut: u64,
    /// Its last lines; `None` if it is empty, or its last line is none of ours.
    pub tail: Option<Tail>,
}

/// The lines at the end of a log that one byte of the spool caused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tail {
    /// The spool position they share.
    pub raw: u64,
    /// How many they are.
    pub lines: u64,
    /// The very last one ends the log.
    pub is_terminal: bool,
}

pub(super) fn recover(place: &Arc<Place>, id: InvocationId) -> Result<Option<Recovered>, LogError> {
    let path = place.log_path(id);
    let opened = place
        .open()
        .and_then(|folder| folder.open(&file_name(id), OFlags::RDWR));
    let file = match opened {
        Err(error) if error.is_missing() => return Ok(None),
        other => other?,
    };
    let found = file
        .metadata()
        .map_err(|error| failed("look at", &path, error))?
        .len();
    let mut back = Backward::new(&file, &path);
    let len = back.newline_before(found)?.map_or(0, |at| at + 1);
    if len < found {
        file.set_len(len)
            .map_err(|error| failed("cut", &path, error))?;
        file.sync_data()
            .map_err(|error| failed("sync", &path, error))?;
    }
    let tail = tail(&mut back, len)?;
    Ok(Some(Recovered {
        len: Offset::new(len),
        cut: found - len,
        tail,
    }))
}

// After a power loss a file may end with a block of zeros: the last line must be whole JSON, not
// only end like it. Those before it were durable before it, or it would not be there.
fn tail(back: &mut Backward<'_>, len: u64) -> Result<Option<Tail>, LogError> {
    let mut lines = 0;
    let mut raw = None;
    let mut ends = false;
    let mut end = len;
    while end > 0 {
        let start = back.newline_before(end - 1)?.map_or(0, |at| at + 1);
        let this = back.raw_of_line(start, end - 1)?;
        if lines == 0 {
            let whole = back.whole_line(start, end - 1)?;
            if this.is_none() || !is_valid(&whole) {
                return Ok(None);
            }
            raw = this;
            ends = peek(&whole).is_some_and(|(_, kind)| is_terminal(&kind));
        } else if this != raw {
            break;
        }
        lines += 1;
        end = start;
    }
    Ok(raw.map(|raw| Tail {
        raw,
        lines,
        is_terminal: ends,
    }))
}

/// Reads a file from the end backwards, a block at a time.
struct Backward<'a> {
    file: &'a File,
    path: &'a Path,
    block: Vec<u8>,
    // Position of the block's first byte.
    at: u64,
}

impl<'a> Backward<'a> {
    fn new(file: &'a File, path: &'a Path) -> Self {
        Backward {
            file,
            path,
            block: Vec::new(),
            at: 0,
        }
    }

    /// Position of the last newline before `end`.
    fn newline_before(&mut self, mut end: u64) -> Result<Option<u64>, LogError> {
        while end > 0 {
            self.load(end)?;
            let within = &self.block[..usize_of(end - self.at)];
            if let Some(i) = memchr::memrchr(b'\n', within) {
                return Ok(Some(self.at + i as u64));
            }
            end = self.at;
        }
        Ok(None)
    }

    fn raw_of_line(&mut self, start: u64, end: u64) -> Result<Option<u64>, LogError> {
        let from = start.max(end.saturating_sub(RAW_SUFFIX as u64));
        Ok(raw_of_end(&self.read(from, end)?))
    }

    /// The line's bytes; none of one that is longer than any of ours.
    fn whole_line(&mut self, start: u64, end: u64) -> Result<Vec<u8>, LogError> {
        if end - start > MAX_LINE as u64 {
            Ok(Vec::new())
        } else {
            self.read(start, end)
        }
    }

    // Makes the block one that holds the byte before `end`.
    fn load(&mut self, end: u64) -> Result<(), LogError> {
        if self.at < end && end <= self.at + self.block.len() as u64 {
            return Ok(());
        }
        let from = end.saturating_sub(BLOCK as u64);
        self.block = self.read(from, end)?;
        self.at = from;
        Ok(())
    }

    fn read(&self, from: u64, end: u64) -> Result<Vec<u8>, LogError> {
        let mut bytes = vec![0; usize_of(end - from)];
        std::os::unix::fs::FileExt::read_exact_at(self.file, &mut bytes, from)
            .map_err(|error| failed("read", self.path, error))?;
        Ok(bytes)
    }
}

// Of lengths that are bounded by BLOCK or MAX_LINE.
fn usize_of(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}
