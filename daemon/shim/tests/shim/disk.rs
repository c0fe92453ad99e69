//! A disk that is full for a while: nothing is lost, and nothing torn.

use std::io::Write;
use std::time::{Duration, Instant};

use nix::libc;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use steroids_shim::protocol::{Message, Request, Stat};

use crate::harness::{Case, until};

/// As good as a full disk, and can be had by anybody: a limit to the size of the shim's files.
fn limit_files(pid: i32, bytes: Option<u64>) {
    let limit = Rlimit {
        current: bytes,
        maximum: None,
    };
    prlimit(Pid::from_raw(pid), Resource::Fsize, limit).unwrap();
}

fn stat(case: &Case) -> Stat {
    match case.connect().ask(&Request::Stat) {
        Message::Stat(stat) => stat,
        other => panic!("{other:?}"),
    }
}

fn go(fifo: &mut std::fs::File) {
    fifo.write_all(b"go\n").unwrap();
}

#[test]
fn what_does_not_fit_waits_and_no_torn_record_is_left() {
    let mut case =
        Case::script(": > $OUT/up; read x < $OUT/fifo; seq 1 200000; read x < $OUT/fifo; exit 0");
    let mut fifo = case.fifo();
    case.start_until("up");
    let shim = case.state().shim_pid;
    limit_files(shim, Some(300_001));
    go(&mut fifo);
    let trouble = until("trouble", || stat(&case).trouble);
    assert_eq!(trouble, "disk full");
    // A reader sees whole records and no damage.
    let partial = case.spooled().stdout.len();
    assert!(partial < 300_001);
    go(&mut fifo);
    until("the end of the provider", || {
        (stat(&case).phase == "ending: disk full").then_some(())
    });
    limit_files(shim, None);
    assert_eq!(case.ran().code, Some(0));
    let stdout = case.stdout();
    assert!(stdout.ends_with("\n200000\n"));
    assert_eq!(stdout.lines().count(), 200_000);
}

#[test]
fn the_provider_pauses_when_64_mib_wait_and_loses_nothing() {
    let mut case =
        Case::script(": > $OUT/up; read x < $OUT/fifo; head -c 90000000 /dev/zero; exit 0");
    let mut fifo = case.fifo();
    case.spec.limits.silence_ms = Some(3000);
    case.start_until("up");
    let shim = case.state().shim_pid;
    limit_files(shim, Some(4096));
    go(&mut fifo);
    let full = until("the bound", || Some(stat(&case)).filter(|stat| stat.paused));
    assert!(full.waiting <= 64 * 1024 * 1024, "{}", full.waiting);
    // Longer than the silence limit: being kept from printing is not silence.
    let paused = Instant::now();
    until("the limit to pass", || {
        assert!(stat(&case).paused);
        (paused.elapsed() > Duration::from_millis(3500)).then_some(())
    });
    assert!(memory_kib(shim) < 80 * 1024);
    limit_files(shim, None);
    let ran = case.ran();
    assert_eq!((ran.code, ran.ended_by), (Some(0), None));
    assert_eq!(case.spooled().stdout.len(), 90_000_000);
}

fn memory_kib(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap();
    line.split_ascii_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn the_signal_of_the_limit_does_not_reach_the_provider_as_ignored() {
    let mut case = Case::script(&format!("trap - XFSZ; kill -{} $$", libc::SIGXFSZ));
    assert_eq!(case.run().signal, Some(libc::SIGXFSZ));
}
