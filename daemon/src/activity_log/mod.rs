//! The activity logs of one project: JSONL files, `<project>/.steroids/invocations/<id>.log`.
//!
//! A log is append-only, 0600, written by the projection alone and in whole lines, so that a byte
//! offset at a line's start stays a place to go on from for as long as the file is there.
//! [`LogWriter`] appends, [`LogReader`] reads forward, [`Recovered`] is what a crash left,
//! [`Replacement`] takes a damaged log's place, [`LogComparer`] tells whether one is damaged. A log
//! that is written no more may be compressed, `<id>.log.zst`: readers and comparers do not notice.
//!
//! Everything here blocks on the disk: callers are on a thread that may. What an agent may put in
//! a log's place is `paths`'s concern; what the lines mean is the projection's and the reader's.

mod cached;
mod compare;
mod error;
mod last;
mod line;
mod pack;
mod packed;
mod paths;
mod reader;
mod recover;
mod replace;
mod resume;
mod tally;
mod writer;
mod written;

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustix::fs::{FileType, OFlags, Stat};

pub use cached::Cached;
pub use compare::{Compared, LogComparer};
pub use error::LogError;
pub use line::{ends_log, is_ours, is_terminal, is_valid, peek};
pub use pack::Saved;
pub use reader::{Batch, Break, LogReader, MAX_LINE, Step};
pub use recover::{Recovered, Tail};
pub use replace::Replacement;
pub use resume::{Lost, Opened};
pub use tally::Tally;
pub use writer::LogWriter;

use crate::domain::{InvocationId, Offset};
use paths::{Folder, Place, file_name, packed_name, parse_file_name, parse_packed_name};
use replace::{NEW_SUFFIX, new_name, packing_name};

/// The logs of one project; a cheap handle.
#[derive(Debug, Clone)]
pub struct ActivityLogs {
    place: Arc<Place>,
}

/// One log file, as a listing shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogFile {
    /// The invocation it belongs to.
    pub id: InvocationId,
    /// Its length in bytes.
    pub len: u64,
    /// When it was last written.
    pub modified: SystemTime,
    /// It is compressed.
    pub is_packed: bool,
}

/// What a log takes on its disk: of one with holes, what there is of it.
fn taken(stat: &Stat) -> u64 {
    let blocks = u64::try_from(stat.st_blocks).unwrap_or(0);
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    size.min(blocks.saturating_mul(512))
}

impl ActivityLogs {
    /// Takes the project folder, opened, and its path (which only names things in messages and
    /// hints). Touches nothing: the folder of the logs is made when the first one is.
    pub fn open(root: OwnedFd, project: &Path) -> ActivityLogs {
        ActivityLogs {
            place: Arc::new(Place::new(root, project)),
        }
    }

    /// Where an invocation's log lies, or will; also the name of its hint.
    pub fn path(&self, id: InvocationId) -> PathBuf {
        self.place.log_path(id)
    }

    /// The files in which the logs of these invocations lie now, in their order: where there is but a
    /// compressed one, that; `None` where there is neither. What cannot be looked at has its usual name. Blocks.
    pub fn lying(&self, ids: &[InvocationId]) -> Vec<Option<PathBuf>> {
        let folder = self.place.open();
        let is_there = |name: &str| match &folder {
            Ok(folder) => folder.stat(name).map_or(true, |found| found.is_some()),
            Err(error) => !matches!(error, LogError::Missing { .. }),
        };
        let lying = |id: &InvocationId| {
            let packed = packed_name(*id);
            match is_there(&file_name(*id)) {
                true => Some(self.path(*id)),
                false => is_there(&packed).then(|| self.place.path().join(packed)),
            }
        };
        ids.iter().map(lying).collect()
    }

    /// Whether there is but a compressed log, which nobody appends to. Blocks.
    pub fn is_packed(&self, id: InvocationId) -> bool {
        let usual = self.path(id);
        let lying = self.lying(&[id]).into_iter().flatten();
        lying.into_iter().any(|file| file != usual)
    }

    /// The folder of the logs.
    pub fn folder(&self) -> &Path {
        self.place.path()
    }

    /// Makes the folder of the logs, with its README.txt, where it is not there.
    pub fn create_folder(&self) -> Result<(), LogError> {
        self.place.create().map(|_folder| ())
    }

    /// Opens a log for appending at its end, making it where there is none. A torn last line must
    /// have been cut before: see [`ActivityLogs::recover`].
    pub fn writer(&self, id: InvocationId) -> Result<LogWriter, LogError> {
        LogWriter::open(&self.place, id)
    }

    /// Opens a log for reading from an offset at which a line begins.
    pub fn reader(&self, id: InvocationId, from: Offset) -> Result<LogReader, LogError> {
        LogReader::open(&self.place, id, from)
    }

