use super::*;

type Reading = crate::testing::Reading<Json>;

impl Reading {
    fn of(lines: &[&str]) -> Reading {
        let mut reading = Reading::new(Json::new(Run::default()), shown);
        reading.lines(Stream::Stdout, lines);
        reading
    }
}

fn shown(at: Stamp, activity: &Activity<'_>) -> String {
    let said = match activity {
        Activity::Session { session_id, .. } => format!("session {session_id}"),
        Activity::Output { stream, msg } => format!("{stream:?} {}", msg.text),
        Activity::Tool { cmd, name, .. } => format!("tool {name} {}", cmd.text),
        Activity::ToolResult {
            call_id,
            ok,
            duration_ms,
            msg,
            ..
        } => {
            let msg = msg.as_ref().map_or("", |msg| &*msg.text);
            format!("result {call_id} {ok} {duration_ms:?} {msg}")
        }
        Activity::Notice { level, msg } => format!("notice {level:?} {}", msg.text),
        Activity::Unknown { name, .. } => format!("unknown {name:?}"),
        Activity::Plan { items } => format!("plan {}", items.len()),
        Activity::Usage(usage) => format!("usage {} {}", usage.input_tokens, usage.output_tokens),
        other => format!("{other:?}"),
    };
    format!("{} {} {said}", at.wall_ms, at.raw)
}

