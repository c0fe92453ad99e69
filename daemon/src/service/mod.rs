//! gRPC in and out. Each method takes a request apart, asks a room, and puts the answer together;
//! what is wrong becomes a status that says what, with which field, and what to do.
//!
//! Bounds, all of them stated where they are set: who may connect and how many (`accept`), how long
//! a request may take (`layers`), how large and how many messages may be (here). No room is asked
//! on a client's word alone: a start that a client no longer waits for is seen through.

mod accept;
mod asked;
mod bounds;
mod browsing;
mod cleaning;
mod configuration;
mod convert;
mod daemon;
mod elsewhere;
mod following;
mod hooks;
mod invocations;
mod layers;
pub mod listen;
pub mod lock;
mod log_files;
mod measures;
mod missing;
mod page;
mod peer;
pub mod place;
mod projects;
mod pulse;
mod refusal;
pub mod reload;
mod resources;
mod retrying;
mod spending;
mod status;
mod stream;
mod subscribers;
mod telling;
mod terms;
mod upkeep;
mod wakeups;
mod watching;

use std::io;
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use steroids_proto::v1::daemon_server::DaemonServer;
use steroids_proto::v1::invocations_server::InvocationsServer;
use steroids_proto::v1::projects_server::ProjectsServer;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tower::layer::util::{Identity, Stack};

use crate::hooks::Hooks;
use crate::otlp;
use crate::projects::Projects;
use crate::supervise::Supervisor;
use crate::watch::Hints;
use accept::{Doorbell, Incoming, Rings};
pub use configuration::{Configuration, Reread};
use daemon::Asking;
pub use daemon::{Facts, ProviderFacts};
use reload::Reload;
use subscribers::Subscribers;
pub use wakeups::{Settings as WakeupSettings, Wakeups};

/// As much as a prompt of 3 MiB and its environment; a long timeline is sent in parts.
const MESSAGE_MAX: usize = 4 << 20;
/// The whole of a request's headers; h2 itself would take 16 MiB.
const HEADERS_MAX: u32 = 16 << 10;
/// What a client may send ahead on one stream, and on all together: starts are rare and small.
const STREAM_WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// Streams reset before we came to them: more in a row is an attack, or a client gone mad.
const RESETS_MAX: usize = 20;
/// A peer that has died is noticed at once; this is for one that is frozen, which frees its slot after
/// both. As often as our own clients ask.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// How many clients may do how much.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Connections at a time.
    pub connections: usize,
    /// Open requests and streams of one connection.
    pub streams: u32,
}

/// How a service ends.
#[derive(Debug, Clone)]
pub struct Stops {
    /// A client asked for the daemon's end: cancelled here.
    pub asked: CancellationToken,
    /// Ends streams and connections: cancelled by the daemon, when it has come to that.
    pub close: CancellationToken,
}

/// The rooms, as the methods use them. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    projects: Projects,
    supervisor: Supervisor,
    hints: Hints,
    wakeups: Wakeups,
    told: Hooks,
    facts: watch::Receiver<Arc<Facts>>,
    configuration: Configuration,
    reload: Reload,
    subscribers: Subscribers,
    stops: Stops,
    programs: Asking,
    disks: Asking,
    spools: Asking,
    export: Option<otlp::Board>,
    /// Why the state folder is not as it should be; held for a copy.
    unkept: Arc<Mutex<Option<String>>>,
    bell: Doorbell,
    // Taken by the one who serves.
    rings: Arc<Mutex<Option<Rings>>>,
}

