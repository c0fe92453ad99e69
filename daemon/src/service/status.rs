//! What each error of the rooms below is to a client: the only place where one becomes a status.
//! Each arm is written out, so that a new error asks to be thought about here. What the client can
//! act on is told with its causes; what only a person at the machine can, is logged with them.

mod forget;
mod reproject;
mod retry;

use std::error::Error;
use std::io;
use std::path::Path;

use nix::errno::Errno;
use steroids_shim::durable::lacks_room;
use tonic::{Code, Status};

use super::refusal::Refusal;
use super::stream::stopping;
use crate::activity_log::LogError;
use crate::browse::BrowseError;
use crate::domain::cursor::CursorError;
use crate::domain::{BudgetScope, shell_word};
use crate::follow::FollowError;
use crate::launch::is_exhausted;
use crate::projects::ProjectError;
use crate::store::StoreError;
use crate::supervise::{self, HoldError, InputError, NO_SHIM, StartError, StillEnding, StopError};

pub(super) use forget::forget;
pub(super) use reproject::reproject;

const RETRY: &str = "try again in a moment";
const RESUME: &str = "start one that resumes its session with the message as prompt: `steroidsctl start --resume last`";
const NEW_REQUEST_ID: &str = "send a new request id, or the same parameters as before";

/// An error with its causes, on one line.
fn chain(error: &dyn Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // A transparent error's cause says the same once more.
        if !said.ends_with(&text) {
            said.push_str(": ");
            said.push_str(&text);
        }
        cause = error.source();
    }
    said
}

fn cause<'a>(error: &&'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    let error = *error;
    error.source()
}

/// Something of ours is broken: a person must look.
fn internal(reason: &'static str, text: &str) -> Refusal {
    tracing::error!(error = %text, "request failed");
    Refusal::new(Code::Internal, reason, text).todo("see the daemon's log")
}

