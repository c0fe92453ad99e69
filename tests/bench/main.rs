//! `make bench`: the figures a person asks for first, on release binaries of this machine. Each is
//! the median of several runs with its spread; nothing is asserted but that no line is lost.
//!
//! `bench NAME…` runs only those whose name begins so: start, stream, rest, idle, subscribers, replay,
//! flood, absence, viewers, page. TERM or INT end it early, and every process it had started.

mod crowd;
mod flood;
mod idle;
mod latency;
mod numbers;
mod page;
mod process;
mod replay;
mod rest;
mod series;
mod viewers;

use std::future::Future;

use series::Row;
use tokio::signal::unix::{SignalKind, signal};

/// A daemon is told once, a machine that hangs is not waited for: longer than any step takes on a
/// machine that does much else. `STEROIDS_TEST_PATIENCE` gives other seconds.
const PATIENCE: &str = "300";

fn main() {
    if std::env::var_os("STEROIDS_TEST_PATIENCE").is_none() {
        again_with_patience();
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime of one thread needs nothing");
    let is_whole = runtime.block_on(unless_told_to_end(run()));
    // With it go all homes, and with these all that was started in them.
    drop(runtime);
    if !is_whole {
        std::process::exit(1);
    }
}

/// The harness takes its patience from the environment, which only a new program can be given.
fn again_with_patience() {
    use std::os::unix::process::CommandExt as _;
    let mut words = std::env::args_os();
    let program = words.next().unwrap_or_default();
    let error = std::process::Command::new(program)
        .args(words)
        .env("STEROIDS_TEST_PATIENCE", PATIENCE)
        .exec();
    panic!("cannot run again with more patience: {error}");
}

/// False if a signal came first.
async fn unless_told_to_end(work: impl Future<Output = ()>) -> bool {
    let mut told = [SignalKind::terminate(), SignalKind::interrupt()]
        .map(|kind| signal(kind).expect("signals can be waited for"));
    let [terminate, interrupt] = &mut told;
    tokio::select! {
        () = work => true,
        _ = terminate.recv() => false,
        _ = interrupt.recv() => false,
    }
}

async fn run() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let chosen = |name: &str| wanted.is_empty() || wanted.iter().any(|want| name.starts_with(want));
    say(&series::heading());
    if chosen("start") {
        tell(&latency::start_to_exec().await);
    }
    if chosen("stream") {
        tell(&latency::write_to_terminal().await);
    }
    if chosen("rest") {
        tell(&rest::at_rest().await);
    }
    if chosen("idle") {
        tell(&idle::hundred_silent().await);
    }
    if chosen("subscribers") {
        tell(&crowd::fifty_subscribers().await);
        tell(&crowd::mute_subscribers().await);
    }
    if chosen("replay") {
        tell(&replay::hundred_megabytes().await);
    }
    if chosen("flood") {
        tell(&flood::million_lines().await);
    }
    if chosen("absence") {
        tell(&flood::absence().await);
    }
    if chosen("viewers") {
        tell(&viewers::thousand_viewers().await);
    }
    if chosen("page") {
        tell(&page::long_logs().await);
    }
}

fn tell(rows: &[Row]) {
    for row in rows {
        say(&row.to_string());
    }
}

#[expect(clippy::print_stdout, reason = "the table is what it is for")]
fn say(line: &str) {
    println!("{line}");
}
