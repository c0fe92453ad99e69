//! How fast a long log is given again, from its first line.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use steroids_tests::{Ctl, Daemon, Home, Rpc, binaries, invocation};
use tokio::io::AsyncReadExt as _;

use crate::numbers;
use crate::process::{cpu, peak_rss_kib, reset_peak, rss_kib};
use crate::series::Row;

const RUNS: usize = 5;
const LINES: u64 = 380_000;

/// A log of 100 MB, by gRPC alone and by the client's `stream --json`.
pub(crate) async fn hundred_megabytes() -> Vec<Row> {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("bench").await;
    let rpc = daemon.rpc().await;
    let lines = LINES.to_string();
    let words = ["flood", "--lines", &lines, "--bytes", "200"];
    let id = rpc.start_fake(&ctl.project(), "T", &words).await.id;
    rpc.ended(&ctl.project(), id).await;
    let length = fs::metadata(ctl.log_path(id)).expect("it has a log").len();

    let (mut by_rpc, mut by_ctl, mut spent) = (Vec::new(), Vec::new(), Vec::new());
    let (mut growth, mut lost) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let before = (rss_kib(daemon.pid()), cpu(daemon.pid()).expect("it serves"));
        reset_peak(daemon.pid());
        let (took, count) = replayed(&rpc, &ctl, id).await;
        by_rpc.push(took);
        lost.push(count.lost(LINES));
        spent.push(cpu(daemon.pid()).expect("it serves") - before.1);
        growth.push(peak_rss_kib(daemon.pid()).saturating_sub(before.0));
        by_ctl.push(streamed(&ctl, id, length).await);
    }
    vec![
        Row::per_second("replay of 100 MB by gRPC", length, &by_rpc),
        Row::per_second("replay of 100 MB by `stream --json`", length, &by_ctl),
        Row::millis("  CPU of the daemon, by gRPC", &spent),
        Row::mebibytes("  daemon, growth, by gRPC", &growth),
        Row::count("  lines lost", &lost),
    ]
}

async fn replayed(rpc: &Rpc, ctl: &Ctl, id: i64) -> (Duration, numbers::Count) {
    let begin = Instant::now();
    let count = numbers::followed(rpc, invocation(&ctl.project(), id)).await;
    (begin.elapsed(), count)
}

/// Reads the client's output without looking at it.
async fn streamed(ctl: &Ctl, id: i64, length: u64) -> Duration {
    let begin = Instant::now();
    let mut command = tokio::process::Command::from(ctl.home().command(&binaries::steroidsctl()));
    let mut child = command
        .current_dir(ctl.folder())
        .args(["--json", "stream", &id.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("steroidsctl is built");
    let mut stdout = child.stdout.take().expect("it was asked for");
    let mut buffer = vec![0; 1 << 20];
    let mut all = 0;
    loop {
        match stdout.read(&mut buffer).await.expect("a pipe can be read") {
            0 => break,
            read => all += read as u64,
        }
    }
    assert_eq!(all, length, "what is printed is the log");
    begin.elapsed()
}
