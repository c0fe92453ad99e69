//! No process of an ended invocation is alive.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::Pid;
use rustix::fs::OFlags;
use steroids_shim::exit::Reason;
use steroids_shim::protocol::Request;
use steroids_shim::tree;

use crate::harness::{Case, Ran, is_alive, until};

fn stop(case: &Case, grace_ms: u64) {
    case.connect().ask(&Request::Stop {
        grace_ms: Some(grace_ms),
        why: None,
        shutdown: false,
    });
}

#[test]
fn an_escapee_into_its_own_session_is_killed_after_the_end() {
    let mut case = Case::script(
        "setsid sh -c 'setsid sleep 60 > /dev/null 2>&1 & echo $! > $OUT/pid.tmp; mv $OUT/pid.tmp $OUT/pid'
         exit 0",
    );
    let ran = case.run();
    let pid = case.wait_for("pid").trim_end().parse().unwrap();
    assert!(!is_alive(pid));
    assert_eq!(ran.leftovers, 1);
    assert!(case.is_over());
}

#[test]
fn one_without_the_marker_is_found_below_the_shim() {
    let mut case =
        Case::script("env -i setsid sleep 60 > /dev/null 2>&1 & echo $! > $OUT/pid; exit 0");
    assert_eq!(case.run().leftovers, 1);
    let pid = case.wait_for("pid").trim_end().parse().unwrap();
    assert!(!is_alive(pid));
}

#[test]
fn a_stop_is_gentle_first() {
    let mut case =
        Case::script("trap 'echo bye; exit 5' TERM; : > $OUT/up; while :; do sleep 0.02; done");
    case.start_until("up");
    stop(&case, 60_000);
    let ran = case.ran();
    assert_eq!((ran.code, ran.ended_by), (Some(5), Some(Reason::Stop)));
    assert_eq!(case.stdout(), "bye\n");
}

#[test]
fn who_ignores_it_is_killed_after_the_grace_with_all_others() {
    let mut case = Case::script(
        "trap '' TERM INT HUP; setsid sh -c 'while :; do sleep 1; done' &
         i=0; while [ $i -lt 20 ]; do setsid setsid sleep 60 & i=$((i+1)); done
         : > $OUT/up; while :; do sleep 1; done",
    );
    case.start_until("up");
    stop(&case, 100);
    let ran = case.ran();
    assert_eq!((ran.signal, ran.ended_by), (Some(9), Some(Reason::Stop)));
    assert!(case.is_over());
}

#[test]
fn a_second_stop_shortens_the_grace_and_a_kill_ends_it() {
    for second in [
        Request::Stop {
            grace_ms: Some(0),
            why: None,
            shutdown: false,
        },
        Request::Kill,
    ] {
        let mut case = Case::script("trap '' TERM; : > $OUT/up; while :; do sleep 1; done");
        case.start_until("up");
        stop(&case, 3_600_000);
        case.connect().ask(&second);
        let ran = case.ran();
        assert_eq!((ran.signal, ran.ended_by), (Some(9), Some(Reason::Stop)));
    }
}

#[test]
fn a_stopped_provider_can_be_ended() {
    let mut case = Case::script("echo $$ > $OUT/up; kill -STOP $$; sleep 60");
    case.start();
    let pid = until("the pid", || {
        fs::read_to_string(case.file("up"))
            .ok()?
            .trim_end()
            .parse::<i32>()
            .ok()
    });
    until("it to be stopped", || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.contains(") T ").then_some(())
    });
    stop(&case, 60_000);
    let ran = case.ran();
    assert_eq!((ran.signal, ran.ended_by), (Some(15), Some(Reason::Stop)));
}

#[test]
fn a_swarm_that_keeps_forking_is_killed() {
    let mut case = Case::script(
        "f() { trap '' TERM; i=0; while [ $i -lt 100 ]; do (setsid sleep 30 &) ; i=$((i+1)); done; }
         f & f & : > $OUT/up; wait; while :; do sleep 1; done",
    );
    case.start_until("up");
    stop(&case, 0);
    case.ran();
    assert!(case.is_over());
}

#[test]
fn a_shim_that_is_told_to_end_ends_its_provider_and_says_shutdown() {
    let mut case = Case::script("trap 'exit 3' TERM; : > $OUT/up; while :; do sleep 0.02; done");
    case.start_until("up");
    let shim = Pid::from_raw(case.shim().id() as i32);
    kill(shim, Signal::SIGTERM).unwrap();
    let ran = case.ran();
    assert_eq!((ran.code, ran.ended_by), (Some(3), Some(Reason::Shutdown)));
}

#[test]
fn a_killed_shim_takes_its_provider_with_it_and_the_marker_finds_the_rest() {
    let mut case = Case::script(
        "setsid sleep 60 & echo $! > $OUT/pid; : > $OUT/up; while :; do sleep 1; done",
    );
    case.start_until("up");
    let state = case.state();
    let agent = state.agent_pid.unwrap();
    case.shim().kill().unwrap();
    case.shim().wait().unwrap();
    until("the provider's death", || (!is_alive(agent)).then_some(()));
    let killed = tree::kill_remains(&case.spec.uuid, &state);
    assert!(!killed.found.is_empty());
    assert_eq!(killed.left, 0);
    assert!(!is_alive(case.wait_for("pid").trim_end().parse().unwrap()));
}

/// Goes from process to process, in a session of its own each time, for as long as its script is there.
/// Whoever it is holds `$OUT/held` open.
const HOPPER: &str = r#"
printf '[ -e "$OUT/hop" ] && setsid sh "$OUT/hop" > /dev/null 2>&1 &' > $OUT/hop
exec 9> $OUT/held
sh $OUT/hop
"#;

/// Runs what leaves a hopper; tells how it ended, and whether the hopper was gone by then.
fn with_hopper(rest: &str, act: impl FnOnce(&mut Case)) -> (Ran, bool) {
    let mut case = Case::script(&format!("{HOPPER}{rest}"));
    let held = case.file("held");
    nix::unistd::mkfifo(&held, Mode::S_IRWXU).unwrap();
    let held = rustix::fs::open(&held, OFlags::NONBLOCK, rustix::fs::Mode::empty()).unwrap();
    case.start();
    act(&mut case);
    let ran = case.ran();
    // The end of what nobody holds any more; an error where somebody does.
    let is_gone = rustix::io::read(&held, &mut [0; 1]) == Ok(0);
    (ran, is_gone)
}

#[test]
fn one_that_moves_on_by_fork_is_killed_after_the_end() {
    for _ in 0..5 {
        let (ran, is_gone) = with_hopper("exit 0", |_| {});
        assert!(is_gone && ran.leftovers > 0, "{ran:?}");
    }
}

#[test]
fn one_that_moves_on_by_fork_is_killed_by_a_stop() {
    for _ in 0..5 {
        let (ran, is_gone) = with_hopper(": > $OUT/up; while :; do sleep 1; done", |case| {
            case.wait_for("up");
            stop(case, 100);
        });
        assert!(is_gone, "{ran:?}");
    }
}

#[test]
fn one_that_moves_on_by_fork_is_left_alone_where_that_was_asked_for() {
    let mut case = Case::script(&format!("mkfifo $OUT/held; exec 8<> $OUT/held\n{HOPPER}"));
    case.spec.leave_background = true;
    let held = case.file("held");
    assert_eq!(case.run().leftovers, 0);
    let held = rustix::fs::open(&held, OFlags::NONBLOCK, rustix::fs::Mode::empty()).unwrap();
    assert_eq!(
        rustix::io::read(&held, &mut [0; 1]),
        Err(rustix::io::Errno::AGAIN)
    );
}
