//! What many subscribers of one invocation cost, and those that never read.

use std::time::Duration;

use steroids_tests::{Daemon, Home, Puppet, Rpc, invocation};

use crate::numbers;
use crate::process::{cpu, peak_rss_kib, reset_peak, rss_kib};
use crate::series::Row;

const RUNS: usize = 5;
const SUBSCRIBERS: usize = 50;
const LINES: u64 = 50_000;
const MUTE: usize = 8;

/// What one daemon with many subscribers showed.
struct Crowd {
    before: u64,
    peak: u64,
    after: u64,
    cpu: Duration,
    lost: u64,
}

/// One run of many lines, followed by fifty, of whom one never reads.
pub(crate) async fn fifty_subscribers() -> Vec<Row> {
    let mut crowds = Vec::new();
    for _ in 0..RUNS {
        crowds.push(crowd().await);
    }
    let all = |of: fn(&Crowd) -> u64| crowds.iter().map(of).collect::<Vec<_>>();
    let times: Vec<_> = crowds.iter().map(|it| it.cpu).collect();
    vec![
        Row::mebibytes(
            "daemon, resident, before 50 subscribers",
            &all(|it| it.before),
        ),
        Row::mebibytes("daemon, peak, 50 subscribers, one mute", &all(|it| it.peak)),
        Row::mebibytes("daemon, resident, a second after them", &all(|it| it.after)),
        Row::seconds("  CPU of the daemon, 50 x 50,000 lines", &times),
        Row::count("  lines lost by the 49 that read", &all(|it| it.lost)),
    ]
}

async fn crowd() -> Crowd {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("bench").await;
    let project = ctl.project();
    let mut gate = Puppet::new(&home, "gate");
    let rpc = daemon.rpc().await;
    let waiting = rpc.start_fake(&project, "gate", &gate.args()).await;
    let before = rss_kib(daemon.pid());
    let cpu_before = cpu(daemon.pid()).expect("it serves");
    reset_peak(daemon.pid());
    let started = flood(&rpc, &project).await;
    let selector = invocation(&project, started);

    let silent_rpc = daemon.rpc().await;
    let silent = silent_rpc.follow(selector.clone(), "", true).await;
    let mut good = Vec::new();
    for _ in 1..SUBSCRIBERS {
        let (rpc, selector) = (daemon.rpc().await, selector.clone());
        good.push(tokio::spawn(async move {
            numbers::followed(&rpc, selector).await
        }));
    }
    let mut lost = 0;
    for follower in good {
        let count = follower.await.expect("a follower does not panic");
        lost += count.lost(LINES);
    }
    let peak = peak_rss_kib(daemon.pid());
    let cpu = cpu(daemon.pid()).expect("it serves") - cpu_before;
    drop(silent);
    gate.exits(0);
    rpc.ended(&project, waiting.id).await;
    a_second().await;
    Crowd {
        before,
        peak,
        after: rss_kib(daemon.pid()),
        cpu,
        lost,
    }
}

/// Some that never read, each with a connection of its own, and nobody else.
pub(crate) async fn mute_subscribers() -> Vec<Row> {
    let mut growths = Vec::new();
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let home = Home::new();
        let daemon = Daemon::start(&home).await;
        let project = daemon.project("bench").await.project();
        let rpc = daemon.rpc().await;
        let id = flood(&rpc, &project).await;
        rpc.ended(&project, id).await;
        a_second().await;
        let (rss, time) = (rss_kib(daemon.pid()), cpu(daemon.pid()));
        reset_peak(daemon.pid());
        let mut mute = Vec::new();
        for _ in 0..MUTE {
            let rpc = daemon.rpc().await;
            let selector = invocation(&project, id);
            mute.push(rpc.follow(selector, "", true).await);
        }
        a_second().await;
        growths.push(peak_rss_kib(daemon.pid()).saturating_sub(rss));
        times.push(cpu(daemon.pid()).expect("it serves") - time.expect("it serves"));
    }
    vec![
        Row::mebibytes("daemon, growth by 8 that never read", &growths),
        Row::millis("  CPU of the daemon for them", &times),
    ]
}

async fn flood(rpc: &Rpc, project: &str) -> i64 {
    let lines = LINES.to_string();
    let words = ["flood", "--lines", &lines, "--bytes", "200"];
    rpc.start_fake(project, "T", &words).await.id
}

/// What is freed is given back at once or not at all; this is for what was under way.
async fn a_second() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}
