//! The shapes in which programs get what the daemon says: what `steroidsctl --json` prints and the
//! gateway answers. Keys as in the activity log, in a stable order; a key whose value
//! is absent is left out, never null. Keys are only ever added.

mod hooks;
mod live;
mod measures;
mod resources;
mod terms;
pub mod usage;

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::v1;
pub use hooks::{Hook, HookTest};
pub use live::Live;
pub use resources::Resources;

/// A list under its name: `{"invocations":[…]}`.
#[derive(Debug)]
pub struct Named<T> {
    /// The key.
    pub name: &'static str,
    /// The list.
    pub items: Vec<T>,
}

impl<T: Serialize> Serialize for Named<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(self.name, &self.items)])
    }
}

/// An invocation: what `start`, `show` and `stop` print, and `list` in a list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Invocation<'a> {
    id: i64,
    task_id: &'a str,
    role: &'a str,
    provider: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    model: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    answering_model: &'a str,
    status: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    outcome: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    #[serde(skip_serializing_if = "str::is_empty")]
    session_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
    #[serde(skip_serializing_if = "str::is_empty")]
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    resets_at_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_status: Option<i32>,
    #[serde(skip_serializing_if = "str::is_empty")]
    cause: &'a str,
    project: &'a str,
    managed: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    request_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    uuid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<i64>,
    #[serde(skip_serializing_if = "str::is_empty")]
    mode: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    cwd: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    log_path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    leftovers: Option<i32>,
    #[serde(skip_serializing_if = "str::is_empty")]
    alarm: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    prompt: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    response: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<Evidence<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<Live<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queued_at_ms: Option<i64>,
    #[serde(skip_serializing_if = "is_none")]
    priority: i32,
    #[serde(skip_serializing_if = "<[i64]>::is_empty")]
    after: &'a [i64],
    #[serde(skip_serializing_if = "str::is_empty")]
    waiting: &'a str,
    #[serde(skip_serializing_if = "is_none")]
    place: i32,
    #[serde(skip_serializing_if = "is_none")]
    attempt: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_of: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retried_by: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_memory_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resources: Option<Resources<'a>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    unit: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    interactive: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    terms: Option<terms::Terms<'a>>,
    /// `start`: the request id was known, nothing was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub existing: Option<bool>,
    /// `stop`: it had ended before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub already_ended: Option<bool>,
}

impl<'a> From<&'a v1::Invocation> for Invocation<'a> {
    fn from(it: &'a v1::Invocation) -> Self {
        Invocation {
            id: it.id,
            task_id: &it.task_id,
            role: &it.role,
            provider: &it.provider,
            model: &it.model,
            answering_model: &it.answering_model,
            status: state(it.state),
            outcome: &it.outcome,
            started_at_ms: it.started_at_ms,
            completed_at_ms: it.completed_at_ms,
            duration_ms: it.duration_ms,
            exit_code: it.exit_code,
            session_id: &it.session_id,
            usage: it.usage.as_ref().map(Usage::from),
            error: &it.error,
            resets_at_ms: it.resets_at_ms,
            http_status: it.http_status,
            cause: &it.cause,
            project: &it.project,
            managed: it.managed,
            request_id: &it.request_id,
            uuid: &it.uuid,
            pid: it.pid,
            mode: &it.mode,
            cwd: &it.cwd,
            log_path: &it.log_path,
            leftovers: it.leftovers,
            alarm: &it.alarm,
            prompt: &it.prompt,
            response: &it.response,
            evidence: it.evidence.as_ref().map(Evidence::from),
            live: it.live.as_ref().map(Live::from),
            queued_at_ms: it.queued_at_ms,
            priority: it.priority,
            after: &it.after,
            waiting: &it.waiting,
            place: it.place,
            attempt: it.attempt,
            retry_of: it.retry_of,
            retried_by: it.retried_by,
            peak_memory_bytes: it.peak_memory_bytes,
            cpu_ms: it.cpu_ms,
            resources: it.resources.as_ref().map(Resources::from),
            unit: &it.unit,
            interactive: it.interactive,
            terms: it.terms.as_ref().map(terms::Terms::from),
            existing: None,
            already_ended: None,
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_none(number: &i32) -> bool {
    *number == 0
}

/// A provider of which nothing is started for now.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hold<'a> {
    provider: &'a str,
    since_ms: i64,
    until_ms: i64,
    reason: &'a str,
}

impl<'a> From<&'a v1::Hold> for Hold<'a> {
    fn from(it: &'a v1::Hold) -> Self {
        Hold {
            provider: &it.provider,
            since_ms: it.since_ms,
            until_ms: it.until_ms,
            reason: &it.reason,
        }
    }
}

/// What an end was judged by; `show` alone has it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    ended_by: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    signal: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    final_event: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stderr: &'a [String],
}

