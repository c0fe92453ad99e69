//! Between the wire and the domain: requests are checked for shape on their way in, rows get their
//! wire form on their way out. Whether a request makes sense is for the rooms below.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use steroids_proto::v1;
use tonic::Status;

use super::bounds::{line, path, word};
use super::refusal::invalid;
use super::{resources, retrying};
use crate::domain::queue::Waits;
use crate::domain::{
    Budget, Cause, Evidence, Invocation, InvocationId, Limits, Live, Outcome, Phase, Query,
    RowStatus, StartBudget, StartRequest, Task, UsageTotals, micro_usd,
};
use crate::supervise::{Held, said};

/// Names of tasks, models, sessions and requests; the older tool's are 36 bytes.
const NAME_MAX: usize = 256;
/// As of a limit in the configuration: keeps sums of milliseconds far from overflow.
const DURATION_MAX: Duration = Duration::from_secs(366 * 24 * 3600);
/// The longest grace a stop may ask for: a request waits for it, and none waits for ever.
const GRACE_MAX: Duration = Duration::from_secs(3600);
/// Faster than anybody reads, and each costs a look at the rows.
const PULSE_MIN: Duration = Duration::from_millis(200);
const PULSE_MAX: Duration = Duration::from_secs(3600);
/// More than anybody means, and far from overflow.
const USD_MAX: f64 = 1e9;
const TOKENS_MAX: u64 = 1_000_000_000_000_000;
const PAGE_DEFAULT: u32 = 100;
const PAGE_MAX: u32 = 1000;

/// Reads a start.
pub(super) fn start(request: v1::StartRequest) -> Result<StartRequest, Status> {
    let project = project(&request.project, "project")?;
    let resources = resources::start(
        request.memory_max_bytes,
        request.cpu_quota_percent,
        request.tasks_max,
    )?;
    let or = |text: String, default: &str| {
        if text.is_empty() {
            default.to_owned()
        } else {
            text
        }
    };
    if request.argv.iter().any(|argument| argument.contains('\0')) {
        return Err(invalid("argv", "must not contain a NUL"));
    }
    let is_word = |word: &str| {
        word.chars()
            .all(|c| c.is_alphanumeric() || "._-".contains(c))
    };
    let role = or(request.role, "coder");
    if !is_word(&role) || role.len() > NAME_MAX {
        return Err(invalid("role", "must be a word"));
    }
    let usual = match &request.argv[..] {
        [] => "claude",
        _ => "command",
    };
    Ok(StartRequest {
        task: task(&request.task_id)?,
        role,
        provider: or(name(request.provider, "provider")?, usual),
        model: argument(request.model, "model")?,
        prompt: request.prompt,
        cwd: match request.cwd {
            cwd if cwd.is_empty() => None,
            cwd if cwd.contains('\0') => return Err(invalid("cwd", "must not contain a NUL")),
            cwd => Some(project.join(cwd)),
        },
        env: env(request.env)?,
        caller_env: caller_env(request.caller_env),
        resume: argument(request.resume, "resume")?,
        request_id: Some(name(request.request_id, "request_id")?).filter(|id| !id.is_empty()),
        limits: limits(request.limits.unwrap_or_default())?,
        budget: budget(request.budget.unwrap_or_default())?,
        resources,
        argv: request.argv,
        interactive: request.interactive,
        leave_background: request.leave_background,
        priority: request.priority,
        after: after(&request.after)?,
        retry: request.retry.map(retrying::policy).transpose()?,
        no_queue: request.no_queue,
        again: None,
        project,
    })
}

/// What a start is to wait for.
fn after(ids: &[i64]) -> Result<Vec<InvocationId>, Status> {
    let ids = ids.iter().map(|id| {
        InvocationId::new(*id).ok_or_else(|| invalid("after", "must be positive numbers"))
    });
    ids.collect()
}

/// The path of a project; that it is one is not known yet.
pub(super) fn project(path: &str, field: &'static str) -> Result<PathBuf, Status> {
    match path {
        "" => Err(invalid(
            field,
            "is missing; give the absolute path of the project",
        )),
        path if path.contains('\0') => Err(invalid(field, "must not contain a NUL")),
        path => Ok(PathBuf::from(path)),
    }
}

