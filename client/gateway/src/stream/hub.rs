//! One upstream per invocation, however many watch it. It begins when the first viewer has reached
//! the end of what is logged, and ends when the last one has left, or with the log.
//!
//! ```text
//!              ┌────────────────── it broke ──────────────────┐
//!              v                                              │
//! first ──> Catching up ──end of what is there──> Live ───────┤
//! viewer       └─ away <─> ─┘                       │         └──refused──> Over
//!                                                   └──end of the log, nobody left──> Over
//! ```
//!
//! After a break it first reads what is there, and only then says that it is live again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use steroids_client::v1::Event;
use steroids_client::{Backoff, FollowError, Item};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Status;

use super::frame::encode;
use super::lag::{Lag, Lags};
use super::read::{ReadError, away, forget_told, request, why};
use super::ring::{Ring, Taken};
use crate::Daemon;
use crate::metrics::StreamGuard;

/// How long an upstream outlives its last viewer: a page that is loaded again finds it.
const LINGER: Duration = Duration::from_secs(5);

/// An invocation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// Path of its project, as it was asked for.
    pub(super) project: Arc<str>,
    /// Its id there.
    pub(super) id: i64,
}

/// How an upstream is.
#[derive(Debug, Clone)]
pub(super) enum Upstream {
    /// It reads what is there already.
    CatchingUp,
    /// It has seen all that is logged.
    Live,
    /// The daemon is away.
    Away,
    /// The project's folder is.
    Gone(Box<Status>),
    /// There is nothing more to come.
    Ended,
    /// The daemon says no.
    Refused(Box<Status>),
    /// It does not know the place where we are.
    Lost,
}

/// What viewers are woken by.
#[derive(Debug, Clone)]
pub(super) struct News {
    /// Grows with the ring.
    version: u64,
    /// How it is.
    pub(super) upstream: Upstream,
}

/// All upstreams. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Hubs(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    daemon: Daemon,
    tasks: TaskTracker,
    stop: CancellationToken,
    // Held for a look or a change, never while waiting.
    hubs: Mutex<HashMap<Key, Arc<Hub>>>,
}

#[derive(Debug)]
struct Hub {
    key: Key,
    ring: Mutex<Ring>,
    news: watch::Sender<News>,
    viewers: watch::Sender<usize>,
    lags: Lags,
}

/// A viewer's part in an upstream; leaves it when dropped.
#[derive(Debug)]
pub(super) struct Joined {
    hub: Arc<Hub>,
    news: watch::Receiver<News>,
    /// Number of the next frame; `None` until the viewer was found its place.
    at: Option<u64>,
    lag: Option<Lag>,
}

// === impl Hubs ===

impl Hubs {
    pub(super) fn new(daemon: Daemon, tasks: TaskTracker, stop: CancellationToken) -> Hubs {
        Hubs(Arc::new(Shared {
            daemon,
            tasks,
            stop,
            hubs: Mutex::default(),
        }))
    }

    /// The upstream there is. A viewer that then reads for itself to the end of what is there, and
    /// is not in the ring, has only to wait for news: what the ring holds was there before.
    pub(super) fn peek(&self, key: &Key) -> Option<Joined> {
        self.0.hubs().get(key).map(Hub::join)
    }

    /// The upstream there is, or one that begins at the cursor.
    pub(super) fn join(&self, key: &Key, cursor: &str) -> Joined {
        let mut hubs = self.0.hubs();
        if let Some(hub) = hubs.get(key) {
            return hub.join();
        }
        let hub = Arc::new(Hub {
            key: key.clone(),
            ring: Mutex::new(Ring::new(cursor.to_owned())),
            news: watch::Sender::new(News {
                version: 0,
                upstream: Upstream::CatchingUp,
            }),
            viewers: watch::Sender::new(0),
            lags: Lags::new(),
        });
        hubs.insert(key.clone(), Arc::clone(&hub));
        let joined = hub.join();
        let (all, after) = (self.clone(), cursor.to_owned());
        self.0.tasks.spawn(async move { all.run(hub, after).await });
        joined
    }

    async fn run(self, hub: Arc<Hub>, after: String) {
        let upstream = tokio::select! {
            biased;
            // Nothing is said: the log has not ended, and the viewers end with the stop themselves.
            () = self.0.stop.cancelled() => return,
            upstream = self.follow(&hub, after) => upstream,
            () = hub.abandoned(&self.0) => return,
        };
        self.0.forget(&hub);
        hub.say(upstream);
    }

    /// Follows until there is nothing more, whatever the daemon does meanwhile.
    async fn follow(&self, hub: &Hub, mut after: String) -> Upstream {
        let mut backoff = Backoff::new();
        let mut is_live = false;
        loop {
            match self.once(hub, &mut after, is_live, &mut backoff).await {
                Ok(()) if is_live => return Upstream::Ended,
                Ok(()) => is_live = true,
                Err(error @ (ReadError::Away | ReadError::Gone(_))) => {
                    hub.say(match error {
                        ReadError::Gone(status) => Upstream::Gone(status),
                        _ => Upstream::Away,
                    });
                    tokio::time::sleep(backoff.wait()).await;
                    self.0.daemon.until_live().await;
                    is_live = false;
                }
                Err(ReadError::Cursor(_)) => return Upstream::Lost,
                Err(ReadError::Refused(status)) => return Upstream::Refused(status),
            }
        }
    }

