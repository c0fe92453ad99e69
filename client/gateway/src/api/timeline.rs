//! A task's story, handed on as the daemon tells it: what is held of it here is what a client has
//! not read yet, within the windows of one connection, however long the story is.
//!
//! What is wrong is told by a status as long as nothing was told; a story that breaks off later ends
//! without the end of its body, which every client takes for an error.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream::try_unfold;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use steroids_client::{Client, Refusal, v1};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tonic::{Status, Streaming};

use super::asked::{Asked, invalid};
use crate::Rooms;
use crate::answer::{Answer, of_project};

/// Told at a time: each has a connection of its own, as a client that stalls in the middle leaves
/// its windows full, and would hold up whoever shares them.
const STORIES: usize = 4;

/// For a turn, for the beginning of a story, and then for each part of it: a daemon that stops in the
/// middle is not waited for.
const WITHIN: Duration = Duration::from_secs(60);

/// For all of it: who reads more slowly than that would keep others from their turns.
const WHOLE_WITHIN: Duration = Duration::from_secs(300);

const BEGIN: &[u8] = br#"{"success":true,"timeline":["#;
const END: &[u8] = b"]}";

/// Turns at telling a story. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Stories(Arc<Semaphore>);

/// A story that has begun.
struct Story {
    parts: Streaming<v1::TimelineResponse>,
    /// The first, as a refusal comes in its place.
    part: Option<v1::TimelineResponse>,
    is_begun: bool,
    has_entries: bool,
    until: Instant,
    _client: Client,
    _turn: OwnedSemaphorePermit,
}

pub(super) async fn timeline(
    State(rooms): State<Rooms>,
    Path(task): Path<String>,
    asked: Asked,
) -> Result<Response, Answer> {
    let project = asked.project()?;
    const WANTED: &str = "a whole number from 1 on";
    let sample: i32 = asked.value("sample", WANTED)?.unwrap_or(10);
    if sample < 1 {
        return Err(invalid("sample", WANTED));
    }
    let request = v1::TimelineRequest {
        project: project.to_owned(),
        task_id: task,
        sample,
    };
    let turn = rooms.stories.turn().await?;
    let begun = tokio::time::timeout(WITHIN, Story::begin(&rooms, request, turn));
    let late = "the daemon did not answer in time";
    let late = || Err(Answer::bad(StatusCode::GATEWAY_TIMEOUT, late));
    match begun.await.unwrap_or_else(|_| late())? {
        Some(story) => Ok(story.into_answer()),
        None => Ok(Answer::good().with("timeline", [(); 0]).into_response()),
    }
}

// === impl Stories ===

impl Default for Stories {
    fn default() -> Self {
        Stories(Arc::new(Semaphore::new(STORIES)))
    }
}

impl Stories {
    /// A turn, once one is free.
    async fn turn(&self) -> Result<OwnedSemaphorePermit, Answer> {
        let turn = Arc::clone(&self.0).acquire_owned();
        // Never closed, so all that can go wrong is that it takes too long.
        let turn = tokio::time::timeout(WITHIN, turn).await.ok();
        let busy = "other timelines are still being read; try again";
        let busy = || Answer::bad(StatusCode::TOO_MANY_REQUESTS, busy).with("max", STORIES);
        turn.and_then(Result::ok).ok_or_else(busy)
    }
}

// === impl Story ===

impl Story {
    /// `None` where there is nothing to tell: of a task that nobody knows, too.
    async fn begin(
        rooms: &Rooms,
        request: v1::TimelineRequest,
        turn: OwnedSemaphorePermit,
    ) -> Result<Option<Story>, Answer> {
        let project = request.project.clone();
        let client = rooms.daemon.connection().await?;
        let mut parts = match client.timeline(request).await {
            Err(status) if is_no_task(&status) => return Ok(None),
            parts => parts.map_err(of_project(&project))?,
        };
        let part = parts.message().await.map_err(of_project(&project))?;
        Ok(part.map(|part| Story {
            parts,
            part: Some(part),
            is_begun: false,
            has_entries: false,
            until: Instant::now() + WHOLE_WITHIN,
            _client: client,
            _turn: turn,
        }))
    }

    fn into_answer(self) -> Response {
        let pieces = try_unfold(Some(self), |story| async {
            match story {
                Some(story) => story.next().await.map(Some),
                None => Ok(None),
            }
        });
        let mut answer = Response::new(Body::from_stream(pieces));
        let json = HeaderValue::from_static("application/json");
        answer.headers_mut().insert(CONTENT_TYPE, json);
        answer
    }

    /// The next piece of the answer, and what comes after it.
    async fn next(mut self) -> io::Result<(Bytes, Option<Story>)> {
        let part = match self.part.take() {
            Some(part) => Some(part),
            None => self.more().await?,
        };
        let mut piece = Vec::new();
        if !std::mem::replace(&mut self.is_begun, true) {
            piece.extend_from_slice(BEGIN);
        }
        let Some(part) = part else {
            piece.extend_from_slice(END);
            return Ok((piece.into(), None));
        };
        self.write(&part, &mut piece);
        Ok((piece.into(), Some(self)))
    }

    async fn more(&mut self) -> io::Result<Option<v1::TimelineResponse>> {
        let now = Instant::now();
        if self.until <= now {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let until = self.until.min(now + WITHIN);
        let more = tokio::time::timeout_at(until, self.parts.message()).await;
        more.map_err(io::Error::from)?.map_err(io::Error::other)
    }

    fn write(&mut self, part: &v1::TimelineResponse, piece: &mut Vec<u8>) {
        piece.reserve_exact(part.entries.iter().map(|it| it.len() + 1).sum());
        for entry in &part.entries {
            if std::mem::replace(&mut self.has_entries, true) {
                piece.push(b',');
            }
            piece.extend_from_slice(entry);
        }
    }
}

fn is_no_task(status: &Status) -> bool {
    let refusal = Refusal::of(status);
    refusal.reason.as_deref() == Some("NO_TASK")
}
