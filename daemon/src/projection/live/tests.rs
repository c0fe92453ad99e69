use steroids_provider::activity::{Level, Stream, Text};

use super::*;

fn text(text: &str) -> Text<'_> {
    Text {
        text: text.into(),
        ..Text::default()
    }
}

fn course(activities: &[Activity<'_>]) -> Live {
    let mut course = Course::default();
    for (n, activity) in activities.iter().enumerate() {
        let wall_ms = 100 + n as u64;
        let at = Stamp {
            wall_ms,
            ..Stamp::default()
        };
        course.note(at, activity);
    }
    course.live(Vitals::default(), || None)
}

fn output(msg: &str) -> Activity<'_> {
    Activity::Output {
        stream: Stream::Stdout,
        msg: text(msg),
    }
}

fn tool<'a>(cmd: &'a str, call: Option<&'a str>) -> Activity<'a> {
    Activity::Tool {
        cmd: text(cmd),
        name: "Bash".into(),
        input: None,
        call_id: call.map(Into::into),
        parent_call_id: None,
    }
}

fn result(call: &str) -> Activity<'_> {
    Activity::ToolResult {
        call_id: call.into(),
        ok: true,
        exit_code: None,
        duration_ms: None,
        msg: None,
    }
}

#[test]
fn tools_are_open_until_their_result_and_those_without_an_id_never_are() {
    let calls = [
        tool("ls", Some("a")),
        tool("make", Some("b")),
        tool("web", None),
    ];
    let live = course(&calls);
    assert_eq!((live.tools, live.open_tools, live.lines), (3, 2, 3));
    assert_eq!((live.last_type, live.last_text.as_str()), ("tool", "web"));
    let results = [result("a"), result("a"), result("of no call")];
    let live = course(&[&calls[..], &results].concat());
    assert_eq!((live.tools, live.open_tools, live.lines), (3, 1, 6));
    // A result is activity, but not what a person looks at.
    assert_eq!((live.last_type, live.last_activity_ms), ("tool", 105));
}

#[test]
fn what_is_printed_without_a_line_of_it_is_activity() {
    let mut course = Course::default();
    let at = |wall_ms| Stamp {
        wall_ms,
        ..Stamp::default()
    };
    course.note(at(5), &output("a line"));
    course.printed(at(9), Stream::Stdout);
    let live = course.live(Vitals::default(), || None);
    assert_eq!((live.last_activity_ms, live.lines), (9, 1));
    assert_eq!(live.last_text, "a line");
}

#[test]
fn the_last_text_is_one_short_line_without_control_characters() {
    let live = course(&[output("  a\u{1b}[31m\n\n\tb\u{0}\u{9b}c  ")]);
    assert_eq!(live.last_text, "a bc");
    let long = "ä ".repeat(500);
    let live = course(&[output(&long)]);
    assert!(live.last_text.len() <= TEXT && live.last_text.len() > TEXT - 4);
    assert!(live.last_text.ends_with('ä'));
}

#[test]
fn a_blank_line_does_not_hide_what_was_said_before() {
    let live = course(&[output("said"), output(" \u{7}\n"), output("\u{1b}[0m")]);
    assert_eq!((live.last_text.as_str(), live.lines), ("said", 3));
}

#[test]
fn of_a_plan_the_item_at_work_is_told() {
    let item = |text: &str, status| PlanItem {
        text: text.to_owned(),
        status,
    };
    let mut items = vec![
        item("done", PlanStatus::Completed),
        item("next", PlanStatus::Pending),
    ];
    let plan = |items: &[PlanItem]| {
        let items = items.to_vec();
        course(&[Activity::Plan { items }]).last_text
    };
    assert_eq!(plan(&items), "next");
    items.push(item("now", PlanStatus::InProgress));
    assert_eq!(plan(&items), "now");
    assert_eq!(plan(&items[..1]), "done");
}

