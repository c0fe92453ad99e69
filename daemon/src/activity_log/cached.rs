//! Reading what the page cache holds, for those who must not wait: a disk may be slow, a file server
//! gone.

use std::fs::File;
use std::io::IoSliceMut;

use bytes::Bytes;
use rustix::fs::{AtFlags, Statx, StatxFlags, makedev};
use rustix::io::ReadWriteFlags;

use super::resume::{HEAD, generation};
use super::{LogReader, Step};
use crate::domain::cursor::Generation;

/// What the page cache had of a log.
#[derive(Debug, PartialEq, Eq)]
pub struct Cached {
    /// Whole lines, or the end.
    pub step: Step,
    /// The log's length before the read.
    pub len: u64,
    /// Of a foreign log, where that was asked for; read after the lines.
    pub generation: Option<Generation>,
}

impl LogReader {
    /// As [`next_batch`](LogReader::next_batch), but without waiting for a disk or a file server:
    /// whole lines that the page cache holds, or the end; with the generation of a foreign log.
    /// `None` where that cannot be told without waiting, or where there is more to it than reading
    /// on; the position is where it was then.
    pub fn next_cached(&mut self, max: usize, is_foreign: bool) -> Option<Cached> {
        if self.stored.is_packed() {
            return None;
        }
        let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
        let wanted = StatxFlags::SIZE | StatxFlags::NLINK | StatxFlags::INO;
        let stat = rustix::fs::statx(self.stored.file(), "", flags, wanted).ok()?;
        let mut len = stat.stx_size;
        let device = makedev(stat.stx_dev_major, stat.stx_dev_minor);
        if !is_foreign && let Some(written) = self.written((device, stat.stx_ino)) {
            if len < written {
                return None;
            }
            len = written;
        }
        if stat.stx_nlink == 0 || len < self.at {
            return None;
        }
        let file = self.stored.file();
        let lines = match len == self.scanned {
            true => None,
            false => Some(self.cached_lines(file, len, max)?),
        };
        let generation = match is_foreign {
            true => {
                let (generation, head) = cached_generation(file, &stat, self.head)?;
                self.head = head;
                Some(generation)
            }
            false => None,
        };
        let step = lines.map_or(Step::End, |lines| self.batch(lines));
        Some(Cached {
            step,
            len,
            generation,
        })
    }

    fn cached_lines(&self, file: &File, len: u64, max: usize) -> Option<Bytes> {
        let want = max.min(usize::try_from(len - self.at).unwrap_or(max));
        // With the newline before, which must still be there.
        let before = usize::from(self.at > 0);
        let mut bytes = read(file, self.at - before as u64, want + before)?;
        if before == 1 && bytes.first() != Some(&b'\n') {
            return None;
        }
        let last = memchr::memrchr(b'\n', bytes.get(before..)?)?;
        bytes.truncate(before + last + 1);
        Some(Bytes::from(bytes).slice(before..))
    }
}

/// And how many bytes tell it. So many as did before are enough: with another first line they tell
/// another one, or none.
fn cached_generation(file: &File, stat: &Statx, head: usize) -> Option<(Generation, usize)> {
    let want = head.min(usize::try_from(stat.stx_size).unwrap_or(head));
    let head = read(file, 0, want)?;
    let told = memchr::memchr(b'\n', &head).map_or(HEAD, |end| end + 1);
    Some((generation(stat.stx_ino, head)?, told))
}

/// As many of the bytes as the page cache has.
fn read(file: &File, at: u64, max: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; max];
    let into = &mut [IoSliceMut::new(&mut bytes)];
    let read = rustix::io::preadv2(file, into, at, ReadWriteFlags::NOWAIT).ok()?;
    bytes.truncate(read);
    Some(bytes)
}
