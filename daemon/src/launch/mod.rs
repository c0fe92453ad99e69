//! Starts a shim on a state folder whose spec is durable. The launcher is a trait, since where a
//! shim lives decides what can end it: a child of nobody (`fork`), or a unit of its own.
//!
//! Within a unit the service manager sees the invocation as we do: it outlives the daemon, is bounded, and
//! is told to end when the user's session does. Only a path goes into the command line.
//!
//! A launch that succeeded means: the shim holds the folder's lock, and it has either started the
//! provider or written down why it could not.

mod fork;
mod manager;
mod systemd;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use steroids_shim::spec::Resources;

pub use fork::{ForkLauncher, Standby};
pub use manager::{Found, Manager, NoManager, OLDEST};
pub use systemd::SystemdLauncher;

/// What a launch comes to, once awaited.
pub type Launching<'a> = Pin<Box<dyn Future<Output = Result<(), LaunchError>> + Send + 'a>>;

/// Starts shims.
pub trait Launcher: Send + Sync {
    /// The word for it in `status`.
    fn name(&self) -> &'static str;

    /// Why it is this one.
    fn why(&self) -> String;

    /// Whether it could start one now. What waits for its turn is asked for before it is spent.
    fn ready(&self) -> Launching<'_> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Whether the shim's program is there, and may be run. Asks a file system, so it may block.
    ///
    /// # Errors
    /// What would keep it from being run, with its path.
    fn runnable(&self) -> Result<(), LaunchError>;

    /// Starts what will be the shim of a folder that need not be there yet, and has it wait: when all is
    /// there, [`Launcher::launch`] finds it running. `None` where that cannot be done. Blocks until it runs its
    /// program.
    ///
    /// # Errors
    /// When no process can be started, or its program is not there, just now.
    fn stand_by(&self, dir: &Path) -> Result<Option<Standby>, LaunchError> {
        let _ = dir;
        Ok(None)
    }

    /// Starts the shim of a state folder, which may stand by for it, and waits until it has taken over.
    /// Dropping the future does not end a shim that has.
    fn launch<'a>(&'a self, order: &'a Order, standby: Option<Standby>) -> Launching<'a>;

    /// Ends all that is left in an invocation's unit, where there is one; within a bounded time.
    fn end<'a>(&'a self, unit: &'a str) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        let _ = unit;
        Box::pin(std::future::ready(()))
    }

    /// Whether the host goes down, or the user's session ends; `None` where nobody answers that within a
    /// bounded time.
    fn is_stopping(&self) -> Pin<Box<dyn Future<Output = Option<bool>> + Send + '_>> {
        Box::pin(std::future::ready(Some(false)))
    }

    /// The controllers by which it can bound what an invocation uses: "memory", "cpu", "pids".
    fn controllers(&self) -> Vec<String>;

    /// Whether a bound that cannot be held is set all the same, and told: somebody else holds it.
    fn bounds_anyway(&self) -> bool;

    /// What works, and may yet surprise somebody; one line each.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    /// What does not work; one line each.
    fn degraded(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What is to be launched.
#[derive(Debug, Clone)]
pub struct Order {
    /// The state folder, with its spec.
    pub dir: PathBuf,
    /// Of the invocation.
    pub uuid: String,
    /// For people, on one line.
    pub description: String,
    /// What it may use of the machine.
    pub resources: Resources,
    /// What it leaves running is to go on.
    pub leaves_background: bool,
}

impl LaunchError {
    /// Whether the machine has run out of something, so that it may go better later.
    pub fn is_exhausted(&self) -> bool {
        matches!(self, LaunchError::Spawn { source, .. } if is_exhausted(source))
    }
}

impl LaunchError {
    /// Whether the shim's program is not there, or cannot be run: as while another release is installed.
    pub fn is_no_program(&self) -> bool {
        use rustix::io::Errno;
        let LaunchError::Spawn { source, .. } = self else {
            return false;
        };
        let lacking = [
            Errno::NOENT,
            Errno::NOTDIR,
            Errno::ACCESS,
            Errno::TXTBSY,
            Errno::NOEXEC,
        ];
        let errno = source.raw_os_error();
        errno.is_some_and(|errno| lacking.iter().any(|one| one.raw_os_error() == errno))
    }
}

/// Whether a file may be run as a program, by what the kernel says without running it. Blocks.
fn runnable(program: &Path) -> Result<(), LaunchError> {
    use rustix::fs::{Access, FileType, access, stat};
    use rustix::io::Errno;
    let found = access(program, Access::EXEC_OK).and_then(|()| stat(program));
    let found = found.and_then(|found| match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile => Ok(()),
        // As the kernel answers who would run a folder.
        _ => Err(Errno::ACCESS),
    });
    found.map_err(|errno| LaunchError::Spawn {
        program: program.to_path_buf(),
        source: errno.into(),
    })
}

impl LaunchError {
    /// Whether there is no service manager, and who asked for one gets nothing else.
    pub fn is_no_manager(&self) -> bool {
        matches!(self, LaunchError::NoManager(_))
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
    /// There is no service manager to start it.
    #[error("launcher systemd: {0}")]
    NoManager(#[from] NoManager),
    /// It said nothing in time.
    #[error("{program} did not take over within {within:?}")]
    Silent {
        /// The shim's program.
        program: PathBuf,
        /// How long it had.
        within: Duration,
    },
}
