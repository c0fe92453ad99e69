//! Server-sent events and the long-poll.
//!
//! ```text
//!   viewer ──own bounded reads, until it has caught up──┐
//!      └──then──> ring <── hub: one upstream each ──────┴──> daemon (gRPC)
//! ```
//!
//! A viewer is a cursor. Its body is pulled, so whoever reads slowly is simply further behind, and
//! reads for itself what the ring no longer holds. Nothing here grows with a reader's slowness.

mod absent;
mod board;
mod body;
mod frame;
mod hub;
mod lag;
mod next;
mod overview;
mod place;
mod poll;
mod project;
mod query;
mod read;
mod ring;
mod shown;
mod special;
mod target;
mod task;
mod viewer;

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::routing::get;
use http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tokio_util::task::TaskTracker;

use crate::answer::Answer;
use crate::{Daemon, Metrics};
use hub::Hubs;
use next::Nexts;
use overview::Overview;
use read::Reads;

/// Reads of viewers that are behind, at a time: enough to keep the daemon's disk busy, few enough
/// that their batches are nothing.
const READS: usize = 16;
/// Streams of projects: two of the daemon's streams each.
const WIDE: usize = 64;

/// What the streams share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Streams {
    daemon: Daemon,
    metrics: Metrics,
    hubs: Hubs,
    reads: Reads,
    nexts: Nexts,
    overview: Overview,
    stop: CancellationToken,
    open: Arc<Semaphore>,
    max: usize,
    wide: Arc<Semaphore>,
}

impl Streams {
    /// At most `max` streams; their upstreams are tasks of `tasks`; all end with `stop`.
    pub fn new(
        daemon: Daemon,
        metrics: Metrics,
        max: usize,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Streams {
        Streams {
            hubs: Hubs::new(daemon.clone(), tasks.clone(), stop.clone()),
            reads: Reads::new(daemon.clone(), READS),
            nexts: Nexts::new(daemon.clone(), tasks.clone(), stop.clone()),
            overview: Overview::new(daemon.clone(), tasks.clone(), stop.clone()),
            open: Arc::new(Semaphore::new(max)),
            wide: Arc::new(Semaphore::new(max.min(WIDE))),
            max,
            daemon,
            metrics,
            stop,
        }
    }

    /// A place for one more stream.
    fn place(&self) -> Result<OwnedSemaphorePermit, Answer> {
        self.place_among(&self.open, self.max)
    }

    /// A place for one that has an upstream to itself.
    fn wide_place(&self) -> Result<OwnedSemaphorePermit, Answer> {
        self.place_among(&self.wide, self.max.min(WIDE))
    }

    /// Resolves when streams are to end.
    fn stopped(&self) -> WaitForCancellationFutureOwned {
        self.stop.clone().cancelled_owned()
    }

    fn place_among(
        &self,
        places: &Arc<Semaphore>,
        max: usize,
    ) -> Result<OwnedSemaphorePermit, Answer> {
        Arc::clone(places).try_acquire_owned().map_err(|_| {
            self.metrics.refused("streams");
            Answer::bad(StatusCode::TOO_MANY_REQUESTS, "Too many active streams").with("max", max)
        })
    }
}

/// The paths under which streams are.
pub fn routes<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    Streams: FromRef<S>,
{
    Router::new()
        .route("/api/tasks/{id}/stream", get(task::stream))
        .route("/api/tasks/{id}/events", get(poll::events))
        .route("/api/projects/stream", get(project::stream))
        .route("/api/overview/stream", get(overview::stream))
}
