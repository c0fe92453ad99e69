use steroids_provider::activity::{Stamp, Stream};
use steroids_shim::spec::{Life, Spec};

use super::super::pulse::Pulse;
use super::*;

const LIMITS: Limits = Limits {
    silence_ms: Some(100),
    tool_silence_ms: Some(500),
    wall_ms: Some(1000),
    post_result_ms: Some(30),
    grace_ms: 10,
    life: Life::ALL,
};

fn course(started: u64, last_output: u64) -> Course {
    Course {
        last_output,
        ..Course::begun(started)
    }
}

/// What ends it, if it says nothing more.
fn end(limits: &Limits, vitals: Vitals, course: Course) -> (u64, Reason) {
    ends(limits, vitals, false, course).expect("it has to end")
}

/// The same, of one that may be sent a message if it `listens`; `None` if nothing does.
fn ends(limits: &Limits, vitals: Vitals, listens: bool, course: Course) -> Option<(u64, Reason)> {
    let mut warned = Warned::default();
    let mut now = 0;
    loop {
        match step(limits, vitals, listens, course, warned, now)? {
            Step::Over(due) => return Some((due.at, due.reason)),
            Step::Near(due) => warned.note(&due, now),
            Step::Wait(at) => now = at,
        }
    }
}

fn due(vitals: Vitals, started: u64, last_output: u64) -> (u64, Reason) {
    end(&LIMITS, vitals, course(started, last_output))
}

const IDLE: Vitals = Vitals {
    open_tools: 0,
    background: 0,
    result_seen: false,
};

const BUSY: Vitals = Vitals {
    open_tools: 1,
    ..IDLE
};

#[test]
fn silence_counts_from_the_last_output_and_wall_from_the_start() {
    assert_eq!(due(IDLE, 0, 50), (150, Reason::Silence));
    assert_eq!(due(IDLE, 0, 950), (1000, Reason::Wall));
}

#[test]
fn an_open_tool_has_its_own_silence_unless_it_is_no_sign_of_life() {
    assert_eq!(due(BUSY, 0, 50), (550, Reason::Silence));
    let mut limits = LIMITS;
    limits.life.tool = false;
    assert_eq!(end(&limits, BUSY, course(0, 50)), (150, Reason::Silence));
}

#[test]
fn whose_input_was_closed_has_time_to_end_by_itself() {
    let vitals = Vitals {
        result_seen: true,
        ..IDLE
    };
    let mut closed = course(0, 50);
    closed.tidy_until = 90;
    assert_eq!(end(&LIMITS, vitals, closed), (90, Reason::PostResult));
}

#[test]
fn after_the_result_only_what_still_works_keeps_it_alive() {
    let mut vitals = Vitals {
        result_seen: true,
        ..IDLE
    };
    assert_eq!(due(vitals, 0, 50), (80, Reason::PostResult));
    // One that spins after its result is not waited for.
    let mut spinning = course(0, 50);
    spinning.last_work = 79;
    assert_eq!(end(&LIMITS, vitals, spinning), (80, Reason::PostResult));
    vitals.background = 1;
    assert_eq!(due(vitals, 0, 50), (150, Reason::Silence));
    vitals.open_tools = 1;
    assert_eq!(due(vitals, 0, 50), (550, Reason::Silence));
}

#[test]
fn one_whose_result_is_there_ends_behind_it_whichever_limit_ends_it() {
    let done = Vitals {
        result_seen: true,
        ..IDLE
    };
    let limits = Limits {
        post_result_ms: Some(5000),
        ..LIMITS
    };
    assert_eq!(end(&limits, done, course(0, 50)), (150, Reason::PostResult));
    assert_eq!(
        end(&limits, done, course(0, 950)),
        (1000, Reason::PostResult)
    );
    let none = Limits {
        post_result_ms: None,
        ..LIMITS
    };
    assert_eq!(end(&none, done, course(0, 50)), (150, Reason::PostResult));
    // Without a limit of its own for that, it may leave something that works.
    let mut working = course(0, 50);
    working.last_work = 140;
    assert_eq!(end(&none, done, working), (240, Reason::PostResult));
    // What still works has more to say.
    let works = Vitals {
        background: 1,
        ..done
    };
    assert_eq!(end(&limits, works, course(0, 50)), (150, Reason::Silence));
    assert_eq!(end(&limits, works, course(0, 950)), (1000, Reason::Wall));
}

#[test]
fn one_that_waits_for_a_message_is_not_silent() {
    let mut vitals = Vitals {
        result_seen: true,
        ..IDLE
    };
    let mut limits = Limits {
        post_result_ms: None,
        wall_ms: None,
        ..LIMITS
    };
    assert_eq!(ends(&limits, vitals, true, course(0, 50)), None);
    limits.wall_ms = Some(1000);
    let ended = ends(&limits, vitals, true, course(0, 50));
    assert_eq!(ended, Some((1000, Reason::PostResult)));
    vitals.result_seen = false;
    let ended = ends(&limits, vitals, true, course(0, 50));
    assert_eq!(ended, Some((150, Reason::Silence)));
}

