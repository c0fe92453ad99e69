//! A compressed log, `<id>.log.zst`, read from any offset of what it holds.
//!
//! It has the zstd seekable format: frames of up to [`FRAME`] bytes each, which know nothing of one
//! another, and a frame at the end that decoders pass over, with a table of their sizes. So
//! `zstdcat` prints the log, and whoever wants a part of it unpacks one frame. A reader holds the
//! table (16 bytes a frame) and the frame it was at.
//!
//! The file lies where agents write: what its table says is checked before anything is unpacked. All
//! frames but the last are full, so that no wrong size can move what is behind it.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::OFlags;

use super::LogError;
use super::paths::{Folder, failed, file_name, packed_name};
use crate::domain::InvocationId;

/// Bytes of a log in one frame: large enough to pack well, small enough to be unpacked for a line.
pub(super) const FRAME: usize = 256 * 1024;
/// Frames of a log of 16 GiB; the table of more would be too large to hold for a reader.
pub(super) const MOST_FRAMES: usize = 65_536;

/// Begins a frame that decoders pass over.
pub(super) const SKIPPABLE: u32 = 0x184D_2A5E;
/// Ends a file in the seekable format.
pub(super) const SEEKABLE: u32 = 0x8F92_EAB1;
/// Number of frames, one byte of flags, the number above.
pub(super) const FOOTER: usize = 9;
/// Packed and unpacked size of a frame.
pub(super) const ENTRY: usize = 8;
/// The number and the size of a skippable frame.
pub(super) const HEADER: usize = 8;

/// The bytes of a log, however they are kept.
#[derive(Debug)]
pub(super) enum Stored {
    /// As they are.
    Plain(File),
    /// Compressed.
    Packed(Packed),
}

/// A compressed log.
#[derive(Debug)]
pub(super) struct Packed {
    file: File,
    path: PathBuf,
    frames: Vec<Frame>,
    len: u64,
    /// The frame that was read last, and its number.
    last: Mutex<Option<(usize, Vec<u8>)>>,
}

/// Where a frame begins, in the file and in the log.
#[derive(Debug, Clone, Copy)]
struct Frame {
    packed: u64,
    plain: u64,
}

// === impl Stored ===

impl Stored {
    /// Opens a log. Where it is there twice, as compressing it was cut short, the plain one counts.
    pub(super) fn open(folder: &Folder<'_>, id: InvocationId) -> Result<Stored, LogError> {
        let missing = match folder.open(&file_name(id), OFlags::RDONLY) {
            Ok(file) => return Ok(Stored::Plain(file)),
            Err(error) if error.is_missing() => error,
            Err(error) => return Err(error),
        };
        match folder.open(&packed_name(id), OFlags::RDONLY) {
            Ok(file) => Packed::open(file, folder.path_of(&packed_name(id))).map(Stored::Packed),
            // Told by the name that everybody knows.
            Err(error) if error.is_missing() => Err(missing),
            Err(error) => Err(error),
        }
    }

    pub(super) fn file(&self) -> &File {
        match self {
            Stored::Plain(file) => file,
            Stored::Packed(packed) => &packed.file,
        }
    }

    pub(super) fn is_packed(&self) -> bool {
        matches!(self, Stored::Packed(_))
    }
}

// === impl Packed ===

impl Packed {
    /// Reads the table, and refuses one that cannot be.
    pub(super) fn open(file: File, path: PathBuf) -> Result<Packed, LogError> {
        let size = file
            .metadata()
            .map_err(|error| failed("look at", &path, error))?
            .len();
        let footer = read(&file, &path, size.checked_sub(FOOTER as u64), FOOTER)?;
        let count = usize::try_from(number(&footer, 0)).unwrap_or(usize::MAX);
        if number(&footer, 5) != SEEKABLE || footer[4] != 0 || count > MOST_FRAMES {
            return Err(damaged(&path));
        }
        let table = HEADER + count * ENTRY + FOOTER;
        let begins = size.checked_sub(table as u64);
        let table = read(&file, &path, begins, table)?;
        let content = u32::try_from(table.len() - HEADER).unwrap_or(u32::MAX);
        if number(&table, 0) != SKIPPABLE || number(&table, 4) != content {
            return Err(damaged(&path));
        }
        let mut frames = Vec::with_capacity(count + 1);
        let mut at = Frame {
            packed: 0,
            plain: 0,
        };
        let entries = table[HEADER..HEADER + count * ENTRY].chunks_exact(ENTRY);
        for (index, entry) in entries.enumerate() {
            let (packed, plain) = (number(entry, 0), number(entry, 4));
            let is_last = index + 1 == count;
            let is_whole =
                plain as usize == FRAME || is_last && (1..FRAME).contains(&(plain as usize));
            if !is_whole || packed as usize > 2 * FRAME {
                return Err(damaged(&path));
            }
            frames.push(at);
            at.packed += u64::from(packed);
            at.plain += u64::from(plain);
        }
        frames.push(at);
        if begins != Some(at.packed) {
            return Err(damaged(&path));
        }
        Ok(Packed {
            file,
            path,
            len: at.plain,
            frames,
            last: Mutex::new(None),
        })
    }

    /// The length of the log it holds.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// As many of the bytes as are there.
    pub(super) fn read_at(&self, at: u64, max: usize) -> Result<Vec<u8>, LogError> {
        let end = at.saturating_add(max as u64).min(self.len);
        let mut bytes = Vec::with_capacity(usize::try_from(end.saturating_sub(at)).unwrap_or(0));
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        while at + (bytes.len() as u64) < end {
            let next = at + bytes.len() as u64;
            let index = self.frames.partition_point(|frame| frame.plain <= next) - 1;
            if last.as_ref().is_none_or(|(held, _)| *held != index) {
                // One at a time: what it replaces is given back first.
                *last = None;
                *last = Some((index, self.unpack(index)?));
            }
            let Some((_, frame)) = last.as_ref() else {
                break;
            };
            let from = usize::try_from(next - self.frames[index].plain).unwrap_or(usize::MAX);
            let wanted = usize::try_from(end - next).unwrap_or(usize::MAX);
            let piece = frame.get(from..).unwrap_or_default();
            bytes.extend_from_slice(&piece[..piece.len().min(wanted)]);
        }
        Ok(bytes)
    }

    fn unpack(&self, index: usize) -> Result<Vec<u8>, LogError> {
        let (this, next) = (self.frames[index], self.frames[index + 1]);
        let packed = usize::try_from(next.packed - this.packed).unwrap_or(usize::MAX);
        let plain = usize::try_from(next.plain - this.plain).unwrap_or(usize::MAX);
        let bytes = read(&self.file, &self.path, Some(this.packed), packed)?;
        let frame = zstd::bulk::decompress(&bytes, plain).map_err(|_| damaged(&self.path))?;
        match frame.len() == plain {
            true => Ok(frame),
            false => Err(damaged(&self.path)),
        }
    }
}

fn read(file: &File, path: &Path, at: Option<u64>, len: usize) -> Result<Vec<u8>, LogError> {
    let at = at.ok_or_else(|| damaged(path))?;
    let mut bytes = vec![0; len];
    match file.read_exact_at(&mut bytes, at) {
        Ok(()) => Ok(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Err(damaged(path)),
        Err(error) => Err(failed("read", path, error)),
    }
}

/// A number as the format writes it; 0 where there are no bytes for it.
fn number(bytes: &[u8], at: usize) -> u32 {
    let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
    four.map_or(0, u32::from_le_bytes)
}

fn damaged(path: &Path) -> LogError {
    LogError::Damaged {
        path: path.to_owned(),
    }
}
