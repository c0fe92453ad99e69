//! Where an invocation's files are. The folder lies outside the project, because agents run
//! `git clean -xdf`.

use std::path::{Path, PathBuf};

/// The state folder of one invocation, whether or not it exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvDir(PathBuf);

impl InvDir {
    /// The folder of `uuid` under a state dir.
    pub fn new(state_dir: &Path, uuid: &str) -> InvDir {
        InvDir(InvDir::all(state_dir).join(uuid))
    }

    /// The folder as the shim is told it.
    pub fn at(path: impl Into<PathBuf>) -> InvDir {
        InvDir(path.into())
    }

    /// What holds the folders of all invocations of a state dir.
    pub fn all(state_dir: &Path) -> PathBuf {
        state_dir.join("inv")
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What was asked for; durable before a shim starts.
    pub fn spec(&self) -> PathBuf {
        self.0.join("spec.json")
    }

    /// The same while it waits to be started: no shim was ever given a folder that has this and no
    /// `spec.json`.
    pub fn queued(&self) -> PathBuf {
        self.0.join("queued.json")
    }

    /// Locked while a shim lives.
    pub fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// Which processes the invocation began with.
    pub fn state(&self) -> PathBuf {
        self.0.join("state.json")
    }

    /// The raw transcript.
    pub fn spool(&self) -> PathBuf {
        self.0.join("spool")
    }

    /// How it ended.
    pub fn exit(&self) -> PathBuf {
        self.0.join("exit.json")
    }

    /// There once somebody asked for its end, whatever becomes of it; the daemon makes it.
    pub fn stopped(&self) -> PathBuf {
        self.0.join("stopped")
    }

    /// There once log and row say how it ended; the daemon makes it.
    pub fn projected(&self) -> PathBuf {
        self.0.join("projected")
    }
}
