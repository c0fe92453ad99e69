//! A request to start an invocation, checked for shape but not yet for sense.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::retry::StartRetry;
use super::{Budget, InvocationId, StartResources};

/// What a client asks for.
#[derive(Debug, Clone, Default)]
pub struct StartRequest {
    /// Absolute path of the project, as the client gave it.
    pub project: PathBuf,
    /// Created when it does not exist.
    pub task: String,
    /// Who it works as.
    pub role: String,
    /// The provider's configured name.
    pub provider: String,
    /// `None`: the provider's default.
    pub model: Option<String>,
    /// For the provider's stdin.
    pub prompt: String,
    /// `None`: the project.
    pub cwd: Option<PathBuf>,
    /// Set as they are.
    pub env: BTreeMap<String, String>,
    /// Of the caller; only allow-listed names are taken.
    pub caller_env: BTreeMap<String, String>,
    /// Session that goes on.
    pub resume: Option<String>,
    /// `None`: made by the daemon.
    pub request_id: Option<String>,
    /// What differs from the configured limits.
    pub limits: Limits,
    /// What it may use at most.
    pub budget: StartBudget,
    /// What it may use of the machine.
    pub resources: StartResources,
    /// Program and arguments, for the provider kind `command`.
    pub argv: Vec<String>,
    /// Keep stdin open after the prompt.
    pub interactive: bool,
    /// Leave processes alive that the provider left behind.
    pub leave_background: bool,
    /// Of those that wait the higher go first.
    pub priority: i32,
    /// Start it when these have succeeded.
    pub after: Vec<InvocationId>,
    /// `None`: as configured.
    pub retry: Option<StartRetry>,
    /// Refuse it where it would have to wait.
    pub no_queue: bool,
    /// Ask for the same as another one: what is said here goes before what was said then, and task, role,
    /// provider, prompt and the like are those of then.
    pub again: Option<Again>,
}

/// What is asked for once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Again {
    /// Any attempt of it; what follows is the next of the last.
    pub of: InvocationId,
    /// Go on with no session of it.
    pub is_anew: bool,
}

/// A budget of one request; what it leaves open is as configured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StartBudget {
    /// How much.
    pub budget: Budget,
    /// Whether it is ended when that is used.
    pub stops: Option<bool>,
}

/// Limits of one request: outer `None` is the configured default, inner `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Without output and without an open tool call.
    pub silence: Option<Option<Duration>>,
    /// Without output while a tool call is open.
    pub tool_silence: Option<Option<Duration>>,
    /// In all.
    pub wall: Option<Option<Duration>>,
    /// Without output after the final result.
    pub post_result: Option<Option<Duration>>,
    /// Between asking to end and killing.
    pub grace: Option<Duration>,
}
