//! How far a log was written by its one writer, for who reads it meanwhile.
//!
//! An agent can add to its own log: lines that look like ours, and one that says that it has ended. The writer
//! finds that with its next look, and then the log is made anew; a reader that went by the file's length would
//! have given them by then. So it goes by this from when the file has a writer, for as long as it has the file
//! open, and gives nothing of one that was cut to less. Who writes on after a writer that let go takes up what
//! readers still hold.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// A file, told from all others for as long as anybody has it open: its device and its number there.
pub(super) type FileKey = (u64, u64);

/// Of one file: shared by its writer and its readers.
#[derive(Debug)]
pub(super) struct Written {
    len: AtomicU64,
}

/// Of all logs that somebody writes, or has open. They are the process's, not a project's: one that was given
/// up and opened anew has readers of before, whose file is written on.
static ALL: Mutex<BTreeMap<FileKey, Weak<Written>>> = Mutex::new(BTreeMap::new());

impl Written {
    /// For the writer of a file that has `len` bytes, all of which are taken for the log, unless it is
    /// still known that fewer are.
    pub(super) fn enter(file: FileKey, len: u64) -> Arc<Written> {
        let mut all = all();
        all.retain(|_, written| written.strong_count() > 0);
        if let Some(known) = all.get(&file).and_then(Weak::upgrade) {
            known.len.fetch_min(len, Ordering::Release);
            return known;
        }
        let len = AtomicU64::new(len);
        let written = Arc::new(Written { len });
        all.insert(file, Arc::downgrade(&written));
        written
    }

    /// That of a file which is read, if somebody writes it.
    pub(super) fn find(file: FileKey) -> Option<Arc<Written>> {
        all().get(&file).and_then(Weak::upgrade)
    }

    /// The bytes that stand, and are the log.
    pub(super) fn len(&self) -> u64 {
        self.len.load(Ordering::Acquire)
    }

    /// So many stand now, as the writer has seen itself.
    pub(super) fn reach(&self, len: u64) {
        self.len.fetch_max(len, Ordering::Release);
    }
}

fn all() -> MutexGuard<'static, BTreeMap<FileKey, Weak<Written>>> {
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}