/// Why serving ended before it was to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The socket cannot be used by the runtime.
    #[error("cannot use the socket")]
    Socket(#[source] io::Error),
    /// The reflection service does not take our own descriptors.
    #[error("cannot build the reflection service")]
    Reflection(#[source] tonic_reflection::server::Error),
    /// The server gave up.
    #[error("server failed")]
    Server(#[source] tonic::transport::Error),
}

impl Service {
    /// A service over these rooms. The facts change when the configuration is read anew.
    #[expect(
        clippy::too_many_arguments,
        reason = "they are the rooms; a struct would only name them again"
    )]
    pub fn new(
        projects: Projects,
        supervisor: Supervisor,
        hints: Hints,
        wakeups: Wakeups,
        told: Hooks,
        facts: watch::Receiver<Arc<Facts>>,
        configuration: Configuration,
        reload: Reload,
        stops: Stops,
    ) -> Service {
        let subscribers = Subscribers::default();
        let (bell, rings) = Doorbell::new();
        Service {
            projects,
            supervisor,
            hints,
            wakeups,
            told,
            facts,
            configuration,
            reload,
            subscribers,
            stops,
            programs: Asking::default(),
            disks: Asking::default(),
            spools: Asking::default(),
            export: None,
            unkept: Arc::default(),
            bell,
            rings: Arc::new(Mutex::new(Some(rings))),
        }
    }

    /// The same, telling how it goes with a collector as well.
    #[must_use]
    pub fn exporting(self, board: otlp::Board) -> Service {
        Service {
            export: Some(board),
            ..self
        }
    }

    /// Waits until readers have gone, or rest after much was read: time to give memory back. One
    /// waiter.
    pub async fn ebb(&self) {
        self.subscribers.ebb().await;
    }

    /// Tells whoever asks for the status why the state folder is not as it should be; `None` once it is.
    pub fn tell_unkept(&self, why: Option<String>) {
        *self.unkept.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// Returns once connections are seen to be let in; false if nobody serves any more.
    pub async fn lets_in(&self) -> bool {
        self.bell.answers().await
    }

    /// Lets connections in by this from now on; false if nobody serves any more.
    ///
    /// # Errors
    /// Where the runtime cannot use it.
    pub async fn move_to(&self, listener: UnixListener) -> io::Result<bool> {
        let listener = tokio::net::UnixListener::from_std(listener)?;
        Ok(self.bell.moves(listener).await)
    }

    /// Serves until told to close, and then until the last connection has ended.
    ///
    /// # Errors
    /// Where the server cannot be built, or the socket not be used.
    pub async fn serve(self, listener: UnixListener, settings: Settings) -> Result<(), ServeError> {
        let listener = tokio::net::UnixListener::from_std(listener).map_err(ServeError::Socket)?;
        let rings = self
            .rings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        // Who serves a second time is asked by nobody.
        let rings = rings.unwrap_or_else(|| Doorbell::new().1);
        let incoming = Incoming::new(listener, settings.connections, rings);
        let close = self.stops.close.clone();
        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_serving::<InvocationsServer<Service>>().await;
        health.set_serving::<ProjectsServer<Service>>().await;
        health.set_serving::<DaemonServer<Service>>().await;
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(steroids_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()
            .map_err(ServeError::Reflection)?;
        // The generated servers have the same setters, but share no trait.
        macro_rules! sized {
            ($server:ident) => {
                $server::new(self.clone())
                    .max_decoding_message_size(MESSAGE_MAX)
                    .max_encoding_message_size(MESSAGE_MAX)
            };
        }
        server(settings)
            .add_service(health_service)
            .add_service(reflection)
            .add_service(sized!(InvocationsServer))
            .add_service(sized!(ProjectsServer))
            .add_service(sized!(DaemonServer))
            .serve_with_incoming_shutdown(incoming, async move {
                close.cancelled().await;
                // Those who watch our health are told before they are cut.
                health.set_not_serving::<InvocationsServer<Service>>().await;
                health.set_not_serving::<ProjectsServer<Service>>().await;
                health.set_not_serving::<DaemonServer<Service>>().await;
            })
            .await
            .map_err(ServeError::Server)
    }
}

fn server(settings: Settings) -> Server<Stack<layers::Deadlines, Identity>> {
    Server::builder()
        .trace_fn(layers::span)
        .max_concurrent_streams(settings.streams)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
        .http2_max_header_list_size(HEADERS_MAX)
        .http2_max_pending_accept_reset_streams(Some(RESETS_MAX))
        .layer(layers::Deadlines)
}
