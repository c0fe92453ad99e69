mod any;

use super::*;
use crate::outcome::Outcome;

/// As a user would write it for a CLI of OpenAI's kind of messages, and some events beside.
const MAPPING: &str = r#"{
    "events": [
        {"fields": {"session": ["/session_id"]}},
        {"when": {"/role": ["system", "user"]}, "is_ignored": true},
        {"when": {"/role": ["assistant"]}, "fields": {"text": ["/content"], "thinking": ["/reasoning"]}},
        {"when": {"/role": ["assistant"]}, "each": "/tool_calls",
         "fields": {"tool": ["/function/name"], "command": ["/function/arguments/command", "/function/arguments/path"],
                    "input": ["/function/arguments"], "call": ["/id"]}},
        {"when": {"/role": ["tool"]}, "fields": {"call": ["/tool_call_id"], "result": ["/content"], "exit_code": ["/exit"]}, "is_error": ["/failed"]},
        {"when": {"/type": ["delta"]}, "fields": {"text": ["/text"]}, "is_delta": true},
        {"when": {"/type": ["stats"]}, "fields": {"input_tokens": ["/in"], "cached_tokens": ["/cached"], "output_tokens": ["/out"], "cost": ["/cost"]}, "is_input_with_cached": true},
        {"when": {"/type": ["warning"]}, "fields": {"notice": ["/message"]}},
        {"when": {"/type": ["error"]}, "fields": {"error": ["/message"], "error_code": ["/code"]}},
        {"when": {"/type": ["end"]}, "fields": {"answer": ["/answer"], "error": ["/error"]}, "is_error": ["/is_error"], "is_final": true}
    ],
    "errors": {"auth": ["Bad key"], "credit_exhausted": ["no_money"]}
}"#;

type Reading = crate::testing::Reading<Jsonl>;

impl Reading {
    fn of(mapping: &str, lines: &[&str]) -> Reading {
        let run = Run {
            mapping: Some(serde_json::from_str(mapping).unwrap()),
            ..Run::default()
        };
        let mut reading = Reading::new(Jsonl::new(run), told);
        reading.lines(Stream::Stdout, lines);
        reading
    }
}

fn told(at: Stamp, activity: &Activity<'_>) -> String {
    let said = match activity {
        Activity::Session { session_id, .. } => format!("session {session_id}"),
        Activity::Tool {
            cmd, name, input, ..
        } => {
            let input = input.as_ref().map_or("-", |input| input.get());
            format!("tool {name} {} {input}", cmd.text)
        }
        Activity::ToolResult {
            call_id,
            ok,
            exit_code,
            duration_ms,
            msg,
        } => {
            let msg = msg.as_ref().map_or("-", |msg| &*msg.text);
            format!("result {call_id} {ok} {exit_code:?} {duration_ms:?} {msg}")
        }
        Activity::Output { stream, msg } => format!("{stream:?} {}", msg.text),
        Activity::Thinking { msg } => format!("thinking {}", msg.text),
        Activity::Notice { level, msg } => format!("{level:?} {}", msg.text),
        Activity::Usage(usage) => format!(
            "usage {} {:?} {}",
            usage.input_tokens, usage.cached_input_tokens, usage.output_tokens
        ),
        other => format!("{other:?}"),
    };
    format!("{} {said}", at.raw)
}

#[test]
fn a_mapping_makes_a_log_of_messages() {
    let mut reading = Reading::of(
        MAPPING,
        &[
            r#"{"role":"system","content":"You are","session_id":"s-1"}"#,
            r#"{"role":"assistant","content":"Let me see.","reasoning":"Hm.","session_id":"s-1","tool_calls":[
                {"id":"a","function":{"name":"bash","arguments":"{\"command\": \"ls\"}"}},
                {"id":"b","function":{"name":"odd","arguments":"{\"n\": 7}"}}]}"#,
            r#"{"role":"tool","tool_call_id":"b","content":{"rows":[1]},"exit":0}"#,
            r#"{"role":"tool","tool_call_id":"a","content":"no","failed":true}"#,
            r#"{"role":"assistant","content":"Done."}"#,
            r#"{"type":"stats","in":100,"cached":90,"out":5,"cost":0.1}"#,
            r#"{"type":"stats","in":10,"out":"1","cost":0.2}"#,
            r#"{"type":"end","answer":"All done."}"#,
        ],
    );
    let expected = [
        "1 session s-1",
        "2 thinking Hm.",
        "2 Stdout Let me see.",
        r#"2 tool bash ls {"command": "ls"}"#,
        r#"2 tool odd odd {"n": 7} {"n": 7}"#,
        r#"3 result b true Some(0) Some(10) {"rows":[1]}"#,
        "4 result a false None Some(20) no",
        "5 Stdout Done.",
        "6 usage 10 Some(90) 5",
        "7 usage 10 None 1",
    ];
    assert_eq!(reading.seen, expected);
    let verdict = reading.end(0);
    assert_eq!(verdict.outcome, Outcome::Success);
    assert_eq!(verdict.response.as_deref(), Some("All done."));
    assert_eq!(verdict.session_id.as_deref(), Some("s-1"));
    let usage = verdict.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens), (20, 6));
    assert_eq!(usage.total_cost_usd, Some(0.3));
}

