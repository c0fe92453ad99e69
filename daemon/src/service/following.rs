//! The stream of `Follow`: batches of log lines with their cursors.

use std::path::PathBuf;

use steroids_proto::v1;
use steroids_proto::v1::follow_request::Selector as Asked;
use tonic::Status;

use super::refusal::invalid;
use super::stream::Source;
use super::{Service, convert, missing, status};
use crate::follow::{Begin, Event, Follower, Piece, Portion, Selector};

/// Longer than any cursor of ours.
const CURSOR_MAX: usize = 4096;

/// A log is read backwards for them before the first is given: more than anybody looks at, and read in
/// some tens of milliseconds.
const TAIL_MAX: u32 = 100_000;

/// One follower, and how its events are shown.
pub(super) struct Following {
    follower: Follower,
    /// Where the selector spans projects, each event names its own.
    names_project: bool,
    /// The client takes pieces.
    pieces: bool,
    /// How many bytes of lines may still be given, where that is bounded.
    left: Option<u64>,
    /// Where it begins, if the client is to know that before there is an event.
    beginning: Option<String>,
}

impl Following {
    pub(super) async fn open(
        service: &Service,
        request: v1::FollowRequest,
    ) -> Result<Following, Status> {
        if request.after.len() > CURSOR_MAX {
            return Err(invalid("after", "is longer than any cursor"));
        }
        if request.tail.is_some_and(|lines| lines > TAIL_MAX) {
            let why = format!("is at most {TAIL_MAX}; leave it out for all lines");
            return Err(invalid("tail", why));
        }
        let asked = request.selector.ok_or_else(|| {
            invalid(
                "selector",
                "is missing; give invocation, task, project or all",
            )
        })?;
        let names_project = matches!(asked, Asked::All(_));
        let selector = selector(asked)?;
        let cared = match &selector {
            Selector::Invocation { project, .. }
            | Selector::Task { project, .. }
            | Selector::Project { project } => Some(service.supervisor.cared(project)),
            Selector::All => None,
        };
        let after = Some(request.after.as_str()).filter(|after| !after.is_empty());
        let begin = match request.tail {
            Some(lines) => Begin::Last(lines),
            None if request.skip_ended => Begin::Running,
            None => Begin::First,
        };
        let follower = Follower::open(
            &service.projects,
            &service.hints,
            selector,
            after,
            begin,
            request.follow,
        )
        .await
        .map_err(|error| match &cared {
            Some(cared) => missing::refusal(cared, error),
            None => status::follow(error),
        })?;
        let is_new = begin != Begin::First && request.after.is_empty();
        let beginning = follower.beginning().filter(|_| is_new);
        Ok(Following {
            follower,
            names_project,
            pieces: request.pieces,
            left: Some(request.limit_bytes).filter(|limit| *limit > 0),
            beginning,
        })
    }

    fn shown(&self, event: Event) -> v1::Event {
        let project = if self.names_project {
            convert::text(&event.project)
        } else {
            String::new()
        };
        v1::Event {
            cursor: event.cursor,
            invocation_id: event.invocation.get(),
            ts: event.ts,
            r#type: event.kind,
            line: event.line,
            project,
        }
    }
}

fn shown_piece(piece: Piece) -> v1::Piece {
    v1::Piece {
        lines: piece.lines,
        cursor_base: piece.cursor_base,
        first: piece.first.get(),
        invocation_id: piece.invocation.get(),
        ts: piece.ts,
        r#type: piece.kind,
    }
}

fn selector(asked: Asked) -> Result<Selector, Status> {
    Ok(match asked {
        Asked::Invocation(one) => Selector::Invocation {
            project: convert::project(&one.project, "invocation.project")?,
            id: convert::id(one.id)?,
        },
        Asked::Task(task) => Selector::Task {
            project: convert::project(&task.project, "task.project")?,
            task: convert::task(&task.task_id)?,
        },
        Asked::Project(project) => Selector::Project {
            project: convert::project(&project.project, "project.project")?,
        },
        Asked::All(v1::AllSelector {}) => Selector::All,
    })
}

impl Source for Following {
    type Batch = v1::FollowResponse;

    fn size(batch: &v1::FollowResponse) -> usize {
        let events = batch.events.iter().map(|event| event.line.len());
        let piece = batch.piece.iter().map(|piece| piece.lines.len());
        events.chain(piece).sum()
    }

    fn events(batch: &v1::FollowResponse) -> usize {
        let lines = |piece: &v1::Piece| memchr::memchr_iter(b'\n', &piece.lines).count();
        batch.events.len() + batch.piece.as_ref().map_or(0, lines)
    }

    fn places(&self) -> Vec<(PathBuf, u64)> {
        self.follower.places()
    }

    async fn next(&mut self) -> Result<Option<v1::FollowResponse>, Status> {
        if let Some(cursor) = self.beginning.take() {
            let events = Vec::new();
            let piece = None;
            return Ok(Some(v1::FollowResponse {
                events,
                cursor,
                piece,
            }));
        }
        if self.left == Some(0) {
            return Ok(None);
        }
        let portion = if self.pieces {
            self.follower.next_portion().await
        } else {
            let events = self.follower.next().await;
            events.map(|events| events.map(Portion::Events))
        };
        let batch = match portion.map_err(status::follow)? {
            None => return Ok(None),
            Some(Portion::Piece(piece)) => v1::FollowResponse {
                piece: Some(shown_piece(piece)),
                ..Default::default()
            },
            Some(Portion::Events(events)) => v1::FollowResponse {
                events: events.into_iter().map(|event| self.shown(event)).collect(),
                ..Default::default()
            },
        };
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(Following::size(&batch) as u64);
        }
        Ok(Some(batch))
    }
}
