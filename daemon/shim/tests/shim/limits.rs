//! Limits hold without a daemon.

use std::io::Write;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use steroids_provider::activity::Level;
use steroids_provider::kind::{Format, Kind};
use steroids_shim::exit::Reason;
use steroids_shim::protocol::Request;
use steroids_shim::spec::Life;
use steroids_shim::spool::{Control, Limited, Payload, Reader};

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
    // After its last word, whenever that was: on a busy machine it may fall silent before the 8.
    assert!(silence_before_the_stop(&case) >= 500);
    // On a busy machine it may be nearly silent for too long before that, too.
    let controls = case.spooled().controls;
    let (before, last) = controls.split_at(controls.len() - 3);
    let near = "no output for 400ms; ended at 500ms";
    assert!(before.iter().all(|control| is_warning(control, near)));
    assert!(is_warning(&last[0], near), "{last:?}");
    let over = Control::Notice {
        level: Level::Warn,
        msg: "no output for 500ms; ending it".to_owned(),
    };
    let by = Reason::Silence;
    assert_eq!(last[1..], [over, Control::Stop { by, why: None }]);
}

fn is_warning(control: &Control, words: &str) -> bool {
    matches!(control, Control::Limit { ends_ms: Some(_), msg, .. } if msg == words)
}

/// From its last output, or else from its start, to the decision to end it.
fn silence_before_the_stop(case: &Case) -> u64 {
    let mut reader = Reader::open(&case.dir.spool()).unwrap();
    let mut said_at = 0;
    while let Some(record) = reader.next().unwrap() {
        match record.payload {
            Payload::Output { .. } => said_at = record.at.mono_ms,
            Payload::Control(Control::Limit { .. }) => {}
            Payload::Control(_) => return record.at.mono_ms - said_at,
        }
    }
    panic!("it was not ended");
}

/// A warning of these words, with the time that the spool says it is to end at.
fn warning(case: &Case, limit: Limited, msg: &str) -> Control {
    let controls = case.spooled().controls;
    let ends = controls.into_iter().find_map(|control| match control {
        Control::Limit { ends_ms, .. } => ends_ms,
        _ => None,
    });
    assert!(ends.is_some(), "it is warned of when it ends");
    Control::Limit {
        limit,
        ends_ms: ends,
        msg: msg.to_owned(),
    }
}

#[test]
fn the_wall_limit_ends_one_that_prints_all_the_time() {
    let mut case = Case::script("while :; do echo x; sleep 0.02; done");
    case.spec.limits.wall_ms = Some(300);
    let ran = case.run();
    assert_eq!((ran.signal, ran.ended_by), (Some(15), Some(Reason::Wall)));
    assert!(ran.duration_ms >= 300, "{}", ran.duration_ms);
}

