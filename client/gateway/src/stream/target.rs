//! What a viewer asked for, and which invocation that is just now.

use std::sync::Arc;

use steroids_client::{ConnectError, Refusal, v1};
use tonic::Status;

use super::hub::Key;
use super::read::{Part, ReadError, why};
use crate::Daemon;
use crate::daemon::Which;

/// Longer than any cursor.
const LONGEST_CURSOR: usize = 4096;
/// What one page of a list holds.
const PAGE: i32 = 200;

/// What a viewer asked for.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// Path of the project.
    pub(super) project: Arc<str>,
    /// The task's id.
    pub(super) task: String,
    /// A certain invocation of it.
    pub(super) invocation: Option<i64>,
    /// Go on with the next invocation at the end of one.
    pub(super) is_following: bool,
    /// Cursor of the last event it has; empty: none.
    pub(super) after: String,
    /// Without a cursor: begin with so many last lines of what there is.
    pub(super) tail: Option<u32>,
    /// The cursor is one that was found for that, and the client does not know it.
    pub(super) is_placed: bool,
}

/// An invocation to stream.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// Which.
    pub(super) key: Key,
    /// It had ended when it was asked for, so that its log is whole.
    pub(super) is_ended: bool,
    /// It is ours, so that its log has a terminal line.
    pub(super) is_managed: bool,
    /// It has not begun.
    pub(super) is_queued: bool,
}

/// Why there is nothing to stream.
#[derive(Debug)]
pub(super) enum TargetError {
    /// The daemon is away, or asks to come again.
    Away,
    /// The project's folder is gone, and something runs there.
    Gone(Box<Status>),
    /// It says no.
    Refused(Box<Status>),
    /// There is no such invocation.
    NoInvocation(i64),
    /// It is one of another task.
    OtherTask(i64),
    /// The cursor is malformed, or of something else.
    Cursor(&'static str),
}

// === impl Found ===

impl Found {
    /// A part of its log.
    pub(super) fn part(&self, after: &str) -> Part {
        Part {
            key: self.key.clone(),
            after: after.to_owned(),
            is_ended: self.is_ended,
        }
    }
}

/// A cursor to read from. One before a log's first line is none: who stands there has seen nothing of it, whether
/// or not it is there.
pub(super) fn read_from(cursor: &str) -> &str {
    if cursor.ends_with(":0") { "" } else { cursor }
}

// === impl TargetError ===

impl TargetError {
    /// Of an invocation that was found.
    pub(super) fn of_read(error: ReadError) -> TargetError {
        match error {
            ReadError::Away => TargetError::Away,
            ReadError::Gone(status) => TargetError::Gone(status),
            ReadError::Cursor(status) | ReadError::Refused(status) => TargetError::Refused(status),
        }
    }
}

// === impl Target ===

impl Target {
    /// The invocation the cursor is of; `None` without a cursor.
    pub(super) fn cursor_invocation(&self) -> Result<Option<i64>, TargetError> {
        if self.after.is_empty() {
            return Ok(None);
        }
        if self.after.len() > LONGEST_CURSOR {
            return Err(TargetError::Cursor("the cursor is longer than any"));
        }
        let id = self.after.split_once(':').and_then(|(id, rest)| {
            let is_plain = id.bytes().all(|b| b.is_ascii_digit()) && rest.contains(':');
            is_plain.then(|| id.parse().ok()).flatten()
        });
        match id {
            Some(id) if id > 0 => Ok(Some(id)),
            _ => Err(TargetError::Cursor("the cursor is malformed")),
        }
    }

    /// The invocation to begin with; `None` if none of the task runs.
    pub(super) async fn find(&self, daemon: &Daemon) -> Result<Option<Found>, TargetError> {
        let of_cursor = self.cursor_invocation()?;
        if let (Some(asked), Some(named)) = (self.invocation, of_cursor)
            && asked != named
            && !(self.is_following && named > asked)
        {
            return Err(TargetError::Cursor("the cursor is of another invocation"));
        }
        let Some(id) = of_cursor.or(self.invocation) else {
            return self.running(daemon).await;
        };
        match self.get(daemon, id).await {
            Err(TargetError::NoInvocation(_) | TargetError::OtherTask(_))
                if of_cursor.is_some() =>
            {
                Err(TargetError::Cursor("the cursor is of another task"))
            }
            found => found.map(Some),
        }
    }

    /// The first invocation of the task after this one.
    pub(super) async fn next(
        &self,
        daemon: &Daemon,
        id: i64,
    ) -> Result<Option<Found>, TargetError> {
        let client = daemon.client().await.map_err(away)?;
        let mut next = None;
        let mut request = v1::ListRequest {
            project: self.project.to_string(),
            task_id: self.task.clone(),
            page_size: PAGE,
            ..Default::default()
        };
        loop {
            let page = daemon.noted(client.list(request.clone()).await);
            let page = page.map_err(refused)?;
            let is_past = page.invocations.iter().any(|it| it.id <= id);
            // Newest first.
            let mut oldest_first = page.invocations.into_iter().rev();
            next = oldest_first.find(|it| it.id > id).or(next);
            if is_past || page.next_page_token.is_empty() {
                return Ok(next.map(|it| self.found(&it)));
            }
            request.page_token = page.next_page_token;
        }
    }

    /// The newest invocation of the task, whatever became of it.
    pub(super) async fn newest(&self, daemon: &Daemon) -> Result<Option<Found>, TargetError> {
        let which = Which::Newest(Arc::clone(&self.project), self.task.clone());
        let found = daemon.invocation(which).await.map_err(refused)?;
        Ok(found.map(|it| self.found(&it)))
    }

    async fn running(&self, daemon: &Daemon) -> Result<Option<Found>, TargetError> {
        let which = Which::Running(Arc::clone(&self.project), self.task.clone());
        let found = daemon.invocation(which).await.map_err(refused)?;
        Ok(found.map(|it| self.found(&it)))
    }

    async fn get(&self, daemon: &Daemon, id: i64) -> Result<Found, TargetError> {
        let which = Which::One(Arc::clone(&self.project), id);
        let invocation = daemon.invocation(which).await.map_err(refused)?;
        let invocation = invocation.ok_or(TargetError::NoInvocation(id))?;
        if invocation.task_id != self.task {
            return Err(TargetError::OtherTask(id));
        }
        Ok(self.found(&invocation))
    }

    fn found(&self, it: &v1::Invocation) -> Found {
        Found {
            key: Key {
                project: Arc::clone(&self.project),
                id: it.id,
            },
            is_ended: !matches!(it.state(), v1::State::Running | v1::State::Queued),
            is_managed: it.managed,
            is_queued: it.state() == v1::State::Queued,
        }
    }
}

fn away(_: ConnectError) -> TargetError {
    TargetError::Away
}

fn refused(status: Status) -> TargetError {
    match TargetError::of_read(why(Box::new(status))) {
        TargetError::Refused(status) if is_no_invocation(&status) => TargetError::NoInvocation(0),
        error => error,
    }
}

fn is_no_invocation(status: &Status) -> bool {
    Refusal::of(status).reason.as_deref() == Some("NO_INVOCATION")
}
