//! The next attempt of one that failed. Its row is made in the transaction that makes the one before
//! it final, and its id, its folder and its request follow from that one: whatever is cut off where,
//! there is one next attempt or none, and it starts once.

use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use steroids_shim::exit::{End, ExitRecord, Reason};
use steroids_shim::paths::InvDir;
use steroids_shim::sockets;
use steroids_shim::spec::{Spec, Turn};
use tracing::{info, warn};
use uuid::Builder;

use super::job::Job;
use super::line::candidate;
use super::prepare::{MAX_RETRIES, command_line};
use super::start::row;
use super::supervisor::{Asked, Entry};
use super::waiting::{self, now_ms};
use super::{holds, moved};
use crate::domain::retry::{self, Failure};
use crate::domain::{Cause, Invocation, Outcome};
use crate::store::{Ending, NewInvocation};

/// An attempt that is written down, and has no row yet.
pub(super) struct Next {
    spec: Spec,
    dir: InvDir,
    entry: Entry,
    prompt: String,
}

/// Writes the next attempt down, if there is to be one; tried until it works, as all that is done at
/// an end. The outer `None`: the daemon stops, or it goes astray.
pub(super) async fn prepare(
    job: &mut Job,
    ending: &Ending,
    exit: &ExitRecord,
) -> Option<Option<Next>> {
    let was_stopped = was_stopped(job, exit).await;
    let Some(not_before_ms) = when(job, ending, was_stopped) else {
        return Some(None);
    };
    if was_told_to_end(job, exit).await {
        return Some(None);
    }
    let asked = match &job.spec.turn.asked {
        Some(asked) => asked.clone(),
        None => first_prompt(job).await?,
    };
    let (spec, prompt) = spec_of(job, ending, asked, not_before_ms);
    let dir = InvDir::new(&job.inner.settings().state_dir, &spec.uuid);
    let entry = loop {
        let entry = job.inner.enter(&spec.uuid);
        if has_begun(&dir).await {
            return Some(None);
        }
        match entry {
            Some(entry) => break entry,
            // A reconcile looks at what an attempt to end this one left behind.
            None => job.pause().await?,
        }
    };
    while let Err(error) = waiting::store(&spec, &dir).await {
        job.trouble(&error);
        job.pause().await?;
    }
    steroids_failpoint::reach("retry.file-stored");
    Some(Some(Next {
        spec,
        dir,
        entry,
        prompt,
    }))
}

/// Whether an attempt was started: its row and this one's are of a database that is gone. The folder
/// of one that has begun, or has ended, is not to be written to.
async fn has_begun(dir: &InvDir) -> bool {
    let spec = dir.spec();
    let looked = tokio::task::spawn_blocking(move || spec.exists()).await;
    // Only a panic, or the runtime's end.
    looked.unwrap_or(false)
}

/// What the request of a next attempt begins with; behind it is the uuid of the one before.
const REQUEST: &str = "retry-of-";

/// Whether the one before was stopped, of a next attempt that waits: whoever was to end that at once was cut off.
pub(super) async fn is_after_a_stop(spec: &Spec, state_dir: &Path) -> bool {
    let Some(before) = spec.request_id.strip_prefix(REQUEST) else {
        return false;
    };
    // A request may have any name that somebody gives it.
    let is_its_own = uuid_after(before) == spec.uuid;
    is_its_own && has_mark(&InvDir::new(state_dir, before)).await
}

async fn has_mark(dir: &InvDir) -> bool {
    let mark = dir.stopped();
    let looked = tokio::task::spawn_blocking(move || mark.exists()).await;
    // Only a panic, or the runtime's end.
    looked.unwrap_or(false)
}

/// Whether somebody asked us, or a daemon before, for its end.
async fn was_stopped(job: &Job, exit: &ExitRecord) -> bool {
    let by_request = matches!(
        exit.end,
        End::Cancelled { .. }
            | End::Ran {
                ended_by: Some(Reason::Stop),
                ..
            }
    );
    by_request || job.is_stopped || has_mark(&job.dir).await
}

/// Whether somebody else told its shim to end, and meant it: by a stop of its unit, or a signal. Where the
/// host goes down, or the session ends, nobody meant it; and where that was while no daemon looked, or nobody
/// answers, nobody knows, so what was asked for is done.
async fn was_told_to_end(job: &Job, exit: &ExitRecord) -> bool {
    let was_told = matches!(
        exit.end,
        End::Ran {
            ended_by: Some(Reason::Shutdown),
            ..
        }
    );
    let is_open = !job.had_ended && !job.ends_with_host && !job.inner.stop.is_cancelled();
    was_told && is_open && job.inner.settings().launcher.is_stopping().await == Some(false)
}

