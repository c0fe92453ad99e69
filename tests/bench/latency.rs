//! How long it takes until something is there: the provider after Start, a line after its write.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use steroids_tests::{Ctl, Daemon, Home, log};

use crate::series::Row;

const STARTS: usize = 60;
const RUNS: usize = 3;

/// From just before the Start call to the provider's first instruction of its own.
pub(crate) async fn start_to_exec() -> Vec<Row> {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("bench").await;
    let rpc = daemon.rpc().await;
    let (mut to_exec, mut to_answer) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let before = now();
        let started = rpc
            .start_fake(
                &ctl.project(),
                "T",
                &["stamp", "--count", "1", "--every-ms", "60"],
            )
            .await;
        to_answer.push(now().saturating_sub(before));
        rpc.ended(&ctl.project(), started.id).await;
        let lines = log::lines(&ctl.log_path(started.id));
        to_exec.push(stamp(log::messages(&lines, "output")[0]).saturating_sub(before));
    }
    vec![
        Row::millis("Start call -> provider runs", &to_exec),
        Row::millis("Start call -> answer", &to_answer),
    ]
}

/// From just before the provider's write to the line read from `steroidsctl stream`.
pub(crate) async fn write_to_terminal() -> Vec<Row> {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("bench").await;
    let (mut calm, mut busy) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        calm.extend(latencies(&ctl, 500, "10").await);
        busy.extend(latencies(&ctl, 3000, "1").await);
    }
    drop(daemon);
    vec![
        Row::millis("provider's write -> stream, a line per 10 ms", &calm),
        Row::millis("provider's write -> stream, a line per 1 ms", &busy),
    ]
}

async fn latencies(ctl: &Ctl, count: usize, every_ms: &str) -> Vec<Duration> {
    let lines = count.to_string();
    let words = ["stamp", "--count", &lines, "--every-ms", every_ms];
    let id = ctl.start_fake("T", &words).await;
    let mut stream = ctl.spawn(["--json", "stream", &id.to_string()]);
    let mut latencies = Vec::new();
    while let Some(line) = stream.line().await {
        let arrived = now();
        if let Some((_, rest)) = line.split_once(r#""msg":"t "#) {
            let digits = rest.split('"').next().unwrap_or_default();
            latencies.push(arrived.saturating_sub(stamp(&format!("t {digits}"))));
        }
    }
    assert_eq!(latencies.len(), count, "no line is lost");
    // Those that were there before the stream was are no latencies.
    latencies.split_off(count / 4)
}

fn stamp(msg: &str) -> Duration {
    let nanos = msg.strip_prefix("t ").and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.expect("a stamp is a number"))
}

fn now() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("the clock is past 1970")
}
