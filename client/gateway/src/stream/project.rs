//! `GET /api/projects/stream`: all that runs in a project, and what becomes of it. Each viewer has
//! its own upstreams, as its place in them is its own; they are bounded, and let go of while the
//! viewer reads nothing.

use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use steroids_client::v1::follow_request::Selector;
use steroids_client::v1::{self, FollowRequest, ProjectSelector};
use steroids_client::{Backoff, Follow, FollowError, Item};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Status, Streaming};

use super::body::EventBody;
use super::frame::{comment, encode_as, object, place, refusal};
use super::place::{Lifecycle, Place};
use super::query::Asked;
use super::read::{ReadError, away, is_malformed, why};
use super::{Streams, shown, special};
use crate::answer::{Answer, bad_request};
use crate::daemon::Lease;

/// A client that takes nothing for so long has its upstreams closed; they are opened again when it
/// takes something.
const SLOW: Duration = Duration::from_secs(1);

/// A daemon that does not answer for so long is away for a stream that begins: who asked is told so
/// by the stream, rather than by nothing at all.
const BEGINS_WITHIN: Duration = Duration::from_secs(5);

/// What goes to the viewer.
struct Chunk {
    bytes: Bytes,
    events: u64,
}

pub(super) async fn stream(
    State(streams): State<Streams>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Response, Answer> {
    let project = asked.project()?;
    let after = asked.after(&headers)?;
    let tail = asked.tail()?;
    let place = Place::parse(&after).ok_or_else(|| bad_request("the cursor is malformed"))?;
    if !after.is_empty() {
        streams.metrics.reconnected();
    }
    let places = (streams.place()?, streams.wide_place()?);
    let mut wide = Wide {
        streams: streams.clone(),
        project: project.to_string(),
        place,
        tail,
        is_resumed: !after.is_empty(),
    };
    // Opened here once, as a bad cursor is told by a status.
    let opened = tokio::time::timeout(BEGINS_WITHIN, async {
        let opened = wide.open().await;
        let is_foreign = match &opened {
            Err(Broken::Logs(ReadError::Cursor(status))) => is_malformed(status),
            // Refused by its other half, it was not looked at.
            Err(Broken::Lifecycle(ReadError::Cursor(_))) => wide.is_foreign().await,
            _ => false,
        };
        (opened, is_foreign)
    });
    let (opened, is_foreign) = opened.await.unwrap_or((Err(Broken::away()), false));
    if is_foreign {
        return Err(bad_request("the cursor is of something else"));
    }
    let guard = streams.metrics.stream_opened("project");
    let body = EventBody::new(
        streams.metrics.clone(),
        streams.stopped(),
        |outlet| async move {
            let (sender, mut made) = mpsc::channel::<Chunk>(1);
            let reader = tokio::spawn(async move { wide.run(opened, sender).await });
            let _open = (places, guard, AbortOnDropHandle::new(reader));
            while let Some(chunk) = made.recv().await {
                outlet.frames(chunk.bytes, chunk.events).await;
            }
        },
    );
    Ok(body.into_answer())
}

/// The reading side of one viewer.
struct Wide {
    streams: Streams,
    project: String,
    place: Place,
    /// Where the logs begin that run, while nothing came of any.
    tail: Option<u32>,
    is_resumed: bool,
}

/// Both upstreams, open.
struct Upstreams {
    lifecycle: Streaming<v1::WatchResponse>,
    logs: Logs,
    _lease: Lease,
}

/// The logs: first what is there, then what comes.
struct Logs {
    follow: Follow,
    is_live: bool,
    _lease: Lease,
}

/// Why a pair of upstreams was left.
enum Left {
    /// The viewer reads nothing.
    Slow,
    /// Nobody is there any more.
    Gone,
    Broken(Broken),
}

/// What broke, as the places in both are lost one without the other.
enum Broken {
    Lifecycle(ReadError),
    Logs(ReadError),
}

/// What a break leads to.
enum Next {
    /// What is away is waited for.
    Wait(Absent),
    /// A gap to be told, and a new beginning.
    Anew(String),
    /// It is said why.
    End(Box<Status>),
}

/// What is waited for.
#[derive(PartialEq, Eq)]
enum Absent {
    Daemon,
    /// The project's folder, and what is said of it.
    Folder(String),
}

/// What came from one of them.
enum Came {
    Frames(Vec<Chunk>),
    CaughtUp,
}

// === impl Wide ===

impl Wide {
    /// Hands on everything, until a refusal or until nobody takes it.
    async fn run(mut self, opened: Result<Upstreams, Broken>, out: mpsc::Sender<Chunk>) {
        let mut backoff = Backoff::new();
        let (mut opened, mut absent) = (Some(opened), None);
        loop {
            let upstreams = match opened.take() {
                Some(opened) => opened,
                None => self.open().await,
            };
            let left = match upstreams {
                Ok(upstreams) => {
                    backoff.reset();
                    if absent.take().is_some() {
                        note(&out, comment(": daemon back\n\n")).await;
                    }
                    self.read(upstreams, &out).await
                }
                Err(error) => Left::Broken(error),
            };
            match left {
                Left::Slow => {}
                Left::Gone => return,
                Left::Broken(broken) => match self.next_after(broken) {
                    Next::Wait(now) => {
                        if absent.as_ref() != Some(&now) {
                            note(&out, now.said()).await;
                            absent = Some(now);
                        }
                        tokio::time::sleep(backoff.wait()).await;
                        self.streams.daemon.until_live().await;
                    }
                    Next::Anew(gap) => note(&out, object(&gap)).await,
                    Next::End(status) => {
                        note(&out, refusal(&special::refused(&status, &self.project))).await;
                        return;
                    }
                },
            }
        }
    }

    /// Whether the viewer's place in the logs was never one of this project.
    async fn is_foreign(&self) -> bool {
        let opened = self.logs(false).await;
        matches!(opened, Err(Broken::Logs(ReadError::Cursor(status))) if is_malformed(&status))
    }

    /// What a break leads to; a place that is gone is given up.
    fn next_after(&mut self, broken: Broken) -> Next {
        use Broken::{Lifecycle as Watched, Logs as Followed};
        use ReadError::{Away, Cursor, Gone, Refused};
        match (broken, self.place.lifecycle) {
            (Watched(Away) | Followed(Away), _) => Next::Wait(Absent::Daemon),
            (Watched(Gone(status)) | Followed(Gone(status)), _) => Next::Wait(Absent::Folder(
                special::project_gone(&status, &self.project),
            )),
            (Watched(Cursor(_)), Lifecycle::Number(lost)) => {
                self.place.lifecycle = Lifecycle::now();
                Next::Anew(special::lost_lifecycle(lost))
            }
            (Followed(Cursor(_)), _) if !self.place.cursor.is_empty() => {
                let lost = std::mem::take(&mut self.place.cursor);
                self.tail = None;
                Next::Anew(special::lost_project_place(&lost))
            }
            (Watched(Cursor(status) | Refused(status)), _)
            | (Followed(Cursor(status) | Refused(status)), _) => Next::End(status),
        }
    }

    /// Opens both upstreams where the viewer is.
    async fn open(&mut self) -> Result<Upstreams, Broken> {
        let daemon = &self.streams.daemon;
        let lease = daemon.lease().await.map_err(|_| Broken::away())?;
        let request = v1::WatchRequest {
            project: self.project.clone(),
            after: match self.place.lifecycle {
                Lifecycle::Number(number) => Some(number),
                Lifecycle::Since(_) => None,
            },
            since_ms: match self.place.lifecycle {
                Lifecycle::Since(since) if self.is_resumed => Some(since),
                _ => None,
            },
            pulse: None,
        };
        let lifecycle = daemon.noted(lease.client.watch(request).await);
        let lifecycle = lifecycle.map_err(Broken::of_watch)?;
        let logs = self.logs(false).await?;
        // Opened again before anything came, it still begins where this one did.
        self.is_resumed = true;
        Ok(Upstreams {
            lifecycle,
            logs,
            _lease: lease,
        })
    }

    async fn logs(&self, is_live: bool) -> Result<Logs, Broken> {
        let daemon = &self.streams.daemon;
        let lease = daemon.lease().await.map_err(|_| Broken::away())?;
        let request = FollowRequest {
            selector: Some(Selector::Project(ProjectSelector {
                project: self.project.clone(),
            })),
            after: self.place.cursor.clone(),
            follow: is_live,
            skip_ended: self.place.cursor.is_empty(),
            limit_bytes: 0,
            pieces: false,
            tail: self.tail.filter(|_| self.place.cursor.is_empty()),
        };
        let mut follow = lease.client.follow(request).with_patience(Duration::ZERO);
        // The first item says that it is open.
        match follow.next().await {
            Ok(_) => Ok(Logs {
                follow,
                is_live,
                _lease: lease,
            }),
            Err(error) => Err(self.of_follow(error)),
        }
    }

    async fn read(&mut self, mut upstreams: Upstreams, out: &mpsc::Sender<Chunk>) -> Left {
        loop {
            let came = tokio::select! {
                biased;
                () = out.closed() => return Left::Gone,
                came = self.next(&mut upstreams) => came,
            };
            let chunks = match came {
                Ok(Came::Frames(chunks)) => chunks,
                Ok(Came::CaughtUp) => match self.logs(true).await {
                    Ok(logs) => {
                        upstreams.logs = logs;
                        // Who is cut off before the first event comes back to here, and not to what is then.
                        let place = place(&self.place.to_string());
                        let notes = [place, comment(": live\n\n")];
                        notes.map(Chunk::note).into()
                    }
                    Err(error) => return Left::Broken(error),
                },
                Err(error) => return Left::Broken(error),
            };
            let mut chunks = chunks.into_iter();
            while let Some(chunk) = chunks.next() {
                match tokio::time::timeout(SLOW, out.reserve()).await {
                    Ok(Ok(room)) => room.send(chunk),
                    Ok(Err(_)) => return Left::Gone,
                    Err(_) => {
                        drop(upstreams);
                        for chunk in std::iter::once(chunk).chain(chunks) {
                            if out.send(chunk).await.is_err() {
                                return Left::Gone;
                            }
                        }
                        return Left::Slow;
                    }
                }
            }
        }
    }

    /// What comes next of either; the viewer's place is then behind it. Cancel-safe.
    async fn next(&mut self, upstreams: &mut Upstreams) -> Result<Came, Broken> {
        loop {
            // Known before there is a line, and named by every id from the first on.
            let begin = upstreams.logs.follow.cursor();
            if self.place.cursor.is_empty() {
                begin.clone_into(&mut self.place.cursor);
            }
            let is_placed = !self.place.cursor.is_empty() || upstreams.logs.is_live;
            tokio::select! {
                biased;
                answer = upstreams.lifecycle.message(), if is_placed => {
                    let answer = self.streams.daemon.noted(answer).map_err(Broken::of_watch)?;
                    let answer = answer.ok_or(Broken::away())?;
                    return Ok(Came::Frames(self.lifecycle(&answer.events)));
                }
                item = upstreams.logs.follow.next() => match item {
                    Ok(Some(Item::Events(events))) => return Ok(Came::Frames(self.lines(&events))),
                    Ok(Some(_)) => {}
                    Ok(None) if upstreams.logs.is_live => return Err(Broken::away()),
                    Ok(None) => {
                        let end = upstreams.logs.follow.cursor();
                        end.clone_into(&mut self.place.cursor);
                        return Ok(Came::CaughtUp);
                    }
                    Err(error) => return Err(self.of_follow(error)),
                },
            }
        }
    }

    fn lines(&mut self, events: &[v1::Event]) -> Vec<Chunk> {
        let ids: Vec<String> = events
            .iter()
            .map(|event| {
                if !event.cursor.is_empty() {
                    event.cursor.clone_into(&mut self.place.cursor);
                }
                self.place.to_string()
            })
            .collect();
        let named = ids.iter().map(String::as_str).zip(events);
        encode_as(named)
            .into_iter()
            .map(|segment| Chunk {
                events: segment.len() as u64,
                bytes: segment.bytes,
            })
            .collect()
    }

    fn lifecycle(&mut self, events: &[v1::LifecycleEvent]) -> Vec<Chunk> {
        let mut chunks = Vec::new();
        for event in events {
            self.place.lifecycle = Lifecycle::Number(event.number);
            let data = shown::lifecycle(event);
            let bytes = format!("id: {}\ndata: {data}\n\n", self.place).into();
            chunks.push(Chunk { bytes, events: 1 });
        }
        chunks
    }

    fn of_follow(&self, error: FollowError) -> Broken {
        match error {
            FollowError::Refused(status) => Broken::Logs(why(status)),
            FollowError::Away { last, .. } => {
                let _ = self.streams.daemon.noted::<()>(Err((*last).clone()));
                Broken::Logs(away(last))
            }
        }
    }
}

impl Absent {
    fn said(&self) -> Bytes {
        match self {
            Absent::Daemon => comment(": daemon away\n\n"),
            Absent::Folder(said) => object(said),
        }
    }
}

impl Broken {
    fn away() -> Broken {
        Broken::Logs(ReadError::Away)
    }

    fn of_watch(status: Status) -> Broken {
        Broken::Lifecycle(why(Box::new(status)))
    }
}

async fn note(out: &mpsc::Sender<Chunk>, bytes: Bytes) {
    // Where nobody is left, the next send ends it.
    let _ = out.send(Chunk::note(bytes)).await;
}

impl Chunk {
    fn note(bytes: Bytes) -> Chunk {
        Chunk { bytes, events: 0 }
    }
}
