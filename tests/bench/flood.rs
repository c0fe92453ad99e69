//! A child that prints as fast as it can, with the daemon there, and with the daemon away.

use std::fs::File;
use std::io::BufReader;
use std::time::{Duration, Instant};

use steroids_tests::{Daemon, Home};

use crate::numbers;
use crate::process::{cpu, peak_rss_kib, shim};
use crate::series::Row;

const RUNS: usize = 3;
const LINES: u64 = 1_000_000;

/// What one flood took.
struct Flood {
    provider: Duration,
    whole: Duration,
    daemon_cpu: Duration,
    daemon_peak_kib: u64,
    shim: Shim,
    lost: u64,
}

/// What a shim was last seen to have taken.
#[derive(Debug, Clone, Copy, Default)]
struct Shim {
    cpu: Duration,
    peak_kib: u64,
}

/// A million lines of 200 bytes, until the row is final and the log complete.
pub(crate) async fn million_lines() -> Vec<Row> {
    let mut floods = Vec::new();
    for _ in 0..RUNS {
        floods.push(flood().await);
    }
    let durations = |of: fn(&Flood) -> Duration| floods.iter().map(of).collect::<Vec<_>>();
    let numbers = |of: fn(&Flood) -> u64| floods.iter().map(of).collect::<Vec<_>>();
    vec![
        Row::seconds(
            "1,000,000 lines x 200 B: until the row is final",
            &durations(|f| f.whole),
        ),
        Row::seconds("  the provider's own time", &durations(|f| f.provider)),
        Row::seconds("  CPU of the daemon", &durations(|f| f.daemon_cpu)),
        Row::seconds("  CPU of the shim", &durations(|f| f.shim.cpu)),
        Row::mebibytes("  daemon, peak resident", &numbers(|f| f.daemon_peak_kib)),
        Row::mebibytes("  shim, peak resident", &numbers(|f| f.shim.peak_kib)),
        Row::count("  lines lost", &numbers(|f| f.lost)),
    ]
}

async fn flood() -> Flood {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("bench").await;
    let rpc = daemon.rpc().await;
    let daemon_before = cpu(daemon.pid()).expect("it serves");
    let begin = Instant::now();
    let started = rpc.start_fake(&ctl.project(), "T", &words()).await;
    let shim_pid = shim(&home.processes(), &started.uuid);
    let sampled = tokio::spawn(last_seen(shim_pid));
    let ended = rpc.ended(&ctl.project(), started.id).await;
    let whole = begin.elapsed();
    let duration = ended.duration_ms.and_then(|ms| u64::try_from(ms).ok());
    let log = File::open(ctl.log_path(started.id)).expect("an ended invocation has a log");
    Flood {
        provider: Duration::from_millis(duration.unwrap_or(0)),
        whole,
        daemon_cpu: cpu(daemon.pid()).expect("it serves") - daemon_before,
        daemon_peak_kib: peak_rss_kib(daemon.pid()),
        shim: sampled.await.expect("sampling does not panic"),
        lost: numbers::in_log(BufReader::new(log)).lost(LINES),
    }
}

/// A process as it was last seen; it is gone when the flood is over.
async fn last_seen(pid: i32) -> Shim {
    let mut last = Shim::default();
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    while let Some(cpu) = cpu(pid) {
        let peak_kib = last.peak_kib.max(peak_rss_kib(pid));
        last = Shim { cpu, peak_kib };
        tick.tick().await;
    }
    last
}

/// What catching up took.
struct Absence {
    ready: Duration,
    whole: Duration,
    cpu: Duration,
    peak_kib: u64,
    lost: u64,
}

/// A daemon that was killed before a million lines came and comes back after them.
pub(crate) async fn absence() -> Vec<Row> {
    let mut absences = Vec::new();
    for _ in 0..RUNS {
        absences.push(away().await);
    }
    let durations = |of: fn(&Absence) -> Duration| absences.iter().map(of).collect::<Vec<_>>();
    let numbers = |of: fn(&Absence) -> u64| absences.iter().map(of).collect::<Vec<_>>();
    vec![
        Row::seconds(
            "away for 1,000,000 lines: until it serves again",
            &durations(|it| it.ready),
        ),
        Row::seconds("  until the row is final", &durations(|it| it.whole)),
        Row::seconds("  CPU of the daemon", &durations(|it| it.cpu)),
        Row::mebibytes("  daemon, peak resident", &numbers(|it| it.peak_kib)),
        Row::count("  lines lost", &numbers(|it| it.lost)),
    ]
}

async fn away() -> Absence {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("bench").await;
    let rpc = daemon.rpc().await;
    let started = rpc.start_fake(&ctl.project(), "T", &words()).await;
    daemon.kill9().await;
    home.recorded(&started.uuid).await;
    let begin = Instant::now();
    daemon.start_again().await;
    let ready = begin.elapsed();
    let rpc = daemon.rpc().await;
    rpc.ended(&ctl.project(), started.id).await;
    let whole = begin.elapsed();
    let log = File::open(ctl.log_path(started.id)).expect("an ended invocation has a log");
    Absence {
        ready,
        whole,
        cpu: cpu(daemon.pid()).expect("it serves"),
        peak_kib: peak_rss_kib(daemon.pid()),
        lost: numbers::in_log(BufReader::new(log)).lost(LINES),
    }
}

fn words() -> [&'static str; 5] {
    ["flood", "--lines", "1000000", "--bytes", "200"]
}
