//! A bounded read of a log from a viewer's own cursor: what there is, as much of it as was asked for.
//! The stream it is read from is gone before anybody waits for a client.

use std::sync::Arc;
use std::time::Duration;

use steroids_client::v1::follow_request::Selector;
use steroids_client::v1::{Event, FollowRequest, FollowResponse, InvocationSelector};
use steroids_client::{Item, Refusal};
use tokio::sync::Semaphore;
use tonic::{Code, Status};

use super::frame::{Segment, cursor_behind, encode, encode_piece};
use super::hub::Key;
use crate::Daemon;

/// A daemon that takes a connection and then says nothing is as one that is away.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);

/// How much is read at a time. A stream of the daemon's is opened for each read, so who reads much
/// reads more at a time; one that stalls holds no more than that. One more message of the daemon's may
/// come on top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size(usize);

/// What was there.
#[derive(Debug, Default)]
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
#[derive(Debug)]
pub(super) enum ReadError {
    /// The daemon is away, or asks to come again.
    Away,
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
}

// === impl Size ===

impl Size {
    /// Enough for a socket's buffer, and soon there.
    pub(super) const FIRST: Size = Size(64 * 1024);
    const MOST: Size = Size(512 * 1024);

    /// For the read that follows on one of this size, all of which was taken.
    pub(super) fn more(self) -> Size {
        Size((self.0 * 2).min(Size::MOST.0))
    }
}

// === impl Batch ===

impl Batch {
    /// True if there was nothing, to the end.
    pub(super) fn is_over(&self) -> bool {
        self.at_end && self.segments.is_empty()
    }

    /// Adds what came next; how many bytes of lines that were.
    fn take(&mut self, answer: FollowResponse) -> usize {
        let mut events = answer.events;
        let mut size: usize = events.iter().map(|it| it.line.len()).sum();
        if self.segments.is_empty() {
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
        }
    }

    /// Reads what comes after the cursor, in its turn.
    pub(super) async fn read(
        &self,
        key: &Key,
        after: &str,
        is_ended: bool,
        enough: Size,
    ) -> Result<Batch, ReadError> {
        let Ok(_turn) = self.turns.acquire().await else {
            return Err(ReadError::Away);
        };
        // On the connection for calls, which has room for all turns: streams that stay open must
        // not keep a read waiting.
        let client = self.daemon.client().await.map_err(|_| ReadError::Away)?;
        // Of an ended one the daemon tells also what is missing at its end.
        let request = FollowRequest {
            limit_bytes: enough.0 as u64,
            pieces: true,
            ..request(key, after, is_ended)
        };
        let opened = tokio::time::timeout(OPEN_TIMEOUT, client.follow_once(request)).await;
        let silent = || Err(Status::unavailable("the daemon does not answer"));
        let mut stream = self.heard(opened.unwrap_or_else(|_| silent()))?;
        let mut batch = Batch {
            cursor: after.to_owned(),
            ..Batch::default()
        };
        let mut size = 0;
        while size < enough.0 {
            match self.heard(stream.message().await) {
                Ok(Some(answer)) => size += batch.take(answer),
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

/// What the daemon's no means for whoever reads on: the one place where it is decided what is waited
/// out and what ends a stream.
pub(super) fn why(status: Box<Status>) -> ReadError {
    if Refusal::passes(&status) {
        return ReadError::Away;
    }
    match status.code() {
        Code::OutOfRange => ReadError::Cursor(status),
        _ => ReadError::Refused(status),
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_on_reads_more_at_a_time_and_never_more_than_the_bound() {
        let mut sizes = vec![Size::FIRST];
        for _ in 0..5 {
            sizes.push(sizes[sizes.len() - 1].more());
        }
        let kib: Vec<_> = sizes.iter().map(|size| size.0 / 1024).collect();
        assert_eq!(kib, [64, 128, 256, 512, 512, 512]);
    }
}