/// The system gave no more of something: not broken, and over when somebody lets go of some.
fn shortage(error: &(dyn Error + 'static), text: &str) -> Option<Status> {
    let causes = std::iter::successors(Some(error), cause);
    let mut numbers = causes.filter_map(|cause| cause.downcast_ref::<io::Error>()?.raw_os_error());
    let (reason, todo) = numbers.find_map(|number| match Errno::from_raw(number) {
        Errno::EMFILE | Errno::ENFILE => Some((
            "NO_DESCRIPTORS",
            "close some connections, or raise the daemon's limit of open files (LimitNOFILE=)",
        )),
        Errno::EAGAIN | Errno::ENOMEM => Some((
            "NO_PROCESSES_OR_MEMORY",
            "end something else, or raise the limits of processes and memory",
        )),
        _ => None,
    })?;
    tracing::warn!(error = %text, "request failed for want of resources");
    Some(
        Refusal::new(Code::ResourceExhausted, reason, text)
            .todo(todo)
            .into(),
    )
}

pub(super) fn project(error: ProjectError) -> Status {
    let text = chain(&error);
    if let Some(short) = shortage(&error, &text) {
        return short;
    }
    let todo = error.todo();
    let said = |code, reason| {
        Refusal::new(code, reason, &text)
            .field("project")
            .todo_if(todo)
    };
    match error {
        ProjectError::NotAProject { .. } => said(Code::NotFound, "NOT_A_PROJECT"),
        ProjectError::NotRegistered { .. } => said(Code::NotFound, "NOT_REGISTERED"),
        ProjectError::Missing { .. } | ProjectError::Another { .. } => {
            said(Code::NotFound, "PROJECT_MISSING")
        }
        ProjectError::Relative { .. } => said(Code::InvalidArgument, "PATH_RELATIVE"),
        ProjectError::TooLong { .. } => said(Code::InvalidArgument, "PATH_TOO_LONG"),
        ProjectError::Unprintable { .. } => said(Code::InvalidArgument, "PATH_UNPRINTABLE"),
        ProjectError::NotAFolder { .. } => said(Code::InvalidArgument, "NOT_A_FOLDER"),
        ProjectError::Symlink { .. } => said(Code::InvalidArgument, "PATH_SYMLINK"),
        ProjectError::ForeignOwner { .. } => said(Code::FailedPrecondition, "FOREIGN_OWNER"),
        ProjectError::WorldWritable { .. } => said(Code::FailedPrecondition, "WORLD_WRITABLE"),
        ProjectError::OwnedByOtherDaemon { .. } => {
            said(Code::FailedPrecondition, "OWNED_BY_OTHER_DAEMON")
        }
        ProjectError::Registry { .. } => internal("REGISTRY", &text),
        ProjectError::Busy { .. } => said(Code::Unavailable, "BUSY").todo(RETRY),
        ProjectError::NoAnswer { .. } => said(Code::Unavailable, "NO_ANSWER").todo(RETRY),
        // Nothing of ours is broken.
        ProjectError::Io { .. } if todo.is_some() => said(Code::FailedPrecondition, "READ_ONLY"),
        ProjectError::Io { .. } => internal("IO", &text),
        ProjectError::Closed => return stopping(),
        ProjectError::Store(error) => return store(error),
        ProjectError::Log(error) => return log(error),
    }
    .into()
}

/// What is not there, and will be again: something of ours runs in it.
pub(super) fn put_back(missing: &str) -> Status {
    let text = format!("{missing} (something runs there: it is put back as soon as can be)");
    Refusal::new(Code::Unavailable, "PUT_BACK", text)
        .todo(RETRY)
        .into()
}

/// A project's folder is, and something of ours runs in it all the same.
pub(super) fn gone(path: &Path, missing: &str) -> Status {
    let text = format!("{missing} What was started there goes on.");
    let path = shell_word(path);
    let todo =
        format!("put the folder back, or end what was: steroidsctl --project {path} stop --all");
    Refusal::new(Code::Unavailable, "FOLDER_GONE", text)
        .todo(todo)
        .into()
}

pub(super) fn store(error: StoreError) -> Status {
    let text = chain(&error);
    if let Some(short) = shortage(&error, &text) {
        return short;
    }
    let todo = error.todo();
    let said = |code, reason| Refusal::new(code, reason, &text).todo_if(todo);
    let refused = |reason| said(Code::FailedPrecondition, reason);
    match error {
        StoreError::Missing { .. } => said(Code::NotFound, "NO_DATABASE"),
        StoreError::NeedsMigration { .. } => refused("NEEDS_MIGRATION"),
        StoreError::Newer { .. } => refused("NEWER_SCHEMA"),
        StoreError::NotAFile { .. } => refused("DATABASE_NOT_A_FILE"),
        StoreError::NetworkFileSystem { .. } => refused("NETWORK_FILE_SYSTEM"),
        StoreError::NotADatabase { .. } => refused("NOT_A_DATABASE"),
        StoreError::Alien { .. } => refused("ALIEN_DATABASE"),
        StoreError::Corrupt { .. } => refused("DATABASE_CORRUPT"),
        StoreError::Unwritable { .. } => refused("DATABASE_UNWRITABLE"),
        StoreError::ReadOnly { .. } => refused("READ_ONLY"),
        StoreError::Replaced { .. } => said(Code::Unavailable, "DATABASE_REPLACED"),
        StoreError::RowDeleted { .. } => refused("ROW_DELETED"),
        StoreError::Full { .. } => said(Code::ResourceExhausted, "DISK_FULL"),
        StoreError::Busy { .. } => said(Code::Unavailable, "DATABASE_BUSY"),
        StoreError::NoAnswer { .. } => said(Code::Unavailable, "NO_ANSWER"),
        StoreError::RequestIdReused { .. } => {
            said(Code::AlreadyExists, "REQUEST_ID_REUSED").field("request_id")
        }
        StoreError::NoSuchInvocation { .. } => said(Code::NotFound, "NO_INVOCATION").field("id"),
        StoreError::IdTaken { .. } => internal("ID_TAKEN", &text),
        StoreError::Backup { .. } => internal("BACKUP", &text),
        StoreError::Migration { .. } => internal("MIGRATION", &text),
        StoreError::Io { .. } if todo.is_some() => refused("READ_ONLY"),
        StoreError::Io { .. } => internal("IO", &text),
        StoreError::Sqlite { .. } => internal("SQLITE", &text),
        StoreError::Closed { .. } => return stopping(),
    }
    .into()
}

pub(super) fn start(error: StartError) -> Status {
    let text = chain(&error);
    if let Some(short) = shortage(&error, &text) {
        return short;
    }
    let said = |code, reason| Refusal::new(code, reason, &text);
    let spent = |reason| said(Code::ResourceExhausted, reason);
    match error {
        StartError::UnknownProvider { .. } => {
            said(Code::InvalidArgument, "UNKNOWN_PROVIDER").field("provider")
        }
        StartError::PromptTooLarge { .. } => {
            said(Code::InvalidArgument, "PROMPT_TOO_LARGE").field("prompt")
        }
        StartError::Invalid { field, .. } => {
            said(Code::InvalidArgument, "INVALID_FIELD").field(field)
        }
        StartError::RequestIdReused { .. } => said(Code::AlreadyExists, "REQUEST_ID_REUSED")
            .field("request_id")
            .todo(NEW_REQUEST_ID),
        StartError::NothingToResume { .. } => said(Code::FailedPrecondition, "NOTHING_TO_RESUME")
            .field("resume")
            .todo("start without --resume, or name a session: `steroidsctl list --task TASK` has the invocations, `steroidsctl show ID` their sessions"),
        StartError::TooManyRunning { .. } => spent("TOO_MANY_RUNNING")
            .todo("wait until one ends, stop one, or raise daemon.max_running"),
        StartError::WouldWait { .. } => spent("WOULD_WAIT")
            .todo("let it wait: ask for the same without `no_queue` (`--no-queue`)"),
        StartError::QueueFull { .. } => spent("QUEUE_FULL")
            .todo("wait until one has started, stop one that waits, or raise queue.max"),
        StartError::AfterUnknown { .. } => said(Code::NotFound, "NO_INVOCATION")
            .field("after")
            .todo("see `steroidsctl list`"),
        StartError::AfterFailed { .. } => said(Code::FailedPrecondition, "AFTER_FAILED")
            .field("after")
            .todo("start it after one that may still succeed, or without `after`"),
        StartError::TaskWaits { .. } => said(Code::FailedPrecondition, "TASK_BUSY")
            .field("task_id")
            .todo("stop that one, or start this one after it: `--after ID`"),
        StartError::TaskBusy { .. } => said(Code::FailedPrecondition, "TASK_BUSY")
            .field("task_id")
            .todo("start this one after it (`--after ID`), or stop it: `steroidsctl stop ID`"),
        StartError::OlderTool { .. } => said(Code::FailedPrecondition, "OLDER_TOOL_AT_WORK")
            .field("project")
            .todo("stop that runner first"),
        StartError::Budget { scope, amount, .. } => {
            let raise = format!("raise budget.{}_{}", scope.as_str(), amount.key());
            said(Code::FailedPrecondition, "BUDGET_REACHED").todo(match scope {
                BudgetScope::Day => format!("{raise}, or wait until midnight"),
                BudgetScope::Task | BudgetScope::Invocation => {
                    format!("{raise}, or go on under another task")
                }
            })
        }
        StartError::NoController { .. } => said(Code::FailedPrecondition, "NO_CONTROLLER")
            .todo("start it without the limit, or use launcher systemd where it has the controller"),
        StartError::Retry(error) => return retry::retry(&error),
        StartError::Draining => said(Code::Unavailable, "DRAINING")
            .todo("wait for the daemon's restart, or take `drain` back"),
        StartError::LowDisk { .. } => {
            spent("LOW_DISK").todo("free some space, or lower daemon.min_free")
        }
        StartError::LowFiles { .. } => spent("LOW_DISK").todo("delete some files there"),
        StartError::StateDir { source, .. } if is_exhausted(&source) => {
            spent("STATE_DIR").todo("raise the daemon's limit of descriptors, or end something")
        }
        StartError::StateDir { source, .. } if lacks_room(&source) => {
            spent("DISK_FULL").todo("free some space there; nothing was started")
        }
        StartError::NoRoom { .. } => {
            spent("DISK_FULL").todo("free some space there: nothing ran, and the same request starts it then")
        }
        StartError::StateDir { .. } => internal("STATE_DIR", &text),
        StartError::Launch { source, .. } if source.is_exhausted() => {
            spent("LAUNCH").todo("no process can be started: raise the limit, or end something")
        }
        StartError::NoShim(_) => said(Code::Unavailable, "NO_SHIM").todo(NO_SHIM),
        StartError::Launch { source, .. } if source.is_no_program() => {
            said(Code::Unavailable, "NO_SHIM").todo(NO_SHIM)
        }
        StartError::Launch { source, .. } if source.is_no_manager() => {
            said(Code::FailedPrecondition, "NO_MANAGER")
        }
        StartError::Launch { .. } => internal("LAUNCH", &text),
        StartError::Project(error) => return project(error),
        StartError::Store(error) => return store(error),
    }
    .into()
}

pub(super) fn hold(error: &HoldError) -> Status {
    let said = |code, reason| Refusal::new(code, reason, error.to_string());
    match error {
        HoldError::NoSuchProvider { .. } => {
            said(Code::NotFound, "UNKNOWN_PROVIDER").field("provider")
        }
        HoldError::Unkept { .. } => said(Code::Unavailable, "STATE_DIR").todo(RETRY),
    }
    .into()
}

pub(super) fn input(error: InputError) -> Status {
    let text = chain(&error);
    if let Some(short) = shortage(&error, &text) {
        return short;
    }
    let said = |code, reason| Refusal::new(code, reason, &text);
    let refused = |reason| said(Code::FailedPrecondition, reason).field("id");
    match error {
        InputError::NotFound { .. } => said(Code::NotFound, "NO_INVOCATION").field("id"),
        InputError::NotManaged { .. } => refused("NOT_MANAGED"),
        InputError::Ended { .. } => refused("ENDED").todo(RESUME),
        InputError::Queued { .. } => refused("QUEUED").todo("wait until it runs"),
        InputError::Foreign { .. } => refused("FOREIGN_SHIM"),
        InputError::OldShim { .. } => refused("OLD_SHIM").todo(RESUME),
        InputError::NotInteractive { .. } => refused("NOT_INTERACTIVE").todo(RESUME),
        InputError::Refused { .. } => refused("INPUT_REFUSED"),
        InputError::Reused { .. } => {
            said(Code::AlreadyExists, "MESSAGE_ID_REUSED").field("message_id")
        }
        InputError::Invalid { field, .. } => {
            said(Code::InvalidArgument, "INVALID_FIELD").field(field)
        }
        InputError::StateDir { source, .. } if lacks_room(&*source) => {
            said(Code::ResourceExhausted, "DISK_FULL").todo(
                "free some space there, and send it again with the same message id: it is delivered once",
            )
        }
        InputError::StateDir { .. } => internal("STATE_DIR", &text),
        InputError::Silent { .. } => said(Code::Unavailable, "SHIM_SILENT")
            .todo("send it again with the same message id: it is delivered once"),
        InputError::Project(error) => return project(error),
        InputError::Store(error) => return store(error),
    }
    .into()
}

pub(super) fn stop(error: StopError) -> Status {
    let text = chain(&error);
    if let Some(short) = shortage(&error, &text) {
        return short;
    }
    let said = |code, reason| Refusal::new(code, reason, &text).field("id");
    match error {
        StopError::NotFound { .. } => said(Code::NotFound, "NO_INVOCATION"),
        StopError::NotManaged { .. } => said(Code::FailedPrecondition, "NOT_MANAGED"),
        StopError::Foreign { .. } => said(Code::FailedPrecondition, "FOREIGN_SHIM"),
        StopError::Homeless { project, .. } => {
            said(Code::FailedPrecondition, "PROJECT_GONE").todo(supervise::put_back(&project))
        }
        StopError::Unrecorded { .. } => said(Code::FailedPrecondition, "NOT_RECORDED_YET"),
        StopError::Unkept { .. } => said(Code::Unavailable, "STATE_DIR").todo(RETRY),
        StopError::Slow { id, next, .. } => {
            let slow = said(Code::DeadlineExceeded, "STILL_ENDING");
            match next {
                StillEnding::Graced(_) => slow.todo(format!(
                    "`steroidsctl stop {id} --grace 0` kills it at once"
                )),
                _ => slow,
            }
        }
        StopError::Project(error) => return project(error),
        StopError::Store(error) => return store(error),
    }
    .into()
}

pub(super) fn log(error: LogError) -> Status {
    let text = chain(&error);
    if let Some(short) = shortage(&error, &text) {
        return short;
    }
    let said = |code, reason| Refusal::new(code, reason, &text);
    match error {
        LogError::Missing { .. } => said(Code::NotFound, "NO_LOG"),
        LogError::Refused { .. } => said(Code::FailedPrecondition, "LOG_REFUSED"),
        LogError::Damaged { .. } => said(Code::FailedPrecondition, "LOG_DAMAGED")
            .todo("`steroidsctl reproject` makes it anew, as long as its transcript is kept"),
        LogError::Busy { .. } => said(Code::Unavailable, "BUSY").todo(RETRY),
        LogError::PastEnd { .. } | LogError::InsideLine { .. } => {
            said(Code::OutOfRange, "CURSOR_OUT_OF_RANGE").field("after")
        }
        LogError::NotLines { .. } => internal("NOT_LINES", &text),
        LogError::Io { .. } => internal("IO", &text),
    }
    .into()
}

pub(super) fn follow(error: FollowError) -> Status {
    let text = chain(&error);
    if let Some(short) = shortage(&error, &text) {
        return short;
    }
    let said = |code, reason| Refusal::new(code, reason, &text);
    match error {
        FollowError::NoInvocation { .. } => said(Code::NotFound, "NO_INVOCATION").field("id"),
        FollowError::NoTask { .. } => said(Code::NotFound, "NO_TASK")
            .field("task_id")
            .todo("see `steroidsctl tasks`"),
        FollowError::CursorOutOfRange(error) => said(Code::OutOfRange, bad_cursor(&error))
            .field("after")
            .todo("follow from the start, with an empty cursor"),
        FollowError::TooManyProjects => said(Code::ResourceExhausted, "TOO_MANY_PROJECTS"),
        FollowError::Store(_) => said(Code::Unavailable, "DATABASE").todo(RETRY),
        FollowError::NoAnswer => said(Code::Unavailable, "NO_ANSWER").todo(RETRY),
        FollowError::BeingRebuilt { .. } => said(Code::Unavailable, "BEING_REBUILT").todo(RETRY),
        FollowError::Stopping => return stopping(),
        FollowError::Project(error) => return project(error),
        FollowError::Log(error) => return log(error),
    }
    .into()
}

/// Tells a place that is gone from a text that was never given for such a stream.
fn bad_cursor(error: &CursorError) -> &'static str {
    match error {
        CursorError::InsideLine { .. } => "CURSOR_OUT_OF_RANGE",
        CursorError::TooLong { .. }
        | CursorError::Malformed
        | CursorError::OtherInvocation { .. }
        | CursorError::OtherScope => "CURSOR_MALFORMED",
    }
}

