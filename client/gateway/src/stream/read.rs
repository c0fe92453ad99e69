//! A bounded read of a log from a viewer's own cursor: what there is, as much of it as was asked for.
//! The stream it is read from is gone before anybody waits for a client. A read is a task of its own:
//! a viewer is not polled while its client reads nothing, and must then hold neither a turn nor those
//! who read the same with it.
//!
//! Who has taken a whole part is one who reads: it gets the rest as a [`Run`], in which the next pieces are
//! read while it takes those before. A run ends when it has waited for its taker for too long in all.

use std::sync::Arc;
use std::time::Duration;

use steroids_client::v1::follow_request::Selector;
use steroids_client::v1::{Event, FollowRequest, FollowResponse, InvocationSelector};
use steroids_client::{Item, Refusal};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Code, Status, Streaming};

use super::frame::{Segment, cursor_behind, encode, encode_piece};
use super::hub::Key;
use crate::Daemon;
use crate::answer::is_folder_gone;
use crate::together::Together;

/// A daemon that takes a connection and then says nothing is as one that is away.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);

/// What is read at once for who has not shown yet that it reads: enough for a socket's buffer.
const FIRST: usize = 64 * 1024;
/// What a run reads: a stream of the daemon's is opened for it, which must not count.
const RUN: usize = 8 * 1024 * 1024;
/// Batches of a run that wait for being taken, of 64 KiB mostly.
const AHEAD: usize = 2;
/// How long a run waits for being taken, in all: who reads more slowly than that gives its turn to others
/// now and then.
const PATIENCE: Duration = Duration::from_millis(100);

/// What is to be read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Part {
    /// Of which log.
    pub(super) key: Key,
    /// What comes after this cursor.
    pub(super) after: String,
    /// Its invocation has ended, so that the daemon tells what is missing at its end.
    pub(super) is_ended: bool,
}

/// Batches, one behind the other, for who takes them as they come; dropping it ends it.
pub(super) struct Run {
    batches: mpsc::Receiver<Read>,
    _task: AbortOnDropHandle<()>,
}

pub(super) type Read = Result<Batch, ReadError>;

type Opened = Streaming<FollowResponse>;

/// What was there.
#[derive(Debug, Clone, Default)]
pub(super) struct Batch {
    /// The frames.
    pub(super) segments: Vec<Segment>,
    /// Behind them.
    pub(super) cursor: String,
    /// Nothing more was there; of an ended invocation, nothing more will be.
    pub(super) at_end: bool,
    /// The last of them is a log's terminal line.
    pub(super) terminal: bool,
}

/// Why nothing could be read.
#[derive(Debug, Clone)]
pub(super) enum ReadError {
    /// The daemon is away, or asks to come again.
    Away,
    /// It is there, and the project's folder is not: it may be put back.
    Gone(Box<Status>),
    /// It does not know the cursor's place.
    Cursor(Box<Status>),
    /// It says no, and would again.
    Refused(Box<Status>),
}

/// What reads share: how many there are at a time.
#[derive(Debug, Clone)]
pub(super) struct Reads {
    daemon: Daemon,
    turns: Arc<Semaphore>,
    parts: Together<Part, Read>,
}

// === impl Batch ===

impl Batch {
    fn behind(cursor: &str) -> Batch {
        Batch {
            cursor: cursor.to_owned(),
            ..Batch::default()
        }
    }

    /// True if there was nothing to the end that leads past this cursor: what leads to it, who has it was told.
    pub(super) fn is_over_at(&self, cursor: &str) -> bool {
        self.at_end && (self.segments.is_empty() || self.cursor == cursor)
    }

    /// Adds what came next, which is the stream's first if so; how many bytes of lines that were.
    fn take(&mut self, answer: FollowResponse, is_first: bool) -> usize {
        let mut events = answer.events;
        let mut size: usize = events.iter().map(|it| it.line.len()).sum();
        if is_first {
            forget_told(&mut events, &self.cursor);
        }
        if let Some(last) = events.iter().rev().find(|it| !it.cursor.is_empty()) {
            last.cursor.clone_into(&mut self.cursor);
        }
        self.add(encode(&events));
        if let Some(piece) = &answer.piece {
            size += piece.lines.len();
            self.cursor = cursor_behind(piece);
            self.add(encode_piece(piece));
        }
        size
    }

