//! Starts a shim on a state folder whose spec is durable. The launcher is a trait, since where a
//! shim lives decides what can end it: a child of nobody (`fork`), or a unit of its own.
//!
//! A launch that succeeded means: the shim holds the folder's lock, and it has either started the
//! provider or written down why it could not.

mod fork;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

pub use fork::ForkLauncher;

/// What a launch comes to, once awaited.
pub type Launching<'a> = Pin<Box<dyn Future<Output = Result<(), LaunchError>> + Send + 'a>>;

/// Starts shims.
pub trait Launcher: Send + Sync {
    /// The word for it in `status`.
    fn name(&self) -> &'static str;

    /// Starts the shim of this state folder and waits until it has taken over. Dropping the future
    /// does not end a shim that has.
    fn launch<'a>(&'a self, dir: &'a Path) -> Launching<'a>;
}

impl LaunchError {
    /// Whether the machine has run out of something, so that it may go better later.
    pub fn is_exhausted(&self) -> bool {
        matches!(self, LaunchError::Spawn { source, .. } if is_exhausted(source))
    }
}

/// Whether something failed because the machine has run out of processes, memory or descriptors.
pub fn is_exhausted(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    let spent = [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE];
    let errno = error.raw_os_error();
    errno.is_some_and(|errno| spent.iter().any(|one| one.raw_os_error() == errno))
}

/// Why no shim took over.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The program could not be run.
    #[error("could not run {program}")]
    Spawn {
        /// The shim's program.
        program: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It ran, and gave up.
    #[error("{program} did not take over: {message}")]
    Refused {
        /// The shim's program.
        program: PathBuf,
        /// What it said.
        message: String,
    },
    /// It said nothing in time.
    #[error("{program} did not take over within {within:?}")]
    Silent {
        /// The shim's program.
        program: PathBuf,
        /// How long it had.
        within: Duration,
    },
}
