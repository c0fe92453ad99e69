//! Why a folder is not served, each with what a person can do about it.

use std::io;
use std::path::PathBuf;

use crate::activity_log::LogError;
use crate::store::{CROWDED, READ_ONLY, StoreError, is_crowded};

/// Why a path is no project, or not one that can be served.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// There is no database in it.
    #[error("{} is not a project", path.display())]
    NotAProject {
        /// As it was given.
        path: PathBuf,
    },
    /// A project perhaps, but not one this daemon was told to serve.
    #[error("{} is not registered with this daemon", path.display())]
    NotRegistered {
        /// As it was given.
        path: PathBuf,
    },
    /// Not absolute, or with `..` in it.
    #[error("project path {path:?} is not absolute; give the full path, without `..`")]
    Relative {
        /// As it was given.
        path: PathBuf,
    },
    /// A path that could not be shown, or written to a line of its own.
    #[error("project path {path:?} is not UTF-8, or has control characters; rename the folder")]
    Unprintable {
        /// As it was given.
        path: PathBuf,
    },
    /// More than the kernel takes.
    #[error("the project path is longer than the kernel takes (4095 bytes, 255 for each name)")]
    TooLong {
        /// As it was given.
        path: PathBuf,
    },
    /// A symbolic link is part of the path.
    #[error("project path {} leads over a symbolic link; give the real path{}", path.display(), hint(real.as_ref()))]
    Symlink {
        /// As it was given.
        path: PathBuf,
        /// Where it leads, if anywhere.
        real: Option<PathBuf>,
    },
    /// There is nothing.
    #[error("project folder {} does not exist; was it moved or deleted?", path.display())]
    Missing {
        /// As it was given.
        path: PathBuf,
    },
    /// There is something else.
    #[error("{} is not a folder", path.display())]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },
    /// Another project has the path of one that was moved, or was deleted, and ids of its own.
    #[error("another project is in {} by now", path.display())]
    Another {
        /// The path.
        path: PathBuf,
    },
    /// Another user could put anything into it.
    #[error("{} belongs to user {uid}, not to the user of the daemon; run steroidsd as its owner", path.display())]
    ForeignOwner {
        /// The folder.
        path: PathBuf,
        /// Its owner.
        uid: u32,
    },
    /// Every user could put anything into it.
    #[error("{} is writable by every user; take a folder of your own, or, if no other user has to write here, run `chmod o-w` on it", path.display())]
    WorldWritable {
        /// The folder.
        path: PathBuf,
    },
    /// Another daemon serves it, or has invocations in it that it has not finished.
    #[error("{} is served by the daemon with the state folder {owner}; use that one, or stop it first", path.display())]
    OwnedByOtherDaemon {
        /// The project.
        path: PathBuf,
        /// The other's owner id: its state folder.
        owner: String,
    },
    /// Its database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its folder of logs cannot be used.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The list of projects cannot be used.
    #[error("list of projects {}: {what}", path.display())]
    Registry {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Something in it was being renamed each time it was opened.
    #[error("{} is being changed just now", path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// Its disk takes longer than anybody should have to wait.
    #[error("the disk of {} does not answer; is its server away?", path.display())]
    NoAnswer {
        /// The project.
        path: PathBuf,
    },
    /// The system refused something.
    #[error("cannot use {}", path.display())]
    Io {
        /// What was to be used.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The daemon stops.
    #[error("the daemon is stopping")]
    Closed,
}

impl ProjectError {
    /// What is wrong and what to do, on one line.
    pub(super) fn told(&self) -> String {
        match self.todo() {
            Some(todo) => format!("{self}; {todo}"),
            None => self.to_string(),
        }
    }

    /// Whether the path leads to no project any more, or not yet.
    pub fn is_gone(&self) -> bool {
        matches!(
            self,
            Self::NotAProject { .. }
                | Self::NotRegistered { .. }
                | Self::Missing { .. }
                | Self::Another { .. }
                | Self::NotAFolder { .. }
                | Self::Symlink { .. }
        )
    }

    /// What a person can do about it, where the message does not say so itself.
    pub fn todo(&self) -> Option<&'static str> {
        match self {
            Self::NotAProject { .. } | Self::NotRegistered { .. } => {
                Some("run `steroidsctl init` in that folder")
            }
            Self::Store(error) => error.todo(),
            Self::Io { source, .. } if source.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                Some(READ_ONLY)
            }
            Self::Io { source, .. } if is_crowded(source) => Some(CROWDED),
            _ => None,
        }
    }
}

fn hint(real: Option<&PathBuf>) -> String {
    real.map_or_else(String::new, |real| format!(": {}", real.display()))
}