/// The id of a task.
pub(super) fn task(id: &str) -> Result<String, Status> {
    match id {
        // One of blanks alone nobody could see in a list, or would ask for.
        id if id.trim().is_empty() => Err(invalid("task_id", "is missing")),
        id => name(id.to_owned(), "task_id"),
    }
}

/// The id of an invocation.
pub(super) fn id(id: i64) -> Result<InvocationId, Status> {
    InvocationId::new(id).ok_or_else(|| invalid("id", "must be a positive number"))
}

/// The grace of a stop.
pub(super) fn grace(grace: Option<prost_types::Duration>) -> Result<Option<Duration>, Status> {
    match grace.map(|grace| duration(grace, "grace")).transpose()? {
        Some(grace) if grace > GRACE_MAX => Err(invalid("grace", "must not be over an hour")),
        grace => Ok(grace),
    }
}

/// How often a watcher is told how things are, at most.
pub(super) fn pulse(pulse: Option<prost_types::Duration>) -> Result<Option<Duration>, Status> {
    match pulse.map(|pulse| duration(pulse, "pulse")).transpose()? {
        Some(pulse) if !(PULSE_MIN..=PULSE_MAX).contains(&pulse) => {
            Err(invalid("pulse", "must be between 200 ms and an hour"))
        }
        pulse => Ok(pulse),
    }
}

/// How many to a page.
pub(super) fn page_size(asked: i32) -> Result<u32, Status> {
    match u32::try_from(asked) {
        Ok(0) => Ok(PAGE_DEFAULT),
        Ok(size) => Ok(size.min(PAGE_MAX)),
        Err(_) => Err(invalid("page_size", "must not be negative")),
    }
}

/// Which invocations to list, but for the page.
pub(super) fn query(request: &v1::ListRequest) -> Result<Query, Status> {
    let states = request
        .states
        .iter()
        .map(|state| match v1::State::try_from(*state) {
            Ok(v1::State::Queued) => Ok("queued"),
            Ok(v1::State::Running) => Ok("running"),
            Ok(v1::State::Completed) => Ok("completed"),
            Ok(v1::State::Failed) => Ok("failed"),
            Ok(v1::State::Timeout) => Ok("timeout"),
            Ok(v1::State::Unspecified) | Err(_) => Err(invalid(
                "states",
                "knows queued, running, completed, failed and timeout",
            )),
        });
    let outcomes = request.outcomes.iter().map(|word| {
        let outcome = word.parse::<Outcome>();
        outcome.map_err(|error| {
            let every = Outcome::ALL.map(Outcome::as_str).join(", ");
            invalid("outcomes", format!("{error}; there are {every}"))
        })
    });
    let mut states: Vec<_> = states.collect::<Result<_, _>>()?;
    if request.unresolved {
        if states.is_empty() {
            states.extend(["failed", "timeout"]);
        }
        if states.iter().any(|it| !matches!(*it, "failed" | "timeout")) {
            let wanted = "are failed and timeout of what is unresolved";
            return Err(invalid("states", wanted));
        }
    }
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Ok(Query {
        task: given(&request.task_id),
        states,
        is_last: request.unresolved,
        outcomes: outcomes.collect::<Result<_, _>>()?,
        provider: given(&request.provider),
        since_ms: request.since_ms,
        until_ms: request.until_ms,
        below: None,
        limit: page_size(request.page_size)?,
    })
}

pub(super) fn budget(budget: v1::Budget) -> Result<StartBudget, Status> {
    let usd = budget.usd.map(|usd| match usd {
        usd if (0.0..=USD_MAX).contains(&usd) && micro_usd(usd) > 0 => Ok(micro_usd(usd)),
        _ => Err(invalid(
            "budget.usd",
            "must be an amount of dollars above nothing",
        )),
    });
    let tokens = budget.tokens.map(|tokens| match tokens {
        1..=TOKENS_MAX => Ok(tokens),
        _ => Err(invalid(
            "budget.tokens",
            "must be a number of tokens above nothing",
        )),
    });
    Ok(StartBudget {
        budget: Budget {
            micro_usd: usd.transpose()?,
            tokens: tokens.transpose()?,
        },
        stops: budget.stop,
    })
}

