//! The programs that are measured, in a home of their own: the floor, or a daemon with a gateway.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use steroids_tests::{Ctl, Daemon, Gateway, Home, Rpc};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::process::cpu;

/// Rooms for more streams and runs than any row asks for.
const ROOM: &str = "[daemon]\nmax_running = 300\nmax_streams = 1000\nmax_connections = 256\n\
                    [gateway]\nmax_streams = 6000\n[holds]\nenabled = false\n";

/// A daemon and a gateway that serve, and a folder that is or becomes a project.
pub(crate) struct Scene {
    pub(crate) gateway: Gateway,
    pub(crate) daemon: Daemon,
    pub(crate) ctl: Ctl,
    pub(crate) home: Arc<Home>,
}

/// Processor time, by program.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Used {
    pub(crate) daemon: Duration,
    pub(crate) gateway: Duration,
}

/// The floor, serving the files of a folder.
pub(crate) struct Floor {
    server: Child,
    relay: Option<Child>,
    // Where the two meet.
    _folder: Option<TempDir>,
    pub(crate) address: std::net::SocketAddr,
}

// === impl Scene ===

impl Scene {
    /// With a project that has nothing in it.
    pub(crate) async fn new() -> Scene {
        let scene = Scene::bare().await;
        scene.ctl.run(["init"]).await.ok();
        scene
    }

    /// With a folder that is no project yet.
    pub(crate) async fn bare() -> Scene {
        let home = Home::with_config(ROOM);
        let daemon = Daemon::start(&home).await;
        let gateway = Gateway::start(&home).await;
        let ctl = daemon.ctl(&home.folder("bench"));
        Scene {
            gateway,
            daemon,
            ctl,
            home,
        }
    }

    /// Tells both to end, and waits until they have.
    pub(crate) async fn end(mut self) {
        self.gateway.term().await;
        self.daemon.term().await;
    }

    pub(crate) async fn rpc(&self) -> Rpc {
        self.daemon.rpc().await
    }

    pub(crate) fn project(&self) -> String {
        self.ctl.project()
    }

    /// The request for an invocation's stream.
    pub(crate) fn stream(&self, task: &str, id: i64) -> String {
        let project = self.project();
        self.get(&format!(
            "/api/tasks/{task}/stream?project={project}&invocation={id}"
        ))
    }

    pub(crate) fn get(&self, target: &str) -> String {
        let bytes = self.gateway.get(target).bytes();
        String::from_utf8(bytes).expect("a request without a body is text")
    }

    /// What both have used so far.
    pub(crate) fn used(&self) -> Used {
        Used {
            daemon: cpu(self.daemon.pid()),
            gateway: cpu(self.gateway.pid()),
        }
    }
}

// === impl Used ===

impl Used {
    pub(crate) fn all(&self) -> Duration {
        self.daemon + self.gateway
    }

    pub(crate) fn since(&self, before: Used) -> Used {
        Used {
            daemon: self.daemon.saturating_sub(before.daemon),
            gateway: self.gateway.saturating_sub(before.gateway),
        }
    }
}

// === impl Floor ===

impl Floor {
    /// Serves the files that are there now.
    pub(crate) async fn start(folder: &Path) -> Floor {
        let (server, address) = serving("@floor", &[folder]).await;
        Floor {
            server,
            relay: None,
            _folder: None,
            address: address.parse().expect("it says where it listens"),
        }
    }

    /// The same, through a second process.
    pub(crate) async fn relayed(folder: &Path) -> Floor {
        Floor::through_relay(folder, None).await
    }

    /// Through a second process, from files that are copied on the way, to `logs`.
    pub(crate) async fn projected(spools: &Path, logs: &Path) -> Floor {
        Floor::through_relay(spools, Some(logs)).await
    }

    async fn through_relay(folder: &Path, logs: Option<&Path>) -> Floor {
        let own_folder = tempfile::tempdir_in("/tmp").expect("/tmp takes a folder");
        let socket = own_folder.path().join("floor.sock");
        let paths: Vec<&Path> = [folder, &socket].into_iter().chain(logs).collect();
        let (server, _) = serving("@floor", &paths).await;
        let (relay, address) = serving("@relay", &[&socket]).await;
        Floor {
            server,
            relay: Some(relay),
            _folder: Some(own_folder),
            address: address.parse().expect("it says where it listens"),
        }
    }

    /// Of the process that viewers connect to.
    pub(crate) fn pid(&self) -> i32 {
        pid(self.relay.as_ref().unwrap_or(&self.server))
    }

    /// What it has used so far: itself as the daemon, the relay as the gateway.
    pub(crate) fn used(&self) -> Used {
        let relay = self.relay.as_ref();
        Used {
            daemon: cpu(pid(&self.server)),
            gateway: relay.map_or(Duration::ZERO, |relay| cpu(pid(relay))),
        }
    }

    /// The request for a file.
    pub(crate) fn stream(&self, name: &str) -> String {
        format!("GET /{name} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address)
    }
}

/// Starts this program as the shim of one that runs `program`; it ends with that.
pub(crate) fn spooling(file: &Path, program: &[&str]) -> Child {
    let own = std::env::current_exe().expect("a running program has a path");
    Command::new(own)
        .arg("@spool")
        .arg(file)
        .args(program)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("a program that runs can be run again")
}

/// Starts this program as one that serves; and where it says that it listens.
async fn serving(word: &str, paths: &[&Path]) -> (Child, String) {
    let own = std::env::current_exe().expect("a running program has a path");
    let mut child = Command::new(own)
        .arg(word)
        .args(paths)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("a program that runs can be run again");
    let stdout = child.stdout.take().expect("it was asked for");
    let mut line = String::new();
    let read = BufReader::new(stdout).read_line(&mut line).await;
    read.expect("a pipe can be read");
    (child, line.trim().to_owned())
}

fn pid(child: &Child) -> i32 {
    let pid = child.id().expect("it has not been waited for");
    pid.cast_signed()
}
