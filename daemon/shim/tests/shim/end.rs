//! How a provider ended, and what it left in its pipes.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::harness::{Case, is_alive};

#[test]
fn exit_codes_are_told_from_signals() {
    for code in [0, 1, 127, 137, 255] {
        let mut case = Case::script(&format!("exit {code}"));
        let ran = case.run();
        assert_eq!((ran.code, ran.signal), (Some(code), None));
        assert_eq!(ran.ended_by, None);
    }
    for signal in [6, 9, 11, 15, 40] {
        let mut case = Case::script(&format!("kill -{signal} $$"));
        let ran = case.run();
        assert_eq!((ran.code, ran.signal), (None, Some(signal)));
        assert_eq!(ran.ended_by, None);
    }
}

#[test]
fn the_record_has_times_and_resources() {
    let mut case = Case::script("sleep 0.2; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done");
    case.start();
    let record = case.exit();
    let usage = record.rusage.unwrap();
    assert!(usage.user_us + usage.system_us > 0);
    assert!(usage.max_rss_kib > 100);
    assert!(record.facts().unwrap().duration_ms >= 200);
    assert!(record.ended_ms > 1_600_000_000_000);
}

#[test]
fn a_burst_right_before_the_end_is_whole() {
    let mut case = Case::script("seq 1 200000; seq 1 1000 >&2; exit 3");
    assert_eq!(case.run().code, Some(3));
    let spooled = case.spooled();
    assert!(spooled.stdout.ends_with(b"\n200000\n"));
    assert_eq!(
        spooled.stdout.iter().filter(|byte| **byte == b'\n').count(),
        200_000
    );
    assert!(spooled.stderr.ends_with(b"\n1000\n"));
}

#[test]
fn a_provider_that_closed_its_pipes_is_still_running() {
    let mut case =
        Case::script("echo last; : > $OUT/up; exec >&- 2>&-; read x < $OUT/fifo; exit 7");
    let mut fifo = case.fifo();
    case.start_until("up");
    let pid = case.state().agent_pid.unwrap();
    assert!(is_alive(pid));
    fifo.write_all(b"go\n").unwrap();
    assert_eq!(case.ran().code, Some(7));
}

#[test]
fn a_grandchild_that_holds_the_pipe_is_read_for_a_while_and_killed() {
    // It speaks when its parent has ended, which is when nobody writes to the FIFO any more.
    let mut case = Case::script(
        "mkfifo f; (read x < f; echo late; exec sleep 60) & exec 9> f; echo early; exit 0",
    );
    let ran = case.run();
    assert_eq!(ran.code, Some(0));
    assert!(ran.leftovers >= 1);
    assert_eq!(case.stdout(), "early\nlate\n");
    assert!(case.is_over());
}

#[test]
fn a_grandchild_that_never_stops_printing_is_ended_after_five_seconds() {
    let mut case = Case::script("(while :; do echo more; sleep 0.1; done) & exit 0");
    let before = Instant::now();
    assert!(case.run().leftovers >= 1);
    let took = before.elapsed();
    // On a busy machine it may be kept from printing for so long that it counts as silent.
    let fell_silent = took.saturating_sub(case.spoken()) >= Duration::from_secs(2);
    assert!(took >= Duration::from_secs(4) || fell_silent, "{took:?}");
    assert!(case.is_over());
}

#[test]
fn what_ends_with_its_client_is_not_left_over() {
    let mut case = Case::script("mkfifo f; (exec >&- 2>&-; read x < f) & exec 9> f; exit 0");
    assert_eq!(case.run().leftovers, 0);
}

#[test]
fn background_processes_live_on_if_so_asked() {
    let mut case = Case::script("(exec >&- 2>&- sleep 60) & echo $! > $OUT/pid; exit 0");
    case.spec.leave_background = true;
    let ran = case.run();
    // It counts those that were ended.
    assert_eq!(ran.leftovers, 0);
    let pid = case.wait_for("pid").trim_end().parse().unwrap();
    assert!(is_alive(pid));
}
