//! Appends records to a spool and leaves no torn one behind on a full disk.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::libc;
use steroids_provider::activity::Stream;

use super::{Control, SpoolError, format};
use crate::durable;

/// The writing end of a spool.
#[derive(Debug)]
pub struct Writer {
    file: File,
    path: PathBuf,
    length: u64,
}

/// Syncs a spool that another thread appends to.
#[derive(Debug)]
pub struct Syncing(File);

impl Writer {
    /// Makes an empty spool, or takes one in which there is nothing: made beforehand, or by one who died
    /// before it wrote. One with something in it is another's: an error.
    pub fn create(path: &Path) -> Result<Writer, SpoolError> {
        let is_empty = |file: &File| file.metadata().is_ok_and(|about| about.len() == 0);
        let file = match durable::reuse(path).filter(is_empty) {
            Some(file) => file,
            None => made_anew(path).map_err(|source| SpoolError::Io {
                action: "create",
                path: path.to_owned(),
                source,
            })?,
        };
        Ok(Writer {
            file,
            path: path.to_owned(),
            length: 0,
        })
    }

    /// Bytes of whole records in the file.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Appends encoded records, as many as there is room for, and tells how many bytes that were:
    /// always whole records. The error is why the rest was not written; it can be tried again.
    pub fn append(&mut self, records: &[u8]) -> (usize, Result<(), SpoolError>) {
        let mut written = 0;
        let mut outcome = steroids_failpoint::check("spool.append");
        while written < records.len() && outcome.is_ok() {
            // At a position, not at the end: what a failed truncation leaves is written over.
            match self
                .file
                .write_at(&records[written..], self.length + written as u64)
            {
                Ok(0) => outcome = Err(io::Error::from(io::ErrorKind::WriteZero)),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => outcome = Err(error),
            }
        }
        let whole = match outcome {
            Ok(()) => written,
            Err(_) => format::whole_records(&records[..written]),
        };
        self.length += whole as u64;
        if whole < written {
            // A torn record that cannot be cut off is no harm: readers wait for its rest, and the
            // next append writes over it.
            let _ = self.file.set_len(self.length);
        }
        (
            whole,
            outcome.map_err(|source| self.refused("append to", source)),
        )
    }

    /// Appends what the provider printed.
    pub fn output(
        &mut self,
        wall_ms: u64,
        mono_ms: u64,
        stream: Stream,
        bytes: &[u8],
    ) -> Result<(), SpoolError> {
        let mut records = Vec::new();
        format::append_output(&mut records, wall_ms, mono_ms, stream, bytes);
        self.append(&records).1
    }

    /// Appends what was done to the provider.
    pub fn control(
        &mut self,
        wall_ms: u64,
        mono_ms: u64,
        control: &Control,
    ) -> Result<(), SpoolError> {
        let mut records = Vec::new();
        format::append_control(&mut records, wall_ms, mono_ms, control);
        self.append(&records).1
    }

    /// Makes what was appended survive a power loss.
    pub fn sync(&self) -> Result<(), SpoolError> {
        sync(&self.file).map_err(|source| self.refused("sync", source))
    }

    /// The same for another thread, so that appending can go on meanwhile. Takes a descriptor.
    pub fn syncing(&self) -> Result<Syncing, SpoolError> {
        let clone = self.file.try_clone();
        clone
            .map(Syncing)
            .map_err(|source| self.refused("share", source))
    }

    fn refused(&self, action: &'static str, source: io::Error) -> SpoolError {
        SpoolError::Io {
            action,
            path: self.path.clone(),
            source,
        }
    }
}

fn made_anew(path: &Path) -> io::Result<File> {
    // Empty, and not as we make it.
    if path.symlink_metadata().is_ok_and(|about| about.len() == 0) {
        fs::remove_file(path)?;
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
}

// === impl Syncing ===

impl Syncing {
    /// Makes what was appended before the call survive a power loss.
    pub fn sync(&self) -> io::Result<()> {
        sync(&self.0)
    }
}

fn sync(file: &File) -> io::Result<()> {
    steroids_failpoint::check("spool.sync").and_then(|()| file.sync_data())
}
