//! The real `steroidsd`, as a process.

use std::fs::OpenOptions;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use rusqlite::Connection;
use rustix::process::Signal;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use crate::wait::{eventually, within};
use crate::{Ctl, Home, Rpc, binaries, old_database, processes};

/// A daemon that serves. Dropping it kills it, and leaves its shims to the home.
#[derive(Debug)]
pub struct Daemon {
    home: Arc<Home>,
    through: Vec<String>,
    arguments: Vec<String>,
    child: Child,
}

/// A daemon that ended instead of serving.
#[derive(Debug)]
pub struct Refused {
    /// Its exit code; 128+n for a signal.
    pub code: i32,
    /// What it said.
    pub stderr: String,
}

impl Daemon {
    /// Starts one and waits until it accepts connections.
    pub async fn start(home: &Arc<Home>) -> Daemon {
        Daemon::start_with(home, &[]).await
    }

    /// As [`Daemon::start`], with arguments.
    pub async fn start_with(home: &Arc<Home>, arguments: &[&str]) -> Daemon {
        match Daemon::try_start(home, arguments).await {
            Ok(daemon) => daemon,
            Err(refused) => panic!("the daemon did not start: {refused:?}"),
        }
    }

    /// As [`Daemon::start`], by a program that becomes the daemon: `PROGRAM ARGS steroidsd`.
    pub async fn start_through(home: &Arc<Home>, through: &[&str]) -> Daemon {
        match Daemon::try_start_through(home, through, &[]).await {
            Ok(daemon) => daemon,
            Err(refused) => panic!("the daemon did not start: {refused:?}"),
        }
    }

    /// Starts one; it may serve, or end at once.
    pub async fn try_start(home: &Arc<Home>, arguments: &[&str]) -> Result<Daemon, Refused> {
        Daemon::try_start_through(home, &[], arguments).await
    }

    /// As [`Daemon::try_start`], by a program that becomes the daemon: `prlimit`, `unshare`.
    pub async fn try_start_through(
        home: &Arc<Home>,
        through: &[&str],
        arguments: &[&str],
    ) -> Result<Daemon, Refused> {
        let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        let mut daemon = Daemon::launch_through(home, owned(through), owned(arguments));
        match daemon.serving_or_ended().await {
            None => Ok(daemon),
            Some(status) => Err(Refused {
                code: code(status),
                stderr: home.daemon_log(),
            }),
        }
    }

    /// Starts one and waits for nothing.
    pub fn launch(home: &Arc<Home>, arguments: Vec<String>) -> Daemon {
        Daemon::launch_through(home, Vec::new(), arguments)
    }

    fn launch_through(home: &Arc<Home>, through: Vec<String>, arguments: Vec<String>) -> Daemon {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(home.path("daemon.log"))
            .expect("the home takes a file");
        let steroidsd = binaries::steroidsd();
        let mut words = through.iter().map(Path::new).chain([steroidsd.as_path()]);
        let program = words.next().expect("there is the daemon at least");
        let mut command = Command::from(home.command(program));
        let child = command
            .args(words)
            .args(&arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("what starts it is there, and steroidsd is built");
        Daemon {
            home: Arc::clone(home),
            through,
            arguments,
            child,
        }
    }

    /// `None` once it accepts connections; its status if it ends before. The socket file may be an
    /// old one, so only a connection proves anything.
    async fn serving_or_ended(&mut self) -> Option<ExitStatus> {
        let socket = self.socket();
        let child = &mut self.child;
        eventually("the daemon to serve or to end", async || {
            if let Ok(Some(status)) = child.try_wait() {
                return Some(Some(status));
            }
            UnixStream::connect(&socket).await.ok().map(|_| None)
        })
        .await
    }

    fn socket(&self) -> std::path::PathBuf {
        let mut given = self.arguments.iter().skip_while(|word| *word != "--socket");
        match given.nth(1) {
            Some(path) => path.into(),
            None => self.home.socket(),
        }
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        let pid = self.child.id().expect("it has not been waited for");
        pid.cast_signed()
    }

    /// Kills it without a chance to do anything, and waits until it is gone.
    pub async fn kill9(&mut self) {
        self.signal(Signal::KILL);
        within("a killed daemon to go", self.child.wait())
            .await
            .expect("it is our child");
    }

    /// Asks it to end, and waits for its exit code.
    pub async fn term(&mut self) -> i32 {
        self.signal(Signal::TERM);
        self.ended().await
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self) -> i32 {
        let status = within("the daemon to end", self.child.wait()).await;
        code(status.expect("it is our child"))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        processes::signal(self.pid(), signal);
    }

    /// Stops it by SIGSTOP, and waits until no thread of it runs any more.
    pub async fn freeze(&self) {
        self.signal(Signal::STOP);
        eventually("every thread of it to stop", async || {
            processes::is_stopped(self.pid()).then_some(())
        })
        .await;
    }

    /// Starts another one in the place of one that has ended.
    pub async fn start_again(&mut self) {
        let (through, arguments) = (self.through.clone(), self.arguments.clone());
        *self = Daemon::launch_through(&self.home, through, arguments);
        if let Some(status) = self.serving_or_ended().await {
            panic!("the daemon did not start again: {status}");
        }
    }

    /// Kills it and starts another.
    pub async fn kill9_and_restart(&mut self) {
        self.kill9().await;
        self.start_again().await;
    }

    /// Where it lives.
    pub fn home(&self) -> &Arc<Home> {
        &self.home
    }

    /// Plain gRPC to it.
    pub async fn rpc(&self) -> Rpc {
        Rpc::connect(&self.socket()).await
    }

    /// `steroidsctl` in `folder`.
    pub fn ctl(&self, folder: &Path) -> Ctl {
        Ctl::new(&self.home, folder)
    }

    /// A new project, registered, and `steroidsctl` in it.
    pub async fn project(&self, name: &str) -> Ctl {
        let ctl = self.ctl(&self.home.folder(name));
        ctl.run(["init"]).await.ok();
        ctl
    }

    /// A project `app` of the older tool's, its database, and the id of a row in it that runs.
    pub async fn project_of_older_tool(&self) -> (Ctl, Connection, i64) {
        let ctl = self.ctl(&self.home.folder("app"));
        let db = old_database::at_028(ctl.folder());
        let id = old_database::insert_running(&db, "old", 1_700_000_000_000);
        ctl.run(["init"]).await.ok();
        (ctl, db, id)
    }
}

fn code(status: ExitStatus) -> i32 {
    let by_signal = || 128 + status.signal().unwrap_or(0);
    status.code().unwrap_or_else(by_signal)
}
