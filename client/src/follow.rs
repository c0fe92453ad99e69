//! One stream of events that outlives its connections.
//!
//! ```text
//!          ┌──────────── answered ────────────┐
//!          │                                  v
//!   Opening ──failed──> Waiting          Streaming ──ended by the daemon──> Done
//!          ^               │                  │
//!          └── time is up ─┘ <── it broke ────┘         (a final refusal: Done, from anywhere)
//! ```
//!
//! Each new connection asks for what comes after the last event that was handed out, so none comes
//! twice and none is left out. Breaks and refusals that pass are waited out with growing pauses;
//! refusals that would be the same next time end the stream with an error.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, Sleep};
use tonic::codec::Streaming;
use tonic::{Code, Status};

use crate::backoff::Backoff;
use crate::client::Client;
use crate::refusal::{Refusal, is_caused_by};
use crate::v1;

/// A daemon that takes a connection and then says nothing is tried again after this long.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);
/// A daemon that stays away this long does not come back by itself.
const PATIENCE: Duration = Duration::from_secs(10 * 60);
/// A stream that held this long was one, whether or not there was anything to tell: what breaks it is
/// new. A daemon that opens streams and breaks each at once is as good as away. Longer than any wait
/// between two attempts.
const HELD: Duration = Duration::from_secs(10);

/// What a follower is told.
#[derive(Debug)]
pub enum Item {
    /// The next events, in order, at least one.
    Events(Vec<v1::Event>),
    /// The stream is open, for the first time or again.
    Live,
    /// The stream broke; it is being opened again.
    Reconnecting {
        /// What broke it.
        reason: String,
    },
    /// Nobody answers at the socket; trying goes on.
    Away,
}

/// Why a stream ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The daemon said no, and would say so again.
    #[error("the daemon refused to go on")]
    Refused(#[source] Box<Status>),
    /// The daemon stayed away for too long.
    #[error("the daemon has been away for {} s", away.as_secs())]
    Away {
        /// For how long it was tried.
        away: Duration,
        /// What the last attempt met.
        #[source]
        last: Box<Status>,
    },
}

type Opening = Pin<Box<dyn Future<Output = Result<Streaming<v1::FollowResponse>, Status>> + Send>>;

enum State {
    Opening(Opening),
    /// Open, and since when.
    Streaming(Box<Streaming<v1::FollowResponse>>, Instant),
    Waiting(Pin<Box<Sleep>>),
    Done,
}

/// Which of the connection's troubles was last told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Live,
    Reconnecting,
    Away,
}

/// A stream of events that opens itself again; see the module's head.
pub struct Follow {
    client: Client,
    request: v1::FollowRequest,
    state: State,
    backoff: Backoff,
    patience: Duration,
    /// Since when neither an event came through nor a stream held; `None` while all is well.
    broken_since: Option<Instant>,
    told: Told,
}

impl Follow {
    pub(crate) fn new(client: Client, mut request: v1::FollowRequest) -> Self {
        // Items are events.
        request.pieces = false;
        let state = open(&client, &request);
        Follow {
            client,
            request,
            state,
            backoff: Backoff::new(),
            patience: PATIENCE,
            broken_since: None,
            told: Told::Nothing,
        }
    }

    /// Gives up when the daemon has been away for this long, instead of ten minutes.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Cursor of the last event handed out; what to resume from in another process.
    pub fn cursor(&self) -> &str {
        &self.request.after
    }

    /// The next item; `None` at the end. Cancel-safe: an item is either returned or still to come.
    ///
    /// # Errors
    /// [`FollowError`], after which there is only `None`.
    pub async fn next(&mut self) -> Result<Option<Item>, FollowError> {
        loop {
            match &mut self.state {
                State::Done => return Ok(None),
                State::Waiting(sleep) => {
                    sleep.as_mut().await;
                    self.state = open(&self.client, &self.request);
                }
                State::Opening(opening) => match opening.as_mut().await {
                    Ok(stream) => {
                        self.state = State::Streaming(Box::new(stream), Instant::now());
                        if self.tell(Told::Live) {
                            return Ok(Some(Item::Live));
                        }
                    }
                    Err(status) => {
                        if let Some(item) = self.broke(status)? {
                            return Ok(Some(item));
                        }
                    }
                },
                State::Streaming(stream, since) => match stream.message().await {
                    Ok(Some(batch)) if batch.events.is_empty() => self.begin_at(batch.cursor),
                    Ok(Some(batch)) => return Ok(Some(self.hand_out(batch.events))),
                    Ok(None) => self.state = State::Done,
                    Err(status) => {
                        if since.elapsed() >= HELD.min(self.patience) {
                            self.broken_since = None;
                        }
                        if let Some(item) = self.broke(status)? {
                            return Ok(Some(item));
                        }
                    }
                },
            }
        }
    }

    /// Where the stream begins, told before there is an event: what ends before the first one is
    /// then passed over by no new connection.
    fn begin_at(&mut self, cursor: String) {
        if !cursor.is_empty() {
            self.request.after = cursor;
        }
    }

    fn hand_out(&mut self, events: Vec<v1::Event>) -> Item {
        let last = events.iter().rev().find(|event| !event.cursor.is_empty());
        if let Some(event) = last {
            self.request.after.clone_from(&event.cursor);
        }
        self.backoff.reset();
        self.broken_since = None;
        Item::Events(events)
    }

    /// Decides whether to try again; tells the caller what changed, if anything did.
    fn broke(&mut self, status: Status) -> Result<Option<Item>, FollowError> {
        if !self.passes(&status) {
            self.state = State::Done;
            return Err(FollowError::Refused(Box::new(status)));
        }
        let since = *self.broken_since.get_or_insert_with(Instant::now);
        let away = since.elapsed();
        if away >= self.patience {
            self.state = State::Done;
            let last = Box::new(status);
            return Err(FollowError::Away { away, last });
        }
        let wait = self.backoff.wait().min(self.patience - away);
        self.state = State::Waiting(Box::pin(tokio::time::sleep(wait)));
        let reason = if Refusal::is_broken(&status) {
            "the connection was lost".to_owned()
        } else {
            status.message().to_owned()
        };
        // Not even a connection came about.
        Ok(if is_caused_by::<tonic::ConnectError>(&status) {
            self.tell(Told::Away).then_some(Item::Away)
        } else {
            self.tell(Told::Reconnecting)
                .then_some(Item::Reconnecting { reason })
        })
    }

    /// Whether the same request may succeed later. Too many streams is final for a newcomer; who
    /// had a stream waits until the others, who return at the same moment, are served.
    fn passes(&self, status: &Status) -> bool {
        let is_full = status.code() == Code::ResourceExhausted;
        // A daemon that is slow to begin a stream has lost nobody.
        let is_late = status.code() == Code::DeadlineExceeded;
        (Refusal::passes(status) || is_late) && !(is_full && self.told == Told::Nothing)
    }

    /// True if this is news: a state differing from the last one told. Once away, a failure of
    /// another kind is no news until the stream is live again.
    fn tell(&mut self, now: Told) -> bool {
        let news = match (self.told, now) {
            (Told::Away, Told::Reconnecting) => false,
            (before, now) => before != now,
        };
        if news {
            self.told = now;
        }
        news
    }
}

fn open(client: &Client, request: &v1::FollowRequest) -> State {
    let (client, request) = (client.clone(), request.clone());
    State::Opening(Box::pin(async move {
        tokio::time::timeout(OPEN_TIMEOUT, client.follow_once(request))
            .await
            .unwrap_or_else(|_| Err(Status::unavailable("the daemon does not answer")))
    }))
}