impl<'a> From<&'a v1::Evidence> for Evidence<'a> {
    fn from(it: &'a v1::Evidence) -> Self {
        Evidence {
            ended_by: &it.ended_by,
            signal: &it.signal,
            final_event: &it.final_event,
            stderr: &it.stderr,
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// Tokens and money.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    input_tokens: u64,
    output_tokens: u64,
    cached_input_tokens: u64,
    cache_creation_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_cost_usd: Option<f64>,
    #[serde(skip_serializing_if = "is_no")]
    estimated: bool,
    #[serde(skip_serializing_if = "is_no")]
    cumulative: bool,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_no(flag: &bool) -> bool {
    !*flag
}

impl From<&v1::Usage> for Usage {
    fn from(it: &v1::Usage) -> Self {
        Usage {
            input_tokens: it.input_tokens,
            output_tokens: it.output_tokens,
            cached_input_tokens: it.cached_input_tokens,
            cache_creation_tokens: it.cache_creation_tokens,
            total_cost_usd: it.total_cost_usd,
            estimated: it.estimated,
            cumulative: it.cumulative,
        }
    }
}

/// A project, as `projects` lists it and `init` prints it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Project<'a> {
    path: &'a str,
    state: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    running: i64,
    registered_at_ms: i64,
    /// `init`: this call created it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<bool>,
}

impl<'a> From<&'a v1::Project> for Project<'a> {
    fn from(it: &'a v1::Project) -> Self {
        Project {
            path: &it.path,
            state: &it.state,
            reason: &it.reason,
            running: it.running,
            registered_at_ms: it.registered_at_ms,
            created: None,
        }
    }
}

/// A task, as `tasks` lists it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Task<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    title: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    status: &'a str,
    invocations: i64,
    running: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_started_at_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_status: Option<&'static str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    last_outcome: &'a str,
}

impl<'a> From<&'a v1::Task> for Task<'a> {
    fn from(it: &'a v1::Task) -> Self {
        // One that an older daemon tells of has none either.
        let has_run = it.last_state() != v1::State::Unspecified;
        Task {
            id: &it.id,
            title: &it.title,
            status: &it.status,
            invocations: it.invocations,
            running: it.running,
            last_started_at_ms: it.last_started_at_ms,
            last_status: has_run.then(|| state(it.last_state)),
            last_outcome: &it.last_outcome,
        }
    }
}

/// The daemon, as `status` prints it.
pub fn status(it: &v1::StatusResponse) -> Value {
    let providers: Vec<_> = it
        .providers
        .iter()
        .map(|provider| {
            let mut shape = json!({
                "name": provider.name,
                "kind": provider.kind,
                "command": provider.command,
            });
            if !provider.program.is_empty() {
                shape["program"] = provider.program.as_str().into();
            }
            shape
        })
        .collect();
    let mut shape = json!({
        "version": it.version,
        "pid": it.pid,
        "startedAtMs": it.started_at_ms,
        "socket": it.socket,
        "stateDir": it.state_dir,
        "state": it.state,
        "running": it.running,
        "maxRunning": it.max_running,
        "queued": it.queued,
        "maxQueued": it.max_queued,
        "holds": it.holds.iter().map(Hold::from).collect::<Vec<_>>(),
        "projects": it.projects,
        "subscribers": it.subscribers,
        "degraded": it.degraded,
        "unknownEvents": it.unknown_events,
        "launcher": it.launcher,
        "launcherWhy": it.launcher_why,
        "warnings": it.warnings,
        "controllers": it.controllers,
        "providers": providers,
        "rssBytes": it.rss_bytes,
        "hooks": it.hooks,
    });
    measures::add(&mut shape, it);
    if !it.unknown.is_empty() {
        shape["unknown"] = it.unknown.iter().map(unknown).collect();
    }
    if !it.config.is_empty() {
        shape["config"] = it.config.as_str().into();
    }
    if it.config_loaded_at_ms > 0 {
        shape["configLoadedAtMs"] = it.config_loaded_at_ms.into();
    }
    if !it.config_pending.is_empty() {
        shape["configPending"] = it.config_pending.as_slice().into();
    }
    if !it.config_error.is_empty() {
        shape["configError"] = it.config_error.as_str().into();
    }
    if it.last_wakeup_at_ms > 0 {
        shape["lastWakeupAtMs"] = it.last_wakeup_at_ms.into();
    }
    shape
}

fn unknown(it: &v1::UnknownEvents) -> Value {
    let name = |it: &v1::UnknownName| json!({"name": it.name, "count": it.count});
    let mut shape = json!({
        "provider": it.provider,
        "count": it.count,
        "names": it.names.iter().map(name).collect::<Vec<_>>(),
        "firstAtMs": it.first_at_ms,
        "lastAtMs": it.last_at_ms,
    });
    if !it.version.is_empty() {
        shape["version"] = it.version.as_str().into();
    }
    shape
}

/// The word of a state: `running`.
pub fn state(state: i32) -> &'static str {
    match v1::State::try_from(state) {
        Ok(v1::State::Queued) => "queued",
        Ok(v1::State::Running) => "running",
        Ok(v1::State::Completed) => "completed",
        Ok(v1::State::Failed) => "failed",
        Ok(v1::State::Timeout) => "timeout",
        Ok(v1::State::Unspecified) | Err(_) => "unknown",
    }
}
