//! What the daemon tells a shim, and whoever comes later: `spec.json`, durable before the shim
//! starts. Everything a row needs is in it, so that a lost database can be filled again.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use steroids_provider::kind::{Format, Kind};
use steroids_provider::mapping::Mapping;
use steroids_provider::redact::{Redaction, Redactor};
use steroids_provider::run::Run;

use crate::durable::{self, FileError, Staged};
use crate::paths::InvDir;

/// The shim protocol of this release: files and socket together.
pub const PROTOCOL: u32 = 1;

/// One invocation, as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// [`PROTOCOL`] of the daemon that wrote it.
    pub proto: u32,
    /// Names the state folder, and marks the provider's processes.
    pub uuid: String,
    /// The row's id.
    pub invocation: i64,
    /// Absolute path of the project.
    pub project: PathBuf,
    /// For the daemon alone: device and number of the project's folder, by which it is told from what has its
    /// path later; `None` of one that an older daemon started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_folder: Option<(u64, u64)>,
    /// Task the row belongs to.
    pub task: String,
    /// Who it works as.
    pub role: String,
    /// The provider's configured name.
    pub provider: String,
    /// Whose arguments and parser.
    pub kind: Kind,
    /// What the provider prints.
    pub format: Format,
    /// The model asked for; may be empty.
    pub model: String,
    /// Session that goes on, if any.
    pub resume: Option<String>,
    /// The client's own id of the request.
    pub request_id: String,
    /// Hash of the request's parameters, to tell a repeated request from another one.
    pub request_hash: String,
    /// Program (absolute) and arguments.
    pub argv: Vec<String>,
    /// The provider's whole environment, without the marker variable.
    pub env: Vec<(String, String)>,
    /// Absolute working directory.
    pub cwd: PathBuf,
    /// Written to the provider's stdin, which is then closed.
    pub prompt: String,
    /// Keep stdin open after the prompt.
    pub interactive: bool,
    /// Leave processes alive that the provider left behind.
    pub leave_background: bool,
    /// Time limits.
    pub limits: Limits,
    /// What its log must not show; `None` shows all, as before there was such a thing. It stands
    /// here, so that a log comes out the same whatever the configuration says by then.
    #[serde(default)]
    pub redaction: Option<Redaction>,
    /// What the provider's lines mean, for kind `jsonl`. As the redaction, it stands here, so that a
    /// log can be made again, and so that limits are held by the same meaning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapping: Option<Mapping>,
    /// The zone of the times of day that the provider prints; `None` is UTC. Looked up once, so that a
    /// log can be made again elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// What it may use at most; held by the daemon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// What it may use of the machine.
    #[serde(default, skip_serializing_if = "Resources::is_unbounded")]
    pub resources: Resources,
    /// When the row was made, in epoch milliseconds; the `start` line's `ts`.
    pub created_ms: u64,
    /// `/proc/sys/kernel/random/boot_id` of that moment.
    pub boot_id: String,
    /// Absolute path of the shim's socket.
    pub socket: PathBuf,
    /// For the daemon alone: where it stood among those that waited, and whether it is tried again.
    #[serde(default)]
    pub turn: Turn,
    /// For the daemon alone: what of all this the request said itself; `None` of one that an older daemon
    /// started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested: Option<Requested>,
}

/// When it is to start, and what comes after it if it fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Turn {
    /// Of those that wait the higher go first.
    pub priority: i32,
    /// Among those of one priority the lower go first; about the time of the request, in epoch
    /// milliseconds.
    pub order: u64,
    /// Not before this, in epoch milliseconds.
    pub not_before_ms: u64,
    /// When these invocations have succeeded.
    pub after: Vec<i64>,
    /// The outcomes after which it is tried again, in the words of the log.
    pub retry_on: Vec<String>,
    /// How often it may be tried again.
    pub retry_max: u32,
    /// Counted from 1.
    pub attempt: u32,
    /// The attempt before this one.
    pub retry_of: Option<i64>,
    /// What was asked for at first, where `prompt` is another one.
    pub asked: Option<String>,
    /// The attempt that somebody asked for: it is tried again by itself as often as counted from this one.
    pub asked_at: u32,
}

impl Default for Turn {
    fn default() -> Self {
        Turn {
            priority: 0,
            order: 0,
            not_before_ms: 0,
            after: Vec::new(),
            retry_on: Vec::new(),
            retry_max: 0,
            attempt: 1,
            retry_of: None,
            asked: None,
            asked_at: 1,
        }
    }
}