    fn add(&mut self, segments: Vec<Segment>) {
        if let Some(last) = segments.last() {
            self.terminal = last.is_terminal();
        }
        self.segments.extend(segments);
    }
}

// === impl Reads ===

impl Reads {
    pub(super) fn new(daemon: Daemon, at_once: usize) -> Reads {
        Reads {
            daemon,
            turns: Arc::new(Semaphore::new(at_once)),
            parts: Together::new(),
        }
    }

    /// Reads the first of a part, in its turn; once for all who ask for it at the same time.
    pub(super) async fn read(&self, part: Part) -> Read {
        let (reads, asked) = (self.clone(), part.clone());
        let fetch = move || async move { reads.fetch(&asked).await };
        self.parts.ask(part, fetch).await
    }

    /// Begins to read what comes next, in its turn.
    pub(super) fn run(&self, part: Part) -> Run {
        let (out, batches) = mpsc::channel(AHEAD);
        let reads = self.clone();
        let task = tokio::spawn(async move { reads.hand_on(part, out).await });
        Run {
            batches,
            _task: AbortOnDropHandle::new(task),
        }
    }

    /// The cursor before so many last lines of what a log has, in its turn.
    pub(super) async fn before_last(&self, key: &Key, lines: u32) -> Result<String, ReadError> {
        let Ok(_turn) = self.turns.acquire().await else {
            return Err(ReadError::Away);
        };
        let request = FollowRequest {
            tail: Some(lines),
            // Where it begins is said first, and no line is wanted.
            limit_bytes: 1,
            ..request(key, "", false)
        };
        let mut stream = self.open(request).await?;
        let first = self.heard(stream.message().await)?.unwrap_or_default();
        Ok(first.cursor)
    }

    async fn fetch(&self, part: &Part) -> Read {
        let Ok(_turn) = self.turns.acquire().await else {
            return Err(ReadError::Away);
        };
        let mut stream = self.open(read_of(part, FIRST)).await?;
        let mut batch = Batch::behind(&part.after);
        let mut size = 0;
        while size < FIRST {
            match self.heard(stream.message().await) {
                Ok(Some(answer)) => {
                    let is_first = batch.segments.is_empty();
                    size += batch.take(answer, is_first);
                }
                Ok(None) => {
                    batch.at_end = true;
                    break;
                }
                Err(error) if batch.segments.is_empty() => return Err(error),
                // What came before a break is as good as any.
                Err(_) => break,
            }
        }
        Ok(batch)
    }

    async fn hand_on(&self, part: Part, out: mpsc::Sender<Read>) {
        let Ok(_turn) = self.turns.acquire().await else {
            return;
        };
        let mut stream = match self.open(read_of(&part, RUN)).await {
            Ok(stream) => stream,
            Err(error) => {
                // One who does not look any more wants no error either.
                let _ = out.send(Err(error)).await;
                return;
            }
        };
        let (mut cursor, mut size, mut patience) = (part.after, 0, PATIENCE);
        let mut is_first = true;
        while size < RUN {
            let mut batch = Batch::behind(&cursor);
            let read = match self.heard(stream.message().await) {
                Ok(Some(answer)) => {
                    size += batch.take(answer, std::mem::take(&mut is_first));
                    batch.cursor.clone_into(&mut cursor);
                    Ok(batch)
                }
                Ok(None) => {
                    batch.at_end = true;
                    Ok(batch)
                }
                Err(error) => Err(error),
            };
            let is_last = read.as_ref().map_or(true, |batch| batch.at_end);
            let begun = Instant::now();
            let taken = tokio::time::timeout(patience, out.send(read)).await;
            if is_last || !matches!(taken, Ok(Ok(()))) {
                return;
            }
            patience = patience.saturating_sub(begun.elapsed());
        }
    }

    async fn open(&self, request: FollowRequest) -> Result<Opened, ReadError> {
        // On the connection for calls, which has room for all turns: streams that stay open must
        // not keep a read waiting.
        let client = self.daemon.client().await.map_err(|_| ReadError::Away)?;
        let opened = tokio::time::timeout(OPEN_TIMEOUT, client.follow_once(request)).await;
        let silent = || Err(Status::unavailable("the daemon does not answer"));
        self.heard(opened.unwrap_or_else(|_| silent()))
    }