#[test]
fn who_works_is_not_silent_but_runs_no_longer_than_it_may() {
    let mut working = course(0, 50);
    working.last_work = 140;
    assert!(working.has_worked());
    assert_eq!(end(&LIMITS, IDLE, working), (240, Reason::Silence));
    working.last_work = 990;
    assert_eq!(end(&LIMITS, IDLE, working), (1000, Reason::Wall));
}

#[test]
fn whoever_stood_still_past_a_limit_gets_time_to_go_on() {
    let mut course = course(0, 0);
    // The silence was to end at 100.
    course.forgive(900, 1000);
    assert_eq!(end(&LIMITS, IDLE, course), (1100, Reason::Silence));
    course.last_output = 2700;
    assert_eq!(end(&LIMITS, IDLE, course), (2800, Reason::Wall));
}

#[test]
fn without_limits_nothing_is_due() {
    let none = Limits {
        silence_ms: None,
        tool_silence_ms: None,
        wall_ms: None,
        post_result_ms: None,
        grace_ms: 10,
        life: Life::ALL,
    };
    let found = step(
        &none,
        IDLE,
        false,
        course(0, 0),
        Warned::default(),
        u64::MAX,
    );
    assert_eq!(found, None);
}

#[test]
fn is_warned_at_four_fifths_once_in_a_stretch_and_of_each_limit() {
    let mut course = course(0, 0);
    let mut warned = Warned::default();
    let ask = |course, warned, now| step(&LIMITS, IDLE, false, course, warned, now).unwrap();
    assert_eq!(ask(course, warned, 0), Step::Wait(80));
    let Step::Near(due) = ask(course, warned, 80) else {
        panic!("it is near");
    };
    assert_eq!((due.at, due.name), (100, Some(Limited::Silence)));
    warned.note(&due, 80);
    assert_eq!(ask(course, warned, 81), Step::Wait(100));
    // It printed: another stretch.
    course.last_output = 90;
    assert_eq!(ask(course, warned, 90), Step::Wait(170));
    // It prints all the time.
    course.last_output = 800;
    let Step::Near(due) = ask(course, warned, 800) else {
        panic!("its time is nearly over");
    };
    assert_eq!((due.at, due.name), (1000, Some(Limited::Wall)));
    warned.note(&due, 800);
    course.last_output = 950;
    assert_eq!(ask(course, warned, 950), Step::Wait(1000));
}

#[test]
fn is_not_warned_of_the_time_after_the_result_and_of_other_limits_as_ever() {
    let done = Vitals {
        result_seen: true,
        ..IDLE
    };
    let found = step(&LIMITS, done, false, course(0, 0), Warned::default(), 29);
    assert_eq!(found, Some(Step::Wait(30)));
    let limits = Limits {
        post_result_ms: None,
        ..LIMITS
    };
    let found = step(&limits, done, false, course(0, 0), Warned::default(), 80);
    let name = match found {
        Some(Step::Near(due)) => due.name,
        _ => panic!("{found:?}"),
    };
    assert_eq!(name, Some(Limited::Silence));
}

#[test]
fn a_warning_that_comes_late_leaves_as_much_time_as_one_in_time() {
    let mut warned = Warned::default();
    let ask = |warned, now| step(&LIMITS, IDLE, false, course(0, 0), warned, now).unwrap();
    let Step::Near(due) = ask(warned, 110) else {
        panic!("nothing was said yet");
    };
    warned.note(&due, 110);
    assert_eq!(ask(warned, 111), Step::Wait(130));
    assert!(matches!(ask(warned, 130), Step::Over(_)));
}

// === whole runs, on a clock of their own ===

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;

const TOOL: &str = r#"{"type":"assistant","message":{"id":"m","role":"assistant","content":[{"type":"tool_use","id":"t1","name":"Bash","input":{"command":"make"}}]},"session_id":"s"}"#;
const DONE: &str = r#"{"type":"user","message":{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":"ok"}]},"session_id":"s"}"#;
const RESULT: &str = r#"{"type":"result","subtype":"success","is_error":false,"duration_ms":5,"num_turns":1,"result":"done","session_id":"s"}"#;

fn claude(limits: Limits) -> Spec {
    let spec = r#"{"proto":1,"uuid":"u","invocation":1,"project":"/p","task":"t","role":"r","provider":"claude","kind":"claude","format":"json","model":"","resume":null,"request_id":"","request_hash":"","argv":["/x"],"env":[],"cwd":"/","prompt":"","interactive":false,"leave_background":false,"limits":{"silence_ms":null,"tool_silence_ms":null,"wall_ms":null,"post_result_ms":null,"grace_ms":1},"created_ms":1,"boot_id":"","socket":"/s"}"#;
    let spec: Spec = serde_json::from_str(spec).unwrap();
    Spec { limits, ..spec }
}

