use super::*;
use crate::evidence::Cause;

type Reading = crate::testing::Reading<Json>;

impl Reading {
    fn of(lines: &[&str]) -> Reading {
        let mut reading = Reading::new(Json::new(Run::default()), told);
        reading.lines(Stream::Stdout, lines);
        reading
    }
}

fn told(at: Stamp, activity: &Activity<'_>) -> String {
    let said = match activity {
        Activity::Session { session_id, .. } => format!("session {session_id}"),
        Activity::Tool { cmd, name, .. } => format!("tool {name} {}", cmd.text),
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
        Activity::Output { msg, .. } => format!("output {}", msg.text),
        Activity::Thinking { msg } => format!("thinking {}", msg.text),
        Activity::Notice { level, msg } => format!("{level:?} {}", msg.text),
        Activity::Plan { items } => format!("plan {}", items.len()),
        Activity::Usage(usage) => format!(
            "usage {} {} {:?}",
            usage.input_tokens, usage.output_tokens, usage.total_cost_usd
        ),
        Activity::Unknown { name, .. } => format!("unknown {name:?}"),
        other => format!("{other:?}"),
    };
    format!("{} {} {said}", at.wall_ms, at.raw)
}

const START: &str = r#"{"type":"step_start","sessionID":"ses_1","part":{"type":"step-start"}}"#;
const CALLS: &str = r#"{"type":"step_finish","sessionID":"ses_1","part":{"id":"p1","reason":"tool-calls","tokens":{"input":10,"output":2,"reasoning":1,"cache":{"read":5,"write":0}},"cost":0.1}}"#;
const STOP: &str = r#"{"type":"step_finish","sessionID":"ses_1","part":{"id":"p2","reason":"stop","tokens":{"input":20,"output":3,"reasoning":0,"cache":{"read":0,"write":7}},"cost":0.2}}"#;
const ERROR: &str = r#"{"type":"error","sessionID":"ses_1","error":{"name":"APIError","data":{"message":"Slow down.","statusCode":429}}}"#;

fn text(message: &str, text: &str) -> String {
    format!(
        r#"{{"type":"text","sessionID":"ses_1","part":{{"messageID":"{message}","text":"{text}"}}}}"#
    )
}

fn tool(name: &str, state: &str) -> String {
    format!(
        r#"{{"type":"tool_use","sessionID":"ses_1","part":{{"tool":"{name}","callID":"c","state":{state}}}}}"#
    )
}

#[test]
fn steps_are_summed_once_and_the_last_text_is_the_answer() {
    let (first, same, last) = (
        text("m1", "Let me"),
        text("m1", "see."),
        text("m2", "Done."),
    );
    let mut reading = Reading::of(&[START, &first, &same, CALLS, CALLS, START, &last, STOP]);
    let verdict = reading.end(0);
    let expected = [
        "10 1 session ses_1",
        "20 2 output Let me",
        "30 3 output see.",
        "40 4 usage 10 3 Some(0.1)",
        "70 7 output Done.",
        "80 8 usage 20 3 Some(0.2)",
    ];
    assert_eq!(reading.seen, expected);
    assert_eq!(verdict.outcome, Outcome::Success);
    assert_eq!(verdict.session_id.as_deref(), Some("ses_1"));
    assert_eq!(verdict.response.as_deref(), Some("Done."));
    let usage = verdict.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens), (30, 6));
    assert_eq!(usage.cached_input_tokens, Some(5));
    assert_eq!(usage.cache_creation_tokens, Some(7));
    assert_eq!(usage.total_cost_usd, Some(0.3));
}

