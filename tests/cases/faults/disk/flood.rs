//! More output than anybody wants: a line of 50 MB, then a stream without pause. Memory stays
//! bounded, in the daemon and in the shim, and is given back.

use std::fs;
use std::time::Duration;

use steroids_tests::faults::{held, share};
use steroids_tests::{Daemon, Home, Puppet, assert_undisturbed, eventually, log, rpc};

use super::begun;

const MIB: u64 = 1 << 20;

/// A figure of `/proc/PID/status`, in bytes.
fn memory(pid: i32, key: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(key)).unwrap();
    let kib: u64 = line
        .split_ascii_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    kib * 1024
}

/// Begins anew to look for the peak.
fn forget_peak(pid: i32) {
    // Refused in some containers: then it is that of its whole life, which is no less.
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

// The test reads the stream on a thread of its own, while it waits for what it asks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_is_kept_whole_in_bounded_memory() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let mut agent = Puppet::new(&home, "agent");
    let started = begun(&ctl, &rpc, &mut agent).await;
    let selector = rpc::invocation(&ctl.project(), started.id);
    let mut follower = rpc.follow(selector, "", true).await;
    let (shim, daemon_pid) = (home.shim(&started.uuid), daemon.pid());
    let before = (memory(daemon_pid, "RssAnon"), memory(shim, "RssAnon"));
    let whole = memory(daemon_pid, "VmRSS");
    forget_peak(daemon_pid);
    forget_peak(shim);

    // 10 MB a second.
    let (long, seconds) = share((9_000_000, 1), (50_000_000, 20));
    let count = 10_000 * seconds + 1;
    agent.prints_long(long);
    agent.counts(2..=count, 1_000, Duration::from_secs(seconds));
    agent.prints("that was all");
    loop {
        // However long it takes, as long as something comes: `next` has the test's patience.
        let event = follower.next().await.unwrap().unwrap();
        if String::from_utf8_lossy(&event.line).contains("that was all") {
            break;
        }
    }
    let peak = memory(daemon_pid, "VmHWM").saturating_sub(whole);
    assert!(peak < 32 * MIB, "the daemon grew by {peak} bytes");
    let shim_peak = memory(shim, "VmHWM");
    assert!(
        shim_peak < 66 * MIB + before.1,
        "the shim had {shim_peak} bytes"
    );
    let after = eventually("the shim to give its memory back", async || {
        let now = memory(shim, "RssAnon");
        (now < 2 * MIB).then_some(now)
    })
    .await;
    agent.exits(0);
    let ended = rpc.ended(&ctl.project(), started.id).await;
    let lines = log::lines(&ctl.log_path(ended.id));
    log::assert_counts_to(&log::numbers(&lines), count);
    let marked = lines
        .iter()
        .find(|line| line["truncatedBytes"].is_u64() || line["type"] == "unknown");
    let marked = marked.expect("the long line is there").to_string();
    assert!(marked.len() < 1 << 20, "{} bytes", marked.len());
    assert!(marked.contains("truncatedBytes"), "{}", &marked[..200]);
    assert_undisturbed(&ctl, &ended);
    let seen = format!(
        "a line of {long} bytes, {seconds} s of 10 MB/s: daemon +{} KiB at most (it had {} KiB), shim {} KiB at most and {} KiB after",
        peak >> 10,
        before.0 >> 10,
        shim_peak >> 10,
        after >> 10
    );
    held(31, seen);
}
