//! A provider that prints as fast as it can, with the daemon there, and with the daemon away.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::{Duration, Instant};

use steroids_tests::{Daemon, Home};

use super::{Options, each};
use crate::figure::Figure;
use crate::figure::Limit::Most;
use crate::load::{Count, number};
use crate::process::{cpu, peak_rss_kib, shim};

const LINES: u64 = 1_000_000;

/// What one flood took.
struct Flood {
    provider: Duration,
    whole: Duration,
    daemon_cpu: Duration,
    daemon_peak_kib: u64,
    shim: Shim,
    wrong: u64,
}

/// What a shim was last seen to have taken.
#[derive(Debug, Clone, Copy, Default)]
struct Shim {
    cpu: Duration,
    peak_kib: u64,
}

/// G: until the row is final and the log complete.
pub(crate) async fn million_lines(options: &Options) -> Vec<Figure> {
    let mut floods = Vec::new();
    for _ in 0..options.repeats {
        floods.push(flood().await);
    }
    let seconds = |what, of: fn(&Flood) -> Duration| {
        Figure::new("G", what, "s", each(&floods, |it| of(it).as_secs_f64()))
    };
    let mebibytes = |what, of: fn(&Flood) -> u64| {
        Figure::new("G", what, "MiB", each(&floods, |it| of(it) as f64 / 1024.0))
    };
    vec![
        seconds("1,000,000 lines of 200 B: until the row is final", |it| {
            it.whole
        })
        .must(Most(2.5))
        .want(Most(1.5)),
        seconds("  the provider's own time", |it| it.provider),
        seconds("  CPU of shim + daemon", |it| it.shim.cpu + it.daemon_cpu).must(Most(3.0)),
        seconds("    of the daemon", |it| it.daemon_cpu),
        seconds("    of the shim", |it| it.shim.cpu),
        mebibytes("  RSS of the shim, at most", |it| it.shim.peak_kib).must(Most(2.0)),
        mebibytes("  RSS of the daemon, at most", |it| it.daemon_peak_kib).must(Most(25.0)),
        Figure::wrong("G", each(&floods, |it| it.wrong as f64)),
    ]
}

async fn flood() -> Flood {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("bench").await;
    let rpc = daemon.rpc().await;
    let before = cpu(daemon.pid());
    let begin = Instant::now();
    let started = rpc.start_fake(&ctl.project(), "T", &words()).await;
    let sampled = tokio::spawn(last_seen(shim(&home.processes(), &started.uuid)));
    let ended = rpc.ended(&ctl.project(), started.id).await;
    let whole = begin.elapsed();
    let duration = ended.duration_ms.and_then(|ms| u64::try_from(ms).ok());
    Flood {
        provider: Duration::from_millis(duration.unwrap_or(0)),
        whole,
        daemon_cpu: cpu(daemon.pid()).saturating_sub(before),
        daemon_peak_kib: peak_rss_kib(daemon.pid()),
        shim: sampled.await.expect("sampling does not panic"),
        wrong: wrong_in(&ctl.log_path(started.id)),
    }
}

/// A process as it was last seen; it is gone when the flood is over.
async fn last_seen(pid: i32) -> Shim {
    let mut last = Shim::default();
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    loop {
        let cpu = cpu(pid);
        if cpu.is_zero() {
            return last;
        }
        let peak_kib = last.peak_kib.max(peak_rss_kib(pid));
        last = Shim { cpu, peak_kib };
        tick.tick().await;
    }
}

/// What catching up took.
struct Absence {
    ready: Duration,
    whole: Duration,
    cpu: Duration,
    peak_kib: u64,
    wrong: u64,
}

/// I: a daemon that was killed before a million lines came and comes back after them.
pub(crate) async fn absence(options: &Options) -> Vec<Figure> {
    let mut absences = Vec::new();
    for _ in 0..options.repeats {
        absences.push(away().await);
    }
    let seconds = |what, of: fn(&Absence) -> Duration| {
        Figure::new("I", what, "s", each(&absences, |it| of(it).as_secs_f64()))
    };
    vec![
        seconds("back after 1,000,000 lines: until the row is final", |it| {
            it.whole
        })
        .must(Most(3.0))
        .want(Most(1.5)),
        seconds("  until it serves again", |it| it.ready),
        seconds("  CPU of the daemon", |it| it.cpu),
        Figure::new(
            "I",
            "  RSS of the daemon, at most",
            "MiB",
            each(&absences, |it| it.peak_kib as f64 / 1024.0),
        )
        .must(Most(25.0)),
        Figure::wrong("I", each(&absences, |it| it.wrong as f64)),
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
    Absence {
        ready,
        whole: begin.elapsed(),
        cpu: cpu(daemon.pid()),
        peak_kib: peak_rss_kib(daemon.pid()),
        wrong: wrong_in(&ctl.log_path(started.id)),
    }
}

fn words() -> [&'static str; 5] {
    ["flood", "--lines", "1000000", "--bytes", "200"]
}

/// Lines of a whole log that are not as they should be.
fn wrong_in(log: &Path) -> u64 {
    let log = File::open(log).expect("an ended invocation has a log");
    let mut log = BufReader::with_capacity(1 << 20, log);
    let mut count = Count::up_to(LINES);
    let mut line = Vec::new();
    while log.read_until(b'\n', &mut line).expect("a log can be read") > 0 {
        if let Some((number, _)) = number(&line) {
            count.take(number);
        }
        line.clear();
    }
    count.wrong()
}