/// Lets a provider print these lines at these times, looks whenever there is something to see, and
/// tells when it was warned and when and why it was ended. `works` is what a look at its processes
/// would find, from the second look in a silence on.
fn run(
    limits: Limits,
    lines: &[(u64, &str)],
    works: impl Fn(u64) -> bool,
) -> (Vec<u64>, Option<(u64, Reason)>) {
    let mut pulse = Pulse::of(&claude(limits));
    let mut course = Course::begun(0);
    let mut warned = Warned::default();
    let mut warnings = Vec::new();
    let mut lines = lines.iter();
    let mut next_line = lines.next();
    let mut now = 0;
    let mut looked = None;
    loop {
        let found = step(&limits, pulse.vitals(), false, course, warned, now);
        if let Some(Step::Near(due) | Step::Over(due)) = found
            && due.reason == Reason::Silence
            && looked.replace(course.last_output) == Some(course.last_output)
            && works(now)
        {
            course.last_work = now;
            continue;
        }
        let wake_at = match found {
            Some(Step::Near(due)) => {
                warnings.push(now);
                warned.note(&due, now);
                continue;
            }
            Some(Step::Over(due)) => return (warnings, Some((now, due.reason))),
            Some(Step::Wait(at)) => at,
            None => u64::MAX,
        };
        match next_line {
            Some((at, line)) if *at <= wake_at => {
                now = *at;
                let at = Stamp {
                    wall_ms: now,
                    mono_ms: now,
                    raw: now,
                };
                pulse.feed(Stream::Stdout, at, format!("{line}\n").as_bytes());
                course.last_output = now;
                next_line = lines.next();
            }
            Some(_) => now = wake_at,
            // It exits by itself with its last line.
            None if pulse.vitals().result_seen && limits.post_result_ms.is_none() => {
                return (warnings, None);
            }
            None => now = wake_at,
        }
    }
}

const DEFAULTS: Limits = Limits {
    silence_ms: Some(15 * MINUTE),
    tool_silence_ms: Some(120 * MINUTE),
    wall_ms: None,
    post_result_ms: Some(30 * SECOND),
    grace_ms: 10 * SECOND,
    life: Life::ALL,
};

const BUILD: &[(u64, &str)] = &[
    (SECOND, TOOL),
    (SECOND + 20 * MINUTE, DONE),
    (SECOND + 21 * MINUTE, RESULT),
];

#[test]
fn a_quiet_build_of_twenty_minutes_lives_under_a_silence_of_fifteen() {
    let limits = Limits {
        post_result_ms: None,
        ..DEFAULTS
    };
    assert_eq!(run(limits, BUILD, |_| false), (Vec::new(), None));
}

#[test]
fn where_a_tool_is_no_sign_of_life_its_work_keeps_it_alive_and_its_idleness_does_not() {
    let mut limits = Limits {
        post_result_ms: None,
        ..DEFAULTS
    };
    limits.life.tool = false;
    let warned = vec![SECOND + 12 * MINUTE];
    assert_eq!(run(limits, BUILD, |_| true), (warned.clone(), None));
    let (when, ended) = run(limits, BUILD, |_| false);
    assert_eq!(when, warned);
    assert_eq!(ended, Some((SECOND + 15 * MINUTE, Reason::Silence)));
}

#[test]
fn one_that_has_said_its_last_word_is_ended_half_a_minute_later_however_hard_it_works() {
    let (warned, ended) = run(DEFAULTS, BUILD, |_| true);
    let last = SECOND + 21 * MINUTE;
    assert!(warned.is_empty());
    assert_eq!(ended, Some((last + 30 * SECOND, Reason::PostResult)));
}

#[test]
fn one_that_never_prints_is_warned_of_and_dies_at_its_limit() {
    let (warned, ended) = run(DEFAULTS, &[], |_| false);
    assert_eq!(warned, [12 * MINUTE]);
    assert_eq!(ended, Some((15 * MINUTE, Reason::Silence)));
}

#[test]
fn one_that_works_for_ever_and_says_nothing_is_ended_by_its_wall_limit_alone() {
    let limits = Limits {
        wall_ms: Some(600 * MINUTE),
        ..DEFAULTS
    };
    let (warned, ended) = run(limits, &[], |_| true);
    assert_eq!(warned, [12 * MINUTE, 480 * MINUTE]);
    assert_eq!(ended, Some((600 * MINUTE, Reason::Wall)));
}

#[test]
fn one_that_stops_working_is_silent_from_then_on() {
    let (warned, ended) = run(DEFAULTS, &[], |now| now < 20 * MINUTE);
    // Found at work after 15 minutes, and not again 12 minutes later.
    assert_eq!(warned, [12 * MINUTE, 27 * MINUTE]);
    assert_eq!(ended, Some((30 * MINUTE, Reason::Silence)));
}
