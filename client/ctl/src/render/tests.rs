use super::*;

fn event(line: &str) -> Event {
    let parsed: Value = serde_json::from_str(line).unwrap_or_default();
    Event {
        invocation_id: 12,
        ts: 0,
        r#type: parsed["type"].as_str().unwrap_or_default().to_owned(),
        line: line.to_owned().into(),
        project: "/home/dev/app".to_owned(),
        ..Event::default()
    }
}

/// The lines without their time, which depends on where the test runs.
fn shown(lines: &[&str]) -> String {
    let mut renderer = Renderer::new(false, false, Prefix::None);
    renderer.day = day(0);
    let all: String = lines
        .iter()
        .map(|line| renderer.event(&event(line)))
        .collect();
    all.lines()
        .map(|line| format!("{}\n", line.get(10..).unwrap_or(line)))
        .collect()
}

#[test]
fn a_result_right_after_its_call_does_not_repeat_it() {
    let text = shown(&[
        r#"{"ts":0,"type":"tool","cmd":"cargo test","callId":"a"}"#,
        r#"{"ts":0,"type":"tool_result","callId":"a","ok":true,"exitCode":0,"duration":6200}"#,
    ]);
    assert_eq!(text, "tool      cargo test\n  ok      6.2 s\n");
}

#[test]
fn results_of_parallel_calls_name_their_call() {
    let text = shown(&[
        r#"{"ts":0,"type":"tool","cmd":"one","callId":"a"}"#,
        r#"{"ts":0,"type":"tool","cmd":"two\nlines","callId":"b"}"#,
        r#"{"ts":0,"type":"tool_result","callId":"a","ok":false,"exitCode":2,"msg":"no"}"#,
    ]);
    assert_eq!(
        text,
        "tool      one\ntool      two\n          lines\n  failed  exit 2 · one\n          no\n"
    );
}

