//! Limits hold without a daemon.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use steroids_provider::activity::Level;
use steroids_provider::kind::{Format, Kind};
use steroids_shim::exit::Reason;
use steroids_shim::protocol::Request;
use steroids_shim::spool::Control;

use crate::harness::{Case, until};

#[test]
fn a_silent_provider_is_ended_and_a_chatty_one_is_not() {
    let mut case =
        Case::script("for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.1; done; exec sleep 60");
    case.spec.limits.silence_ms = Some(500);
    let ran = case.run();
    assert_eq!(
        (ran.signal, ran.ended_by),
        (Some(15), Some(Reason::Silence))
    );
    assert!(ran.duration_ms >= 1200, "{}", ran.duration_ms);
    assert!(case.stdout().ends_with("8\n"));
    assert_eq!(
        case.spooled().controls,
        [
            Control::Notice {
                level: Level::Warn,
                msg: "no output for 500ms; ending it".to_owned()
            },
            Control::Stop {
                by: Reason::Silence
            }
        ]
    );
}

#[test]
fn the_wall_limit_ends_one_that_prints_all_the_time() {
    let mut case = Case::script("trap '' TERM; while :; do echo x; sleep 0.02; done");
    case.spec.limits.wall_ms = Some(300);
    case.spec.limits.grace_ms = 100;
    let ran = case.run();
    assert_eq!((ran.signal, ran.ended_by), (Some(9), Some(Reason::Wall)));
    assert!(ran.duration_ms >= 400, "{}", ran.duration_ms);
}

#[test]
fn a_shim_that_was_held_up_does_not_take_that_for_silence() {
    let mut case =
        Case::script(": > $OUT/up; while [ ! -e $OUT/end ]; do echo x; sleep 0.02; done; exit 4");
    case.spec.limits.silence_ms = Some(500);
    case.start_until("up");
    let shim = Pid::from_raw(case.shim().id() as i32);
    kill(shim, Signal::SIGSTOP).unwrap();
    let stopped = Instant::now();
    until("the limit to pass", || {
        (stopped.elapsed() > Duration::from_millis(1000)).then_some(())
    });
    kill(shim, Signal::SIGCONT).unwrap();
    case.connect().ask(&Request::Stat);
    std::fs::write(case.file("end"), "").unwrap();
    let ran = case.ran();
    assert_eq!((ran.code, ran.ended_by), (Some(4), None));
}

fn claude(script: &str) -> Case {
    let mut case = Case::script(script);
    case.spec.kind = Kind::Claude;
    case.spec.format = Format::Json;
    case
}

const RESULT: &str = r#"echo '{"type":"result","subtype":"success","is_error":false,"duration_ms":5,"num_turns":1,"result":"done","session_id":"s"}'"#;
const TOOL: &str = r#"echo '{"type":"assistant","message":{"id":"m","role":"assistant","content":[{"type":"tool_use","id":"t1","name":"Bash","input":{"command":"make"}}]},"session_id":"s"}'"#;

#[test]
fn one_that_stays_after_its_result_is_ended() {
    // Its gentle signal is INT, to which a script's foreground command ends it.
    let mut case = claude(&format!("{RESULT}; exec sleep 60"));
    case.spec.limits.post_result_ms = Some(200);
    let ran = case.run();
    assert_eq!(
        (ran.signal, ran.ended_by),
        (Some(2), Some(Reason::PostResult))
    );
}

#[test]
fn an_open_tool_may_be_silent_for_its_own_time() {
    let mut case = claude(&format!("{TOOL}; exec sleep 60"));
    case.spec.limits.silence_ms = Some(100);
    case.spec.limits.tool_silence_ms = Some(900);
    let ran = case.run();
    assert_eq!(ran.ended_by, Some(Reason::Silence));
    assert!(ran.duration_ms >= 900, "{}", ran.duration_ms);
}
