//! Starting, stopping and sending to agents, where that is on.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer};
use steroids_client::{json, v1};

use super::asked::{Asked, Body, Place, place};
use super::invocations::refuse_anothers;
use crate::Rooms;
use crate::answer::{Answer, bad_request, no_project_named, of_project};

/// The fields of a start, as the daemon has them.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Start {
    project: String,
    #[serde(deserialize_with = "said")]
    role: String,
    #[serde(deserialize_with = "said")]
    provider: String,
    #[serde(deserialize_with = "said")]
    model: String,
    prompt: String,
    #[serde(deserialize_with = "said")]
    cwd: String,
    env: HashMap<String, String>,
    #[serde(deserialize_with = "said")]
    resume: String,
    #[serde(deserialize_with = "said")]
    request_id: String,
    limits: Limits,
    argv: Vec<String>,
    interactive: bool,
    leave_background: bool,
    priority: i32,
    after: Vec<i64>,
    retry: Option<Retry>,
    no_queue: bool,
    budget: Budget,
    resources: Resources,
}

/// A text that says something. A script has an empty one of a variable that is not set, and would start twice, or
/// something else.
pub(super) fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.trim().is_empty() {
        let wanted = "a text that is not empty, or no such key";
        return Err(D::Error::invalid_value(Unexpected::Str(&text), &wanted));
    }
    Ok(text)
}

/// When it is tried again by itself. After which ends has to be said: none is never, and who says how often
/// alone did not mean that.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Retry {
    on: Vec<String>,
    max: Option<i32>,
}

/// What it may use at most; what is absent is as configured.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Budget {
    usd: Option<f64>,
    tokens: Option<u64>,
    stop: Option<bool>,
}

/// What it may use of the machine; what is absent is as configured, zero is no bound.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct Resources {
    memory_max_bytes: Option<u64>,
    cpu_quota_percent: Option<u32>,
    tasks_max: Option<u32>,
}

/// Limits in milliseconds; one that is absent has its configured value, zero is none.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct Limits {
    silence_ms: Option<u32>,
    tool_silence_ms: Option<u32>,
    wall_ms: Option<u32>,
    post_result_ms: Option<u32>,
    grace_ms: Option<u32>,
}

/// What to try again, with what of it otherwise.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Again {
    project: String,
    anew: bool,
    #[serde(deserialize_with = "said")]
    request_id: String,
    env: HashMap<String, String>,
    #[serde(deserialize_with = "said")]
    model: String,
    limits: Limits,
    retry: Option<Retry>,
    no_queue: bool,
    budget: Budget,
    resources: Resources,
}

/// How to stop.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Stop {
    project: String,
    grace_ms: Option<u32>,
}

/// What to send to an agent.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Input {
    project: String,
    text: String,
    end: bool,
    #[serde(deserialize_with = "said")]
    message_id: String,
}

/// Starts an invocation of the task.
pub(super) async fn start(
    State(rooms): State<Rooms>,
    Path(task): Path<String>,
    asked: Asked,
    Body(body): Body<Start>,
) -> Result<Answer, Answer> {
    let project = project(&asked, &body.project)?;
    let request = body.into_request(project.clone(), task);
    let client = rooms.daemon.client().await?;
    let started = client.start(request).await.map_err(of_project(&project))?;
    answer(started)
}

/// Starts what an invocation was asked for once more, as the next attempt of it.
pub(super) async fn retry(
    State(rooms): State<Rooms>,
    path: Result<Path<Place>, PathRejection>,
    asked: Asked,
    Body(body): Body<Again>,
) -> Result<Answer, Answer> {
    let place = place(path)?;
    let project = project(&asked, &body.project)?;
    let client = rooms.daemon.client().await?;
    refuse_anothers(&client, &project, &place).await?;
    let request = v1::RetryRequest {
        project: project.clone(),
        id: place.id,
        anew: body.anew,
        request_id: body.request_id,
        env: body.env,
        // As of a start.
        caller_env: HashMap::new(),
        model: body.model,
        limits: body.limits.into_wire(),
        retry: body.retry.map(Retry::into_wire),
        budget: body.budget.into_wire(),
        no_queue: body.no_queue,
        memory_max_bytes: body.resources.memory_max_bytes,
        cpu_quota_percent: body.resources.cpu_quota_percent,
        tasks_max: body.resources.tasks_max,
    };
    let started = client.retry(request).await.map_err(of_project(&project))?;
    answer(started)
}

