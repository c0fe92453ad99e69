//! Reads a spool that may still be growing.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::libc;
use rustix::buffer::spare_capacity;

use super::format::{self, Found, LONGEST_PAYLOAD, OVERHEAD};
use super::{Record, SpoolError};

/// Bytes of one read at first: who follows a quiet spool should not hold more.
const SMALLEST_READ: usize = 16 * 1024;

/// Bytes of one read when there is much to catch up with; at least one record.
const LARGEST_READ: usize = 256 * 1024;
const _: () = assert!(LARGEST_READ >= LONGEST_PAYLOAD + OVERHEAD);

/// Reads records in order. Its buffer grows to 256 KiB while it catches up and is given back at
/// the end of the file.
#[derive(Debug)]
pub struct Reader {
    file: File,
    path: PathBuf,
    /// What was read and begins at `position - consumed`.
    buffer: Vec<u8>,
    /// How much of the buffer has been handed out.
    consumed: usize,
    /// Where the next record begins.
    position: u64,
    read_size: usize,
}

impl Reader {
    /// Opens a spool at its beginning.
    pub fn open(path: &Path) -> Result<Reader, SpoolError> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(path)
            .map_err(|source| SpoolError::Io {
                action: "open",
                path: path.to_owned(),
                source,
            })?;
        Ok(Reader {
            file,
            path: path.to_owned(),
            buffer: Vec::new(),
            consumed: 0,
            position: 0,
            read_size: SMALLEST_READ,
        })
    }

    /// Opens a spool at a [`Reader::position`] of before.
    pub fn open_at(path: &Path, position: u64) -> Result<Reader, SpoolError> {
        let mut reader = Reader::open(path)?;
        reader.position = position;
        Ok(reader)
    }

    /// Where the next record begins; all before it has been handed out.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next record; `None` if none is complete yet: ask again later. After
    /// [`SpoolError::Damaged`] it says the same again, unless the file was mended.
    #[expect(
        clippy::should_implement_trait,
        reason = "a record borrows from the reader, which an Iterator's item cannot"
    )]
    pub fn next(&mut self) -> Result<Option<Record<'_>>, SpoolError> {
        let Some(size) = self.find()? else {
            self.let_go();
            return Ok(None);
        };
        let (start, position) = (self.consumed, self.position);
        self.consumed += size;
        self.position += size as u64;
        match format::parse(&self.buffer[start..], position) {
            Found::Record(record, _) => Ok(Some(record)),
            // It was one a moment ago, in the same buffer.
            Found::Beginning(_) | Found::Damage(_) => Ok(None),
        }
    }

    /// Fills the buffer until it begins with a whole record, and tells that one's size.
    fn find(&mut self) -> Result<Option<usize>, SpoolError> {
        // Damage is believed only when the bytes were just read again from the record's beginning:
        // what was buffered earlier may have been cut off and written anew since.
        let mut fresh = false;
        loop {
            match format::parse(&self.buffer[self.consumed..], self.position) {
                Found::Record(_, size) => return Ok(Some(size)),
                Found::Damage(what) if fresh => {
                    return Err(SpoolError::Damaged {
                        path: self.path.clone(),
                        offset: self.position,
                        what,
                    });
                }
                Found::Damage(_) => {
                    fresh = true;
                    self.buffer.clear();
                    self.consumed = 0;
                    self.fill(OVERHEAD)?;
                }
                Found::Beginning(size) => {
                    // What came now may be too little for a record and yet the beginning of none.
                    if !self.fill(size)? && self.is_beginning() {
                        return Ok(None);
                    }
                }
            }
        }
    }

    fn is_beginning(&self) -> bool {
        let found = format::parse(&self.buffer[self.consumed..], self.position);
        matches!(found, Found::Beginning(_))
    }

    /// Reads on. False if the file does not hold `wanted` bytes at the position yet.
    fn fill(&mut self, wanted: usize) -> Result<bool, SpoolError> {
        self.buffer.drain(..self.consumed);
        self.consumed = 0;
        let missing = wanted.saturating_sub(self.buffer.len());
        let size = self.read_size.max(missing);
        self.buffer.reserve(size);
        let at = self.position + self.buffer.len() as u64;
        let count = read_at(&self.file, &mut self.buffer, at).map_err(|source| SpoolError::Io {
            action: "read",
            path: self.path.clone(),
            source,
        })?;
        if count >= size {
            self.read_size = (self.read_size * 2).min(LARGEST_READ);
        }
        // A short read that is still enough will do; a short one that is not is the end for now.
        Ok(count >= missing && count > 0)
    }

    /// Gives the buffer back. What it holds of an incomplete record is read again later, as it may
    /// be cut off and written anew.
    fn let_go(&mut self) {
        self.buffer = Vec::new();
        self.consumed = 0;
        self.read_size = SMALLEST_READ;
    }
}

/// Reads once into what room the buffer has left.
fn read_at(file: &File, buffer: &mut Vec<u8>, at: u64) -> io::Result<usize> {
    loop {
        match rustix::io::pread(file, spare_capacity(buffer), at) {
            Ok(count) => return Ok(count),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}
