//! How the provider ended: `exit.json`, written once, durable before anybody may believe it.
//!
//! The shim reserves the file's blocks before it starts the provider, so that an end can be
//! recorded on a disk that has filled up since.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use steroids_provider::activity::Used;
use steroids_provider::parser::{self, EndedBy, Exit};

use crate::durable::{self, FileError};
use crate::paths::InvDir;

/// Room that is reserved; a record is cut to fit.
const RESERVED: usize = 4096;

/// Bytes of an error text that are kept. JSON may make six bytes of one, and the rest of a record
/// stays under 512.
const LONGEST_ERROR: usize = (RESERVED - 512) / 6;

/// The facts of the end. `exit.json` exists ⇒ the spool is complete up to `spool_length`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// [`crate::spec::PROTOCOL`] of the writer.
    pub proto: u32,
    /// What happened.
    pub end: End,
    /// When, in epoch milliseconds.
    pub ended_ms: u64,
    /// Bytes of the spool that are valid.
    pub spool_length: u64,
    /// Resources the provider's process tree used, where it ran.
    pub rusage: Option<Rusage>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum End {
    /// The process ran and ended.
    Ran {
        /// Exit code, where it exited.
        code: Option<i32>,
        /// Signal that ended it, otherwise.
        signal: Option<i32>,
        /// Set if the shim ended it.
        ended_by: Option<Reason>,
        /// Monotonic, in milliseconds.
        duration_ms: u64,
        /// Processes alive after it had ended.
        leftovers: u32,
    },
    /// The process could not be started; `error` names program and errno.
    NeverStarted {
        /// One line.
        error: String,
        /// As a disk had no room for what a start writes: the same may be started once there is some.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        lacks_room: bool,
    },
    /// Somebody stopped it while it waited to be started.
    Cancelled {
        /// One line.
        error: String,
    },
    /// The daemon found shim and provider gone without a record.
    Lost {
        /// One line: `shim lost`, `host restarted`.
        error: String,
    },
}

impl End {
    /// One that could not be started, whatever room there is.
    pub fn never_started(error: impl Into<String>) -> End {
        End::NeverStarted {
            error: error.into(),
            lacks_room: false,
        }
    }
}

/// Why the shim ended a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Somebody asked for it.
    Stop,
    /// The `wall` limit.
    Wall,
    /// The `silence` or `tool_silence` limit.
    Silence,
    /// It had given its final result and did not exit.
    PostResult,
    /// The host is shutting down.
    Shutdown,
}

/// Resources, as the kernel counted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rusage {
    /// User time in microseconds.
    pub user_us: u64,
    /// System time in microseconds.
    pub system_us: u64,
    /// Largest resident set of one process, in KiB.
    pub max_rss_kib: u64,
    /// The most memory of all its processes at a time, in bytes: by the kernel's count of their control
    /// group, or the most that was seen of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_bytes: Option<u64>,
    /// CPU time in microseconds, also of processes that nobody waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_us: Option<u64>,
    /// Processes that the kernel ended for the memory they had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_memory: Option<OverMemory>,
}

/// Processes that the kernel ended as they had reached a bound of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverMemory {
    /// The bound, in bytes.
    pub max: u64,
    /// How many.
    pub killed: u64,
}

impl From<Reason> for EndedBy {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Stop => EndedBy::Stop,
            Reason::Wall => EndedBy::Wall,
            Reason::Silence => EndedBy::Silence,
            Reason::PostResult => EndedBy::PostResult,
            Reason::Shutdown => EndedBy::Shutdown,
        }
    }
}

/// Reserved room for a record to come.
#[derive(Debug)]
pub struct Draft {
    file: File,
    dir: InvDir,
}

impl Draft {
    /// Reserves the room, unless that was done: nobody else gets it any more.
    pub fn reserve(dir: &InvDir) -> Result<Draft, FileError> {
        let path = durable::draft_of(&dir.exit());
        let is_whole = |file: &File| file.metadata().is_ok_and(|it| it.len() == RESERVED as u64);
        let file = match durable::reuse(&path).filter(is_whole) {
            Some(file) => file,
            None => reserved(&path)?,
        };
        Ok(Draft {
            file,
            dir: dir.clone(),
        })
    }

    /// Has the file system choose the blocks, which it may put off. Waits for the disk, so it is for
    /// when nobody waits for a start.
    pub fn settle(&self) {
        // A refusal shows when the record is written, which is tried again.
        let _ = self.file.sync_all();
    }

    /// Writes the record durably. After an error it may be called again.
    pub fn commit(&self, record: &ExitRecord) -> Result<(), FileError> {
        let path = self.dir.exit();
        let draft = durable::draft_of(&path);
        let mut bytes = durable::encode(&path, &record.cut())?;
        // Padding instead of truncation: freeing a block is a change the file system must log.
        bytes.resize(bytes.len().max(RESERVED), b' ');
        steroids_failpoint::check("exit.commit")
            .and_then(|()| self.file.write_all_at(&bytes, 0))
            .map_err(|source| FileError::io("write", &draft, source))?;
        match durable::publish(&self.file, &draft, &path) {
            // An attempt before this one got as far as the rename.
            Err(FileError::Io { source, .. })
                if source.kind() == io::ErrorKind::NotFound && path.exists() =>
            {
                durable::sync_folder_of(&path)
            }
            // Somebody removed the draft: write the whole file anew.
            Err(FileError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                record.store(&self.dir)
            }
            published => published,
        }
    }
}