fn answer(started: v1::StartResponse) -> Result<Answer, Answer> {
    let invocation = started
        .invocation
        .ok_or_else(|| bad_request("the daemon did not say what it started"))?;
    Ok(Answer::good()
        .with("invocationId", invocation.id)
        .with("existing", started.existing)
        .with("invocation", json::Invocation::from(&invocation)))
}

/// Stops an invocation, or the attempt of it that goes on, and answers when that has ended. The daemon
/// stops what runs whether or not its project is there.
pub(super) async fn stop(
    State(rooms): State<Rooms>,
    path: Result<Path<Place>, PathRejection>,
    asked: Asked,
    Body(body): Body<Stop>,
) -> Result<Answer, Answer> {
    let place = place(path)?;
    let project = project(&asked, &body.project)?;
    let client = rooms.daemon.client().await?;
    refuse_anothers(&client, &project, &place).await?;
    let request = v1::StopRequest {
        project: project.clone(),
        id: place.id,
        grace: duration(body.grace_ms),
        uuid: String::new(),
    };
    let stopped = client.stop_attempts(request, &BTreeSet::new(), false).await;
    let stopped = stopped.map_err(|(_, status)| of_project(&project)(status))?;
    let answer = Answer::good()
        .with("invocationId", place.id)
        .with("alreadyEnded", stopped.already_ended);
    Ok(match &stopped.invocation {
        Some(invocation) => answer.with("invocation", json::Invocation::from(invocation)),
        None => answer,
    })
}

/// Sends a message to an agent that takes some, or closes its input; answers when that is on record.
pub(super) async fn input(
    State(rooms): State<Rooms>,
    path: Result<Path<Place>, PathRejection>,
    asked: Asked,
    Body(body): Body<Input>,
) -> Result<Answer, Answer> {
    let place = place(path)?;
    let project = project(&asked, &body.project)?;
    let client = rooms.daemon.client().await?;
    refuse_anothers(&client, &project, &place).await?;
    let request = v1::SendInputRequest {
        project: project.clone(),
        id: place.id,
        text: body.text,
        end: body.end,
        message_id: body.message_id,
    };
    let sent = client.send_input(request).await;
    let sent = sent.map_err(of_project(&project))?;
    Ok(Answer::good()
        .with("invocationId", place.id)
        .with("messageId", sent.message_id))
}

/// The project, from the query as everywhere or from the body as in a start.
fn project(asked: &Asked, in_body: &str) -> Result<String, Answer> {
    match (asked.text("project"), in_body) {
        (Some(one), other) if !other.is_empty() && one != other => {
            Err(bad_request("the query and the body name two projects"))
        }
        (Some(project), _) => Ok(project.to_owned()),
        (None, "") => Err(no_project_named()),
        (None, project) => Ok(project.to_owned()),
    }
}

fn duration<T: TryFrom<Duration>>(ms: Option<u32>) -> Option<T> {
    Duration::from_millis(ms?.into()).try_into().ok()
}

impl Start {
    fn into_request(self, project: String, task: String) -> v1::StartRequest {
        v1::StartRequest {
            project,
            task_id: task,
            role: self.role,
            provider: self.provider,
            model: self.model,
            prompt: self.prompt,
            cwd: self.cwd,
            env: self.env,
            // A browser has no environment that could be passed on.
            caller_env: HashMap::new(),
            resume: self.resume,
            request_id: self.request_id,
            limits: self.limits.into_wire(),
            argv: self.argv,
            interactive: self.interactive,
            leave_background: self.leave_background,
            priority: self.priority,
            after: self.after,
            retry: self.retry.map(Retry::into_wire),
            no_queue: self.no_queue,
            budget: self.budget.into_wire(),
            memory_max_bytes: self.resources.memory_max_bytes,
            cpu_quota_percent: self.resources.cpu_quota_percent,
            tasks_max: self.resources.tasks_max,
        }
    }
}

impl Limits {
    fn into_wire(self) -> Option<v1::Limits> {
        let limits = v1::Limits {
            silence: duration(self.silence_ms),
            tool_silence: duration(self.tool_silence_ms),
            wall: duration(self.wall_ms),
            post_result: duration(self.post_result_ms),
            grace: duration(self.grace_ms),
        };
        (limits != v1::Limits::default()).then_some(limits)
    }
}

impl Budget {
    fn into_wire(self) -> Option<v1::Budget> {
        let budget = v1::Budget {
            usd: self.usd,
            tokens: self.tokens,
            stop: self.stop,
        };
        (budget != v1::Budget::default()).then_some(budget)
    }
}

impl Retry {
    fn into_wire(self) -> v1::RetryPolicy {
        v1::RetryPolicy {
            on: self.on,
            max: self.max,
        }
    }
}
