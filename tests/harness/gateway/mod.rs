//! The real `steroids-gateway`, as a process, and those who ask it: [`http`] at the socket, where
//! a test decides every byte, and [`sse`], which reads a stream as a browser would.

pub mod http;
pub mod sse;
mod tap;

use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use rustix::process::Signal;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::wait::{eventually, within};
use crate::{Ctl, Daemon, Home, binaries, processes};

pub use http::{Answer, Request};
pub use sse::{Item, Received, Sse};
pub use tap::Tap;

/// A gateway that serves, on a port that was free. Dropping it kills it.
#[derive(Debug)]
pub struct Gateway {
    home: Arc<Home>,
    arguments: Vec<String>,
    child: Child,
    address: SocketAddr,
}

/// A gateway that ended instead of serving.
#[derive(Debug)]
pub struct Declined {
    /// Its exit code; 128+n for a signal.
    pub code: i32,
    /// What all gateways of this home have said.
    pub stderr: String,
}

/// A home with a daemon and a gateway that serve, and `steroidsctl` in a project `app`.
pub async fn served() -> (Arc<Home>, Daemon, Gateway, Ctl) {
    served_with("").await
}

/// As [`served`], with `config` put before the providers in the configuration.
pub async fn served_with(config: &str) -> (Arc<Home>, Daemon, Gateway, Ctl) {
    let home = Home::with_config(config);
    let daemon = Daemon::start(&home).await;
    let gateway = Gateway::start(&home).await;
    let ctl = daemon.project("app").await;
    (home, daemon, gateway, ctl)
}

impl Gateway {
    /// Starts one and waits until it accepts connections.
    pub async fn start(home: &Arc<Home>) -> Gateway {
        Gateway::start_with(home, &[]).await
    }

    /// As [`Gateway::start`], with arguments.
    pub async fn start_with(home: &Arc<Home>, arguments: &[&str]) -> Gateway {
        match Gateway::try_start(home, arguments).await {
            Ok(gateway) => gateway,
            Err(declined) => panic!("the gateway did not start: {declined:?}"),
        }
    }

    /// Starts one; it may serve, or end at once. Its port is free unless `arguments` name one.
    pub async fn try_start(home: &Arc<Home>, arguments: &[&str]) -> Result<Gateway, Declined> {
        let mut arguments: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
        if !arguments.iter().any(|word| word == "--listen") {
            arguments.extend(["--listen".to_owned(), "127.0.0.1:0".to_owned()]);
        }
        let mut child = launch(home, &arguments);
        let address = serving_or_ended(home, &arguments, &mut child).await;
        address
            .map(|address| Gateway {
                home: Arc::clone(home),
                arguments,
                child,
                address,
            })
            .map_err(|status| Declined {
                code: code(status),
                stderr: log(home),
            })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The token it wants, from its file.
    pub fn token(&self) -> String {
        let path = self.home.state_dir().join("gateway/token");
        let token = std::fs::read_to_string(&path);
        let token = token.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        token.trim_end().to_owned()
    }

    /// A GET with all that is needed to be answered.
    pub fn get(&self, target: &str) -> Request {
        Request::new(self.address, "GET", target).bearer(&self.token())
    }

    /// A POST of JSON with all that is needed to be answered.
    pub fn post(&self, target: &str, body: &serde_json::Value) -> Request {
        Request::new(self.address, "POST", target)
            .bearer(&self.token())
            .json(body)
    }

    /// A GET with nothing but what HTTP asks for.
    pub fn bare(&self, method: &str, target: &str) -> Request {
        Request::new(self.address, method, target)
    }

    /// The value of a metric without labels, or the sum over all labels; 0 where there is none.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").send().await.ok().text();
        let lines = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            rest.starts_with([' ', '{']).then_some(rest)
        });
        let values = lines.filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok());
        values.sum()
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        let pid = self.child.id().expect("it has not been waited for");
        pid.cast_signed()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        processes::signal(self.pid(), signal);
    }

    /// Kills it without a chance to do anything, and waits until it is gone.
    pub async fn kill9(&mut self) {
        self.signal(Signal::KILL);
        within("a killed gateway to go", self.child.wait())
            .await
            .expect("it is our child");
    }

    /// Asks it to end, and waits for its exit code.
    pub async fn term(&mut self) -> i32 {
        self.signal(Signal::TERM);
        let status = within("the gateway to end", self.child.wait()).await;
        code(status.expect("it is our child"))
    }

    /// Starts another on the same port, in the place of one that has ended.
    pub async fn start_again(&mut self) {
        let listen = self.arguments.iter().position(|word| word == "--listen");
        let at = listen.expect("there always is one") + 1;
        self.arguments[at] = self.address.to_string();
        self.child = launch(&self.home, &self.arguments);
        match serving_or_ended(&self.home, &self.arguments, &mut self.child).await {
            Ok(address) => assert_eq!(address, self.address),
            Err(status) => panic!(
                "the gateway did not start again: {status}\n{}",
                log(&self.home)
            ),
        }
    }

    /// What all gateways of this home have said.
    pub fn log(&self) -> String {
        log(&self.home)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprint_log(&self.log());
        }
    }
}

fn launch(home: &Arc<Home>, arguments: &[String]) -> Child {
    let stderr = OpenOptions::new()
        .create(true)
        .append(true)
        .open(home.path("gateway.log"))
        .expect("the home takes a file");
    // One that was killed has left it; the new one's is waited for.
    let _ = std::fs::remove_file(address_file(home, arguments));
    Command::from(home.command(&binaries::steroids_gateway()))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr)
        .kill_on_drop(true)
        .spawn()
        .expect("steroids-gateway is built")
}

/// Where it serves once it accepts connections; its status if it ends before.
async fn serving_or_ended(
    home: &Home,
    arguments: &[String],
    child: &mut Child,
) -> Result<SocketAddr, ExitStatus> {
    let file = address_file(home, arguments);
    eventually("the gateway to serve or to end", async || {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(Err(status));
        }
        let written = std::fs::read_to_string(&file).ok()?;
        let address: SocketAddr = written.trim().strip_prefix("http://")?.parse().ok()?;
        TcpStream::connect(address).await.ok()?;
        Some(Ok(address))
    })
    .await
}

fn address_file(home: &Home, arguments: &[String]) -> std::path::PathBuf {
    let is_open = arguments.windows(2).any(|pair| pair == ["--auth", "none"]);
    let name = if is_open { "address.open" } else { "address" };
    home.state_dir().join("gateway").join(name)
}

fn log(home: &Home) -> String {
    std::fs::read_to_string(home.path("gateway.log")).unwrap_or_default()
}

fn code(status: ExitStatus) -> i32 {
    let by_signal = || 128 + status.signal().unwrap_or(0);
    status.code().unwrap_or_else(by_signal)
}

#[expect(clippy::print_stderr, reason = "libtest shows it beside the failure")]
fn eprint_log(log: &str) {
    let lines: Vec<&str> = log.lines().collect();
    let from = lines.len().saturating_sub(100);
    eprintln!("--- gateway log ---\n{}\n---", lines[from..].join("\n"));
}