/// Reserves the room for whoever will write the record, and has the disk choose the blocks. Blocks.
pub fn provide(dir: &InvDir) -> Result<(), FileError> {
    let path = durable::draft_of(&dir.exit());
    let file = reserved(&path)?;
    file.sync_all()
        .map_err(|source| FileError::io("sync", &path, source))
}

fn reserved(path: &Path) -> Result<File, FileError> {
    let file = durable::create(path)?;
    // Zeros, not fallocate: blocks that were written once can be written again on every file
    // system that writes in place, and one page costs nothing.
    file.write_all_at(&[0; RESERVED], 0)
        .map_err(|source| FileError::io("reserve", path, source))?;
    Ok(file)
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After a commit there is nothing under that name.
        let _ = fs::remove_file(durable::draft_of(&self.dir.exit()));
    }
}

impl ExitRecord {
    /// Reads how it ended; `None` while nobody has recorded an end.
    pub fn load(dir: &InvDir) -> Result<Option<ExitRecord>, FileError> {
        match durable::load(&dir.exit()) {
            Ok(record) => Ok(Some(record)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Records the end durably, without reserved room: for a daemon that holds the lock.
    pub fn store(&self, dir: &InvDir) -> Result<(), FileError> {
        durable::store(&dir.exit(), &self.cut())
    }

    /// The record with its error cut to what fits, as it is stored.
    pub fn cut(&self) -> ExitRecord {
        let mut record = self.clone();
        if let End::NeverStarted { error, .. } | End::Cancelled { error } | End::Lost { error } =
            &mut record.end
            && error.len() > LONGEST_ERROR
        {
            error.truncate(error.floor_char_boundary(LONGEST_ERROR));
            error.push('…');
        }
        record
    }

    /// The facts a parser judges from; `None` where no process ran.
    pub fn facts(&self) -> Option<Exit> {
        match &self.end {
            End::Ran {
                code,
                signal,
                ended_by,
                duration_ms,
                leftovers,
            } => Some(Exit {
                code: *code,
                signal: *signal,
                ended_by: ended_by.map(EndedBy::from),
                duration_ms: *duration_ms,
                leftovers: *leftovers,
                used: self.rusage.map(used).unwrap_or_default(),
                over_memory: self.rusage.and_then(|it| it.over_memory).map(|it| {
                    let OverMemory { max, killed } = it;
                    parser::OverMemory { max, killed }
                }),
            }),
            End::NeverStarted { .. } | End::Cancelled { .. } | End::Lost { .. } => None,
        }
    }
}

/// What the last line tells of it. A record of an earlier release has no such counts, and its log none.
fn used(rusage: Rusage) -> Used {
    Used {
        peak_memory_bytes: rusage.peak_bytes,
        cpu_ms: rusage.cpu_us.map(|us| us / 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(error: &str) -> ExitRecord {
        ExitRecord {
            proto: crate::spec::PROTOCOL,
            end: End::never_started(error),
            ended_ms: u64::MAX,
            spool_length: u64::MAX,
            rusage: Some(Rusage {
                user_us: u64::MAX,
                system_us: u64::MAX,
                max_rss_kib: u64::MAX,
                peak_bytes: Some(u64::MAX),
                cpu_us: Some(u64::MAX),
                over_memory: Some(OverMemory {
                    max: u64::MAX,
                    killed: u64::MAX,
                }),
            }),
        }
    }

    #[test]
    fn a_committed_record_reads_back_and_the_draft_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let dir = InvDir::at(folder.path());
        assert_eq!(ExitRecord::load(&dir).unwrap(), None);
        let draft = Draft::reserve(&dir).unwrap();
        draft.settle();
        assert_eq!(ExitRecord::load(&dir).unwrap(), None);
        draft.commit(&record("claude: gone")).unwrap();
        draft.commit(&record("claude: gone")).unwrap();
        drop(draft);
        assert_eq!(
            ExitRecord::load(&dir).unwrap(),
            Some(record("claude: gone"))
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_longest_error_fits_into_the_reserved_room() {
        let folder = tempfile::tempdir().unwrap();
        let dir = InvDir::at(folder.path());
        let draft = Draft::reserve(&dir).unwrap();
        draft.commit(&record(&"\u{1}ä".repeat(5000))).unwrap();
        assert_eq!(fs::metadata(dir.exit()).unwrap().len(), RESERVED as u64);
        assert!(ExitRecord::load(&dir).unwrap().is_some());
    }

    #[test]
    fn a_draft_that_was_removed_does_not_lose_the_record() {
        let folder = tempfile::tempdir().unwrap();
        let dir = InvDir::at(folder.path());
        let draft = Draft::reserve(&dir).unwrap();
        fs::remove_file(durable::draft_of(&dir.exit())).unwrap();
        draft.commit(&record("x")).unwrap();
        assert_eq!(ExitRecord::load(&dir).unwrap(), Some(record("x")));
    }
}