    /// What stands in a log's place now, in words that go on after "the log was written anew: ".
    pub fn standing(&self, id: InvocationId) -> String {
        let opened = self
            .place
            .open()
            .and_then(|folder| folder.open(&file_name(id), OFlags::RDWR).map(drop));
        match opened {
            Ok(()) => "somebody else had written to it".to_owned(),
            Err(LogError::Refused { what, .. }) => format!("in its place stood {what}"),
            Err(LogError::Missing { .. }) => "it was gone".to_owned(),
            Err(error) if error.is_denied() => "its mode was changed".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    /// Cuts a torn last line and says where the log stands; `None` if there is no log.
    pub fn recover(&self, id: InvocationId) -> Result<Option<Recovered>, LogError> {
        recover::recover(&self.place, id)
    }

    /// Opens the first `len` bytes of a log for comparing them with what they should be.
    pub fn compare(&self, id: InvocationId, len: u64) -> Result<LogComparer, LogError> {
        LogComparer::open(&self.place, id, len)
    }

    /// As [`ActivityLogs::compare`], with all that the log has; `None` if there is no log, or
    /// something that is not read, or cannot be, stands in its place.
    pub fn compare_all(&self, id: InvocationId) -> Result<Option<LogComparer>, LogError> {
        let len = match self.reader(id, Offset::START) {
            Err(LogError::Missing { .. } | LogError::Refused { .. } | LogError::Damaged { .. }) => {
                return Ok(None);
            }
            reader => reader?.file_len()?,
        };
        self.compare(id, len).map(Some)
    }

    /// Begins a new log that takes the old one's place when it is committed.
    pub fn replace(&self, id: InvocationId) -> Result<Replacement, LogError> {
        Replacement::begin(&self.place, id)
    }

    /// Every log in the folder, in no order; names that are not exactly a log's are passed over.
    pub fn files(&self) -> Result<Vec<LogFile>, LogError> {
        let folder = match self.place.open() {
            Err(error) if error.is_missing() => return Ok(Vec::new()),
            other => other?,
        };
        let mut found = BTreeMap::new();
        folder.names(|name| {
            if let Some(id) = parse_file_name(name) {
                found.insert(id, false);
            } else if let Some(id) = parse_packed_name(name) {
                // Where there are both the plain one counts.
                found.entry(id).or_insert(true);
            }
        })?;
        let mut files = Vec::with_capacity(found.len());
        for (id, is_packed) in found {
            let name = if is_packed {
                packed_name(id)
            } else {
                file_name(id)
            };
            if let Some(stat) = folder.stat(&name)?
                && FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
            {
                files.push(LogFile {
                    id,
                    len: taken(&stat),
                    modified: modified(&stat),
                    is_packed,
                });
            }
        }
        Ok(files)
    }

    /// Invocations of which a log was begun that did not take the old one's place: one that is being
    /// made, or that a crash left.
    pub fn unfinished(&self) -> Result<Vec<InvocationId>, LogError> {
        let folder = match self.place.open() {
            Err(error) if error.is_missing() => return Ok(Vec::new()),
            other => other?,
        };
        let mut ids = Vec::new();
        let of_log = |name: &str| {
            let name = name.strip_suffix(NEW_SUFFIX)?;
            parse_file_name(name).or(parse_packed_name(name))
        };
        folder.names(|name| ids.extend(of_log(name)))?;
        Ok(ids)
    }

    /// Removes what is left of such a log; false if there was nothing, or it is not wanted any more.
    pub fn remove_unfinished(
        &self,
        id: InvocationId,
        is_given_up: &dyn Fn() -> bool,
    ) -> Result<bool, LogError> {
        self.take_away(is_given_up, |folder| {
            Ok(folder.unlink(&new_name(id))? | folder.unlink(&packing_name(id))?)
        })
    }

    /// The highest id that has a log; ids up to it are never given again.
    pub fn highest(&self) -> Result<Option<InvocationId>, LogError> {
        let folder = match self.place.open() {
            Err(error) if error.is_missing() => return Ok(None),
            other => other?,
        };
        let mut highest = None;
        folder.names(|name| {
            highest = highest.max(parse_file_name(name).or(parse_packed_name(name)));
        })?;
        Ok(highest)
    }

    /// Removes a log; false if there was none, or it is not wanted any more. What is not a log's file
    /// (a folder, a link, …) is refused.
    pub fn remove(
        &self,
        id: InvocationId,
        is_given_up: &dyn Fn() -> bool,
    ) -> Result<bool, LogError> {
        self.take_away(is_given_up, |folder| {
            let mut was_there = false;
            for name in [file_name(id), packed_name(id)] {
                match folder.open(&name, OFlags::RDONLY) {
                    Ok(_) => was_there |= folder.unlink(&name)?,
                    Err(error) if error.is_missing() => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(was_there)
        })
    }

    /// With the project's hand. Whoever was given up is not alone any more: what is there now may have been
    /// made since.
    fn take_away(
        &self,
        is_given_up: &dyn Fn() -> bool,
        remove: impl FnOnce(&Folder<'_>) -> Result<bool, LogError>,
    ) -> Result<bool, LogError> {
        let _hand = self.place.hand();
        if is_given_up() {
            return Ok(false);
        }
        match self.place.open() {
            Err(error) if error.is_missing() => Ok(false),
            folder => remove(&folder?),
        }
    }

    /// Compresses the log of an ended invocation; readers find the same lines at the same offsets.
    /// Blocks; asks now and then whether it is still wanted.
    ///
    /// # Errors
    /// Where it cannot be read or written; then the log is as it was.
    pub fn pack(
        &self,
        id: InvocationId,
        is_given_up: &dyn Fn() -> bool,
    ) -> Result<Saved, LogError> {
        pack::pack(&self.place, id, is_given_up)
    }
}

fn modified(stat: &rustix::fs::Stat) -> SystemTime {
    let ahead = u64::try_from(stat.st_mtime).map(Duration::from_secs);
    match ahead {
        Ok(since) => SystemTime::UNIX_EPOCH + since,
        // Before 1970: as old as can be, which is what matters to retention.
        Err(_) => SystemTime::UNIX_EPOCH,
    }
}

#[cfg(test)]
mod tests;
