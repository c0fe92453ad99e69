//! Whom a running invocation waits for, from its spool.

use steroids_provider::activity::Level;
use steroids_shim::exit::Reason;
use steroids_shim::spool::NO_MORE_INPUT;

use super::*;
use crate::domain::Asking;

const RESULT: &[u8] = b"{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"session_id\":\"s\",\"result\":\"ok\"}\n";

fn utc() -> Zone {
    Zone::named("UTC").unwrap()
}

fn stalls(projection: &mut Projection) -> Stalls {
    while projection.advance().unwrap() == Step::More {}
    projection.stalls(&projection.live(), &utc())
}

/// Of a daemon that reads it all anew, which sees the same.
fn anew(bench: &Bench) -> Stalls {
    stalls(&mut bench.projection())
}

fn msg(stalls: &Stalls) -> Option<&str> {
    stalls.waiting.as_ref().map(|asking| &*asking.msg)
}

/// One that takes messages, and whose input is closed ten minutes after an answer.
fn talking() -> Bench {
    let mut bench = Bench::new(Kind::Claude, Format::Json);
    let mut spec = (*bench.spec).clone();
    spec.interactive = true;
    spec.limits.post_result_ms = Some(600_000);
    bench.spec = Arc::new(spec);
    bench
}

impl Bench {
    fn control(&mut self, control: &Control) {
        self.clock += 7;
        self.spool
            .control(1_700_000_000_000 + self.clock, self.clock, control)
            .unwrap();
    }

    fn stop(&mut self) {
        let by = Reason::Stop;
        self.control(&Control::Stop { by, why: None });
    }
}

#[test]
fn a_question_is_one_wait_until_its_line_goes_on() {
    for (kind, format) in [(Kind::Command, Format::Text), (Kind::Claude, Format::Json)] {
        let mut bench = Bench::new(kind, format);
        let mut projection = bench.projection();
        bench.print(Stream::Stdout, b"Compiling... ");
        assert_eq!(stalls(&mut projection).waiting, None);
        bench.print(Stream::Stdout, b"\r[====>   ] 45%");
        assert_eq!(stalls(&mut projection).waiting, None);
        bench.print(Stream::Stdout, b"\nPush to \x1b[1mmain\x1b[0m? [y/N] ");
        let asks = stalls(&mut projection);
        assert_eq!(msg(&asks), Some("asks: Push to main? [y/N]"), "{kind}");
        assert!(asks.tells_waiting && !asks.waiting.as_ref().unwrap().is_certain);
        // What somebody else prints beside it is no answer.
        bench.print(Stream::Stderr, b"server: 200 OK\n");
        assert_eq!(stalls(&mut projection).waiting, asks.waiting);
        assert_eq!(anew(&bench).waiting, asks.waiting);
        bench.print(Stream::Stdout, b"n\nAgain? ");
        let again = stalls(&mut projection);
        assert_eq!(msg(&again), Some("asks: Again?"));
        assert_ne!(again.waiting.unwrap().raw, asks.waiting.unwrap().raw);
        bench.print(Stream::Stdout, b"n\n");
        assert_eq!(stalls(&mut projection).waiting, None);
    }
}

#[test]
fn who_has_answered_and_takes_messages_waits_from_its_result_on() {
    let mut bench = talking();
    let mut projection = bench.projection();
    assert_eq!(stalls(&mut projection).waiting, None);
    bench.print(Stream::Stdout, RESULT);
    let first = stalls(&mut projection);
    let until = "has answered and waits for your message, until 22:23";
    assert_eq!(msg(&first), Some(until));
    assert!(first.waiting.as_ref().unwrap().is_certain);
    let raw = |stalls: &Stalls| stalls.waiting.as_ref().map(|it| it.raw);
    bench.print(Stream::Stderr, b"a late word\n");
    assert_eq!(raw(&stalls(&mut projection)), raw(&first));
    let msg = "and the tests?".to_owned();
    bench.control(&Control::Input { msg });
    let goes_on = stalls(&mut projection);
    assert_eq!(goes_on.waiting, None);
    assert_eq!(goes_on.went_on.as_deref(), Some("it was sent a message"));
    bench.print(Stream::Stdout, RESULT);
    let second = stalls(&mut projection);
    assert!(raw(&second) > raw(&first));
    assert_eq!(raw(&anew(&bench)), raw(&second));
}

#[test]
fn of_one_that_takes_no_messages_an_answer_is_its_end() {
    let mut bench = Bench::new(Kind::Claude, Format::Json);
    bench.print(Stream::Stdout, RESULT);
    assert_eq!(anew(&bench).waiting, None);
}

#[test]
fn what_is_being_ended_or_has_its_input_closed_begins_no_wait_and_ends_none() {
    let closed = Control::Notice {
        level: Level::Info,
        msg: format!("{NO_MORE_INPUT} for 10m after its result; closing its input"),
    };
    let by = Reason::Stop;
    for leaving in [closed, Control::Stop { by, why: None }] {
        let mut bench = talking();
        let mut projection = bench.projection();
        bench.print(Stream::Stdout, RESULT);
        let before = stalls(&mut projection).waiting.unwrap();
        bench.control(&leaving);
        bench.print(Stream::Stderr, b"goodbye\n");
        let after = stalls(&mut projection);
        assert_eq!(after.waiting, Some(Asking::of_before(before.raw)));
        assert!(!after.tells_waiting);
        assert_eq!(anew(&bench), after);

        let mut bench = talking();
        bench.control(&leaving);
        bench.print(Stream::Stderr, b"Really? [y/N] ");
        bench.print(Stream::Stdout, RESULT);
        assert_eq!(anew(&bench).waiting, None);
    }
    let mut bench = Bench::new(Kind::Command, Format::Text);
    bench.print(Stream::Stdout, b"Continue? ");
    let before = anew(&bench).waiting.unwrap();
    bench.stop();
    bench.print(Stream::Stdout, b"Terminated\n");
    assert_eq!(anew(&bench).waiting, Some(Asking::of_before(before.raw)));
}
