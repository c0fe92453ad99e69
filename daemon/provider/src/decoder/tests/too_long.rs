//! Lines of which only the beginning is kept.

use super::*;
use crate::mapping::Mapping;

/// More than a line may have.
const LONG: usize = 9_000_000;

/// Feeds lines, in which `@` stands for too much. The log so far, and what is under way.
fn read(decoder: &mut Decoder, lines: &[&str]) -> (Vec<Value>, Vitals) {
    let mut log = Vec::new();
    let mut sink = |at: Stamp, activity: &Activity<'_>| encode_line(&mut log, at, activity);
    for line in lines {
        let line = format!("{}\n", line.replace('@', &"A".repeat(LONG)));
        decoder.feed(Stream::Stdout, stamp(0), line.as_bytes(), &mut sink);
    }
    let log = String::from_utf8(log).unwrap();
    (values(&log), decoder.vitals())
}

/// The last line is the result of this call, and no call is open.
fn ends(kind: Kind, lines: &[&str], call: &str) -> Value {
    let (log, vitals) = read(&mut Decoder::new(kind, Format::Json), lines);
    let last = log.last().unwrap();
    assert_eq!(
        (
            last["type"].as_str(),
            last["callId"].as_str(),
            vitals.open_tools
        ),
        (Some("tool_result"), Some(call), 0),
        "{kind:?}"
    );
    assert!(
        last["truncatedBytes"].as_u64().unwrap() > 8_000_000,
        "{kind:?}"
    );
    assert_eq!(last["ok"], true);
    last.clone()
}

const CLAUDE_CALL: &str = r#"{"type":"assistant","message":{"id":"m1","content":[{"type":"tool_use","id":"t1","name":"Read","input":{"file_path":"a"}}]}}"#;

#[test]
fn the_result_of_a_tool_in_one_ends_its_call() {
    let result = r#"{"type":"user","message":{"content":[{"tool_use_id":"t1","type":"tool_result","content":"é\n@"}]},"tool_use_result":{"x":1}}"#;
    let text = ends(Kind::Claude, &[CLAUDE_CALL, result], "t1");
    assert!(text["msg"].as_str().unwrap().starts_with("é\nAAAA"));
    let image = r#"{"type":"user","message":{"content":[{"tool_use_id":"t1","type":"tool_result","content":[{"type":"image","source":{"type":"base64","data":"@"}}]}]}}"#;
    let image = ends(Kind::Claude, &[CLAUDE_CALL, image], "t1");
    assert_eq!(image["msg"], "[image]");

    let started = r#"{"type":"item.started","item":{"id":"i1","type":"command_execution","command":"cat a","aggregated_output":"","status":"in_progress"}}"#;
    let completed = r#"{"type":"item.completed","item":{"id":"i1","type":"command_execution","command":"cat a","aggregated_output":"@","exit_code":0,"status":"completed"}}"#;
    ends(Kind::Codex, &[started, completed], "i1");

    let begun = r#"{"type":"tool_use","timestamp":"","tool_name":"read_file","tool_id":"g1","parameters":{"path":"a"}}"#;
    let result =
        r#"{"type":"tool_result","timestamp":"","tool_id":"g1","status":"success","output":"@"}"#;
    ends(Kind::Gemini, &[begun, result], "g1");

    let over = r#"{"type":"tool_use","timestamp":1,"sessionID":"s","part":{"type":"tool","tool":"read","callID":"o1","state":{"status":"completed","input":{"filePath":"a"},"output":"@"}}}"#;
    ends(Kind::Opencode, &[over], "o1");
}

