//! What can go wrong with a project's database, each with what a person can do about it.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{ErrorCode, ffi};
use rustix::fs::StatVfsMountFlags;

use super::sys;
use crate::domain::InvocationId;

/// Why the database did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no file.
    #[error("no database at {path}")]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The path leads over a symbolic link, or the file is none of its own.
    #[error("{path} is not a regular file of its own: {what}")]
    NotAFile {
        /// The database.
        path: PathBuf,
        /// What it is instead.
        what: &'static str,
    },
    /// SQLite's locks and shared memory cannot be trusted there.
    #[error("{path} is on a network file system ({kind}); move the project to a local disk")]
    NetworkFileSystem {
        /// The database.
        path: PathBuf,
        /// The file system's name.
        kind: String,
    },
    /// Its bytes are no SQLite database.
    #[error("{path} is not a SQLite database")]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// A SQLite database, but of some other program.
    #[error("{path} is not a steroids database: {what}")]
    Alien {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// SQLite found damage.
    #[error("{path} is corrupt ({what})")]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What SQLite says.
        what: String,
    },
    /// The schema is older than this release needs.
    #[error("{path} has schema {version:03}, older than 010")]
    NeedsMigration {
        /// The database.
        path: PathBuf,
        /// Its last migration; 0 is an empty file.
        version: u32,
    },
    /// A newer steroidsd has written its tables: reads only.
    #[error(
        "{path} belongs to a newer steroidsd (its tables have version {version}, this release knows {known}) and is only read"
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// The version found.
        version: u32,
        /// The newest version known here.
        known: u32,
    },
    /// File or folder cannot be written.
    #[error("{path} or its folder cannot be written")]
    Unwritable {
        /// The database.
        path: PathBuf,
        /// What SQLite or the kernel says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Its file system can only be read here, be it by the daemon's own unit.
    #[error("{path} is on a file system that this daemon can only read")]
    ReadOnly {
        /// The database.
        path: PathBuf,
    },
    /// The disk is full; nothing was changed.
    #[error("the disk of {path} is full")]
    Full {
        /// The database.
        path: PathBuf,
    },
    /// Others kept the database locked for the whole of our patience; nothing was changed.
    #[error("{path} is locked by another program")]
    Busy {
        /// The database.
        path: PathBuf,
    },
    /// Its disk, or another program that has it locked, takes longer than who asks many can wait.
    #[error("{path} does not answer")]
    NoAnswer {
        /// The database.
        path: PathBuf,
    },
    /// The file, its -wal or its -shm is no longer the one that was opened.
    #[error("{path} was replaced or deleted while it was open")]
    Replaced {
        /// The database.
        path: PathBuf,
    },
    /// The request id belongs to a request with other parameters.
    #[error("request id `{request_id}` was used for invocation {id} with other parameters")]
    RequestIdReused {
        /// As the client gave it.
        request_id: String,
        /// Whose it is.
        id: InvocationId,
    },
    /// Our row is there, the shared one was deleted by another program.
    #[error("the row of invocation {id} was deleted by another program")]
    RowDeleted {
        /// Which one.
        id: InvocationId,
    },
    /// The row belongs to another invocation than the one to be put back.
    #[error("invocation {id} of the database is another one than {uuid}")]
    IdTaken {
        /// The row's id.
        id: InvocationId,
        /// What was to be put back.
        uuid: String,
    },
    /// No such row, or none of ours.
    #[error("there is no invocation {id} of steroidsd")]
    NoSuchInvocation {
        /// The id.
        id: InvocationId,
    },
    /// The copy before a migration failed, so nothing was migrated.
    #[error("backup to {path} failed: {what}; nothing was migrated")]
    Backup {
        /// The copy.
        path: PathBuf,
        /// What failed.
        what: String,
    },
    /// A migration failed and was undone.
    #[error("migration {name} of {path} failed and was undone")]
    Migration {
        /// Its name in the ledger.
        name: &'static str,
        /// The database.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// The store was closed.
    #[error("the database {path} was closed")]
    Closed {
        /// The database.
        path: PathBuf,
    },
    /// A file or folder beside the database could not be used.
    #[error("cannot use {path}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Anything else SQLite says.
    #[error("database error in {path}")]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// What it says.
        #[source]
        source: rusqlite::Error,
    },
}

/// What a statement inside a transaction says: SQLite's word, or ours.
///
/// Kept apart from [`StoreError`] so that the thread that owns the connection decides about
/// retries and knows the path.
#[derive(Debug)]
pub(super) enum Failure {
    Sql(rusqlite::Error),
    Ours(StoreError),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Failure::Sql(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure::Ours(error)
    }
}

impl Failure {
    /// True if the whole transaction may succeed when tried again.
    pub(super) fn is_busy(&self) -> bool {
        matches!(
            self,
            Failure::Sql(rusqlite::Error::SqliteFailure(error, _))
                if matches!(error.code, ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
        )
    }

    /// True if the same may succeed at another time: somebody has a lock, or the machine or its
    /// disk is short of something. SQLite may then have undone the transaction already. What a
    /// statement itself is refused for undoes that statement alone.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Failure::Sql(rusqlite::Error::SqliteFailure(error, _)) => !matches!(
                error.code,
                ErrorCode::Unknown | ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch
            ),
            Failure::Sql(_) => false,
            Failure::Ours(_) => true,
        }
    }

    /// The error as callers see it.
    pub(super) fn at(self, path: &Path) -> StoreError {
        match self {
            Failure::Ours(error) => error,
            Failure::Sql(error) => StoreError::from_sqlite(path, error),
        }
    }
}