    /// One stream: of what is there, or of what is there and comes.
    async fn once(
        &self,
        hub: &Hub,
        after: &mut String,
        is_live: bool,
        backoff: &mut Backoff,
    ) -> Result<(), ReadError> {
        let daemon = &self.0.daemon;
        let lease = daemon.lease().await.map_err(|_| ReadError::Away)?;
        let request = request(&hub.key, after, is_live);
        let mut follow = lease.client.follow(request).with_patience(Duration::ZERO);
        let mut is_first = true;
        loop {
            match follow.next().await {
                Ok(Some(Item::Events(mut events))) => {
                    backoff.reset();
                    if std::mem::take(&mut is_first) {
                        forget_told(&mut events, after);
                    }
                    hub.push(events, after);
                }
                Ok(Some(item)) => {
                    daemon.heard(&item);
                    hub.say(if is_live {
                        Upstream::Live
                    } else {
                        Upstream::CatchingUp
                    });
                }
                Ok(None) => return Ok(()),
                Err(FollowError::Refused(status)) => return Err(why(status)),
                Err(FollowError::Away { last, .. }) => {
                    let _ = daemon.noted::<()>(Err((*last).clone()));
                    return Err(away(last));
                }
            }
        }
    }
}

// === impl Shared ===

impl Shared {
    fn hubs(&self) -> MutexGuard<'_, HashMap<Key, Arc<Hub>>> {
        // Each change is one call, so a panic elsewhere leaves nothing half done.
        self.hubs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets newcomers begin another.
    fn forget(&self, hub: &Arc<Hub>) {
        let mut hubs = self.hubs();
        if hubs.get(&hub.key).is_some_and(|it| Arc::ptr_eq(it, hub)) {
            hubs.remove(&hub.key);
        }
    }
}

// === impl Hub ===

impl Hub {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(self: &Arc<Self>) -> Joined {
        self.viewers.send_modify(|viewers| *viewers += 1);
        Joined {
            news: self.news.subscribe(),
            hub: Arc::clone(self),
            at: None,
            lag: None,
        }
    }

    fn push(&self, events: Vec<Event>, after: &mut String) {
        if let Some(last) = events.iter().rev().find(|it| !it.cursor.is_empty()) {
            last.cursor.clone_into(after);
        }
        let segments = encode(&events);
        {
            let mut ring = self.ring();
            segments.into_iter().for_each(|segment| ring.push(segment));
        }
        self.news.send_modify(|news| news.version += 1);
        self.lags.tell(|| self.ring().next());
    }

    fn say(&self, upstream: Upstream) {
        self.news.send_modify(|news| news.upstream = upstream);
    }

    /// Waits until the last viewer has left and none has come; then none will come any more.
    async fn abandoned(self: &Arc<Self>, all: &Shared) {
        let mut viewers = self.viewers.subscribe();
        loop {
            if viewers.wait_for(|viewers| *viewers == 0).await.is_err() {
                return;
            }
            tokio::time::sleep(LINGER).await;
            let mut hubs = all.hubs();
            // Whoever joins holds the lock for it.
            if *self.viewers.borrow() == 0 {
                hubs.retain(|_, hub| !Arc::ptr_eq(hub, self));
                return;
            }
        }
    }
}

// === impl Joined ===

impl Joined {
    /// True if what comes after the cursor is to be had from the ring.
    pub(super) fn is_at(&mut self, cursor: &str) -> bool {
        self.at = self.hub.ring().find(cursor);
        self.at.is_some()
    }

    /// Has the stream's lag told from now on.
    pub(super) fn tell_lag(&mut self, stream: &Arc<StreamGuard>) {
        self.tell_lag_no_more();
        self.lag = Some(self.hub.lags.join(stream, self.at.unwrap_or(0)));
    }

    fn tell_lag_no_more(&mut self) {
        if let Some(lag) = self.lag.take() {
            self.hub.lags.leave(&lag);
        }
    }

    /// Takes what is there, and moves the cursor behind it; `None` where the viewer has to read for
    /// itself.
    pub(super) fn take(&mut self, cursor: &mut String) -> Option<Taken> {
        let ring = self.hub.ring();
        let mut at = self.at?;
        let taken = ring.take(&mut at, cursor);
        self.at = Some(at);
        if let Some(lag) = &self.lag {
            lag.moved(at, ring.next());
        }
        match taken {
            Taken::Behind => None,
            taken => Some(taken),
        }
    }

    /// As [`Joined::take`], each frame's data by itself.
    pub(super) fn lines(&mut self, cursor: &mut String) -> Option<Vec<Bytes>> {
        let ring = self.hub.ring();
        let mut at = self.at?;
        let lines = ring.lines(&mut at, cursor)?;
        self.at = Some(at);
        Some(lines)
    }

    /// True if what it was given last is the log's terminal line.
    pub(super) fn is_over(&self) -> bool {
        self.at.is_some_and(|at| self.hub.ring().is_over(at))
    }

    /// How the upstream is; marks it as seen, so that only later news wake.
    pub(super) fn look(&mut self) -> Upstream {
        self.news.borrow_and_update().upstream.clone()
    }

    /// Waits for news. Cancel-safe.
    pub(super) async fn changed(&mut self) {
        if self.news.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        self.tell_lag_no_more();
        self.hub.viewers.send_modify(|viewers| *viewers -= 1);
    }
}

#[cfg(test)]
mod tests;