#[test]
fn the_session_is_the_one_that_was_told_last() {
    let session = |id: &'static str| Activity::Session {
        session_id: id.into(),
        provider_version: None,
    };
    assert_eq!(course(&[output("hello")]).session_id, None);
    let live = course(&[session("s-1"), output("hello"), session("s-2")]);
    assert_eq!(live.session_id.as_deref(), Some("s-2"));
    // It is no more than who says it.
    assert_eq!((live.last_type, live.lines), ("output", 3));
}

#[test]
fn a_total_stands_for_all_before_it_and_what_follows_is_put_to_it() {
    let used = |input_tokens, total, cost| {
        Activity::Usage(Usage {
            input_tokens,
            total,
            total_cost_usd: cost,
            ..Usage::default()
        })
    };
    let mut all = vec![used(5, false, None), used(6, false, None)];
    assert_eq!(course(&all).usage.unwrap().input_tokens, 11);
    all.push(used(100, true, Some(0.5)));
    all.push(used(7, false, None));
    let usage = course(&all).usage.unwrap();
    assert_eq!((usage.input_tokens, usage.total_cost_usd), (107, Some(0.5)));
    assert_eq!(usage.uncosted.input, 7);
}

#[test]
fn a_closed_input_is_told_and_no_other_notice_closes_it() {
    let mut course = Course::default();
    for (msg, expected) in [
        ("its input is slow", false),
        (
            "no further message for 30s after its result; closing its input",
            true,
        ),
    ] {
        let notice = Control::Notice {
            level: Level::Info,
            msg: msg.to_owned(),
        };
        course.control(Stamp::default(), &notice, str::to_owned);
        assert_eq!(
            course.live(Vitals::default(), || None).input_closed,
            expected
        );
    }
}

#[test]
fn a_stall_is_near_its_limit_until_something_is_printed_or_works() {
    let at = |wall_ms| Stamp {
        wall_ms,
        raw: wall_ms,
        ..Stamp::default()
    };
    let limit = |limit, ends_ms| Control::Limit {
        limit,
        ends_ms,
        msg: "secret".to_owned(),
    };
    let mut course = Course::default();
    let mut note = |ms, control: &Control| {
        course.control(at(ms), control, |_| "shown".to_owned());
        let live = course.live(Vitals::default(), || None);
        (live.limit, live.limit_at_ms)
    };
    let near = note(10, &limit(Limited::Wall, Some(900)));
    assert_eq!(near, ("wall", Some(900)));
    let near = note(20, &limit(Limited::ToolSilence, Some(500)));
    assert_eq!(near, ("tool_silence", Some(500)));
    let near = note(30, &limit(Limited::ToolSilence, None));
    assert_eq!(near, ("wall", Some(900)));
    assert_eq!(course.stalls.went_on.as_deref(), Some("shown"));
    course.control(at(40), &limit(Limited::Silence, Some(600)), |_| {
        "shown".to_owned()
    });
    let silence = course.stalls(|| None).silence.clone().unwrap();
    assert_eq!((silence.raw, &*silence.msg), (40, "shown"));
    course.printed(at(50), Stream::Stdout);
    assert_eq!(course.live(Vitals::default(), || None).limit, "wall");
    assert_eq!(course.stalls.went_on, None);

    let by = steroids_shim::exit::Reason::Stop;
    course.control(at(60), &Control::Stop { by, why: None }, |_| String::new());
    let live = course.live(Vitals::default(), || None);
    assert_eq!((live.waits_for, live.waits_since_ms), ("ending", 60));
    assert_eq!((live.limit, live.limit_at_ms), ("", None));
}

#[test]
fn one_that_was_sent_a_message_is_silent_from_then_on() {
    let at = |wall_ms| Stamp {
        wall_ms,
        ..Stamp::default()
    };
    let mut course = Course::default();
    course.printed(at(10), Stream::Stdout);
    let near = Control::Limit {
        limit: Limited::Silence,
        ends_ms: Some(90),
        msg: String::new(),
    };
    course.control(at(70), &near, str::to_owned);
    let input = Control::Input { msg: String::new() };
    course.control(at(80), &input, str::to_owned);
    let live = course.live(Vitals::default(), || None);
    assert_eq!((live.limit, live.waits_since_ms), ("", 80));
    let went_on = course.stalls(|| None).went_on;
    assert_eq!(went_on.as_deref(), Some("it was sent a message"));
}

