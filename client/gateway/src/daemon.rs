//! The daemon, as the gateway has it: somebody who may be away. Connections are made when they are
//! needed and shared; what calls and streams meet decides what is thought of it, and while all is
//! well nothing asks. While it is away, one of those who wait for it asks, with growing pauses.
//!
//! ```text
//! Unknown ──an answer──> Live <──an answer── Away
//!    └──no connection──────┴──no connection───^
//! ```

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use steroids_client::{Backoff, Client, ConnectError, Item, Refusal, v1};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tonic::Status;

use crate::together::Together;

/// Streams that one connection carries: below the daemon's default of 64, as a call that finds no
/// room waits without a word.
const STREAMS_EACH: usize = 48;
/// Connections for streams: a third of what the daemon takes by default, the rest is others'.
const CONNECTIONS: usize = 22;

/// What is thought of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DaemonState {
    /// Nobody asked yet.
    Unknown,
    /// It answered when it was last asked, whatever it said.
    Live,
    /// Nobody answered at its socket.
    Away,
}

/// A handle to the daemon, which may be away. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Daemon(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    socket: PathBuf,
    /// Nobody has named it: who listens there must be this user's own.
    is_usual: bool,
    state: watch::Sender<DaemonState>,
    /// The connection for calls.
    calls: tokio::sync::Mutex<Option<Client>>,
    /// The connections for streams. Held for a look or a change, never while waiting.
    carriers: Mutex<Vec<Carrier>>,
    /// Places for streams, over all connections.
    places: Arc<Semaphore>,
    /// Held by the one who asks whether it is back.
    asking: tokio::sync::Mutex<()>,
    /// Which invocations are asked for just now.
    invocations: Together<Which, Invocation>,
}

/// An invocation, if there is such a one.
type Invocation = Result<Option<Arc<v1::Invocation>>, Status>;

/// Which invocation is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Which {
    /// A certain one of a project, by path and id.
    One(Arc<str>, i64),
    /// The newest one of a task.
    Newest(Arc<str>, String),
    /// The newest running one of a task.
    Running(Arc<str>, String),
}

#[derive(Debug)]
struct Carrier {
    client: Client,
    places: Arc<Semaphore>,
}

/// A place for one stream on a connection, given back when dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    /// What to open the stream with.
    pub(crate) client: Client,
    shared: Arc<Shared>,
    place: Option<OwnedSemaphorePermit>,
    _of_all: OwnedSemaphorePermit,
}

// === impl Daemon ===

impl Daemon {
    /// The daemon at this socket, whosever it is. Connects when first asked for something.
    pub fn new(socket: PathBuf) -> Daemon {
        Daemon::at(socket, false)
    }

    /// The daemon at the usual socket, if it is this user's own; see [`steroids_client::connect_to_own`].
    pub fn usual(socket: PathBuf) -> Daemon {
        Daemon::at(socket, true)
    }

    fn at(socket: PathBuf, is_usual: bool) -> Daemon {
        Daemon(Arc::new(Shared {
            socket,
            is_usual,
            state: watch::Sender::new(DaemonState::Unknown),
            calls: tokio::sync::Mutex::default(),
            carriers: Mutex::default(),
            places: Arc::new(Semaphore::new(STREAMS_EACH * CONNECTIONS)),
            asking: tokio::sync::Mutex::default(),
            invocations: Together::new(),
        }))
    }

    /// Where it listens.
    pub fn socket(&self) -> &Path {
        &self.0.socket
    }

    /// The shared connection for calls; it opens itself again after it broke.
    ///
    /// # Errors
    /// [`ConnectError`] where there never was one and none can be made now.
    pub async fn client(&self) -> Result<Client, ConnectError> {
        let mut calls = self.0.calls.lock().await;
        if let Some(client) = &*calls {
            return Ok(client.clone());
        }
        let client = self.connect().await?;
        *calls = Some(client.clone());
        Ok(client)
    }

    /// The invocation that is meant; `None` if a task has none such. Asked once for all who ask at
    /// the same time.
    pub(crate) async fn invocation(&self, which: Which) -> Invocation {
        let (daemon, asked) = (self.clone(), which.clone());
        let fetch = move || async move { daemon.fetch(&asked).await };
        self.0.invocations.ask(which, fetch).await
    }

    async fn fetch(&self, which: &Which) -> Invocation {
        let client = self.client().await;
        let client = client.map_err(|error| Status::unavailable(error.to_string()))?;
        let (project, task, state) = match which {
            Which::One(project, id) => {
                let (project, id) = (project.to_string(), *id);
                let answer = self.noted(
                    client
                        .get(v1::GetRequest {
                            project,
                            id,
                            terms: false,
                        })
                        .await,
                )?;
                return Ok(answer.invocation.map(Arc::new));
            }
            Which::Newest(project, task) => (project, task, None),
            Which::Running(project, task) => (project, task, Some(v1::State::Running)),
        };
        let request = v1::ListRequest {
            project: project.to_string(),
            task_id: task.clone(),
            states: state.map(i32::from).into_iter().collect(),
            page_size: 1,
            ..Default::default()
        };
        let page = self.noted(client.list(request).await)?;
        Ok(page.invocations.into_iter().next().map(Arc::new))
    }