#[test]
fn so_it_does_by_a_mapping() {
    let mapping: Mapping = serde_json::from_str(
        r#"{"events": [
            {"when": {"/kind": ["call"]}, "fields": {"tool": ["/name"], "call": ["/id"]}},
            {"when": {"/kind": ["done"]}, "fields": {"result": ["/out"], "call": ["/id"]}}
        ]}"#,
    )
    .unwrap();
    let run = Run {
        mapping: Some(mapping),
        ..Run::default()
    };
    let mut decoder = Decoder::of_run(Kind::Jsonl, Format::Json, run);
    let (_, vitals) = read(&mut decoder, &[r#"{"kind":"call","name":"sh","id":"1"}"#]);
    assert_eq!(vitals.open_tools, 1);
    let (log, vitals) = read(&mut decoder, &[r#"{"kind":"done","id":"1","out":"@"}"#]);
    assert_eq!(
        (log[0]["type"].as_str(), vitals.open_tools),
        (Some("tool_result"), 0)
    );
}

#[test]
fn a_result_that_does_not_say_whose_it_is_has_come_by_the_next_message() {
    let mut decoder = Decoder::new(Kind::Claude, Format::Json);
    let failed = r#"{"type":"user","message":{"content":[{"type":"tool_result","content":"@","is_error":true,"tool_use_id":"t1"}]}}"#;
    let (log, vitals) = read(&mut decoder, &[CLAUDE_CALL, failed]);
    assert_eq!(log.last().unwrap()["type"], "unknown");
    assert_eq!(vitals.open_tools, 1);
    // More of the same message: of several calls in it, others may still run.
    let more = CLAUDE_CALL.replace("t1", "t2");
    let (_, vitals) = read(&mut decoder, &[&more]);
    assert_eq!(vitals.open_tools, 2);
    let next =
        r#"{"type":"assistant","message":{"id":"m2","content":[{"type":"text","text":"I see."}]}}"#;
    let (_, vitals) = read(&mut decoder, &[next]);
    assert_eq!(vitals.open_tools, 0);
}

#[test]
fn what_else_is_too_long_is_told_as_it_was_and_ends_nothing() {
    let mut decoder = Decoder::new(Kind::Codex, Format::Json);
    let (log, _) = read(
        &mut decoder,
        &[
            r#"{"type":"turn.completed","usage":{"x":"@"}}"#,
            r#"{"type":"item.completed","item":{"id":"i","type":"agent_message","text":"@"}}"#,
            r#"[@"#,
            "@",
        ],
    );
    let kinds: Vec<_> = log.iter().map(|line| &line["type"]).collect();
    assert_eq!(kinds, ["unknown"; 4]);
    assert!(!decoder.vitals().result_seen);
}

#[test]
fn what_is_held_before_one_is_whole() {
    let mapping: Mapping = serde_json::from_str(
        r#"{"events": [
            {"when": {"/kind": ["text"]}, "fields": {"text": ["/text"]}, "is_delta": true},
            {"when": {"/kind": ["done"]}, "fields": {"result": ["/out"], "call": ["/id"]}}
        ]}"#,
    )
    .unwrap();
    let run = Run {
        mapping: Some(mapping),
        ..Run::default()
    };
    let mut decoder = Decoder::of_run(Kind::Jsonl, Format::Json, run);
    let (log, _) = read(
        &mut decoder,
        &[
            r#"{"kind":"text","text":"I look"}"#,
            r#"{"kind":"done","id":"1","out":"@"}"#,
        ],
    );
    assert_eq!(
        (&log[0]["msg"], log[0].get("truncatedBytes")),
        (&"I look".into(), None)
    );
}

#[test]
fn one_of_a_subagents_takes_back_no_result() {
    let mut decoder = Decoder::new(Kind::Claude, Format::Json);
    let inner = CLAUDE_CALL.replace("t1", "s1").replace(
        r#""type":"assistant","#,
        r#""type":"assistant","parent_tool_use_id":"a","#,
    );
    let result = r#"{"type":"result","subtype":"success","is_error":false,"result":"done"}"#;
    let read_there = r#"{"type":"user","message":{"content":[{"tool_use_id":"s1","type":"tool_result","content":"@"}]},"parent_tool_use_id":"a"}"#;
    read(&mut decoder, &[&inner, result, read_there]);
    assert!(decoder.vitals().result_seen);
    // One of its own does: it goes on.
    let own = read_there.replace("s1", "t1");
    read(&mut decoder, &[CLAUDE_CALL, result, CLAUDE_CALL, &own]);
    assert!(!decoder.vitals().result_seen);
}
