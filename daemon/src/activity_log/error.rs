//! What can go wrong with a log file, and how much of that is somebody else's doing.

use std::io;
use std::path::PathBuf;

use rustix::io::Errno;

use crate::domain::Offset;

/// Why a log could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// There is no such file.
    #[error("no activity log at {}", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The name leads to something that is not a plain file of ours: it is left alone.
    #[error("{} is {what}: left alone", path.display())]
    Refused {
        /// Its name.
        path: PathBuf,
        /// What it is instead.
        what: &'static str,
    },
    /// It is there, compressed, and cannot be unpacked, or not all of it.
    #[error("{} is no compressed log, or a damaged one", path.display())]
    Damaged {
        /// Its name.
        path: PathBuf,
    },
    /// Something on the way to it was being renamed each time it was opened.
    #[error("{} is being changed just now", path.display())]
    Busy {
        /// Of the log or its folder.
        path: PathBuf,
    },
    /// The offset lies behind the file's end.
    #[error("offset {offset} is past the end ({len}) of {}", path.display())]
    PastEnd {
        /// Of the log.
        path: PathBuf,
        /// The one asked for.
        offset: Offset,
        /// Bytes in the file.
        len: u64,
    },
    /// No line begins at the offset.
    #[error("no line of {} begins at offset {offset}", path.display())]
    InsideLine {
        /// Of the log.
        path: PathBuf,
        /// The one asked for.
        offset: Offset,
    },
    /// Bytes were to be appended that do not end with a newline.
    #[error("not whole lines, for {}", path.display())]
    NotLines {
        /// Of the log.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// A verb.
        doing: &'static str,
        /// Of the log or its folder.
        path: PathBuf,
        /// As the system put it.
        #[source]
        source: io::Error,
    },
}

impl LogError {
    /// True if there simply is no file.
    pub fn is_missing(&self) -> bool {
        matches!(self, LogError::Missing { .. })
    }

    /// True if a mode is in the way, the log's or that of its folder.
    pub fn is_denied(&self) -> bool {
        let denied = Some(Errno::ACCESS.raw_os_error());
        matches!(self, LogError::Io { source, .. } if source.raw_os_error() == denied)
    }

    /// True if the disk (or a quota) is full, which passes.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, LogError::Io { source, .. }
            if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }

    /// True if reading may go well the next time, with nothing done about it: there is no room for one more
    /// file or page just now, or the server of a network's file system is away.
    pub fn passes(&self) -> bool {
        let LogError::Io { source, .. } = self else {
            return matches!(self, LogError::Busy { .. });
        };
        let errno = Errno::from_io_error(source);
        errno.is_some_and(|errno| {
            matches!(
                errno,
                Errno::MFILE
                    | Errno::NFILE
                    | Errno::NOMEM
                    | Errno::NOTCONN
                    | Errno::CONNABORTED
                    | Errno::TIMEDOUT
                    | Errno::HOSTDOWN
                    | Errno::HOSTUNREACH
                    | Errno::STALE
            )
        })
    }
}