pub(super) fn limits(limits: v1::Limits) -> Result<Limits, Status> {
    Ok(Limits {
        silence: limit(limits.silence, "limits.silence")?,
        tool_silence: limit(limits.tool_silence, "limits.tool_silence")?,
        wall: limit(limits.wall, "limits.wall")?,
        post_result: limit(limits.post_result, "limits.post_result")?,
        grace: match limits
            .grace
            .map(|grace| duration(grace, "limits.grace"))
            .transpose()?
        {
            Some(grace) if grace > GRACE_MAX => {
                return Err(invalid("limits.grace", "must not be over an hour"));
            }
            grace => grace,
        },
    })
}

/// Absent is the default, zero is none.
fn limit(
    limit: Option<prost_types::Duration>,
    field: &'static str,
) -> Result<Option<Option<Duration>>, Status> {
    let limit = limit.map(|limit| duration(limit, field)).transpose()?;
    Ok(limit.map(|limit| Some(limit).filter(|limit| !limit.is_zero())))
}

fn duration(duration: prost_types::Duration, field: &'static str) -> Result<Duration, Status> {
    let duration = Duration::try_from(duration)
        .map_err(|_| invalid(field, "must be a duration, and not negative"))?;
    if duration > DURATION_MAX {
        return Err(invalid(field, "must not be over a year"));
    }
    Ok(duration)
}

/// A word that becomes an argument of its own: it must not be taken for a flag there.
pub(super) fn argument(text: String, field: &'static str) -> Result<Option<String>, Status> {
    let text = name(text, field)?;
    if text.starts_with('-') {
        return Err(invalid(field, "must not begin with a dash"));
    }
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// A short text of one line.
pub(super) fn name(text: String, field: &'static str) -> Result<String, Status> {
    if text.len() > NAME_MAX {
        return Err(invalid(field, format!("must not be over {NAME_MAX} bytes")));
    }
    if text.chars().any(char::is_control) {
        return Err(invalid(field, "must not contain control characters"));
    }
    Ok(text)
}

/// What is set in the provider's environment.
pub(super) fn env(env: HashMap<String, String>) -> Result<BTreeMap<String, String>, Status> {
    let odd = env.iter().find(|(name, value)| !is_settable(name, value));
    match odd {
        Some((name, _)) => Err(invalid(
            "env",
            format!("`{}` cannot be set", name.escape_debug()),
        )),
        None => Ok(env.into_iter().collect()),
    }
}

/// The caller's environment as it can be set at all; its owner never asked for the rest.
pub(super) fn caller_env(env: HashMap<String, String>) -> BTreeMap<String, String> {
    let all = env.into_iter();
    all.filter(|(name, value)| is_settable(name, value))
        .collect()
}

fn is_settable(name: &str, value: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0')
}

/// An invocation on the wire, without what only some answers fill in.
pub(super) fn invocation(project: &Path, invocation: Invocation) -> v1::Invocation {
    let (began_ms, queued_ms) = (invocation.began_ms(), invocation.queued_ms());
    let managed = invocation.managed;
    let mut wire = v1::Invocation {
        id: invocation.id.get(),
        project: text(project),
        task_id: word(invocation.task),
        role: word(invocation.role),
        provider: word(invocation.provider),
        model: word(invocation.model),
        answering_model: word(invocation.answering_model.unwrap_or_default()),
        state: state(invocation.phase).into(),
        outcome: outcome(invocation.phase).to_owned(),
        error: line(invocation.error.unwrap_or_default()),
        started_at_ms: began_ms,
        completed_at_ms: invocation.completed_ms,
        duration_ms: invocation.duration_ms,
        exit_code: invocation.exit_code,
        session_id: word(invocation.session_id.unwrap_or_default()),
        usage: invocation.usage.map(usage),
        managed: managed.is_some(),
        ..v1::Invocation::default()
    };
    if let Some(managed) = managed {
        resources::of_row(&mut wire, &managed);
        wire.request_id = word(managed.request_id);
        wire.uuid = word(managed.uuid);
        wire.pid = managed.pid.filter(|_| !invocation.phase.is_ended());
        let ids = |ids: Vec<InvocationId>| ids.into_iter().map(InvocationId::get).collect();
        let queueing = managed.queueing;
        wire.queued_at_ms = queued_ms;
        wire.priority = queueing.priority;
        wire.after = ids(queueing.after);
        wire.attempt = i32::try_from(queueing.attempt).unwrap_or(i32::MAX);
        wire.retry_of = queueing.retry_of.map(InvocationId::get);
        wire.retried_by = queueing.retried_by.map(InvocationId::get);
        wire.mode = word(managed.mode);
        wire.cwd = path(&managed.cwd);
        wire.leftovers = managed
            .leftovers
            .map(|count| i32::try_from(count).unwrap_or(i32::MAX));
        wire.resets_at_ms = managed.resets_at_ms;
        wire.http_status = managed.http_status.map(i32::from);
        wire.cause = managed.cause.map_or("", Cause::as_str).to_owned();
    }
    wire
}

fn state(phase: Phase) -> v1::State {
    match phase {
        Phase::Queued => v1::State::Queued,
        Phase::Running => v1::State::Running,
        Phase::Ended {
            status: RowStatus::Completed,
            ..
        } => v1::State::Completed,
        Phase::Ended {
            status: RowStatus::Failed,
            ..
        } => v1::State::Failed,
        Phase::Ended {
            status: RowStatus::Timeout,
            ..
        } => v1::State::Timeout,
    }
}

fn outcome(phase: Phase) -> &'static str {
    match phase {
        Phase::Ended {
            outcome: Some(outcome),
            ..
        } => outcome.as_str(),
        Phase::Ended { outcome: None, .. } | Phase::Queued | Phase::Running => "",
    }
}

