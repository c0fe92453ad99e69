//! What steroidsd knows, for browsers: HTTP, server-sent events, and a page. A sidecar: it talks to
//! the daemon by gRPC alone, keeps nothing but its token, and may be restarted at any time.
//!
//! ```text
//! connection ──listen──> front: guard ──> api | stream | page
//!                                 └ access    └──────┴──> daemon (gRPC)
//! ```

pub mod cli;
pub mod config;
pub mod logging;
pub mod run;
pub mod stream;

mod access;
mod answer;
mod api;
mod daemon;
mod front;
mod guard;
mod headers;
mod listen;
mod metrics;
mod page;
mod together;

use std::sync::Arc;

use axum::extract::FromRef;

pub use daemon::{Daemon, DaemonState};
pub use metrics::Metrics;

/// What the handlers share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Rooms {
    pub(crate) config: Arc<config::Config>,
    pub(crate) daemon: Daemon,
    pub(crate) metrics: Metrics,
    pub(crate) streams: stream::Streams,
    pub(crate) access: access::Access,
    pub(crate) stories: api::Stories,
}

impl FromRef<Rooms> for stream::Streams {
    fn from_ref(rooms: &Rooms) -> Self {
        rooms.streams.clone()
    }
}
