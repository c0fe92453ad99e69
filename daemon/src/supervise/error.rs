//! Why an invocation was not started, or not stopped.

use std::path::PathBuf;

use super::retry::RetryError;
use super::stop::StillEnding;
use crate::domain::{Amount, BudgetScope, InvocationId};
use crate::launch::LaunchError;
use crate::projects::ProjectError;
use crate::store::StoreError;

/// Why a start was refused, or failed.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The project cannot be used.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// No such provider is configured.
    #[error("unknown provider `{name}`; known: {}", known.join(", "))]
    UnknownProvider {
        /// As the request had it.
        name: String,
        /// Those that exist.
        known: Vec<String>,
    },
    /// The prompt does not fit.
    #[error("the prompt is {bytes} bytes long; at most {max}")]
    PromptTooLarge {
        /// Its length.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// A field makes no sense.
    #[error("{field} {reason}")]
    Invalid {
        /// The request's field.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The same request id came before with other parameters.
    #[error("request id `{request_id}` was used for invocation {id} with other parameters")]
    RequestIdReused {
        /// The id.
        request_id: String,
        /// Whose it is.
        id: InvocationId,
    },
    /// No invocation of the task and provider has ended with a session.
    #[error(
        "no ended invocation of task `{task}` by provider `{provider}` has a session to resume"
    )]
    NothingToResume {
        /// The task.
        task: String,
        /// The provider.
        provider: String,
    },
    /// As many run as may.
    #[error("{max} invocations are running, as many as daemon.max_running allows")]
    TooManyRunning {
        /// The bound.
        max: usize,
    },
    /// It would have to wait, and was not to.
    #[error("it would have to wait: {reason}")]
    WouldWait {
        /// What for.
        reason: String,
    },
    /// As many wait as may.
    #[error("{max} invocations wait, as many as queue.max allows")]
    QueueFull {
        /// The bound.
        max: usize,
    },
    /// It is to start after one that there is not.
    #[error("there is no invocation {id} in this project to start after")]
    AfterUnknown {
        /// The id.
        id: InvocationId,
    },
    /// It is to start after one that will never have succeeded.
    #[error("invocation {id}, after which it was to start, has ended as {how}")]
    AfterFailed {
        /// The id.
        id: InvocationId,
        /// In one word.
        how: String,
    },
    /// An agent is at work on the task, whatever its row says.
    #[error("invocation {id} of task `{task}` is still running")]
    TaskBusy {
        /// The task.
        task: String,
        /// Who is at work.
        id: InvocationId,
    },
    /// Another one of the task waits to be started.
    #[error("invocation {id} of task `{task}` waits to be started")]
    TaskWaits {
        /// The task.
        task: String,
        /// Who waits.
        id: InvocationId,
    },
    /// Another program starts agents in the project.
    #[error("runner {runner} of the older tool (pid {pid}) is at work in {}", project.display())]
    OlderTool {
        /// The project.
        project: PathBuf,
        /// Its id there.
        runner: String,
        /// Its process.
        pid: i32,
    },
    /// Nothing is left of a budget.
    #[error("{said}")]
    Budget {
        /// Whose.
        scope: BudgetScope,
        /// The bound.
        amount: Amount,
        /// In words.
        said: String,
    },
    /// Bounds that nothing here can hold.
    #[error(
        "launcher {launcher} cannot bound {}: no writable control group has the controller",
        missing.join(", ")
    )]
    NoController {
        /// How shims are started.
        launcher: &'static str,
        /// The controllers.
        missing: Vec<String>,
    },
    /// It was to try again what cannot be.
    #[error(transparent)]
    Retry(#[from] RetryError),
    /// The daemon takes no new invocations.
    #[error("the daemon is draining and starts nothing new")]
    Draining,
    /// The disk is almost full.
    #[error("only {free} bytes are free in {}; a start needs {needed} (daemon.min_free)", path.display())]
    LowDisk {
        /// The folder asked.
        path: PathBuf,
        /// Bytes free.
        free: u64,
        /// Bytes wanted.
        needed: u64,
    },
    /// The disk has no inodes left.
    #[error("no more than {free} files can be made in {}, as no inodes are free", path.display())]
    LowFiles {
        /// The folder asked.
        path: PathBuf,
        /// Files that can be made.
        free: u64,
    },
    /// The database did not take the row.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The state folder could not be written; nothing was started.
    #[error("could not write the state folder {}", path.display())]
    StateDir {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The shim's program is not there, or cannot be run; nothing was started.
    #[error("nothing can be started now")]
    NoShim(#[source] LaunchError),
    /// Its shim had no room for what it writes before the agent; the invocation has ended as never started, and the
    /// same request starts another.
    #[error("invocation {id} could not be started: {said}")]
    NoRoom {
        /// Its row.
        id: InvocationId,
        /// In words.
        said: String,
    },
    /// No shim took over; the invocation has ended as never started.
    #[error("invocation {id} could not be started")]
    Launch {
        /// Its row.
        id: InvocationId,
        /// Why.
        #[source]
        source: LaunchError,
    },
}

/// Why a message was not delivered.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The project cannot be used.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// No such invocation.
    #[error("invocation {id} does not exist in {}", project.display())]
    NotFound {
        /// The project.
        project: PathBuf,
        /// The id asked for.
        id: InvocationId,
    },
    /// It belongs to the older tool.
    #[error("invocation {id} was started by another tool, and takes no messages from here")]
    NotManaged {
        /// Its row.
        id: InvocationId,
    },
    /// There is nobody to hear it.
    #[error("invocation {id} has ended")]
    Ended {
        /// Its row.
        id: InvocationId,
    },
    /// There is nobody to hear it yet.
    #[error("invocation {id} waits for its turn")]
    Queued {
        /// Its row.
        id: InvocationId,
    },
    /// Its shim speaks a protocol that we do not.
    #[error(
        "invocation {id} runs under a shim of protocol {proto}, which this steroidsd does not know"
    )]
    Foreign {
        /// Its row.
        id: InvocationId,
        /// What its folder says.
        proto: u32,
    },
    /// Its shim is of a release that had no messages.
    #[error("invocation {id} runs under a shim of an earlier release, which passes no messages on")]
    OldShim {
        /// Its row.
        id: InvocationId,
    },
    /// Its input was closed behind the prompt.
    #[error("invocation {id} was started without `interactive`: its input is closed")]
    NotInteractive {
        /// Its row.
        id: InvocationId,
    },
    /// Its agent takes none, or not now.
    #[error("invocation {id} takes no message: {reason}")]
    Refused {
        /// Its row.
        id: InvocationId,
        /// Why.
        reason: String,
    },
    /// Another message came with this id before.
    #[error("message id `{message_id}` was used for another message to invocation {id}")]
    Reused {
        /// Its row.
        id: InvocationId,
        /// The id.
        message_id: String,
    },
    /// A field makes no sense.
    #[error("{field} {reason}")]
    Invalid {
        /// The request's field.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The message could not be written, or what was asked for not be read.
    #[error("could not use the state folder {}", path.display())]
    StateDir {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Nobody said what became of it.
    #[error("the shim of invocation {id} does not answer; the message may yet be delivered")]
    Silent {
        /// Its row.
        id: InvocationId,
    },
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an invocation was not stopped.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// The project cannot be used.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// No such invocation.
    #[error("invocation {id} does not exist in {}", project.display())]
    NotFound {
        /// The project.
        project: PathBuf,
        /// The id asked for.
        id: InvocationId,
    },
    /// It belongs to the older tool.
    #[error("invocation {id} was started by another tool, which alone may stop it")]
    NotManaged {
        /// Its row.
        id: InvocationId,
    },
    /// Its shim speaks a protocol that we do not.
    #[error(
        "invocation {id} runs under a shim of protocol {proto}, which this steroidsd does not know; \
         stop it with the steroidsd that started it"
    )]
    Foreign {
        /// Its row.
        id: InvocationId,
        /// What its folder says.
        proto: u32,
    },
    /// It has ended, and there is no project to keep its end in.
    #[error("invocation {id} has ended, but {} is no project now: its log and row cannot be kept there", project.display())]
    Homeless {
        /// Its id.
        id: InvocationId,
        /// Where the project was.
        project: PathBuf,
    },
    /// It has ended, and its log and row follow when they can.
    #[error("invocation {id} has ended; its log and row are made as soon as they can be: {why}")]
    Unrecorded {
        /// Its id.
        id: InvocationId,
        /// What is in the way.
        why: String,
    },
    /// It waits on, as what was asked could not be written down.
    #[error("invocation {id} waits on, as its end cannot be written down: {why}")]
    Unkept {
        /// Its id.
        id: InvocationId,
        /// Why.
        why: String,
    },
    /// It did not end in time.
    #[error("invocation {id} has not ended yet; {next}")]
    Slow {
        /// Its row.
        id: InvocationId,
        /// Which one it is, beyond its row.
        uuid: String,
        /// What comes next.
        next: StillEnding,
    },
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}
