//! Those who look on: any number of connections to a server of server-sent events, in one process
//! of its own and on one thread, so that what the looking costs is neither the server's nor the
//! benchmark's. The same program looks at the floor and at the gateway.
//!
//! `bench @load` reads what to do as one line of JSON ([`Asked`]), and answers by two lines:
//! [`Ready`] once every viewer has its first event, [`Report`] at the end.

mod count;
mod eyes;
mod viewer;

use std::process::Stdio;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

pub(crate) use count::{Count, number};
pub(crate) use eyes::{now, run};

/// What to look at.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Asked {
    /// Where the server listens.
    pub(crate) address: std::net::SocketAddr,
    /// Whole requests, each with the blank line at its end.
    pub(crate) requests: Vec<String>,
    /// Viewers of each.
    pub(crate) each: usize,
    /// Numbers of the lines that every viewer is to see are 1 to this.
    pub(crate) last: u64,
    /// Between two who join; 0 is all at once.
    pub(crate) join_every_us: u64,
    /// They ask for what comes after the log's end, and are there without any event.
    pub(crate) is_from_end: bool,
    /// So long without any event, and it is given up.
    pub(crate) patience_ms: u64,
}

/// Every viewer has seen something.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Ready {
    /// From the first connect on.
    pub(crate) after_us: u64,
}

/// What was seen.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) viewers: u64,
    /// Numbered lines, over all viewers.
    pub(crate) delivered: u64,
    pub(crate) lost: u64,
    pub(crate) repeated: u64,
    pub(crate) disordered: u64,
    pub(crate) bytes: u64,
    /// From the first connect to the first event of any.
    pub(crate) first_us: u64,
    /// From the first connect to the last event of all.
    pub(crate) took_us: u64,
    /// From a line's stamp to its arrival, of lines stamped after the viewer had its first event.
    pub(crate) latency: Option<Latency>,
    pub(crate) cpu_us: u64,
}

/// Microseconds.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

/// The process, seen from the benchmark; dropping it ends it.
pub(crate) struct Load {
    _child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

// === impl Asked ===

impl Asked {
    /// Some who see lines 1 to `last` of each of the requests, all joining at once.
    pub(crate) fn new(
        address: std::net::SocketAddr,
        requests: Vec<String>,
        each: usize,
        last: u64,
    ) -> Asked {
        Asked {
            address,
            requests,
            each,
            last,
            join_every_us: 0,
            is_from_end: false,
            patience_ms: 20_000,
        }
    }
}

// === impl Report ===

impl Report {
    /// Events that did not come as they should.
    pub(crate) fn wrong(&self) -> u64 {
        self.lost + self.repeated + self.disordered
    }

    /// Of those there were; milliseconds.
    pub(crate) fn latency_ms(&self, which: fn(&Latency) -> f64) -> f64 {
        self.latency.as_ref().map_or(f64::NAN, which) / 1e3
    }

    /// A part of the CPU time that was spent on this, in microseconds per event.
    pub(crate) fn per_event(&self, cpu: Duration) -> f64 {
        cpu.as_secs_f64() * 1e6 / self.delivered as f64
    }
}

// === impl Load ===

impl Load {
    /// Starts it; it connects at once.
    pub(crate) async fn start(asked: &Asked) -> Load {
        let own = std::env::current_exe().expect("a running program has a path");
        let mut child = Command::new(own)
            .arg("@load")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("a program that runs can be run again");
        let mut text = serde_json::to_string(asked).expect("numbers and strings are JSON");
        text.push('\n');
        let mut stdin = child.stdin.take().expect("it was asked for");
        let written = stdin.write_all(text.as_bytes()).await;
        written.expect("it reads what it is to do");
        let stdout = child.stdout.take().expect("it was asked for");
        Load {
            _child: child,
            lines: BufReader::new(stdout).lines(),
        }
    }

    /// Waits until every viewer has its first event; how long that took.
    pub(crate) async fn ready(&mut self) -> Duration {
        let ready: Ready = self.told().await;
        Duration::from_micros(ready.after_us)
    }

    /// Waits for the end.
    pub(crate) async fn report(mut self) -> Report {
        self.told().await
    }

    /// For viewers of what was there before they came.
    pub(crate) async fn whole(asked: &Asked) -> Report {
        let mut load = Load::start(asked).await;
        load.ready().await;
        load.report().await
    }

    async fn told<T: DeserializeOwned>(&mut self) -> T {
        let line = self.lines.next_line().await.expect("a pipe can be read");
        let line = line.expect("the viewers' process says what it saw");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"))
    }
}
