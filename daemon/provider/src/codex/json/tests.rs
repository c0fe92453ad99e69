use super::*;
use crate::evidence::Cause;
use crate::outcome::Outcome;

type Reading = crate::testing::Reading<Json>;

impl Reading {
    fn of_run(run: Run, lines: &[&str]) -> Reading {
        let mut reading = Reading::new(Json::new(run), shown);
        reading.lines(Stream::Stdout, lines);
        reading
    }

    fn of(lines: &[&str]) -> Reading {
        Reading::of_run(Run::default(), lines)
    }
}

fn shown(at: Stamp, activity: &Activity<'_>) -> String {
    let mut line = Vec::new();
    crate::encode::encode_line(&mut line, at, activity);
    let line: serde_json::Value = serde_json::from_slice(&line).unwrap();
    let field = |name: &str| match &line[name] {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => format!(" {text}"),
        other => format!(" {other}"),
    };
    let fields = [
        "type", "callId", "cmd", "ok", "exitCode", "duration", "level", "attempt", "name", "msg",
        "items",
    ];
    let parts: String = fields.into_iter().map(field).collect();
    format!("{}{parts}", at.raw)
}

const STARTED: &str = r#"{"type":"turn.started"}"#;
const COMPLETED: &str = r#"{"type":"turn.completed","usage":{"input_tokens":10,"cached_input_tokens":4,"cache_write_input_tokens":1,"output_tokens":7,"reasoning_output_tokens":3}}"#;

#[test]
fn of_two_ids_the_first_matches_start_and_end() {
    let reading = Reading::of(&[
        r#"{"type":"item.started","item":{"id":"item_1","type":"web_search","id":"ws_1","query":"q","action":{}}}"#,
        r#"{"type":"item.completed","item":{"id":"item_1","type":"web_search","id":"ws_other","query":"q","action":{}}}"#,
    ]);
    let expected = [
        "1 tool item_1 web search: q web_search",
        "2 tool_result item_1 true 10",
    ];
    assert_eq!(reading.seen, expected);
    assert_eq!(reading.parser.vitals().open_tools, 0);
}

#[test]
fn a_call_that_only_ended_is_shown_from_its_beginning() {
    let reading = Reading::of(&[
        r#"{"type":"item.completed","item":{"id":"i","type":"file_change","changes":[{"path":"a","kind":"add"},{"path":"b","kind":"delete"},{"path":"c","kind":"update"},{"path":"d","kind":"add"}],"status":"failed"}}"#,
        r#"{"type":"item.completed","item":{"id":"j","type":"mcp_tool_call","server":"s","tool":"t","arguments":{"a":1},"result":{"content":[{"type":"text","text":"x"},{"type":"image"}]},"error":null,"status":"completed"}}"#,
    ]);
    let expected = [
        "1 tool i Write a, d; Delete b; Edit c file_change",
        "1 tool_result i false",
        r#"2 tool j s.t {"a":1} s.t"#,
        "2 tool_result j true x\n{\"type\":\"image\"}",
    ];
    assert_eq!(reading.seen, expected);
}

#[test]
fn agents_that_it_starts_are_tools() {
    let reading = Reading::of(&[
        r#"{"type":"item.started","item":{"id":"i","type":"collab_tool_call","tool":"spawn_agent","sender_thread_id":"a","receiver_thread_ids":[],"prompt":"look","agents_states":{},"status":"in_progress"}}"#,
        r#"{"type":"item.completed","item":{"id":"i","type":"collab_tool_call","tool":"spawn_agent","sender_thread_id":"a","receiver_thread_ids":["b"],"prompt":"look","agents_states":{"b":{"status":"running","message":null}},"status":"completed"}}"#,
        r#"{"type":"item.started","item":{"id":"j","type":"collab_tool_call","tool":"wait","receiver_thread_ids":["b","c"],"prompt":null,"agents_states":{},"status":"in_progress"}}"#,
        r#"{"type":"item.completed","item":{"id":"j","type":"collab_tool_call","tool":"wait","receiver_thread_ids":["b","c"],"prompt":null,"agents_states":{"b":{"status":"completed","message":"found"},"c":"odd"},"status":"completed"}}"#,
    ]);
    let expected = [
        "1 tool i spawn_agent: look spawn_agent",
        "2 tool_result i true 10 running",
        "3 tool j wait: b, c wait",
        "4 tool_result j true 10 completed: found\n\"odd\"",
    ];
    assert_eq!(reading.seen, expected);
}

