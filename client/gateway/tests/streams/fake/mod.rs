//! A daemon made of a few vectors, on a real socket, whose cursors look like the real ones:
//! `<invocation>:<generation>:<number of the next line>`. It runs in a runtime of its own: killing
//! that cuts every connection the way a killed process does.

mod service;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use steroids_client::v1;
use steroids_proto::v1::{
    daemon_server::DaemonServer, invocations_server::InvocationsServer,
    projects_server::ProjectsServer,
};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;

pub(crate) const PROJECT: &str = "/home/dev/app";

/// What the fake daemon knows and was asked.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) invocations: Vec<v1::Invocation>,
    pub(crate) logs: BTreeMap<i64, Log>,
    pub(crate) lifecycle: Vec<v1::LifecycleEvent>,
    pub(crate) follows: Vec<v1::FollowRequest>,
    /// So many of the next lookups find the daemon busy.
    pub(crate) busy: usize,
    /// Of what has ended it is told, behind the last line, that the end is missing.
    pub(crate) lacks_end: bool,
    /// Of what has ended it is told that it has no log.
    pub(crate) lacks_log: bool,
    /// Streams that were open before this was set have not noticed an end yet.
    pub(crate) ends_late: bool,
    /// The project was deleted.
    pub(crate) is_missing: bool,
    /// Streams that are open now, and the most there were.
    pub(crate) open: usize,
    pub(crate) most: usize,
}

/// One log.
#[derive(Default, Clone)]
pub(crate) struct Log {
    pub(crate) generation: u32,
    pub(crate) lines: Vec<String>,
}

impl World {
    pub(crate) fn find(&self, id: i64) -> Option<&v1::Invocation> {
        self.invocations.iter().find(|it| it.id == id)
    }

    /// A new running invocation of the task `T1`, with a log or without.
    pub(crate) fn begin(&mut self, id: i64) {
        self.invocations.push(invocation(id));
    }

    pub(crate) fn line(&mut self, id: i64, line: impl Into<String>) {
        self.logs.entry(id).or_default().lines.push(line.into());
    }

    /// A lifecycle event about an invocation, as it is now.
    pub(crate) fn lifecycle(&mut self, kind: &str, id: i64) {
        let event = v1::LifecycleEvent {
            number: self.lifecycle.len() as i64 + 1,
            project: PROJECT.to_owned(),
            ts: now_ms(),
            kind: kind.to_owned(),
            invocation_id: Some(id),
            task_id: "T1".to_owned(),
            invocation: self.find(id).cloned(),
            message: String::new(),
        };
        self.lifecycle.push(event);
    }

    /// The terminal line, and the row's end.
    pub(crate) fn end(&mut self, id: i64) {
        self.line(id, r#"{"ts":9,"type":"complete","success":true}"#);
        let found = self.invocations.iter_mut().find(|it| it.id == id).unwrap();
        found.state = v1::State::Completed.into();
        found.outcome = "success".to_owned();
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

    pub(crate) fn news(&self) {
        self.changed.send_modify(|changes| *changes += 1);
    }
}

/// The daemon; dropping it kills it.
pub(crate) struct Fake {
    _folder: TempDir,
    socket: PathBuf,
    shared: Shared,
    runtime: Option<Runtime>,
    frozen: Option<std::os::unix::net::UnixListener>,
}

impl Fake {
    /// A daemon that serves.
    pub(crate) fn start() -> Fake {
        let mut fake = Fake::absent();
        fake.serve();
        fake
    }

    /// One that was not started yet.
    pub(crate) fn absent() -> Fake {
        let folder = tempfile::tempdir().unwrap();
        Fake {
            socket: folder.path().join("d.sock"),
            _folder: folder,
            shared: Shared {
                world: Arc::default(),
                changed: watch::Sender::new(0),
            },
            runtime: None,
            frozen: None,
        }
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Looks at or changes the world; whoever waits for news looks again.
    pub(crate) fn world<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let value = change(&mut self.shared.world());
        self.shared.news();
        value
    }

    /// Waits until the world is so.
    pub(crate) async fn until(&self, mut holds: impl FnMut(&World) -> bool) {
        let mut changed = self.shared.changed.subscribe();
        let waiting = async {
            while !holds(&self.shared.world()) {
                changed.changed().await.unwrap();
            }
        };
        let came = tokio::time::timeout(Duration::from_secs(20), waiting).await;
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
        self.frozen = None;
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

    /// Takes connections from now on, and answers nothing, as one that is stopped.
    pub(crate) fn freeze(&mut self) {
        self.kill();
        let _ = std::fs::remove_file(&self.socket);
        self.frozen = Some(std::os::unix::net::UnixListener::bind(&self.socket).unwrap());
    }

    /// Dies as by a signal: connections break, the socket stays and refuses.
    pub(crate) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            let dying = move || runtime.shutdown_timeout(Duration::from_secs(5));
            let _ = std::thread::spawn(dying).join();
        }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A running invocation of the task `T1`.
pub(crate) fn invocation(id: i64) -> v1::Invocation {
    v1::Invocation {
        id,
        project: PROJECT.to_owned(),
        task_id: "T1".to_owned(),
        role: "coder".to_owned(),
        provider: "claude".to_owned(),
        state: v1::State::Running.into(),
        started_at_ms: Some(820_454_400_000),
        managed: true,
        ..Default::default()
    }
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.unwrap().as_millis()).unwrap()
}