/// How a running invocation is doing, on the wire; its usage is the invocation's. What its shim says
/// it waits for comes before what its log tells.
pub(super) fn live(live: &Live, held: Option<Held>) -> v1::Live {
    let shown = waiting(live);
    match held {
        None => shown,
        Some(Held { why, since_ms }) => v1::Live {
            waits_for: why.to_owned(),
            waits_on: String::new(),
            waits_since_ms: since_ms.unwrap_or(live.waits_since_ms),
            waits_until_ms: None,
            waits_for_person: false,
            limit: String::new(),
            limit_at_ms: None,
            ..shown
        },
    }
}

fn waiting(live: &Live) -> v1::Live {
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    v1::Live {
        last_activity_at_ms: live.last_activity_ms,
        last_type: live.last_type.to_owned(),
        last_text: live.last_text.clone(),
        tools: count(live.tools),
        open_tools: count(live.open_tools),
        lines: count(live.lines),
        waits_for: live.waits_for.to_owned(),
        waits_on: live.waits_on.clone(),
        waits_since_ms: live.waits_since_ms,
        waits_until_ms: live.waits_until_ms,
        waits_for_person: live.waits_raw.is_some(),
        limit: live.limit.to_owned(),
        limit_at_ms: live.limit_at_ms,
        ..v1::Live::default()
    }
}

/// Where one stands that waits, and why: `2nd of 5: daemon.max_running = 2 is reached`.
pub(super) fn waits(waits: &Waits, provider: &str) -> String {
    let Waits { place, of, reason } = waits;
    let ending = match (place % 10, place % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{place}{ending} of {of}: {}", said(reason, provider))
}

pub(super) fn usage(usage: UsageTotals) -> v1::Usage {
    v1::Usage {
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
        cached_input_tokens: usage.cached_input_tokens.unwrap_or(0),
        cache_creation_tokens: usage.cache_creation_tokens.unwrap_or(0),
        total_cost_usd: usage.total_cost_usd,
        estimated: usage.estimated,
        cumulative: usage.cumulative,
    }
}

/// What an end was judged by, on the wire.
pub(super) fn evidence(evidence: Evidence) -> v1::Evidence {
    v1::Evidence {
        ended_by: evidence.ended_by.unwrap_or_default(),
        signal: evidence.signal.unwrap_or_default(),
        final_event: evidence.final_event.unwrap_or_default(),
        stderr: evidence.stderr,
    }
}

/// A task on the wire.
pub(super) fn task_out(task: Task) -> v1::Task {
    v1::Task {
        id: word(task.id),
        title: line(task.title),
        status: word(task.status),
        invocations: task.invocations,
        running: task.running,
        last_started_at_ms: task.last_started_ms,
        last_state: task.last.map_or(v1::State::Unspecified, state).into(),
        last_outcome: task.last.map_or("", outcome).to_owned(),
    }
}

/// A path on the wire. Projects' paths are text; another one is shown as well as it can be.
pub(super) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