    /// A connection of its own, for a stream that a client may leave unread: what waits on it holds
    /// up nobody.
    ///
    /// # Errors
    /// [`ConnectError`] where none can be made now.
    pub(crate) async fn connection(&self) -> Result<Client, ConnectError> {
        self.connect().await
    }

    /// What is thought of it, and every change of that.
    pub fn state(&self) -> watch::Receiver<DaemonState> {
        self.0.state.subscribe()
    }

    /// Takes note of how a call ended, and hands it on.
    ///
    /// # Errors
    /// Those of the call.
    pub fn noted<T>(&self, answer: Result<T, Status>) -> Result<T, Status> {
        match &answer {
            Err(status) if Refusal::is_broken(status) => self.tell(DaemonState::Away),
            Ok(_) | Err(_) => self.tell(DaemonState::Live),
        }
        answer
    }

    /// Takes note of what a stream was told.
    pub(crate) fn heard(&self, item: &Item) {
        match item {
            Item::Events(_) | Item::Live => self.tell(DaemonState::Live),
            Item::Away => self.tell(DaemonState::Away),
            // It may be there, and busy.
            Item::Reconnecting { .. } => {}
        }
    }

    /// A place for one more stream. Waits where all are taken.
    ///
    /// # Errors
    /// [`ConnectError`] where a further connection was needed.
    pub(crate) async fn lease(&self) -> Result<Lease, ConnectError> {
        let of_all = Arc::clone(&self.0.places);
        let Ok(of_all) = of_all.acquire_owned().await else {
            return std::future::pending().await;
        };
        let lease = |client, place| Lease {
            client,
            shared: Arc::clone(&self.0),
            place: Some(place),
            _of_all: of_all,
        };
        if let Some((client, place)) = self.0.free_place() {
            return Ok(lease(client, place));
        }
        let client = self.connect().await?;
        let (client, place) = self.0.carry(client);
        Ok(lease(client, place))
    }

    /// Waits until the daemon answers, asking it unless somebody else does. Cancel-safe.
    pub(crate) async fn until_live(&self) {
        let mut state = self.state();
        tokio::select! {
            _ = state.wait_for(|state| *state == DaemonState::Live) => {}
            () = self.ask() => {}
        }
    }

    async fn ask(&self) {
        let _asking = self.0.asking.lock().await;
        let mut backoff = Backoff::new();
        while *self.0.state.borrow() != DaemonState::Live {
            if let Ok(client) = self.client().await {
                let _ = self.noted(client.status(v1::StatusRequest {}).await);
            }
            if *self.0.state.borrow() != DaemonState::Live {
                tokio::time::sleep(backoff.wait()).await;
            }
        }
    }

    async fn connect(&self) -> Result<Client, ConnectError> {
        let socket = &self.0.socket;
        let client = match self.0.is_usual {
            true => steroids_client::connect_to_own(socket).await,
            false => steroids_client::connect(socket).await,
        };
        self.tell(match client {
            Ok(_) => DaemonState::Live,
            Err(_) => DaemonState::Away,
        });
        client
    }

    fn tell(&self, now: DaemonState) {
        let changed = |state: &mut DaemonState| std::mem::replace(state, now) != now;
        if self.0.state.send_if_modified(changed) {
            tracing::info!(state = ?now, "daemon state changed");
        }
    }
}

// === impl Shared ===

impl Shared {
    fn carriers(&self) -> MutexGuard<'_, Vec<Carrier>> {
        // Each change is one call, so a panic elsewhere leaves nothing half done.
        self.carriers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn free_place(&self) -> Option<(Client, OwnedSemaphorePermit)> {
        let carriers = self.carriers();
        carriers.iter().find_map(|carrier| {
            let place = Arc::clone(&carrier.places).try_acquire_owned().ok()?;
            Some((carrier.client.clone(), place))
        })
    }

    fn carry(&self, client: Client) -> (Client, OwnedSemaphorePermit) {
        // Others may have connected for the same reason meanwhile; theirs is as good.
        if let Some(found) = self.free_place() {
            return found;
        }
        let places = Arc::new(Semaphore::new(STREAMS_EACH));
        let mut carriers = self.carriers();
        let place = Arc::clone(&places)
            .try_acquire_owned()
            .expect("a new connection carries nothing yet");
        carriers.push(Carrier {
            client: client.clone(),
            places,
        });
        (client, place)
    }
}

// === impl Lease ===

impl Drop for Lease {
    fn drop(&mut self) {
        self.place = None;
        // One is kept for who comes next.
        let idle = |carrier: &mut Carrier| carrier.places.available_permits() == STREAMS_EACH;
        let mut carriers = self.shared.carriers();
        if carriers.len() > 1 {
            let first = carriers.remove(0);
            carriers.retain_mut(|carrier| !idle(carrier));
            carriers.insert(0, first);
        }
    }
}
