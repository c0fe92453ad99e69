//! `GET /api/tasks/{id}/events`: the long-poll, for what stands between and kills streams. The same
//! cursors, the same objects, one answer at a time.

use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use bytes::Bytes;
use steroids_client::{Backoff, unspliced};
use tokio::time::Instant;

use super::absent::LOG_WITHIN;
use super::hub::{Joined, Upstream};
use super::query::Asked;
use super::read::{Batch, ReadError};
use super::target::{Found, Target, read_from};
use super::task::Opened;
use super::viewer::Begin;
use super::{Streams, special};
use crate::answer::{Answer, in_place_of, of_project, stand_in};

/// How much longer than it was to wait a poll may take for what is there: a daemon that is frozen
/// takes connections, and answers nothing.
const READS_WITHIN: Duration = Duration::from_secs(5);

/// What a poll answers.
struct Polled {
    /// How many of the events, the first, are said here and are no lines of the log.
    own: usize,
    events: Vec<Bytes>,
    cursor: String,
    done: bool,
}

pub(super) async fn events(
    State(streams): State<Streams>,
    Path(task): Path<String>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Answer, Answer> {
    let mut target = asked.target(task, &headers)?;
    let wait = Duration::from_secs(asked.wait()?);
    let _place = streams.place()?;
    let _guard = streams.metrics.stream_opened("poll");
    let until = Instant::now() + wait;
    let nothing = Polled::nothing(&target.after);
    let polled = tokio::select! {
        biased;
        () = streams.stopped() => nothing,
        () = tokio::time::sleep_until(until + READS_WITHIN) => nothing,
        polled = streams.poll(&mut target, until) => polled?,
    };
    streams
        .metrics
        .sent(polled.events.len() as u64, polled.size());
    Ok(polled.into())
}

impl Streams {
    async fn poll(&self, target: &mut Target, until: Instant) -> Result<Polled, Answer> {
        let mut backoff = Backoff::new();
        loop {
            let opened = self.open(target).await?;
            let after = &target.after;
            return match opened {
                Opened::Complete => Ok(Polled::last(Vec::new(), after)),
                Opened::Refused(status) | Opened::Gone(status) => {
                    Err(of_project(&target.project)(*status))
                }
                Opened::Begin(Begin::Idle) => {
                    let idle = special::no_active_invocation(&target.task);
                    Ok(Polled::last(vec![idle], after))
                }
                Opened::Begin(Begin::At(found, first)) => {
                    Poll::of(self, target, found, until).run(first).await
                }
                Opened::Begin(Begin::Unknown) => {
                    let back = async {
                        tokio::time::sleep(backoff.wait()).await;
                        self.daemon.until_live().await;
                    };
                    if tokio::time::timeout_at(until, back).await.is_ok() {
                        continue;
                    }
                    Ok(Polled::nothing(after))
                }
            };
        }
    }
}

/// One poll of one invocation.
struct Poll<'a> {
    streams: &'a Streams,
    task: &'a str,
    found: Found,
    until: Instant,
    cursor: String,
    /// What is answered in its place while it is empty.
    begin: String,
    /// What was said besides the log.
    said: Vec<Bytes>,
}