#[test]
fn parallel_commands_end_in_any_order() {
    let started = |id: u32, script: &str| {
        format!(
            r#"{{"type":"item.started","item":{{"id":"item_{id}","type":"command_execution","command":"/bin/bash -lc {script}","aggregated_output":"","exit_code":null,"status":"in_progress"}}}}"#
        )
    };
    let ended = |id: u32, script: &str, code: i32| {
        format!(
            r#"{{"type":"item.completed","item":{{"id":"item_{id}","type":"command_execution","command":"/bin/bash -lc {script}","aggregated_output":"{script}\n","exit_code":{code},"status":"completed"}}}}"#
        )
    };
    let lines = [
        started(1, "a"),
        started(2, "b"),
        ended(2, "b", 0),
        ended(1, "a", 3),
    ];
    let mut reading = Reading::of(&[]);
    reading.lines(Stream::Stdout, &[&lines[0], &lines[1]]);
    assert_eq!(reading.parser.vitals().open_tools, 2);
    reading.lines(Stream::Stdout, &[&lines[2], &lines[3]]);
    let expected = [
        "1 tool item_1 a command_execution",
        "2 tool item_2 b command_execution",
        "3 tool_result item_2 true 0 10 b\n",
        "4 tool_result item_1 false 3 30 a\n",
    ];
    assert_eq!(reading.seen, expected);
}