pub(super) fn browse(error: BrowseError) -> Status {
    let text = chain(&error);
    if let Some(short) = shortage(&error, &text) {
        return short;
    }
    let said = |code, reason| Refusal::new(code, reason, &text);
    match error {
        BrowseError::NoInvocation { .. } => said(Code::NotFound, "NO_INVOCATION").field("id"),
        BrowseError::NoLog { id } => said(Code::NotFound, "NO_LOG").field("id").todo(format!(
            "`steroidsctl reproject {id}` makes it again while its transcript is kept"
        )),
        BrowseError::CursorOutOfRange { field, source } => {
            said(Code::OutOfRange, bad_cursor(&source))
                .field(field)
                .todo("begin at the start, with an empty cursor")
        }
        BrowseError::Gap { .. } => said(Code::OutOfRange, "GAP")
            .field("after")
            .todo("forget the cursors of this log, and begin at its start"),
        BrowseError::Unsettled => said(Code::Unavailable, "LOG_UNSETTLED").todo(RETRY),
        BrowseError::Text(_) => said(Code::InvalidArgument, "INVALID_FIELD").field("filter.text"),
        BrowseError::Store(_) => said(Code::Unavailable, "DATABASE").todo(RETRY),
        BrowseError::Stopping => return stopping(),
        BrowseError::Log(error) => return log(error),
    }
    .into()
}

#[cfg(test)]
mod tests;