/// Whether SQLite says this also where it could not make a file, or grow one. A write that meets a full disk is
/// FULL by itself, but not the first page of a -shm, nor the making of a -wal, nor what a disk says only as it
/// syncs. (SHMMAP is for want of memory.)
fn is_for_room(extended_code: i32) -> bool {
    let codes = [
        ffi::SQLITE_CANTOPEN,
        ffi::SQLITE_IOERR_WRITE,
        ffi::SQLITE_IOERR_FSYNC,
        ffi::SQLITE_IOERR_DIR_FSYNC,
        ffi::SQLITE_IOERR_TRUNCATE,
        ffi::SQLITE_IOERR_SHMOPEN,
        ffi::SQLITE_IOERR_SHMSIZE,
    ];
    codes.contains(&extended_code)
}

/// What a database takes at least to be opened: the first part of its -shm, and its -wal.
const LEAST_ROOM: u64 = 64 << 10;

/// Whether the database's disk has no room for as much, or for another file.
fn is_full(db: &Path) -> bool {
    let folder = db.parent().unwrap_or(db);
    rustix::fs::statvfs(folder).is_ok_and(|found| {
        // What can only be read has no room, and that is not what it lacks.
        if found.f_flag.contains(StatVfsMountFlags::RDONLY) {
            return false;
        }
        // Some have no table of files that could be full, and say 0 of 0.
        let lacks_files = found.f_files > 0 && found.f_favail == 0;
        lacks_files || found.f_bavail.saturating_mul(found.f_frsize) < LEAST_ROOM
    })
}

/// What to do where no more files may be open.
pub(crate) const CROWDED: &str =
    "too many open files; raise the limit (LimitNOFILE= of the unit, ulimit -n)";

/// Whether no more files may be open, in this process or on this host.
pub(crate) fn is_crowded(error: &io::Error) -> bool {
    let errno = rustix::io::Errno::from_io_error(error);
    matches!(
        errno,
        Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE)
    )
}

/// SQLite gives the head of a report a line of its own.
pub(super) fn one_line(said: &str) -> String {
    let words: Vec<_> = said.split_whitespace().collect();
    words.join(" ")
}

/// What to do about what the daemon can only read. Another process may see the same folder otherwise.
pub(crate) const READ_ONLY: &str = "where you can write, the daemon's unit keeps it from that (ProtectSystem=): grant it by a drop-in with \
    ReadWritePaths=, projects.conf in docs/systemd.md; else mount it writable";

impl StoreError {
    /// A database that cannot be written, for the reason that its file system says, else the given one.
    pub(super) fn unwritable(
        path: &Path,
        source: Box<dyn std::error::Error + Send + Sync>,
    ) -> StoreError {
        let path = path.to_owned();
        if sys::was_crowded() {
            let source = io::Error::from(rustix::io::Errno::MFILE);
            return StoreError::Io { path, source };
        }
        let folder = path.parent().unwrap_or(&path);
        let found = rustix::fs::statvfs(folder);
        match found.is_ok_and(|it| it.f_flag.contains(StatVfsMountFlags::RDONLY)) {
            true => StoreError::ReadOnly { path },
            false => StoreError::Unwritable { path, source },
        }
    }

    /// What a person can do about it, where the message does not say so itself.
    pub fn todo(&self) -> Option<&'static str> {
        match self {
            StoreError::Missing { .. } => Some("run `steroidsctl init` in the project's folder"),
            StoreError::NeedsMigration { .. } => {
                Some("run `steroidsctl migrate` in the project's folder")
            }
            StoreError::Newer { .. } => Some("upgrade steroidsd"),
            StoreError::Full { .. } => Some("free some space"),
            StoreError::Io { source, .. } if is_crowded(source) => Some(CROWDED),
            StoreError::ReadOnly { .. } => Some(READ_ONLY),
            StoreError::Io { source, .. } if source.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                Some(READ_ONLY)
            }
            StoreError::Busy { .. } | StoreError::NoAnswer { .. } | StoreError::Replaced { .. } => {
                Some("try again in a moment")
            }
            StoreError::NotADatabase { .. } | StoreError::Corrupt { .. } => Some(
                "move it away, with its -wal and -shm, and put a copy from .steroids/backup there if there is one; else `steroidsctl init` makes a new one, with what the transcripts of this daemon tell",
            ),
            StoreError::RequestIdReused { .. } => {
                Some("send a new request id, or the same parameters as before")
            }
            _ => None,
        }
    }

    /// Sorts SQLite's codes into what a person can act on.
    pub(super) fn from_sqlite(path: &Path, source: rusqlite::Error) -> StoreError {
        let path = path.to_owned();
        let rusqlite::Error::SqliteFailure(error, message) = &source else {
            return StoreError::Sqlite { path, source };
        };
        match error.code {
            ErrorCode::NotADatabase => StoreError::NotADatabase { path },
            ErrorCode::DatabaseCorrupt => StoreError::Corrupt {
                path,
                what: message
                    .as_deref()
                    .map_or_else(|| error.to_string(), one_line),
            },
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::Busy { path },
            ErrorCode::DiskFull => StoreError::Full { path },
            // Of the errno nothing is left in the code.
            _ if is_for_room(error.extended_code) && is_full(&path) => StoreError::Full { path },
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen => {
                StoreError::unwritable(&path, Box::new(source))
            }
            _ => StoreError::Sqlite { path, source },
        }
    }
}