impl<'a> Poll<'a> {
    fn of(streams: &'a Streams, target: &'a Target, found: Found, until: Instant) -> Poll<'a> {
        Poll {
            streams,
            task: &target.task,
            found,
            until,
            cursor: read_from(&target.after).to_owned(),
            begin: target.after.clone(),
            said: Vec::new(),
        }
    }

    async fn run(mut self, mut first: Option<Result<Batch, ReadError>>) -> Result<Polled, Answer> {
        let mut backoff = Backoff::new();
        // Holds the upstream between two turns.
        let mut fresh = None;
        loop {
            let hubs = &self.streams.hubs;
            let mut joined = fresh.take().or_else(|| hubs.peek(&self.found.key));
            if let Some(there) = &mut joined
                && there.is_at(&self.cursor)
            {
                first = None;
                match self.in_ring(there).await {
                    Some(polled) => return polled,
                    None => continue,
                }
            }
            let is_early = first.is_some();
            let read = match first.take() {
                Some(read) => read,
                None => {
                    let part = self.found.part(&self.cursor);
                    self.streams.reads.read(part).await
                }
            };
            match read {
                Ok(batch) if !batch.segments.is_empty() => return Ok(self.of_batch(batch)),
                Ok(batch) if batch.at_end && self.found.is_ended => return Ok(self.answer(true)),
                Ok(_) => match joined {
                    None => fresh = Some(self.streams.hubs.join(&self.found.key, &self.cursor)),
                    // The read was of before the upstream was there: once more.
                    Some(_) if is_early => {}
                    Some(mut joined) => {
                        let is_at = joined.is_at(&self.cursor);
                        let news = tokio::time::timeout_at(self.until, joined.changed());
                        if !is_at && news.await.is_err() {
                            return Ok(self.answer(false));
                        }
                    }
                },
                Err(ReadError::Cursor(_)) if !self.cursor.is_empty() => self.lost(),
                Err(ReadError::Away) => {
                    let back = async {
                        tokio::time::sleep(backoff.wait()).await;
                        self.streams.daemon.until_live().await;
                    };
                    if tokio::time::timeout_at(self.until, back).await.is_err() {
                        return Ok(self.answer(false));
                    }
                }
                Err(ReadError::Gone(status)) => return Err((*status).into()),
                Err(ReadError::Cursor(status) | ReadError::Refused(status)) => {
                    self.say(&special::refused(&status, &self.found.key.project));
                    return Ok(self.answer(true));
                }
            }
        }
    }

    fn of_batch(mut self, batch: Batch) -> Polled {
        let lines = batch.segments.iter().flat_map(|segment| segment.lines(0));
        self.cursor = batch.cursor;
        let is_whole = batch.terminal && self.found.is_managed;
        let done = is_whole || batch.at_end && self.found.is_ended;
        self.take(lines.collect(), done)
    }

    /// Waits with the others; `None` where it has to read for itself.
    async fn in_ring(&mut self, joined: &mut Joined) -> Option<Result<Polled, Answer>> {
        let log_until = Instant::now() + LOG_WITHIN;
        let mut may_lack = self.cursor.is_empty() && !self.found.is_queued;
        loop {
            let upstream = joined.look();
            let lines = joined.lines(&mut self.cursor)?;
            // The upstream ends a moment after the line that ends the log.
            let is_whole = self.found.is_managed && joined.is_over();
            let done = is_whole || matches!(upstream, Upstream::Ended);
            if !lines.is_empty() || done {
                return Some(Ok(self.take(lines, done)));
            }
            match upstream {
                Upstream::Lost => {
                    self.lost();
                    return None;
                }
                Upstream::Refused(status) => {
                    self.say(&special::refused(&status, &self.found.key.project));
                    return Some(Ok(self.take(Vec::new(), true)));
                }
                Upstream::Gone(status) => return Some(Err((*status).into())),
                _ => {}
            }
            let until = if may_lack {
                log_until.min(self.until)
            } else {
                self.until
            };
            if tokio::time::timeout_at(until, joined.changed())
                .await
                .is_ok()
            {
                continue;
            }
            if Instant::now() >= self.until {
                return Some(Ok(self.take(Vec::new(), false)));
            }
            may_lack = false;
            if !self.streams.has_log(&self.found).await {
                self.say(&special::log_not_found(self.task, self.found.key.id));
                return Some(Ok(self.take(Vec::new(), true)));
            }
        }
    }

    fn lost(&mut self) {
        self.say(&special::lost_place(self.found.key.id, &self.cursor));
        self.cursor.clear();
        self.begin.clear();
    }

    fn say(&mut self, said: &str) {
        self.said.push(said.to_owned().into());
    }

    fn take(&mut self, lines: Vec<Bytes>, done: bool) -> Polled {
        let mut events = std::mem::take(&mut self.said);
        let own = events.len();
        let id = self.found.key.id;
        events.extend(lines.into_iter().map(|line| match in_place_of(&line, id) {
            // The invocation was put into what began as an object; its text is the log's own.
            Some(_) => stand_in(&unspliced(&line, id), id).into(),
            None => line,
        }));
        Polled {
            own,
            events,
            cursor: match std::mem::take(&mut self.cursor) {
                cursor if cursor.is_empty() => std::mem::take(&mut self.begin),
                cursor => cursor,
            },
            done,
        }
    }

    fn answer(mut self, done: bool) -> Polled {
        self.take(Vec::new(), done)
    }
}

impl Polled {
    fn nothing(cursor: &str) -> Polled {
        Polled {
            own: 0,
            events: Vec::new(),
            cursor: cursor.to_owned(),
            done: false,
        }
    }

    fn last(said: Vec<String>, cursor: &str) -> Polled {
        Polled {
            own: said.len(),
            events: said.into_iter().map(Bytes::from).collect(),
            done: true,
            ..Polled::nothing(cursor)
        }
    }

    fn size(&self) -> u64 {
        self.events.iter().map(|event| event.len() as u64).sum()
    }
}

impl From<Polled> for Answer {
    fn from(polled: Polled) -> Answer {
        Answer::good()
            .with_list("events", polled.events, |event, out| {
                out.extend_from_slice(event);
            })
            .with("own", polled.own)
            .with("cursor", polled.cursor)
            .with("done", polled.done)
    }
}