#[test]
fn a_shim_that_was_held_up_does_not_take_that_for_silence() {
    let mut case = Case::script(
        ": > $OUT/up; read x < $OUT/fifo; echo x; : > $OUT/said; read x < $OUT/fifo; exit 4",
    );
    let mut fifo = case.fifo();
    // So much may each of its steps take on a busy machine.
    case.spec.limits.silence_ms = Some(3000);
    case.start_until("up");
    let shim = Pid::from_raw(case.shim().id() as i32);
    kill(shim, Signal::SIGSTOP).unwrap();
    let stopped = Instant::now();
    until("the limit to pass", || {
        (stopped.elapsed() > Duration::from_millis(3200)).then_some(())
    });
    fifo.write_all(b"go\n").unwrap();
    case.wait_for("said");
    kill(shim, Signal::SIGCONT).unwrap();
    case.connect().ask(&Request::Stat);
    fifo.write_all(b"go\n").unwrap();
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
fn one_that_stays_after_its_result_is_ended_behind_it_by_any_limit() {
    for limit in [Limited::Silence, Limited::Wall] {
        let mut case = claude(&format!("{RESULT}; exec sleep 60"));
        let limits = &mut case.spec.limits;
        match limit {
            // It begins with the line.
            Limited::Silence | Limited::ToolSilence => limits.silence_ms = Some(200),
            // Long enough for that.
            Limited::Wall => limits.wall_ms = Some(2000),
        }
        let ran = case.run();
        let ended = (ran.signal, ran.ended_by);
        assert_eq!(ended, (Some(2), Some(Reason::PostResult)), "{limit:?}");
    }
}

#[test]
fn who_ignores_a_limit_is_killed_after_the_grace() {
    // This limit begins with a line, and so when the signal is ignored already.
    let mut case = claude(&format!("trap '' INT; {RESULT}; while :; do sleep 1; done"));
    case.spec.limits.post_result_ms = Some(200);
    case.spec.limits.grace_ms = 100;
    let ran = case.run();
    assert_eq!(
        (ran.signal, ran.ended_by),
        (Some(9), Some(Reason::PostResult))
    );
    assert!(ran.duration_ms >= 300, "{}", ran.duration_ms);
}

#[test]
fn an_open_tool_is_silent_by_a_limit_of_its_own() {
    // The shorter one, since how long it takes to the first line is the machine's affair.
    let mut case = claude(&format!("{TOOL}; exec sleep 60"));
    case.spec.limits.silence_ms = Some(3_600_000);
    case.spec.limits.tool_silence_ms = Some(300);
    let ran = case.run();
    assert_eq!(ran.ended_by, Some(Reason::Silence));
    assert!(silence_before_the_stop(&case) >= 300);
}

#[test]
fn is_warned_of_what_is_waited_for_and_when_it_ends() {
    let mut case = claude(&format!("{TOOL}; exec sleep 60"));
    case.spec.limits.tool_silence_ms = Some(500);
    case.run();
    let said = "no output for 400ms while tool Bash runs; ended at 500ms";
    let controls = case.spooled().controls;
    assert_eq!(controls[0], warning(&case, Limited::ToolSilence, said));
    let mut reader = Reader::open(&case.dir.spool()).unwrap();
    while let Some(record) = reader.next().unwrap() {
        if let Payload::Control(Control::Limit { ends_ms, .. }) = record.payload {
            let (ends_ms, said_at) = (ends_ms.unwrap(), record.at.wall_ms);
            assert!(ends_ms <= said_at + 100, "{ends_ms}, said at {said_at}");
        }
    }
}

fn warnings(case: &Case) -> usize {
    if !case.dir.spool().exists() {
        return 0;
    }
    let is_warning = |control: &&Control| {
        matches!(
            control,
            Control::Limit {
                ends_ms: Some(_),
                ..
            }
        )
    };
    case.spooled().controls.iter().filter(is_warning).count()
}

#[test]
fn the_wall_limit_is_warned_of() {
    let mut case = Case::script("while :; do echo x; sleep 0.02; done");
    case.spec.limits.wall_ms = Some(500);
    case.run();
    let controls = case.spooled().controls;
    let said = "running for 400ms; ended at 500ms";
    assert_eq!(controls[0], warning(&case, Limited::Wall, said));
    assert_eq!(warnings(&case), 1);
}

#[test]
fn one_whose_processes_work_goes_on_where_that_is_a_sign_of_life() {
    // Six of them, as other tests' processes may want the processors too.
    let work = "(while :; do :; done) & ".repeat(5) + "while :; do :; done";
    let mut case = Case::script(&work);
    case.spec.limits.silence_ms = Some(2500);
    case.spec.limits.life = Life::ALL;
    case.start();
    let said = until("word that it goes on", || {
        let controls = case.dir.spool().exists().then(|| case.spooled().controls)?;
        controls.into_iter().find_map(|control| match control {
            Control::Limit {
                ends_ms: None, msg, ..
            } => Some(msg),
            control => {
                assert!(matches!(control, Control::Limit { .. }), "{control:?}");
                None
            }
        })
    });
    case.connect().ask(&Request::Kill);
    assert_eq!(case.ran().ended_by, Some(Reason::Stop));
    assert!(
        said.starts_with("no output for 2s, but its processes used "),
        "{said}"
    );
    assert!(said.contains(" of CPU time in "), "{said}");
}

#[test]
fn one_that_only_waits_shows_no_sign_of_life() {
    let mut case = Case::script("exec sleep 60");
    case.spec.limits.silence_ms = Some(500);
    case.spec.limits.life = Life::ALL;
    assert_eq!(case.run().ended_by, Some(Reason::Silence));
}