fn delta(text: &str) -> String {
    format!(r#"{{"type":"message","role":"assistant","content":"{text}","delta":true}}"#)
}

const RESULT: &str = r#"{"type":"result","status":"success","stats":{"total_tokens":30,"input_tokens":20,"output_tokens":6,"cached":15,"input":5}}"#;
const TOOL: &str = r#"{"type":"tool_use","tool_name":"run_shell_command","tool_id":"t","parameters":{"command":"ls"}}"#;

#[test]
fn stderr_between_fragments_does_not_part_them() {
    let mut reading = Reading::of(&[&delta("Hel")]);
    reading.line(Stream::Stderr, "a warning");
    reading.line(Stream::Stdout, &delta("lo"));
    reading.line(Stream::Stdout, RESULT);
    let expected = [
        "20 2 Stderr a warning",
        "30 4 Stdout Hello",
        "40 4 usage 5 10",
    ];
    assert_eq!(reading.seen, expected);
}

#[test]
fn a_tool_ends_the_text_before_it_and_begins_a_new_answer() {
    let mut reading = Reading::of(&[&delta("Let me "), &delta("see."), TOOL]);
    assert_eq!(reading.parser.vitals().open_tools, 1);
    reading.line(
        Stream::Stdout,
        r#"{"type":"tool_result","tool_id":"t","status":"error","error":{"type":"x","message":"denied"}}"#,
    );
    reading.line(Stream::Stdout, &delta("No."));
    let verdict = reading.end(0);
    let expected = [
        "20 3 Stdout Let me see.",
        "30 3 tool run_shell_command ls",
        "40 4 result t false Some(10) denied",
        "50 999 Stdout No.",
    ];
    assert_eq!(reading.seen, expected);
    assert_eq!(verdict.response.as_deref(), Some("No."));
    // No result event: whatever the exit code says.
    assert_eq!(verdict.outcome, Outcome::Interrupted);
}

#[test]
fn an_answer_before_the_last_tool_counts_if_none_follows() {
    let mut reading = Reading::of(&[&delta("All done."), TOOL, RESULT]);
    let verdict = reading.end(0);
    assert_eq!(verdict.response.as_deref(), Some("All done."));
    assert_eq!(verdict.outcome, Outcome::Success);
}

#[test]
fn a_plan_that_failed_to_be_written_shows_why() {
    let write =
        r#"{"type":"tool_use","tool_name":"write_todos","tool_id":"p","parameters":{"todos":[]}}"#;
    let ok = r#"{"type":"tool_result","tool_id":"p","status":"success"}"#;
    let bad = r#"{"type":"tool_result","tool_id":"p","status":"error","output":"only one"}"#;
    assert_eq!(Reading::of(&[write, ok]).seen, ["10 1 plan 0"]);
    let seen = Reading::of(&[write, bad]).seen;
    assert_eq!(seen, ["10 1 plan 0", "20 2 result p false None only one"]);
}

#[test]
fn counts_that_are_all_zero_are_none() {
    let broken = r#"{"type":"result","status":"error","error":{"type":"unknown","message":"[API Error: terminated]"},"stats":{"total_tokens":0,"input_tokens":0,"output_tokens":0,"cached":0,"input":0}}"#;
    let mut reading = Reading::of(&[broken]);
    let verdict = reading.end(1);
    assert!(reading.seen.is_empty());
    assert_eq!(verdict.usage, None);
    assert_eq!(verdict.error.as_deref(), Some("terminated"));
}

#[test]
fn counts_past_all_reason_are_none() {
    let most = u64::MAX;
    let result = format!(
        r#"{{"type":"result","status":"success","stats":{{"input_tokens":1,"output_tokens":{most}}}}}"#
    );
    let reading = Reading::of(&[&result]);
    assert_eq!(reading.seen, ["10 1 usage 1 0"]);
}

#[test]
fn the_exit_code_tells_what_the_message_does_not() {
    let error = |message: &str| {
        format!(
            r#"{{"type":"result","status":"error","error":{{"type":"unknown","message":"{message}"}}}}"#
        )
    };
    let outcome = |lines: &[&str], code| Reading::of(lines).end(code).outcome;
    assert_eq!(outcome(&[&error("odd")], 247), Outcome::Overloaded);
    assert_eq!(outcome(&[&error("odd")], 244), Outcome::Overloaded);
    assert_eq!(outcome(&[], 143), Outcome::Failed);
    assert_eq!(outcome(&[], 0), Outcome::Interrupted);
    let mut keyless = Reading::of(&[]);
    keyless.line(
        Stream::Stderr,
        "When using Gemini API, you must specify a key.",
    );
    let verdict = keyless.end(41);
    assert_eq!(verdict.outcome, Outcome::Auth);
    assert_eq!(
        verdict.error.unwrap(),
        "When using Gemini API, you must specify a key."
    );
}

#[test]
fn what_nobody_knows_is_kept_whole() {
    let reading = Reading::of(&[
        &delta("text"),
        r#"{"type":"message","role":"oracle","content":"x"}"#,
        r#"{"type":"surprise"}"#,
        r#"{"type":"tool_use","tool_name":"x"}"#,
        r#"{"type":"error","severity":"warning","message":"Loop detected"}"#,
        "[1]",
    ]);
    let expected = [
        "10 2 Stdout text",
        "20 2 unknown Some(\"message/oracle\")",
        "30 3 unknown Some(\"surprise\")",
        "40 4 unknown Some(\"tool_use\")",
        "50 5 notice Warn Loop detected",
        "60 6 Stdout [1]",
    ];
    assert_eq!(reading.seen, expected);
}

#[test]
fn a_message_that_is_no_fragment_stands_alone() {
    let whole = r#"{"type":"message","role":"assistant","content":"Whole."}"#;
    let reading = Reading::of(&[whole, whole]);
    assert_eq!(reading.seen, ["10 1 Stdout Whole.", "20 2 Stdout Whole."]);
}

#[test]
fn the_model_is_what_its_first_event_says() {
    let mut reading = Reading::of(&[&delta("Hello")]);
    assert_eq!(reading.parser.model(), None);
    let init = r#"{"type":"init","session_id":"s","model":"gemini-2.5-pro"}"#;
    reading.line(Stream::Stdout, init);
    reading.line(Stream::Stdout, RESULT);
    reading.end(0);
    assert_eq!(reading.parser.model(), Some("gemini-2.5-pro"));
}
