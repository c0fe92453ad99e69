//! What a delivery says: one JSON object, with the keys that `steroidsctl --json` has. Made once for an
//! event, so that every attempt says the same. Keys are only ever added.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::domain::{Cause, Invocation, Phase, Resources, UsageTotals};
use crate::projects::Project;
use crate::store::LifecycleEvent;

/// As much of a line that somebody else has written: the older tool's may have any length.
const LINE_MAX: usize = 2048;

/// One event on its way to one hook.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    /// The same for every attempt, and after a restart; of no other event.
    pub(super) id: String,
    /// The event's word.
    pub(super) event: String,
    /// The project's path; empty for a test.
    pub(super) project: String,
    /// The invocation it is about.
    pub(super) invocation: Option<i64>,
    /// Its task.
    pub(super) task: String,
    /// How it ended, if it has.
    pub(super) outcome: &'static str,
    /// For a person, on one line.
    pub(super) text: String,
    /// The whole of it.
    pub(super) body: Bytes,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    id: &'a str,
    event: &'a str,
    ts: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    project: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<i64>,
    #[serde(skip_serializing_if = "str::is_empty")]
    task_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
    text: &'a str,
    /// Events before it that were passed over.
    #[serde(skip_serializing_if = "is_zero")]
    skipped: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    invocation: Option<Shown<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    id: i64,
    task_id: &'a str,
    role: &'a str,
    provider: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    answering_model: Option<&'a str>,
    status: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resets_at_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
    project: &'a str,
    managed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uuid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cwd: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leftovers: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queued_at_ms: Option<i64>,
    #[serde(skip_serializing_if = "is_default")]
    priority: i32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    after: Vec<i64>,
    #[serde(skip_serializing_if = "is_default")]
    attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_of: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retried_by: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_memory_bytes: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resources: Option<Bounds<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bounds<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_max_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_quota_percent: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks_max: Option<u32>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    unenforced: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Usage {
    input_tokens: u64,
    output_tokens: u64,
    cached_input_tokens: u64,
    cache_creation_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_cost_usd: Option<f64>,
    #[serde(skip_serializing_if = "is_default")]
    estimated: bool,
    #[serde(skip_serializing_if = "is_default")]
    cumulative: bool,
}

impl Delivery {
    /// Of an event, with the invocation as it is now. `skipped` were passed over before it.
    pub(super) fn of(
        project: &Arc<Project>,
        event: &LifecycleEvent,
        invocation: Option<&Invocation>,
        skipped: u64,
    ) -> Delivery {
        let path = project.root.to_string_lossy();
        let id = delivery_id(&project.root, event, invocation);
        let task = event.task.as_deref().unwrap_or_default();
        let text = sentence(&project.root, event, invocation);
        let shown = invocation.map(|it| {
            // There is no line before its turn has come.
            let log = (it.phase != Phase::Queued).then(|| project.logs().path(it.id));
            let log = log.map(|log| log.to_string_lossy().into_owned());
            shown(&path, log, it)
        });
        let payload = Payload {
            id: &id,
            event: &event.kind,
            ts: event.ts_ms,
            project: &path,
            number: Some(event.number),
            task_id: task,
            message: bounded(&event.message),
            text: &text,
            skipped,
            invocation: shown,
        };
        let body = body(&payload);
        Delivery {
            event: event.kind.clone(),
            project: path.clone().into_owned(),
            invocation: event.invocation.map(crate::domain::InvocationId::get),
            task: task.to_owned(),
            outcome: invocation.map_or("", outcome),
            body,
            text,
            id,
        }
    }

    /// One that says nothing but that it could be delivered.
    pub(super) fn test(hook: &str, ts: i64) -> Delivery {
        let id = format!("test-{}", uuid::Uuid::new_v4().simple());
        let text = format!("a test of the hook {hook}");
        let payload = Payload {
            id: &id,
            event: "test",
            ts,
            project: "",
            number: None,
            task_id: "",
            message: &text,
            text: &text,
            skipped: 0,
            invocation: None,
        };
        Delivery {
            event: "test".to_owned(),
            project: String::new(),
            invocation: None,
            task: String::new(),
            outcome: "",
            body: body(&payload),
            text,
            id,
        }
    }
}

/// Names an event among those of all projects, and of all databases that a project has had. An
/// invocation finishes once, also where a database that did not know was told once more.
fn delivery_id(project: &Path, event: &LifecycleEvent, invocation: Option<&Invocation>) -> String {
    let hash = Sha256::digest(project.as_os_str().as_encoded_bytes());
    let mut id = String::with_capacity(48);
    for byte in hash.iter().take(6) {
        // Writing to a String cannot fail.
        let _ = write!(id, "{byte:02x}");
    }
    let managed = invocation.and_then(|it| it.managed.as_ref());
    let _ = match managed.filter(|_| event.kind == "finished") {
        Some(managed) => write!(id, "-{}", managed.uuid),
        None => write!(id, "-{}-{}", event.number, event.ts_ms),
    };
    id
}

