//! Compressing the log of an ended invocation, so that whatever cuts it short leaves a whole one.
//!
//! ```text
//! 7.log ─> 7.log.zst.new ─(synced, read back and compared)─> 7.log.zst ─> 7.log is removed
//! ```
//!
//! As long as the plain log is there it counts, and whoever has it open goes on reading it. So
//! before the last step nothing depends on what was written, and after it all of it is durable.

use std::fs::{File, FileTimes, Metadata};
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::OFlags;
use zstd::bulk::Compressor;

use super::LogError;
use super::packed::{FOOTER, FRAME, HEADER, MOST_FRAMES, Packed, SEEKABLE, SKIPPABLE};
use super::paths::{Folder, Place, failed, file_name, packed_name};
use super::replace::packing_name;
use crate::domain::InvocationId;

/// zstd's own default. On the logs of our recordings, joined, 9 makes 12 % less of it and 19 makes 17 %,
/// for many times the processor's time, which belongs to the agents.
const LEVEL: i32 = 3;
/// A smaller file takes a block of the disk either way.
const WORTH: u64 = 4096;

/// What compressing a log came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// It is compressed now, and takes so much less.
    Bytes(u64),
    /// It is too small, or would not become smaller, or is not there any more.
    Nothing,
    /// It was given up; the log is as it was.
    GivenUp,
}

/// Compresses a log that nobody writes any more. Blocks.
pub(super) fn pack(
    place: &Arc<Place>,
    id: InvocationId,
    is_given_up: &dyn Fn() -> bool,
) -> Result<Saved, LogError> {
    let folder = place.open()?;
    let plain = match folder.open(&file_name(id), OFlags::RDONLY) {
        Err(error) if error.is_missing() => return Ok(Saved::Nothing),
        opened => opened?,
    };
    let path = folder.path_of(&packing_name(id));
    let look = |file: &File| {
        file.metadata()
            .map_err(|error| failed("look at", &path, error))
    };
    let before = look(&plain)?;
    if before.len() < WORTH || before.len() > (MOST_FRAMES * FRAME) as u64 {
        return Ok(Saved::Nothing);
    }
    let new = {
        let _hand = place.hand();
        // Left by a crash in the middle of the last attempt, or by one that was given up.
        folder.unlink(&packing_name(id))?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        folder.open(&packing_name(id), flags)?
    };
    let written = write(&plain, before.len(), &new, &path, is_given_up);
    let packed = match written {
        Ok(true) => look(&new)?.len(),
        gone => {
            discard(place, &folder, id, &look(&new)?)?;
            return gone.map(|_given_up| Saved::GivenUp);
        }
    };
    let after = look(&plain)?;
    let is_as_it_was = (after.len(), after.mtime(), after.mtime_nsec())
        == (before.len(), before.mtime(), before.mtime_nsec());
    if packed >= before.len() || !is_as_it_was {
        discard(place, &folder, id, &look(&new)?)?;
        return Ok(Saved::Nothing);
    }
    if let Ok(modified) = before.modified() {
        // Its age stays that of the log.
        let times = FileTimes::new().set_modified(modified);
        new.set_times(times)
            .map_err(|error| failed("set the time of", &path, error))?;
    }
    steroids_failpoint::reach("pack.written");
    let draft = look(&new)?;
    let hand = place.hand();
    // Whoever was given up is not alone any more, and another may have been at the log.
    // Asked last: the look before may be what hung.
    let is_named = is_named(&folder, &file_name(id), &before);
    let saved = match (is_given_up(), is_named?) {
        (true, _) => Saved::GivenUp,
        (false, false) => Saved::Nothing,
        (false, true) => Saved::Bytes(before.len() - packed),
    };
    match saved {
        Saved::Bytes(_) => take_place(&folder, id)?,
        _ => {
            drop(hand);
            discard(place, &folder, id, &draft)?;
        }
    }
    Ok(saved)
}

/// Takes the draft away, unless who came after has made another.
fn discard(
    place: &Place,
    folder: &Folder<'_>,
    id: InvocationId,
    draft: &Metadata,
) -> Result<(), LogError> {
    let _hand = place.hand();
    if is_named(folder, &packing_name(id), draft)? {
        folder.unlink(&packing_name(id))?;
    }
    Ok(())
}

/// Whether the name still leads to this file.
fn is_named(folder: &Folder<'_>, name: &str, file: &Metadata) -> Result<bool, LogError> {
    let now = folder.stat(name)?;
    Ok(now.is_some_and(|now| (now.st_dev, now.st_ino) == (file.dev(), file.ino())))
}

/// The compressed log gets its name, and the plain one loses its own.
fn take_place(folder: &Folder<'_>, id: InvocationId) -> Result<(), LogError> {
    folder.rename(&packing_name(id), &packed_name(id))?;
    folder.sync()?;
    steroids_failpoint::reach("pack.named");
    folder.unlink(&file_name(id))?;
    folder.sync()
}

/// Writes the frames and their table, durably, and reads them back; false if it was given up.
fn write(
    plain: &File,
    len: u64,
    new: &File,
    path: &Path,
    is_given_up: &dyn Fn() -> bool,
) -> Result<bool, LogError> {
    let failed = |error: std::io::Error| failed("write", path, error);
    let mut into = new;
    let mut table = Vec::new();
    let mut compressor = Compressor::new(LEVEL).map_err(failed)?;
    // So that a byte that rots is noticed.
    compressor.include_checksum(true).map_err(failed)?;
    let mut block = vec![0; FRAME];
    let mut at = 0;
    while at < len {
        if is_given_up() {
            return Ok(false);
        }
        let size = usize::try_from(len - at).unwrap_or(FRAME).min(FRAME);
        plain
            .read_exact_at(&mut block[..size], at)
            .map_err(failed)?;
        let frame = compressor.compress(&block[..size]).map_err(failed)?;
        into.write_all(&frame).map_err(failed)?;
        for number in [frame.len(), size] {
            table.extend(u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
        }
        at += size as u64;
    }
    into.write_all(&closed(&table)).map_err(failed)?;
    steroids_failpoint::check("pack.sync")
        .and_then(|()| new.sync_all())
        .map_err(failed)?;
    compare(plain, new, path)?;
    Ok(true)
}

/// The frame with the table: its head, the entries, and the foot by which it is found.
fn closed(table: &[u8]) -> Vec<u8> {
    let of = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
    let mut bytes = Vec::with_capacity(HEADER + table.len() + FOOTER);
    bytes.extend(SKIPPABLE.to_le_bytes());
    bytes.extend(of(table.len() + FOOTER));
    bytes.extend(table);
    bytes.extend(of(table.len() / 8));
    bytes.push(0);
    bytes.extend(SEEKABLE.to_le_bytes());
    bytes
}

/// Whether what was written holds what is to be removed: nobody else would notice.
fn compare(plain: &File, new: &File, path: &Path) -> Result<(), LogError> {
    let again = new
        .try_clone()
        .map_err(|error| failed("read", path, error))?;
    let packed = Packed::open(again, path.to_owned())?;
    let mut block = vec![0; FRAME];
    let mut at = 0;
    while at < packed.len() {
        let bytes = packed.read_at(at, FRAME)?;
        let here = &mut block[..bytes.len()];
        plain
            .read_exact_at(here, at)
            .map_err(|error| failed("read", path, error))?;
        if bytes.is_empty() || here != bytes {
            return Err(LogError::Refused {
                path: path.to_owned(),
                what: "not what was written to it",
            });
        }
        at += bytes.len() as u64;
    }
    Ok(())
}