    /// Notes what an answer says of the daemon.
    fn heard<T>(&self, answer: Result<T, Status>) -> Result<T, ReadError> {
        match answer {
            Ok(answer) => {
                self.daemon.heard(&Item::Live);
                Ok(answer)
            }
            Err(status) => {
                let _ = self.daemon.noted::<()>(Err(status.clone()));
                Err(why(Box::new(status)))
            }
        }
    }
}

// === impl Run ===

impl Run {
    /// The next batch; `None` where the rest is to be asked for anew. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Read> {
        self.batches.recv().await
    }
}

/// What the daemon's no means for whoever reads on: the one place where it is decided what is waited
/// out and what ends a stream.
pub(super) fn why(status: Box<Status>) -> ReadError {
    let refusal = Refusal::of(&status);
    if is_folder_gone(&refusal) {
        return ReadError::Gone(status);
    }
    // A disk that hangs is waited for, too.
    if Refusal::passes(&status) || status.code() == Code::DeadlineExceeded {
        return ReadError::Away;
    }
    match refusal.code {
        Code::OutOfRange => ReadError::Cursor(status),
        _ => ReadError::Refused(status),
    }
}

/// As [`why`], where the client gave up coming again.
pub(super) fn away(last: Box<Status>) -> ReadError {
    match why(last) {
        gone @ ReadError::Gone(_) => gone,
        _ => ReadError::Away,
    }
}

/// Lets go of a gap that a stream begins with and that leads to where it was asked to begin: who is
/// there was told of it. One behind a line leads to the same place as that, and is news.
pub(super) fn forget_told(events: &mut Vec<Event>, after: &str) {
    let is_told = |it: &Event| it.r#type == "gap" && it.cursor == after;
    if events.first().is_some_and(is_told) {
        events.remove(0);
    }
}

/// True if the cursor is no text that was ever given for such a stream, rather than one whose place
/// is gone.
pub(super) fn is_malformed(status: &Status) -> bool {
    Refusal::of(status).reason.as_deref() == Some("CURSOR_MALFORMED")
}

/// A request for a part of a log.
fn read_of(part: &Part, limit: usize) -> FollowRequest {
    FollowRequest {
        limit_bytes: limit as u64,
        pieces: true,
        // Of an ended one the daemon tells also what is missing at its end.
        ..request(&part.key, &part.after, part.is_ended)
    }
}

/// A request to follow one invocation.
pub(super) fn request(key: &Key, after: &str, follow: bool) -> FollowRequest {
    FollowRequest {
        selector: Some(Selector::Invocation(InvocationSelector {
            project: key.project.to_string(),
            id: key.id,
        })),
        after: after.to_owned(),
        follow,
        skip_ended: false,
        limit_bytes: 0,
        pieces: false,
        tail: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_reads_the_same_asks_together() {
        // Takes connections, and answers nobody.
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let reads = Reads::new(Daemon::new(socket), 16);
        let part = |after: &str| Part {
            key: Key {
                project: "/p".into(),
                id: 1,
            },
            after: after.to_owned(),
            is_ended: false,
        };
        let asking: Vec<_> = ["", "", "1:0:5", ""]
            .map(|after| {
                let (reads, part) = (reads.clone(), part(after));
                tokio::spawn(async move { reads.read(part).await })
            })
            .into();
        // Each asks before it waits for anything; the bound ends a test that would hang.
        let all_ask = async {
            while reads.parts.asked().iter().map(|(_, by)| by).sum::<usize>() < 4 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(OPEN_TIMEOUT, all_ask).await.unwrap();
        let mut asked = reads.parts.asked();
        asked.sort_by_key(|(_, by)| *by);
        assert_eq!(asked, [(part("1:0:5"), 1), (part(""), 3)]);
        asking.iter().for_each(tokio::task::JoinHandle::abort);
        while !reads.parts.asked().is_empty() {
            tokio::task::yield_now().await;
        }
    }

    #[test]
    fn a_gap_is_forgotten_only_where_a_stream_begins_with_it() {
        let gap = Event {
            cursor: "1:0:10".to_owned(),
            r#type: "gap".to_owned(),
            line: br#"{"type":"gap"}"#.to_vec().into(),
            ..Event::default()
        };
        let answer = FollowResponse {
            events: vec![gap],
            ..FollowResponse::default()
        };
        for (is_first, segments) in [(true, 0), (false, 1)] {
            let mut batch = Batch::behind("1:0:10");
            batch.take(answer.clone(), is_first);
            assert_eq!(batch.segments.len(), segments);
        }
    }
}