/// `api: T1 finished: failed: exit code 2 (claude, invocation 12)`.
fn sentence(project: &Path, event: &LifecycleEvent, invocation: Option<&Invocation>) -> String {
    let name = project.file_name().unwrap_or(project.as_os_str());
    let mut text = format!("{}: ", name.to_string_lossy());
    if let Some(task) = &event.task {
        text.push_str(task);
        text.push(' ');
    }
    text.push_str(&event.kind);
    if !event.message.is_empty() {
        text.push_str(": ");
        text.push_str(bounded(&event.message));
    }
    if let Some(invocation) = invocation {
        let _ = write!(
            text,
            " ({}, invocation {})",
            invocation.provider, invocation.id
        );
    }
    text
}

fn shown<'a>(project: &'a str, log_path: Option<String>, it: &'a Invocation) -> Shown<'a> {
    let managed = it.managed.as_ref();
    let queueing = managed.map(|managed| &managed.queueing);
    Shown {
        id: it.id.get(),
        task_id: &it.task,
        role: &it.role,
        provider: &it.provider,
        model: &it.model,
        answering_model: it.answering_model.as_deref(),
        status: it.phase.as_str(),
        outcome: outcome(it),
        started_at_ms: it.began_ms(),
        completed_at_ms: it.completed_ms,
        duration_ms: it.duration_ms,
        exit_code: it.exit_code,
        session_id: it.session_id.as_deref(),
        usage: it.usage.as_ref().map(usage),
        error: it.error.as_deref().map(bounded),
        resets_at_ms: managed.and_then(|managed| managed.resets_at_ms),
        http_status: managed.and_then(|managed| managed.http_status),
        cause: managed.and_then(|managed| managed.cause.map(Cause::as_str)),
        project,
        managed: managed.is_some(),
        request_id: managed.map(|managed| managed.request_id.as_str()),
        uuid: managed.map(|managed| managed.uuid.as_str()),
        pid: managed
            .and_then(|managed| managed.pid)
            .filter(|_| !it.phase.is_ended()),
        mode: managed.map(|managed| managed.mode.as_str()),
        cwd: managed.map(|managed| managed.cwd.to_string_lossy().into_owned()),
        log_path,
        leftovers: managed.and_then(|managed| managed.leftovers),
        queued_at_ms: it.queued_ms(),
        priority: queueing.map_or(0, |queueing| queueing.priority),
        after: queueing.map_or_else(Vec::new, |queueing| {
            queueing.after.iter().map(|id| id.get()).collect()
        }),
        attempt: queueing.map_or(0, |queueing| queueing.attempt),
        retry_of: queueing.and_then(|queueing| Some(queueing.retry_of?.get())),
        retried_by: queueing.and_then(|queueing| Some(queueing.retried_by?.get())),
        peak_memory_bytes: managed.and_then(|managed| managed.used.peak_bytes),
        cpu_ms: managed.and_then(|managed| Some(managed.used.cpu_us? / 1000)),
        resources: managed.and_then(|managed| managed.resources.as_ref().map(bounds)),
    }
}

fn bounds(resources: &Resources) -> Bounds<'_> {
    Bounds {
        memory_max_bytes: resources.memory_max,
        cpu_quota_percent: resources.cpu_quota,
        tasks_max: resources.tasks_max,
        unenforced: &resources.unenforced,
    }
}

fn usage(it: &UsageTotals) -> Usage {
    Usage {
        input_tokens: it.input_tokens,
        output_tokens: it.output_tokens,
        cached_input_tokens: it.cached_input_tokens.unwrap_or(0),
        cache_creation_tokens: it.cache_creation_tokens.unwrap_or(0),
        total_cost_usd: it.total_cost_usd,
        estimated: it.estimated,
        cumulative: it.cumulative,
    }
}

/// How it ended, in one word; empty while it has not, or where only the older tool knows.
pub(super) fn outcome(it: &Invocation) -> &'static str {
    match it.phase {
        Phase::Ended {
            outcome: Some(outcome),
            ..
        } => outcome.as_str(),
        Phase::Ended { outcome: None, .. } | Phase::Queued | Phase::Running => "",
    }
}

fn body(payload: &Payload<'_>) -> Bytes {
    // Only maps with keys that are no texts cannot be written, and there are none.
    serde_json::to_vec(payload).unwrap_or_default().into()
}

fn bounded(line: &str) -> &str {
    &line[..line.floor_char_boundary(LINE_MAX)]
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
