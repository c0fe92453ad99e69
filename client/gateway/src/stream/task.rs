//! `GET /api/tasks/{id}/stream`: a task's running invocation, or a certain one. What can be refused
//! is refused before the stream begins, as browsers take a status for an answer and never come
//! back; but with the daemon away there is a stream that waits for it.

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use tonic::Status;

use super::body::EventBody;
use super::frame::refusal;
use super::query::Asked;
use super::read::{ReadError, is_malformed};
use super::target::{Found, Target, TargetError, read_from};
use super::viewer::{Begin, Viewer};
use super::{Streams, special};
use crate::answer::{Answer, bad_request};

/// What a target comes to.
pub(super) enum Opened {
    /// There is something to watch, or to wait for.
    Begin(Begin),
    /// It has all there will ever be.
    Complete,
    /// The project's folder is gone, and something runs there.
    Gone(Box<Status>),
    /// The daemon does not give it.
    Refused(Box<Status>),
}

pub(super) async fn stream(
    State(streams): State<Streams>,
    Path(task): Path<String>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Response, Answer> {
    let mut target = asked.target(task, &headers)?;
    let place = streams.place()?;
    if !target.after.is_empty() {
        streams.metrics.reconnected();
    }
    let opened = streams.open(&mut target).await?;
    let guard = streams.metrics.stream_opened("task");
    let (metrics, stop) = (streams.metrics.clone(), streams.stopped());
    let begin = match opened {
        Opened::Complete => return Ok(StatusCode::NO_CONTENT.into_response()),
        Opened::Refused(status) => {
            let said = refusal(&special::refused(&status, &target.project));
            let body = EventBody::new(metrics, stop, |outlet| async move {
                outlet.note(said).await;
            });
            return Ok(body.into_answer());
        }
        Opened::Begin(begin) => begin,
        // It is said where it is waited for.
        Opened::Gone(_) => Begin::Unknown,
    };
    let body = EventBody::new(metrics, stop, |outlet| async move {
        let _open = place;
        Viewer::new(streams, target, outlet, guard).run(begin).await;
    });
    Ok(body.into_answer())
}

impl Streams {
    /// What a target begins with; its cursor is then before the last lines, where those were asked for.
    pub(super) async fn find(&self, target: &mut Target) -> Result<Option<Found>, TargetError> {
        let found = target.find(&self.daemon).await?;
        if let (Some(found), Some(lines), "") = (&found, target.tail, &*target.after) {
            let before = self.reads.before_last(&found.key, lines).await;
            target.after = before.map_err(TargetError::of_read)?;
            target.is_placed = true;
        }
        Ok(found)
    }

    /// Looks for what the target means, and whether its cursor can be honoured.
    pub(super) async fn open(&self, target: &mut Target) -> Result<Opened, Answer> {
        let found = match self.find(target).await {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(Opened::Begin(Begin::Idle)),
            Err(error) => return unfound(error),
        };
        let from = read_from(&target.after);
        // Who comes back to the start of what has ended may have been told that there is no log of it.
        let may_have_all = found.is_ended && !target.after.is_empty() && !target.is_placed;
        if from.is_empty() && !may_have_all {
            return Ok(Opened::Begin(Begin::At(found, None)));
        }
        if !from.is_empty()
            && let Some(mut joined) = self.hubs.peek(&found.key)
            && joined.is_at(from)
        {
            // Of a log of ours the last line is there before the upstream has heard that it ends. Another
            // tool may write more, and what lacks its last line is told by the upstream's end.
            let has_all = found.is_ended && found.is_managed && joined.is_over();
            return Ok(match has_all && !target.is_following {
                true => Opened::Complete,
                false => Opened::Begin(Begin::At(found, None)),
            });
        }
        let first = self.reads.read(found.part(from)).await;
        match &first {
            Err(ReadError::Cursor(status)) if is_malformed(status) => {
                return Err(bad_request("the cursor is malformed"));
            }
            Ok(batch)
                if found.is_ended && batch.is_over_at(&target.after) && !target.is_following =>
            {
                return Ok(Opened::Complete);
            }
            _ => {}
        }
        Ok(Opened::Begin(Begin::At(found, Some(first))))
    }
}

fn unfound(error: TargetError) -> Result<Opened, Answer> {
    match error {
        TargetError::Away => Ok(Opened::Begin(Begin::Unknown)),
        TargetError::Gone(status) => Ok(Opened::Gone(status)),
        TargetError::Refused(status) => Ok(Opened::Refused(status)),
        TargetError::NoInvocation(_) => {
            Err(Answer::bad(StatusCode::NOT_FOUND, "no such invocation"))
        }
        TargetError::OtherTask(_) => Err(Answer::bad(
            StatusCode::NOT_FOUND,
            "the invocation is one of another task",
        )),
        TargetError::Cursor(what) => Err(bad_request(what)),
    }
}