/// What a request said of what is configured otherwise: who asks for the same once more gets it by what is
/// configured then. `None` said nothing, and zero of a limit or bound is none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Requested {
    /// The model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The session to go on with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resume: Option<String>,
    /// Program and arguments, for kind `command`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub argv: Vec<String>,
    /// The names of the variables that it set; their values are in [`Spec::env`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// Milliseconds without output and without an open tool call,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silence_ms: Option<u64>,
    /// without output while a tool call is open,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_silence_ms: Option<u64>,
    /// in all,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall_ms: Option<u64>,
    /// without output after the final result,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_result_ms: Option<u64>,
    /// and between asking to end and killing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_ms: Option<u64>,
    /// In millionths of a US dollar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub micro_usd: Option<u64>,
    /// Of all kinds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Whether it is ended when all of its budget is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stops: Option<bool>,
    /// Memory of all its processes, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_max: Option<u64>,
    /// Of one processor, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_quota: Option<u32>,
    /// Processes and threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tasks_max: Option<u32>,
    /// The outcomes after which it is tried again, and how often.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<(Vec<String>, u32)>,
    /// It did not say how often. Told apart here, as an older daemon reads a number there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_retry_max_open: bool,
}

/// Time limits, in milliseconds; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Without a byte of output and without an open tool call.
    pub silence_ms: Option<u64>,
    /// Without a byte of output while a tool call is open.
    pub tool_silence_ms: Option<u64>,
    /// In all.
    pub wall_ms: Option<u64>,
    /// Without output after the final result.
    pub post_result_ms: Option<u64>,
    /// Between asking to end and killing.
    pub grace_ms: u64,
    /// What else than output counts as a sign of life.
    #[serde(default)]
    pub life: Life,
}

/// What else than output shows that a provider is not stuck. The default is what counted before
/// there was a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Life {
    /// A tool call that is open: its silence is another one, with a limit of its own.
    pub tool: bool,
    /// CPU time that its processes use.
    pub cpu: bool,
    /// What its processes read from disks and write to them.
    pub disk: bool,
}

impl Default for Life {
    fn default() -> Life {
        Life {
            tool: true,
            cpu: false,
            disk: false,
        }
    }
}

impl Life {
    /// Every sign there is.
    pub const ALL: Life = Life {
        tool: true,
        cpu: true,
        disk: true,
    };
}

/// How much an invocation may use; `None` is no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// In millionths of a US dollar.
    pub micro_usd: Option<u64>,
    /// Of all kinds.
    pub tokens: Option<u64>,
    /// Whether it is ended when all is used; also of its task's and its day's where the request said so, and then it
    /// stands here though nothing bounds itself.
    pub stops: bool,
}

/// What an invocation may use of the machine; `None` is no bound.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Memory of all its processes, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_max: Option<u64>,
    /// Of one processor, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_quota: Option<u32>,
    /// Processes and threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tasks_max: Option<u32>,
    /// Those of them that nothing holds, as the kernel offers no controller here; by its name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unenforced: Vec<String>,
}

impl Resources {
    /// Whether nothing is bounded.
    pub fn is_unbounded(&self) -> bool {
        self.controllers().is_empty()
    }

    /// The controllers of control groups that are wanted for it.
    pub fn controllers(&self) -> Vec<&'static str> {
        let wanted = [
            (self.memory_max.is_some(), "memory"),
            (self.cpu_quota.is_some(), "cpu"),
            (self.tasks_max.is_some(), "pids"),
        ];
        let wanted = wanted.into_iter().filter(|(is_wanted, _)| *is_wanted);
        wanted.map(|(_, controller)| controller).collect()
    }
}

impl Spec {
    /// Reads what was asked for.
    pub fn load(dir: &InvDir) -> Result<Spec, FileError> {
        durable::load(&dir.spec())
    }

    /// What its parser is told: the same to who projects the spool and to who watches over it.
    pub fn run(&self) -> Run {
        Run {
            resumed: self.resume.is_some(),
            cwd: Some(self.cwd.to_string_lossy().into_owned()),
            mapping: self.mapping.clone(),
            zone: self.zone.clone(),
        }
    }

    /// Takes the secrets out of what is written of it.
    pub fn redactor(&self) -> Redactor {
        // Text that comes in pieces may have to be shown before it is whole.
        let pieces = match self.kind {
            Kind::Gemini => self.format == Format::Json,
            _ => self.mapping.as_ref().is_some_and(Mapping::has_deltas),
        };
        match &self.redaction {
            Some(redaction) => Redactor::new(redaction, &self.env, pieces),
            None => Redactor::none(),
        }
    }

    /// Writes it durably; the folder must exist.
    pub fn store(&self, dir: &InvDir) -> Result<(), FileError> {
        durable::store(&dir.spec(), self)
    }

    /// Writes it so far that nothing but its name is missing.
    pub fn stage(&self, dir: &InvDir) -> Result<Staged, FileError> {
        durable::stage(&dir.spec(), self)
    }

    /// Reads what waits to be started.
    pub fn load_queued(dir: &InvDir) -> Result<Spec, FileError> {
        durable::load(&dir.queued())
    }

    /// Writes it durably as one that waits: no shim takes it for its own.
    pub fn store_queued(&self, dir: &InvDir) -> Result<(), FileError> {
        durable::store(&dir.queued(), self)
    }
}
