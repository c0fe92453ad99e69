//! A daemon made of a few vectors, serving the real services on a real socket, so that clients can
//! be tried without one. It runs in a runtime of its own: killing that cuts every connection the
//! way a killed process does.
//!
//! Its cursor is the number of lines before, over all invocations: `c3`.

mod daemon;
mod service;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use steroids_proto::v1;
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;
use v1::daemon_server::DaemonServer;
use v1::invocations_server::InvocationsServer;
use v1::projects_server::ProjectsServer;

/// What the fake daemon knows and was asked.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) invocations: Vec<v1::Invocation>,
    /// All lines of all logs, in the order in which they were written.
    pub(crate) lines: Vec<(i64, String)>,
    pub(crate) tasks: Vec<v1::Task>,
    /// Pages of tasks that were asked for.
    pub(crate) task_pages: usize,
    pub(crate) projects: Vec<v1::Project>,
    /// Paths of projects whose databases do not answer.
    pub(crate) unread: Vec<String>,
    pub(crate) gone: Vec<String>,
    pub(crate) status: v1::StatusResponse,
    pub(crate) starts: Vec<v1::StartRequest>,
    pub(crate) retries: Vec<v1::RetryRequest>,
    pub(crate) follows: Vec<v1::FollowRequest>,
    pub(crate) messages: Vec<v1::SendInputRequest>,
    /// The answer to the next unary call of this name: `start`, `get`, `list`, …
    pub(crate) refuse: Option<(&'static str, tonic::Status)>,
    /// The next streams end with UNAVAILABLE after so many events each.
    pub(crate) break_after: Vec<usize>,
    /// Take starts, and never answer.
    pub(crate) hang_starts: bool,
}

impl World {
    pub(crate) fn line(&mut self, id: i64, line: impl Into<String>) {
        self.lines.push((id, line.into()));
    }

    pub(crate) fn find(&self, id: i64) -> Option<&v1::Invocation> {
        self.invocations.iter().find(|it| it.id == id)
    }

    pub(crate) fn next_id(&self) -> i64 {
        self.invocations.iter().map(|it| it.id).max().unwrap_or(0) + 1
    }
}

#[derive(Clone)]
pub(crate) struct Shared {
    world: Arc<Mutex<World>>,
    changed: watch::Sender<u64>,
}

impl Shared {
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has whoever waits look again.
    pub(crate) fn news(&self) {
        self.changed.send_modify(|changes| *changes += 1);
    }
}

/// The daemon; dropping it kills it.
pub(crate) struct Fake {
    folder: TempDir,
    socket: PathBuf,
    shared: Shared,
    runtime: Option<Runtime>,
}

impl Fake {
    /// A daemon that serves.
    pub(crate) fn start() -> Fake {
        let mut fake = Fake::absent();
        fake.serve();
        fake
    }

    /// A daemon that was not started yet.
    pub(crate) fn absent() -> Fake {
        let folder = tempfile::tempdir().unwrap();
        Fake {
            socket: folder.path().join("d.sock"),
            folder,
            shared: Shared {
                world: Arc::default(),
                changed: watch::Sender::new(0),
            },
            runtime: None,
        }
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Looks at or changes the world; whoever waits for news looks again.
    pub(crate) fn world<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let value = change(&mut self.shared.world());
        self.shared.news();
        value
    }

    /// Waits until the world is so, or fails the test. Not for tests that are tasks themselves.
    pub(crate) fn until(&self, mut holds: impl FnMut(&World) -> bool) {
        let mut changed = self.shared.changed.subscribe();
        let waiting = async {
            while !holds(&self.shared.world()) {
                changed.changed().await.unwrap();
            }
        };
        let runtime = self.runtime.as_ref().unwrap();
        let bound = std::time::Duration::from_secs(30);
        let came = runtime.block_on(async { tokio::time::timeout(bound, waiting).await });
        came.expect("the world changes as the test waits for");
    }

    /// Serves on the socket, replacing what an earlier daemon left there.
    pub(crate) fn serve(&mut self) {
        let _ = std::fs::remove_file(&self.socket);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = std::os::unix::net::UnixListener::bind(&self.socket).unwrap();
        listener.set_nonblocking(true).unwrap();
        let shared = self.shared.clone();
        runtime.spawn(async move {
            let listener = UnixListener::from_std(listener).unwrap();
            Server::builder()
                .add_service(InvocationsServer::new(shared.clone()))
                .add_service(ProjectsServer::new(shared.clone()))
                .add_service(DaemonServer::new(shared))
                .serve_with_incoming(UnixListenerStream::new(listener))
                .await
                .unwrap();
        });
        self.runtime = Some(runtime);
    }

    /// Dies as by a signal: connections break, the socket stays and refuses.
    pub(crate) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // On a thread of its own, as the test may be a task of another runtime.
            let dying = move || runtime.shutdown_timeout(std::time::Duration::from_secs(5));
            let _ = std::thread::spawn(dying).join();
        }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An invocation as a real daemon would describe it.
pub(crate) fn invocation(id: i64, state: v1::State) -> v1::Invocation {
    let ended = !matches!(state, v1::State::Running | v1::State::Queued);
    v1::Invocation {
        id,
        project: "/home/dev/app".to_owned(),
        task_id: "T1".to_owned(),
        role: "coder".to_owned(),
        provider: "claude".to_owned(),
        model: "sonnet".to_owned(),
        state: state.into(),
        outcome: if ended {
            "success".to_owned()
        } else {
            String::new()
        },
        started_at_ms: Some(820_454_400_000),
        completed_at_ms: ended.then_some(820_454_525_000),
        duration_ms: ended.then_some(125_000),
        exit_code: ended.then_some(0),
        managed: true,
        mode: "fresh".to_owned(),
        cwd: "/home/dev/app".to_owned(),
        log_path: format!("/home/dev/app/.steroids/invocations/{id}.log"),
        ..Default::default()
    }
}

/// What a real daemon says of a log that an older parser had made.
pub(crate) fn reprojected() -> v1::ReprojectResponse {
    v1::ReprojectResponse {
        result: "rebuilt".to_owned(),
        lines_before: 12,
        lines_after: 11,
        types: vec![v1::TypeCount {
            r#type: "unknown".to_owned(),
            before: 2,
            after: 1,
        }],
        unknown_before: 2,
        unknown_after: 1,
        row: vec![v1::RowChange {
            field: "outcome".to_owned(),
            before: "failed".to_owned(),
            after: "rate_limited".to_owned(),
        }],
    }
}