#[test]
fn an_error_that_is_not_the_last_becomes_a_notice_at_its_own_time() {
    let mut reading = Reading::of(&[r#"{"type":"error","message":"odd"}"#]);
    assert!(reading.seen.is_empty());
    reading.line(Stream::Stderr, "between");
    reading.lines(
        Stream::Stdout,
        &[STARTED, r#"{"type":"error","message":"last"}"#],
    );
    assert_eq!(reading.seen, ["2 output between", "3 notice error odd"]);
    let verdict = reading.end(1);
    assert_eq!(reading.seen[2], "999 notice error last");
    assert_eq!(verdict.error.as_deref(), Some("last"));
    assert_eq!(verdict.outcome, Outcome::Failed);
}

#[test]
fn a_failed_turn_is_told_by_the_terminal_line_alone() {
    let mut reading = Reading::of(&[
        r#"{"type":"error","message":"Quota exceeded. Check your plan and billing details."}"#,
        r#"{"type":"turn.failed","error":{"message":"Quota exceeded. Check your plan and billing details."}}"#,
    ]);
    assert!(reading.seen.is_empty());
    assert!(reading.parser.vitals().result_seen);
    // Also if it then exits as if all were well.
    assert_eq!(reading.end(0).outcome, Outcome::CreditExhausted);
    let mut other = Reading::of(&[
        r#"{"type":"error","message":"one"}"#,
        r#"{"type":"turn.failed","error":{"message":"two"}}"#,
    ]);
    assert_eq!(other.seen, ["2 notice error one"]);
    assert_eq!(other.end(1).error.as_deref(), Some("two"));
    let mut mute = Reading::of(&[r#"{"type":"turn.failed"}"#]);
    assert_eq!(mute.end(1).outcome, Outcome::Failed);
}

#[test]
fn what_follows_the_final_event_takes_it_back() {
    let mut reading = Reading::of(&[STARTED, COMPLETED]);
    assert!(reading.parser.vitals().result_seen);
    reading.lines(Stream::Stdout, &[STARTED]);
    assert!(!reading.parser.vitals().result_seen);
    assert_eq!(reading.end(0).outcome, Outcome::Interrupted);
}

#[test]
fn exit_zero_without_a_final_event_is_an_interruption() {
    assert_eq!(Reading::of(&[STARTED]).end(0).outcome, Outcome::Interrupted);
    assert_eq!(Reading::of(&[COMPLETED]).end(0).outcome, Outcome::Success);
    let killed = Exit {
        signal: Some(15),
        ..Exit::default()
    };
    assert_eq!(
        Reading::of(&[STARTED]).ended(&killed).outcome,
        Outcome::Interrupted
    );
    assert_eq!(Reading::of(&[COMPLETED]).end(1).outcome, Outcome::Failed);
}

#[test]
fn counts_that_were_renamed_are_unknown_and_not_nothing() {
    let mut reading =
        Reading::of(&[r#"{"type":"turn.completed","usage":{"inputTokens":10,"outputTokens":7}}"#]);
    let verdict = reading.end(0);
    assert_eq!((verdict.outcome, verdict.usage), (Outcome::Success, None));
    assert_eq!(reading.seen, ["1 unknown turn.completed"]);
}

#[test]
fn usage_is_without_the_cache_and_cumulative_after_a_resume() {
    for resumed in [false, true] {
        let run = Run {
            resumed,
            ..Run::default()
        };
        let mut reading = Reading::of_run(run, &[COMPLETED]);
        let expected = Usage {
            input_tokens: 5,
            output_tokens: 7,
            cached_input_tokens: Some(4),
            cache_creation_tokens: Some(1),
            total: true,
            cumulative: resumed,
            ..Usage::default()
        };
        assert_eq!(reading.end(0).usage, Some(expected));
    }
}

#[test]
fn what_nobody_knows_is_kept_whole() {
    let reading = Reading::of(&[
        r#"{"type":"thread.compacted","n":1}"#,
        r#"{"type":"item.completed","item":{"id":"i","type":"hologram"}}"#,
        r#"{"type":"item.updated","item":{"id":"i","type":"agent_message","text":"x"}}"#,
        r#"{"type":"item.started","item":"i"}"#,
        r#"{"type":"thread.started","thread_id":7}"#,
        r#"{"no":"type"}"#,
        r#"{"type":["x"]}"#,
    ]);
    let expected = [
        "1 unknown thread.compacted",
        "2 unknown item.completed/hologram",
        "3 unknown item.updated/agent_message",
        "4 unknown item.started",
        "5 unknown thread.started",
        "6 unknown",
        "7 unknown",
    ];
    assert_eq!(reading.seen, expected);
}

#[test]
fn a_refused_call_shows_on_stderr_alone() {
    let mut reading = Reading::of(&[]);
    reading.line(
        Stream::Stderr,
        "2026-11-22T10:19:23.4169Z ERROR codex_core::tools::router: error=unsupported call",
    );
    reading.line(Stream::Stderr, "Error: no rollout found");
    reading.line(Stream::Stderr, "hint");
    let expected = [
        "1 notice error codex_core::tools::router: error=unsupported call",
        "2 output Error: no rollout found",
        "3 output hint",
    ];
    assert_eq!(reading.seen, expected);
    let verdict = reading.end(1);
    assert_eq!(
        verdict.error.unwrap(),
        "exit code 1: Error: no rollout found"
    );
    assert_eq!(verdict.evidence.cause, Some(Cause::UnknownSession));
    assert_eq!(verdict.evidence.stderr, ["Error: no rollout found"]);
}

#[test]
fn the_plan_is_shown_when_it_changes() {
    let plan = |step: &str, done: bool| {
        format!(
            r#"{{"type":"item.{step}","item":{{"id":"i","type":"todo_list","items":[{{"text":"a","completed":{done}}}]}}}}"#
        )
    };
    let reading = Reading::of(&[
        &plan("started", false),
        &plan("updated", true),
        &plan("completed", true),
        &plan("completed", false),
    ]);
    let expected = [
        r#"1 plan [{"status":"pending","text":"a"}]"#,
        r#"2 plan [{"status":"completed","text":"a"}]"#,
        r#"4 plan [{"status":"pending","text":"a"}]"#,
    ];
    assert_eq!(reading.seen, expected);
}

#[test]
fn the_answer_is_the_last_message() {
    let message = |text: &str| {
        format!(
            r#"{{"type":"item.completed","item":{{"id":"i","type":"agent_message","text":"{text}"}}}}"#
        )
    };
    let mut reading = Reading::of(&[&message("first"), &message("last"), COMPLETED]);
    assert_eq!(reading.end(0).response.as_deref(), Some("last"));
}
