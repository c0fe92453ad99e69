//! The loop that looks: one thread, one epoll, one buffer.

use std::io::{self, BufRead, Write};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use serde::Serialize;

use super::viewer::{Seen, Viewer};
use super::{Asked, Latency, Ready, Report};

/// Read at once.
const READ: usize = 256 * 1024;
/// Viewers that wait for their first event: below what a listener keeps in its queue.
const MOST_JOINING: usize = 256;
/// After the last event, for those that should not come.
const LINGER: Duration = Duration::from_millis(200);

/// `bench @load`.
pub(crate) fn run() -> io::Result<()> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let asked: Asked = serde_json::from_str(&line)?;
    let mut eyes = Eyes::new(asked)?;
    eyes.watch()?;
    say(&eyes.report())
}

struct Eyes {
    asked: Asked,
    epoll: OwnedFd,
    viewers: Vec<Viewer>,
    begin: Instant,
    ready: usize,
    /// Those that have all.
    whole: usize,
    /// Those that ended.
    over: usize,
    first: Option<Duration>,
    last: Duration,
    latencies: Vec<u32>,
    is_told: bool,
}

impl Eyes {
    fn new(asked: Asked) -> io::Result<Eyes> {
        Ok(Eyes {
            asked,
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            viewers: Vec::new(),
            begin: Instant::now(),
            ready: 0,
            whole: 0,
            over: 0,
            first: None,
            last: Duration::ZERO,
            latencies: Vec::new(),
            is_told: false,
        })
    }

    fn all(&self) -> usize {
        self.asked.requests.len() * self.asked.each
    }

    /// Until all have all, or nothing comes any more.
    fn watch(&mut self) -> io::Result<()> {
        let patience = Duration::from_millis(self.asked.patience_ms);
        let mut ready = Vec::with_capacity(1024);
        let mut buffer = vec![0; READ];
        let mut heard = Instant::now();
        loop {
            let next_join = self.join()?;
            let is_whole = self.viewers.len() == self.all()
                && (self.whole == self.all() || self.over == self.all());
            let left = if is_whole { LINGER } else { patience };
            let left = left.saturating_sub(heard.elapsed());
            if left.is_zero() {
                return Ok(());
            }
            let wait = next_join.unwrap_or(left).min(left);
            let timeout = Timespec::try_from(wait).map_err(io::Error::other)?;
            match epoll::wait(&self.epoll, spare_capacity(&mut ready), Some(&timeout)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in ready.drain(..) {
                if self.look(event.data.u64() as usize, &mut buffer)? {
                    heard = Instant::now();
                }
            }
            if !self.is_told && self.ready == self.all() {
                self.is_told = true;
                let after_us = micros(self.begin.elapsed());
                say(&Ready { after_us })?;
            }
            if self.over == self.all() && self.viewers.len() == self.all() {
                return Ok(());
            }
        }
    }

    /// Connects those whose time it is; in how long the next one's is.
    fn join(&mut self) -> io::Result<Option<Duration>> {
        let every = Duration::from_micros(self.asked.join_every_us);
        while self.viewers.len() < self.all() {
            let at = self.viewers.len();
            let due = every * u32::try_from(at).unwrap_or(u32::MAX);
            let wait = due.saturating_sub(self.begin.elapsed());
            if !wait.is_zero() {
                return Ok(Some(wait));
            }
            if at - self.ready >= MOST_JOINING {
                return Ok(None);
            }
            let request = &self.asked.requests[at / self.asked.each];
            let viewer = Viewer::connect(&self.asked, request)?;
            let data = EventData::new_u64(at as u64);
            epoll::add(&self.epoll, &viewer.socket, data, EventFlags::IN)?;
            self.viewers.push(viewer);
        }
        Ok(None)
    }

    /// Reads of one; true if an event came.
    fn look(&mut self, at: usize, buffer: &mut [u8]) -> io::Result<bool> {
        let Some(viewer) = self.viewers.get_mut(at) else {
            return Ok(false);
        };
        let (was_ready, was_whole) = (viewer.since.is_some(), viewer.count.is_whole());
        let seen = viewer.look(buffer, &mut self.latencies)?;
        if !was_ready && viewer.since.is_some() {
            self.ready += 1;
            self.first.get_or_insert(self.begin.elapsed());
        }
        if !was_whole && viewer.count.is_whole() {
            self.whole += 1;
        }
        match seen {
            Seen::End => {
                epoll::delete(&self.epoll, &viewer.socket)?;
                self.over += 1;
                // It is not ready, and never will be.
                if viewer.since.is_none() {
                    viewer.since = Some(0);
                    self.ready += 1;
                }
                Ok(true)
            }
            Seen::Events(0) => Ok(!was_ready),
            Seen::Events(_) => {
                self.last = self.begin.elapsed();
                Ok(true)
            }
        }
    }

    fn report(&mut self) -> Report {
        let mut report = Report {
            viewers: self.viewers.len() as u64,
            first_us: micros(self.first.unwrap_or_default()),
            took_us: micros(self.last),
            latency: quantiles(&mut self.latencies),
            cpu_us: micros(crate::process::own_cpu()),
            ..Report::default()
        };
        for viewer in &self.viewers {
            let count = &viewer.count;
            report.delivered += count.good + count.repeated;
            report.lost += count.lost();
            report.repeated += count.repeated;
            report.disordered += count.disordered;
            report.bytes += viewer.bytes;
        }
        report
    }
}

/// Of tenths of microseconds.
fn quantiles(latencies: &mut [u32]) -> Option<Latency> {
    latencies.sort_unstable();
    let at = |part: f64| {
        let last = latencies.len().saturating_sub(1) as f64;
        let value = latencies.get((last * part).round() as usize);
        value.map(|tenths| f64::from(*tenths) / 10.0)
    };
    Some(Latency {
        p50: at(0.5)?,
        p90: at(0.9)?,
        p99: at(0.99)?,
        max: at(1.0)?,
    })
}

/// Wall nanoseconds, as lines are stamped with.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.map_or(0, |since| since.as_nanos())).unwrap_or(u64::MAX)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn say(what: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_string(what)?;
    text.push('\n');
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