#[test]
fn counts_that_were_renamed_are_unknown_and_a_cost_below_nothing_is_nothing() {
    let renamed = STOP.replace(
        r#""tokens":{"input":20,"output":3,"reasoning":0,"cache":{"read":0,"write":7}}"#,
        r#""tokens":{"in":20}"#,
    );
    let mut reading = Reading::of(&[&renamed]);
    let verdict = reading.end(0);
    assert_eq!(verdict.outcome, Outcome::Success);
    assert_eq!(verdict.usage.unwrap().total_cost_usd, Some(0.2));
    assert_eq!(reading.seen[2], "10 1 unknown Some(\"step_finish\")");
    let mut reading = Reading::of(&[&renamed.replace(r#""cost":0.2"#, r#""price":0.2"#)]);
    assert_eq!(reading.end(0).usage, None);
    // As of anomalyco/opencode#15293.
    let mut reading = Reading::of(&[&STOP.replace("0.2", "-4.0")]);
    assert_eq!(reading.end(0).usage.unwrap().total_cost_usd, Some(0.0));
}

#[test]
fn exit_zero_in_the_middle_of_the_work_is_no_success() {
    let said = text("m", "Hello.");
    for lines in [&[][..], &[START], &[START, &said], &[START, &said, CALLS]] {
        let verdict = Reading::of(lines).end(0);
        assert_eq!(verdict.outcome, Outcome::Interrupted, "{lines:?}");
    }
    assert_eq!(Reading::of(&[START, STOP]).end(0).outcome, Outcome::Success);
    let length = STOP.replace("\"stop\"", "\"length\"");
    let mut reading = Reading::of(&[START, &length]);
    assert_eq!(reading.end(0).outcome, Outcome::Success);
    assert!(
        reading.seen[1].ends_with("reason `length`"),
        "{:?}",
        reading.seen
    );
    // The model's provider gave up on it.
    let error = STOP.replace("\"stop\"", "\"error\"");
    assert_eq!(
        Reading::of(&[START, &error]).end(0).outcome,
        Outcome::Failed
    );
    let went_on = Reading::of(&[START, &error, START, STOP]).end(0);
    assert_eq!(went_on.outcome, Outcome::Success);
}

#[test]
fn a_call_is_told_with_its_result_at_once() {
    let failed = tool(
        "bash",
        r#"{"status":"completed","input":{"command":"false"},"output":"","metadata":{"exit":1},"time":{"start":5,"end":12}}"#,
    );
    let refused = tool(
        "read",
        r#"{"status":"error","input":{},"error":"no such file"}"#,
    );
    let reading = Reading::of(&[&failed, &refused]);
    let expected = [
        "10 1 session ses_1",
        "10 1 tool bash false",
        "10 1 result c false Some(1) Some(7) -",
        "20 2 tool read read",
        "20 2 result c false None None no such file",
    ];
    assert_eq!(reading.seen, expected);
    assert_eq!(reading.parser.vitals(), Vitals::default());
}

#[test]
fn a_call_that_is_told_of_early_is_open_until_it_is_over() {
    let running = tool(
        "bash",
        r#"{"status":"running","input":{"command":"sleep 9"}}"#,
    );
    let over = tool(
        "bash",
        r#"{"status":"completed","output":"x","metadata":{"exit":0}}"#,
    );
    let mut reading = Reading::of(&[&running, &running]);
    assert_eq!(reading.parser.vitals().open_tools, 1);
    reading.line(Stream::Stdout, &over);
    let expected = [
        "10 1 session ses_1",
        "10 1 tool bash sleep 9",
        "30 3 result c true Some(0) Some(20) x",
    ];
    assert_eq!(reading.seen, expected);
    assert_eq!(reading.parser.vitals().open_tools, 0);
}

#[test]
fn a_plan_that_is_told_of_early_is_over_with_its_call() {
    let state = |status: &str| {
        let todos = r#"{"todos":[{"content":"a","status":"pending"}]}"#;
        format!(r#"{{"status":"{status}","input":{todos},"output":"ok"}}"#)
    };
    let early = tool("todowrite", &state("running"));
    let over = tool("todowrite", &state("completed"));
    let reading = Reading::of(&[&early, &over]);
    assert_eq!(reading.parser.vitals().open_tools, 0);
    assert_eq!(
        reading.seen[2..],
        ["20 2 plan 1", "20 2 result c true None Some(10) ok"]
    );
    // Told at once, it is the plan alone.
    let reading = Reading::of(&[&over]);
    assert_eq!(reading.seen[1..], ["10 1 plan 1"]);
}

#[test]
fn an_error_is_the_reason_only_if_nothing_follows() {
    let mut reading = Reading::of(&[ERROR]);
    let verdict = reading.end(1);
    assert_eq!(reading.seen, ["10 1 session ses_1"]);
    assert_eq!(verdict.outcome, Outcome::RateLimited);
    assert_eq!(verdict.error.as_deref(), Some("Slow down. (429)"));
    // It lies with its exit code, too.
    assert_eq!(Reading::of(&[ERROR]).end(0).outcome, Outcome::RateLimited);

    let said = text("m", "Hello.");
    let mut reading = Reading::of(&[ERROR, START, &said, STOP]);
    assert_eq!(reading.seen[1], "10 2 Error Slow down. (429)");
    assert_eq!(reading.end(0).outcome, Outcome::Success);
    // The exit code still means it.
    let went_on = Reading::of(&[ERROR, START, &said, STOP]).end(1);
    assert_eq!(went_on.outcome, Outcome::RateLimited);
}

#[test]
fn an_error_is_shown_where_the_terminal_line_tells_of_another_end() {
    let mut reading = Reading::of(&[ERROR]);
    let verdict = reading.ended(&Exit {
        ended_by: Some(crate::parser::EndedBy::Stop),
        signal: Some(15),
        ..Exit::default()
    });
    assert_eq!(verdict.outcome, Outcome::Cancelled);
    assert_eq!(reading.seen[1], "10 999 Error Slow down. (429)");
}

#[test]
fn an_end_at_a_call_that_nobody_allowed_says_so() {
    let refused = tool(
        "bash",
        r#"{"status":"error","input":{"command":"rm x"},"error":"The user rejected permission to use this specific tool call."}"#,
    );
    let verdict = Reading::of(&[START, &refused, CALLS]).end(0);
    assert_eq!(verdict.outcome, Outcome::Failed);
    let error = verdict.error.unwrap();
    assert_eq!(error, "ended at a call that it had no permission for: rm x");
    // It may go on all the same.
    let went_on = Reading::of(&[START, &refused, CALLS, START, STOP]).end(0);
    assert_eq!(went_on.outcome, Outcome::Success);
}

#[test]
fn what_is_no_word_of_the_model_is_not_its_answer() {
    let synthetic =
        r#"{"type":"text","part":{"messageID":"m","text":"Tool ran.","synthetic":true}}"#;
    let mut reading = Reading::of(&[&text("m", "Hi."), synthetic, &text("m", "")]);
    assert_eq!(
        reading.seen[1..],
        ["10 1 output Hi.", "20 2 Info Tool ran."]
    );
    assert_eq!(reading.end(0).response.as_deref(), Some("Hi."));
}

#[test]
fn a_start_that_failed_is_told_by_stderr() {
    let mut reading = Reading::of(&[]);
    reading.line(
        Stream::Stderr,
        "\u{1b}[91m\u{1b}[1mError: \u{1b}[0mSession not found",
    );
    let verdict = reading.end(1);
    assert!(reading.seen.is_empty());
    assert_eq!(verdict.error.as_deref(), Some("Session not found"));
    assert_eq!(verdict.evidence.cause, Some(Cause::UnknownSession));
    assert_eq!(verdict.evidence.stderr, ["Session not found"]);
    let mut reading = Reading::of(&[]);
    reading.line(Stream::Stderr, "opencode run [message..]");
    let error = reading.end(1).error.unwrap();
    assert!(
        error.starts_with("exit code 1: it printed its usage"),
        "{error}"
    );
}

#[test]
fn what_nobody_knows_is_kept_whole() {
    let reading = Reading::of(&[
        r#"{"type":"surprise","part":{}}"#,
        r#"{"type":"text","part":{"text":7}}"#,
        r#"{"type":"tool_use","part":{"tool":"x","callID":"c","state":{"status":"odd"}}}"#,
        r#"{"type":"error","error":"odd"}"#,
        r#"{"part":{}}"#,
        "[1]",
        "",
    ]);
    let expected = [
        "10 1 unknown Some(\"surprise\")",
        "20 2 unknown Some(\"text\")",
        "30 3 unknown Some(\"tool_use\")",
        "40 4 unknown Some(\"error\")",
        "50 5 unknown None",
        "60 6 output [1]",
    ];
    assert_eq!(reading.seen, expected);
}