#[test]
fn what_is_printed_while_it_is_ended_is_no_recovery() {
    let mut course = Course::default();
    let near = Control::Limit {
        limit: Limited::Silence,
        ends_ms: Some(5),
        msg: String::new(),
    };
    course.control(Stamp::default(), &near, str::to_owned);
    let by = steroids_shim::exit::Reason::Silence;
    course.control(
        Stamp::default(),
        &Control::Stop { by, why: None },
        str::to_owned,
    );
    course.printed(Stamp::default(), Stream::Stdout);
    let input = Control::Input { msg: String::new() };
    course.control(Stamp::default(), &input, str::to_owned);
    assert!(course.stalls(|| None).silence.is_some());
}

#[test]
fn what_it_waits_for_is_told_with_the_time_since_when() {
    let run = steroids_provider::run::Run::default();
    let json = steroids_provider::kind::Format::Json;
    let kind = steroids_provider::kind::Kind::Claude;
    let mut course = Course::new(Waits::of_run(kind, json, &run), None);
    let at = |wall_ms| Stamp {
        wall_ms,
        ..Stamp::default()
    };
    course.note(at(5), &tool("make", Some("a")));
    course.printed(at(70), Stream::Stdout);
    let busy = Vitals {
        open_tools: 1,
        ..Vitals::default()
    };
    let live = course.live(busy, || None);
    assert_eq!((live.waits_for, &*live.waits_on), ("tool", "Bash"));
    assert_eq!(live.waits_since_ms, 5);
    course.note(at(80), &result("a"));
    let live = course.live(Vitals::default(), || None);
    assert_eq!((live.waits_for, live.waits_since_ms), ("model", 70));
    let retry = Activity::Retry {
        reason: "overloaded".into(),
        attempt: None,
        delay_ms: Some(20),
        msg: text(""),
    };
    course.note(at(90), &retry);
    let live = course.live(Vitals::default(), || None);
    assert_eq!((live.waits_for, live.waits_since_ms), ("retry", 90));
    assert_eq!(live.waits_until_ms, Some(110));
}

#[test]
fn who_has_answered_and_takes_messages_waits_for_one() {
    let answered = Vitals {
        result_seen: true,
        ..Vitals::default()
    };
    let waits = |messages, is_closed: bool| {
        let mut course = Course::new(Waits::default(), messages);
        let at = Stamp {
            wall_ms: 70,
            ..Stamp::default()
        };
        course.printed(at, Stream::Stdout);
        if is_closed {
            let msg = format!("{NO_MORE_INPUT} for 30s after its result; closing its input");
            let level = steroids_provider::activity::Level::Info;
            let closed = Control::Notice { level, msg };
            course.control(at, &closed, str::to_owned);
        }
        let live = course.live(answered, || None);
        (live.waits_for, live.waits_until_ms)
    };
    let until = |within_ms, over_ms| Some(Messages { within_ms, over_ms });
    let within = |within_ms| until(within_ms, None);
    assert_eq!(waits(None, false), ("result_sent", None));
    assert_eq!(waits(within(None), false), ("message", None));
    assert_eq!(waits(within(Some(30)), false), ("message", Some(100)));
    assert_eq!(waits(until(None, Some(90)), false), ("message", Some(90)));
    assert_eq!(
        waits(until(Some(30), Some(90)), false),
        ("message", Some(90))
    );
    assert_eq!(
        waits(until(Some(30), Some(900)), false),
        ("message", Some(100))
    );
    assert_eq!(waits(within(Some(30)), true), ("result_sent", None));
}