/// When it is tried again, in epoch milliseconds.
fn when(job: &Job, ending: &Ending, was_stopped: bool) -> Option<i64> {
    let turn = &job.spec.turn;
    // A chain is walked so far, and no further.
    if turn.attempt > MAX_RETRIES {
        return None;
    }
    let failure = Failure {
        uuid: &job.spec.uuid,
        attempt: turn.attempt.saturating_sub(turn.asked_at.saturating_sub(1)),
        outcome: ending.outcome,
        is_unreachable: ending.cause == Some(Cause::Unreachable),
        was_stopped,
        resets_at_ms: holds::resets_at_ms(ending),
        is_held: holds::is_held(&job.inner, &job.spec.provider),
    };
    let pause = job.inner.settings().queue.retry_after;
    retry::next(&turn.retry_on, turn.retry_max, pause, &failure, now_ms())
}

/// What was asked for, as the row of the first attempt has it; where that cannot be had, what the
/// provider was given.
async fn first_prompt(job: &mut Job) -> Option<String> {
    let id = job.id;
    let found = job
        .on_row(move |store| async move { store.detail(id).await })
        .await?;
    Some(found?.prompt)
}

/// What the next attempt is, but for its id; and its prompt for the row.
fn spec_of(job: &Job, ending: &Ending, asked: String, not_before_ms: i64) -> (Spec, String) {
    let (inner, before, project) = (&*job.inner, &*job.spec, &*job.project);
    let uuid = uuid_after(&before.uuid);
    let attempt = before.turn.attempt.saturating_add(1);
    let mut next = Spec {
        invocation: 0,
        // It may have been moved.
        project: project.root.clone(),
        project_folder: Some(project.folder()),
        cwd: moved::along(&before.cwd, &before.project, &project.root),
        request_id: format!("{REQUEST}{}", before.uuid),
        socket: sockets::path(&inner.settings().runtime_dir, &uuid),
        created_ms: u64::try_from(now_ms()).unwrap_or(0),
        turn: Turn {
            not_before_ms: u64::try_from(not_before_ms).unwrap_or(0),
            // What it waited for has succeeded.
            after: Vec::new(),
            attempt,
            retry_of: Some(job.id.get()),
            asked: Some(asked.clone()),
            ..before.turn.clone()
        },
        uuid,
        ..before.clone()
    };
    // What the first attempt went on with, if this one had another session, which its CLI does not know any more.
    let first = before.requested.as_ref().map(|said| said.resume.clone());
    let first = first.filter(|first| !may_resume(ending.cause) && *first != before.resume);
    let (session, prompt) = match (&ending.session_id, first) {
        (_, Some(first)) => (first, asked.clone()),
        (Some(session), None) if may_resume(ending.cause) => {
            (Some(session.clone()), going_on(&asked, ending.outcome))
        }
        _ => return (next, asked),
    };
    let line = command_line(&inner.settings(), before, session.as_deref(), &prompt);
    let Some((argv, on_stdin)) = line else {
        return (next, asked);
    };
    next.argv = argv;
    next.resume = session;
    next.prompt = if on_stdin {
        prompt.clone()
    } else {
        String::new()
    };
    (next, prompt)
}

/// Whether the session is still there to go on with.
pub(super) fn may_resume(cause: Option<Cause>) -> bool {
    cause != Some(Cause::UnknownSession)
}

/// The agent has the session, but may not have come to read what was asked for.
pub(super) fn going_on(asked: &str, outcome: Outcome) -> String {
    format!(
        "The last run of this session was cut short ({outcome}). Go on where it stopped; do not do again \
         what is done. What was asked for:\n\n{asked}"
    )
}

/// Always the same of the same attempt.
fn uuid_after(uuid: &str) -> String {
    let digest = Sha256::digest(format!("the attempt after {uuid}"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Builder::from_random_bytes(bytes).into_uuid().to_string()
}

impl Next {
    /// What its row is to hold.
    pub(super) fn row(&self) -> NewInvocation {
        NewInvocation {
            queued: true,
            ..row(&self.spec, &self.prompt)
        }
    }

    /// Lets it wait, or takes it back where no row was made.
    pub(super) async fn settle(self, job: &Job, row: Option<Invocation>) {
        let inner = &job.inner;
        let Some(row) = row else {
            return waiting::discard(&self.dir).await;
        };
        steroids_failpoint::reach("retry.row-committed");
        if row.phase.is_ended() {
            return;
        }
        inner.floors.raise(&self.spec.project, row.id.get());
        let spec = Spec {
            invocation: row.id.get(),
            ..self.spec
        };
        if let Err(error) = waiting::store(&spec, &self.dir).await {
            warn!(invocation.id = %row.id, %error, "its file does not know its id");
        }
        info!(invocation.id = %job.id, next = %row.id, attempt = spec.turn.attempt, "tried again");
        let mut entry = self.entry;
        // Or the one before was stopped while its end could not be written down.
        if entry.asked() == Asked::ItsEnd || job.is_stopped {
            let project = Arc::clone(&job.project);
            waiting::end(inner, project, row.id, entry, waiting::cancelled()).await;
            return;
        }
        // In the line first: whoever comes upon its folder then knows that it waits.
        inner.line.put(candidate(&spec, Some(&row)), Vec::new());
        drop(entry);
    }
}
