//! Trying again what has ended, as somebody asks for it: what was asked for then is asked for now, by what
//! is configured now, and is the next attempt of the last one. It takes the way of any start.

mod error;

use std::sync::Arc;

use steroids_shim::durable::FileError;
use steroids_shim::exit::{End, ExitRecord};
use steroids_shim::paths::InvDir;
use steroids_shim::spec::{Requested, Spec, Turn};

pub use error::RetryError;

use super::again::{going_on, may_resume};
use super::dependency::ATTEMPTS;
use super::prepare::{MAX_RETRIES, command_line, hash};
use super::supervisor::{Inner, chain};
use super::{StartError, moved, requested};
use crate::domain::{Again, Invocation, InvocationId, Managed, Outcome, Phase, StartRequest};
use crate::projects::Project;

/// What a start that tries again has beside its request.
pub(super) struct Next {
    /// The attempt before it.
    of: InvocationId,
    attempt: u32,
    asked: String,
    /// The session that was asked for at first.
    resume: Option<String>,
    request_hash: String,
}

/// What came of a request before, where it was sent twice. By then what was to be tried again has a next
/// attempt, and is not what it was.
pub(super) async fn known(
    project: &Project,
    request: &StartRequest,
) -> Result<Option<Invocation>, StartError> {
    let Some(request_id) = &request.request_id else {
        return Ok(None);
    };
    let Some(known) = project.store.by_request(request_id).await? else {
        return Ok(None);
    };
    match &known.managed {
        Some(managed) if managed.request_hash != hash_of(request) => {
            Err(StartError::RequestIdReused {
                request_id: request_id.clone(),
                id: known.id,
            })
        }
        _ => Ok(Some(known)),
    }
}

/// What is to be started for it.
///
/// # Errors
/// Every reason of [`RetryError`], and of a start.
pub(super) async fn request(
    inner: &Arc<Inner>,
    project: &Project,
    request: StartRequest,
    again: Again,
) -> Result<(StartRequest, Next), StartError> {
    let request_hash = hash_of(&request);
    let (last, managed) = last_attempt(project, again.of).await?;
    if last.id != again.of && outcome(&last) == Some(Outcome::Success) {
        let (id, last) = (again.of, last.id);
        return Err(RetryError::Succeeded { id, last }.into());
    }
    let (spec, never_ran) = specification(inner, last.id, &managed.uuid).await?;
    let attempt = spec.turn.attempt.saturating_add(1);
    if attempt > MAX_RETRIES {
        return Err(RetryError::TooOften { id: last.id }.into());
    }
    let Some(said) = &spec.requested else {
        return Err(RetryError::NotKept { id: last.id }.into());
    };
    let asked = match &spec.turn.asked {
        Some(asked) => asked.clone(),
        None => {
            let found = project.store.detail(last.id).await?;
            let found = found.ok_or(RetryError::NotFound { id: last.id })?;
            found.prompt
        }
    };
    let goes_on = session(inner, &last, &spec, said, &asked);
    let (prompt, session) = match goes_on.filter(|_| !again.is_anew) {
        Some((prompt, session)) => (prompt, Some(session)),
        None => (asked.clone(), said.resume.clone()),
    };
    // One that never ran still has what it waits for before it.
    let waits_on = if never_ran { &spec.turn.after[..] } else { &[] };
    let request = StartRequest {
        prompt,
        resume: session,
        cwd: Some(moved::along(&spec.cwd, &spec.project, &project.root)),
        after: waits_on
            .iter()
            .copied()
            .filter_map(InvocationId::new)
            .collect(),
        ..requested::once_more(&spec, said, request)
    };
    let next = Next {
        of: last.id,
        attempt,
        asked,
        resume: said.resume.clone(),
        request_hash,
    };
    Ok((request, next))
}