#[test]
fn further_lines_stand_below_the_first_and_controls_are_gone() {
    let text = shown(&[r#"{"ts":0,"type":"output","msg":"a\u001b[2J\nb\r\nc\n"}"#]);
    assert_eq!(text, "output    a\n          b\n          c\n");
}

#[test]
fn raw_leaves_everything_in() {
    let mut renderer = Renderer::new(false, true, Prefix::None);
    let text = renderer.event(&event(r#"{"type":"output","msg":"a\u001b[2J"}"#));
    assert!(text.contains("a\u{1b}[2J"));
}

#[test]
fn a_type_nobody_knows_is_a_short_word_and_drives_no_terminal() {
    let long = "w".repeat(500);
    let text = shown(&[
        r#"{"ts":0,"type":"\u001b]52;c;aGk=\u0007\u001b[2Jx","msg":"hello"}"#,
        &format!(r#"{{"ts":0,"type":"{long}","msg":"hello"}}"#),
    ]);
    assert!(!text.contains(['\u{1b}', '\u{7}']), "{text:?}");
    assert!(text.lines().all(|line| line.len() < 80), "{text}");
}

#[test]
fn lines_nobody_knows_and_lines_that_are_no_json_are_shown() {
    let text = shown(&[
        r#"{"ts":0,"type":"novelty","msg":"hello"}"#,
        r#"{"ts":0,"type":"unknown","name":"x/y","data":{"a":1}}"#,
        r#"{"ts":"wrong","type":"tool_result","duration":"many"}"#,
        "half a li",
    ]);
    assert_eq!(
        text,
        "novelty   hello\nunknown   x/y · {\"a\":1}\n  ok\noutput    half a li\n"
    );
}

#[test]
fn the_end_tells_outcome_time_tokens_and_why() {
    let text = shown(&[
        r#"{"ts":0,"type":"complete","success":false,"duration":750000,"exitCode":1,"outcome":"rate_limited","error":"resets at 3pm","usage":{"inputTokens":12300,"outputTokens":1200,"totalCostUsd":0.5}}"#,
    ]);
    assert_eq!(
        text,
        "ended     rate_limited · 12m 30s · exit 1 · 12.3k in, 1.2k out · $0.50\n          resets at 3pm\n"
    );
}

#[test]
fn a_reason_that_is_only_the_exit_code_and_tokens_that_are_none_are_left_out() {
    let text = shown(&[
        r#"{"ts":0,"type":"complete","success":false,"duration":7,"exitCode":3,"outcome":"failed","error":"exit code 3","usage":{"inputTokens":0,"outputTokens":0,"totalCostUsd":0.0}}"#,
    ]);
    assert_eq!(text, "ended     failed · 7 ms · exit 3\n");
}

#[test]
fn a_text_that_was_cut_says_so() {
    let text = shown(&[
        r#"{"ts":0,"type":"output","stream":"stdout","msg":"the beginning","truncatedBytes":3145728}"#,
        r#"{"ts":0,"type":"output","stream":"stdout","msg":"whole"}"#,
    ]);
    assert_eq!(
        text,
        "output    the beginning\n          … 3.0 MiB more were cut\noutput    whole\n"
    );
}

#[test]
fn one_left_over_process_is_one() {
    let of = |count: u32| {
        let line = r#"{"ts":0,"type":"complete","outcome":"success","duration":7,"leftovers":"#;
        shown(&[&format!("{line}{count}}}")])
    };
    assert_eq!(
        of(1),
        "done      success · 7 ms · 1 left-over process killed\n"
    );
    assert_eq!(
        of(2),
        "done      success · 7 ms · 2 left-over processes killed\n"
    );
}

#[test]
fn another_day_is_named_once_before_its_first_line() {
    let mut renderer = Renderer::new(false, false, Prefix::None);
    let mut at = |ts| {
        let line = r#"{"type":"output","msg":"a"}"#;
        renderer.event(&Event { ts, ..event(line) })
    };
    let noon = 12 * 60 * 60 * 1000;
    assert!(at(noon).starts_with("1970-01-01\n"));
    assert_eq!(at(noon + 1).lines().count(), 1);
    assert_eq!(at(3 * noon).lines().count(), 2);
    assert_eq!(at(now_ms()).lines().count(), 2);
}

#[test]
fn a_timeline_says_once_that_an_invocation_began_and_ended() {
    let mut renderer = Renderer::new(false, false, Prefix::Invocation);
    let mut shown = |line: &[u8]| !renderer.entry(line).is_empty();
    assert!(shown(
        br#"{"ts":0,"type":"invocation.started","invocationId":1}"#
    ));
    assert!(!shown(br#"{"ts":0,"type":"start","invocationId":1}"#));
    assert!(shown(
        br#"{"ts":0,"type":"tool","cmd":"ls","invocationId":1}"#
    ));
    assert!(!shown(br#"{"ts":0,"type":"complete","invocationId":1}"#));
    assert!(shown(
        br#"{"ts":0,"type":"invocation.completed","invocationId":1}"#
    ));
}

#[test]
fn a_timeline_says_what_ended_before_it_was_started() {
    let mut renderer = Renderer::new(false, false, Prefix::Invocation);
    let said = renderer.entry(
        br#"{"ts":0,"type":"invocation.completed","invocationId":1,"success":false,"started":false,"queuedAtMs":0,"outcome":"cancelled"}"#,
    );
    let asked = crate::format::clock(0);
    let expected = format!("before it was started: cancelled · asked for at {asked}\n");
    assert!(said.ends_with(&expected), "{said}");
}

#[test]
fn several_invocations_are_told_apart() {
    let line = r#"{"ts":0,"type":"output","msg":"a"}"#;
    let one = Renderer::new(false, false, Prefix::Invocation).event(&event(line));
    assert!(one.contains("  #12 output    a"));
    let all = Renderer::new(false, false, Prefix::Project).event(&event(line));
    assert!(all.contains("  app#12 output    a"));
}

#[test]
fn the_status_sums_usage_until_the_total_replaces_it() {
    let mut renderer = Renderer::new(false, false, Prefix::None);
    for line in [
        r#"{"type":"usage","inputTokens":1000,"outputTokens":10}"#,
        r#"{"type":"usage","inputTokens":1000,"outputTokens":10}"#,
        r#"{"type":"tool","cmd":"make","callId":"a"}"#,
    ] {
        let shown = renderer.event(&event(line));
        assert_eq!(shown.is_empty(), line.contains("usage"), "{shown}");
    }
    assert_eq!(renderer.status(), "2.0k in, 20 out · make");
    renderer.event(&event(
        r#"{"type":"usage","inputTokens":900,"outputTokens":5,"total":true}"#,
    ));
    assert!(renderer.status().starts_with("900 in, 5 out"));
}

#[test]
fn endings_are_read_from_logs_old_and_new() {
    let exit =
        |kind: &str, line: &str| Ending::of(kind, line.as_bytes()).map(|end| end.exit() as u8);
    assert_eq!(exit("complete", r#"{"outcome":"success"}"#), Some(0));
    assert_eq!(exit("complete", r#"{"success":true}"#), Some(0));
    assert_eq!(
        exit("complete", r#"{"success":false,"timedOut":true}"#),
        Some(124)
    );
    assert_eq!(
        exit("error", r#"{"error":"gone","outcome":"lost"}"#),
        Some(1)
    );
    assert_eq!(exit("complete", r#"{"outcome":"cancelled"}"#), Some(130));
    assert_eq!(exit("output", "{}"), None);
}