#[test]
fn what_no_rule_speaks_of_is_shown_as_it_is() {
    let odd = [
        r#"{"role":"oracle","content":"x"}"#,
        r#"{"role":"assistant","text":"x"}"#,
        r#"{"type":"delta"}"#,
        "not json",
        "[1]",
        r#"{"session_id":"s","x":1}"#,
    ];
    let reading = Reading::of(MAPPING, &odd);
    let expected = [
        r#"1 Stdout {"role":"oracle","content":"x"}"#,
        r#"2 Stdout {"role":"assistant","text":"x"}"#,
        r#"3 Stdout {"type":"delta"}"#,
        "4 Stdout not json",
        "5 Stdout [1]",
        "6 session s",
        r#"6 Stdout {"session_id":"s","x":1}"#,
    ];
    assert_eq!(reading.seen, expected);
    // A result of which nobody can say whose it is.
    let reading = Reading::of(MAPPING, &[r#"{"role":"tool","content":"x"}"#]);
    assert_eq!(reading.seen, ["1 Stdout x"]);
}

#[test]
fn fragments_are_joined_until_something_else_comes() {
    let reading = Reading::of(
        MAPPING,
        &[
            r#"{"type":"delta","text":"Hel"}"#,
            r#"{"type":"delta","text":"lo"}"#,
            r#"{"type":"warning","message":"slow"}"#,
        ],
    );
    assert_eq!(reading.seen, ["3 Stdout Hello", "3 Info slow"]);
}

#[test]
fn how_it_ended_is_told_by_the_final_event_then_by_errors_then_by_phrases() {
    let end = r#"{"type":"end"}"#;
    let error = |code: &str| format!(r#"{{"type":"error","message":"Sorry.","code":{code}}}"#);
    let outcome = |lines: &[&str], code| Reading::of(MAPPING, lines).end(code).outcome;
    assert_eq!(outcome(&[end], 0), Outcome::Success);
    assert_eq!(outcome(&[], 0), Outcome::Interrupted);
    assert_eq!(
        outcome(&[r#"{"type":"end","error":"Bad key: x"}"#], 0),
        Outcome::Auth
    );
    assert_eq!(
        outcome(&[r#"{"type":"end","is_error":true}"#], 0),
        Outcome::Failed
    );
    assert_eq!(
        outcome(&[r#"{"type":"end","error":""}"#], 0),
        Outcome::Success
    );
    assert_eq!(outcome(&[&error("429")], 0), Outcome::RateLimited);
    assert_eq!(
        outcome(&[&error("\"no_money\"")], 1),
        Outcome::CreditExhausted
    );
    assert_eq!(outcome(&[&error("503"), end], 0), Outcome::Success);
    for unreached in ["408", "520", "\"524\""] {
        assert_eq!(outcome(&[&error(unreached)], 1), Outcome::Overloaded);
    }
    // A final event that is taken back.
    let more = r#"{"role":"assistant","content":"One thing more."}"#;
    assert_eq!(outcome(&[end, more], 0), Outcome::Interrupted);

    let mut reading = Reading::of(MAPPING, &[]);
    reading.line(Stream::Stderr, "Bad key: sk-1");
    reading.line(Stream::Stderr, "see the manual");
    let verdict = reading.end(2);
    assert_eq!(verdict.outcome, Outcome::Auth);
    assert_eq!(verdict.error.as_deref(), Some("Bad key: sk-1"));
}

#[test]
fn a_message_after_the_final_event_wants_another_one() {
    let end = r#"{"type":"end"}"#;
    let mut reading = Reading::of(MAPPING, &[end]);
    reading.parser.asked();
    assert!(!reading.parser.vitals().result_seen);
    let verdict = reading.end(0);
    assert_eq!(verdict.outcome, Outcome::Interrupted);
    assert!(verdict.error.unwrap().contains("last message"));
    let mut reading = Reading::of(MAPPING, &[end]);
    reading.parser.asked();
    reading.line(Stream::Stdout, end);
    assert!(reading.parser.vitals().result_seen);
    assert_eq!(reading.end(0).outcome, Outcome::Success);
    // A failure stays one.
    let mut reading = Reading::of(MAPPING, &[r#"{"type":"end","error":"no"}"#]);
    reading.parser.asked();
    assert_eq!(reading.end(0).outcome, Outcome::Failed);
}

#[test]
fn an_error_of_a_final_event_is_shown_where_the_terminal_line_does_not_tell_it() {
    let failed = r#"{"type":"end","error":"Bad key: x"}"#;
    let more = r#"{"role":"assistant","content":"Again."}"#;
    let end = r#"{"type":"end"}"#;
    let mut reading = Reading::of(MAPPING, &[failed, more, end]);
    assert_eq!(reading.seen, ["2 Error Bad key: x", "2 Stdout Again."]);
    assert_eq!(reading.end(0).outcome, Outcome::Success);
    // One final event after another.
    let reading = Reading::of(MAPPING, &[failed, end]);
    assert_eq!(reading.seen, ["2 Error Bad key: x"]);

    let mut reading = Reading::of(MAPPING, &[failed]);
    assert_eq!(reading.end(0).error.as_deref(), Some("Bad key: x"));
    assert!(reading.seen.is_empty());
    let mut reading = Reading::of(MAPPING, &[failed]);
    let stopped = Exit {
        ended_by: Some(crate::parser::EndedBy::Stop),
        ..Exit::default()
    };
    assert_eq!(reading.ended(&stopped).outcome, Outcome::Cancelled);
    assert_eq!(reading.seen, ["999 Error Bad key: x"]);
}

#[test]
fn an_error_after_the_final_event_is_the_reason() {
    let (end, error) = (
        r#"{"type":"end"}"#,
        r#"{"type":"error","message":"Sorry.","code":503}"#,
    );
    let verdict = Reading::of(MAPPING, &[end, error]).end(0);
    assert_eq!(verdict.outcome, Outcome::Overloaded);
    assert_eq!(verdict.error.as_deref(), Some("Sorry. (503)"));
    let verdict = Reading::of(MAPPING, &[end, error, end]).end(0);
    assert_eq!(verdict.outcome, Outcome::Success);
}

#[test]
fn a_call_that_is_told_when_it_is_over_has_no_measured_duration() {
    let mapping = r#"{"events":[{"fields":{"tool":["/tool"],"call":["/id"],"result":["/out"]}}]}"#;
    let reading = Reading::of(mapping, &[r#"{"tool":"x","id":"1","out":"y"}"#]);
    assert_eq!(
        reading.seen,
        ["1 tool x x -", "1 result 1 true None None y"]
    );
}

#[test]
fn an_empty_session_is_none() {
    let mut reading = Reading::of(
        MAPPING,
        &[r#"{"session_id":"","type":"delta","text":"x\n"}"#],
    );
    assert_eq!(reading.seen, ["1 Stdout x"]);
    assert_eq!(reading.end(0).session_id, None);
}

#[test]
fn without_a_final_event_the_exit_counts_and_the_limits_wait_for_nothing() {
    let bare =
        r#"{"events":[{"fields":{"text":["/t"]}},{"fields":{"tool":["/tool"],"call":["/id"]}}]}"#;
    let mut reading = Reading::of(bare, &[r#"{"t":"Hi"}"#, r#"{"tool":"x","id":"1"}"#]);
    // Nobody would tell when the call is over.
    assert_eq!(reading.parser.vitals(), Vitals::default());
    assert_eq!(reading.end(0).outcome, Outcome::Success);
    let mut reading = Reading::of(MAPPING, &[r#"{"type":"end"}"#]);
    assert!(reading.parser.vitals().result_seen);
    reading.line(
        Stream::Stdout,
        r#"{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"x"}}]}"#,
    );
    let vitals = reading.parser.vitals();
    assert_eq!((vitals.open_tools, vitals.result_seen), (1, false));
}

#[test]
fn when_a_limit_goes_away_is_told_or_that_nobody_can_read_it_once() {
    let mapping = r#"{"events":[
        {"fields":{"error":["/error"],"error_code":["/code"],"resets_at":["/reset"]}}]}"#;
    let limited = |reset: &str| format!(r#"{{"error":"slow down","code":429,"reset":{reset}}}"#);
    let unread = "Warn `resets_at` is no time that can be read: next week";
    let line = limited(r#""next week""#);
    let reading = Reading::of(mapping, &[&line, &line]);
    let told = reading.seen.iter().filter(|it| it.contains(unread));
    assert_eq!(told.count(), 1, "{:#?}", reading.seen);
    for nothing in ["null", r#""""#, "60", r#""2026-12-01 03:00:00""#] {
        let reading = Reading::of(mapping, &[&limited(nothing)]);
        let is_told = reading.seen.iter().any(|it| it.contains("resets_at"));
        assert!(!is_told, "{nothing}: {:#?}", reading.seen);
    }
}