/// The session that it goes on with, and what it is told; `None` where it begins anew.
fn session(
    inner: &Inner,
    last: &Invocation,
    spec: &Spec,
    said: &Requested,
    asked: &str,
) -> Option<(String, String)> {
    // One that ended before it told any had that of the attempt before it.
    let had = spec.resume.as_deref();
    let had = had.filter(|had| said.resume.as_deref() != Some(had));
    let session = last.session_id.as_deref().or(had)?;
    let outcome = outcome(last).filter(|outcome| *outcome != Outcome::Success)?;
    let cause = last.managed.as_ref().and_then(|managed| managed.cause);
    if !may_resume(cause) {
        return None;
    }
    let prompt = going_on(asked, outcome);
    command_line(&inner.settings(), spec, Some(session), &prompt)?;
    Some((prompt, session.to_owned()))
}

fn outcome(row: &Invocation) -> Option<Outcome> {
    match row.phase {
        Phase::Ended { outcome, .. } => outcome,
        Phase::Queued | Phase::Running => None,
    }
}

/// The last attempt of what an invocation is one of, which has ended.
async fn last_attempt(
    project: &Project,
    id: InvocationId,
) -> Result<(Invocation, Managed), StartError> {
    let mut id = id;
    for _ in 0..ATTEMPTS {
        let row = project.store.invocation(id).await?;
        let row = row.ok_or(RetryError::NotFound { id })?;
        let Some(managed) = row.managed.clone() else {
            return Err(RetryError::NotManaged { id }.into());
        };
        match managed.queueing.retried_by {
            Some(next) if next > id => id = next,
            _ if row.phase.is_ended() => return Ok((row, managed)),
            _ => {
                let waits = row.phase == Phase::Queued;
                return Err(RetryError::StillRunning { id, waits }.into());
            }
        }
    }
    Err(RetryError::TooOften { id }.into())
}

/// What it was given to run, as its state folder has it, and whether it never ran.
async fn specification(
    inner: &Inner,
    id: InvocationId,
    uuid: &str,
) -> Result<(Spec, bool), StartError> {
    let dir = InvDir::new(&inner.settings().state_dir, uuid);
    let loaded = tokio::task::spawn_blocking(move || {
        let end = ExitRecord::load(&dir).ok().flatten().map(|exit| exit.end);
        let never_ran = matches!(end, Some(End::NeverStarted { .. } | End::Cancelled { .. }));
        Ok((Spec::load(&dir)?, never_ran))
    });
    // Only a panic, or the runtime's end.
    let loaded = loaded.await.map_err(|_| StartError::Draining)?;
    loaded.map_err(|error| match error {
        FileError::Io { path, source, .. } if !is_gone(&source) => {
            StartError::StateDir { path, source }
        }
        error if error.is_missing() => RetryError::RequestGone { id }.into(),
        error => {
            let why = chain(&error);
            RetryError::Unreadable { id, why }.into()
        }
    })
}

fn is_gone(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::NotFound
}

fn hash_of(request: &StartRequest) -> String {
    let model = request.model.as_deref().unwrap_or_default();
    hash(request, &request.provider, model)
}

impl Next {
    /// Makes it the next attempt. It is tried again by itself as often as at first.
    pub(super) fn of(&self, spec: Spec) -> Spec {
        Spec {
            request_hash: self.request_hash.clone(),
            requested: spec.requested.map(|said| Requested {
                resume: self.resume.clone(),
                ..said
            }),
            turn: Turn {
                attempt: self.attempt,
                asked_at: self.attempt,
                retry_of: Some(self.of.get()),
                asked: Some(self.asked.clone()),
                ..spec.turn
            },
            ..spec
        }
    }

    /// Refuses it where somebody else has tried it again meanwhile. Asked while no other of its task comes
    /// in.
    pub(super) async fn check(&self, project: &Project) -> Result<(), StartError> {
        let row = project.store.invocation(self.of).await?;
        let next = row.and_then(|row| row.managed?.queueing.retried_by);
        match next {
            Some(next) => Err(RetryError::Meanwhile { id: self.of, next }.into()),
            None => Ok(()),
        }
    }
}
