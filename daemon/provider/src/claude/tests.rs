mod background;

use serde_json::{Value, json};

use super::*;
use crate::decoder::Decoder;
use crate::encode::encode_line;
use crate::evidence::Cause;
use crate::kind::{Format, Kind};
use crate::outcome::Outcome;
use crate::parser::EndedBy;

/// Events, one after the other, and what came out of them.
struct Session {
    decoder: Decoder,
    log: Vec<u8>,
    now: u64,
}

impl Session {
    fn new(format: Format) -> Session {
        Session {
            decoder: Decoder::new(Kind::Claude, format),
            log: Vec::new(),
            now: 0,
        }
    }

    fn of(events: &[Value]) -> Session {
        let mut session = Session::new(Format::Json);
        for event in events {
            session.line(&event.to_string());
        }
        session
    }

    /// A line on stdout, a second after the one before.
    fn line(&mut self, line: &str) -> &mut Session {
        self.now += 1000;
        let at = self.stamp();
        let log = &mut self.log;
        let mut sink = |at: Stamp, activity: &Activity<'_>| encode_line(log, at, activity);
        let line = format!("{line}\n");
        self.decoder
            .feed(Stream::Stdout, at, line.as_bytes(), &mut sink);
        self
    }

    fn end(&mut self, exit: Exit) -> Verdict {
        let at = self.stamp();
        let log = &mut self.log;
        let mut sink = |at: Stamp, activity: &Activity<'_>| encode_line(log, at, activity);
        self.decoder.end(at, &exit, &mut sink)
    }

    fn exit(&mut self, code: i32) -> Verdict {
        self.end(Exit {
            code: Some(code),
            ..Exit::default()
        })
    }

    fn stamp(&self) -> Stamp {
        Stamp {
            wall_ms: self.now,
            mono_ms: self.now,
            raw: self.now,
        }
    }

    fn lines(&self) -> Vec<Value> {
        let log = std::str::from_utf8(&self.log).unwrap();
        log.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn types(&self) -> Vec<String> {
        let lines = self.lines();
        lines
            .iter()
            .map(|line| line["type"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn assistant(blocks: Value) -> Value {
    json!({"type": "assistant", "message": {"model": "m", "content": blocks}, "parent_tool_use_id": null})
}

fn says(text: &str) -> Value {
    assistant(json!([{"type": "text", "text": text}]))
}

fn calls(id: &str, name: &str, input: Value) -> Value {
    assistant(json!([{"type": "tool_use", "id": id, "name": name, "input": input}]))
}

fn answers(id: &str, content: Value, is_error: bool) -> Value {
    json!({"type": "user", "message": {"content": [
        {"type": "tool_result", "tool_use_id": id, "content": content, "is_error": is_error}]}})
}

fn good(text: &str) -> Value {
    json!({"type": "result", "subtype": "success", "is_error": false, "result": text})
}

fn error_answer(kind: &str, text: &str) -> Value {
    json!({"type": "assistant", "error": kind, "message": {"model": "<synthetic>",
        "content": [{"type": "text", "text": text}]}})
}

fn bad(status: Value, text: &str) -> Value {
    json!({"type": "result", "subtype": "success", "is_error": true, "api_error_status": status, "result": text})
}

#[test]
fn the_last_result_counts_and_a_turn_after_it_takes_it_back() {
    let mut session = Session::of(&[says("one"), good("one")]);
    assert!(session.decoder.vitals().result_seen);
    session.line(&json!({"type": "system", "subtype": "init", "session_id": "s"}).to_string());
    assert!(!session.decoder.vitals().result_seen);
    assert_eq!(session.exit(0).outcome, Outcome::Interrupted);

    let mut session = Session::of(&[says("one"), good("one"), says("two"), good("two")]);
    let verdict = session.exit(0);
    assert_eq!(verdict.outcome, Outcome::Success);
    assert_eq!(verdict.response.as_deref(), Some("two"));
}

#[test]
fn exit_zero_without_a_result_is_an_interruption_with_what_was_said() {
    let verdict = Session::of(&[says("half")]).exit(0);
    assert_eq!(verdict.outcome, Outcome::Interrupted);
    assert_eq!(verdict.response.as_deref(), Some("half"));
}

#[test]
fn an_end_forced_after_the_result_is_a_success_and_a_stop_is_none() {
    let exit = |ended_by| Exit {
        signal: Some(9),
        ended_by: Some(ended_by),
        ..Exit::default()
    };
    let verdict = Session::of(&[good("x")]).end(exit(EndedBy::PostResult));
    assert_eq!(
        (verdict.outcome, verdict.exit_forced),
        (Outcome::Success, true)
    );
    let stopped = json!({"type": "result", "subtype": "error_during_execution", "is_error": true});
    let verdict = Session::of(&[stopped]).end(exit(EndedBy::Stop));
    assert_eq!(verdict.outcome, Outcome::Cancelled);
}

#[test]
fn an_error_printed_as_an_answer_is_the_verdicts_and_no_output() {
    let text = "API Error: 529 Overloaded";
    let mut session = Session::of(&[error_answer("server_error", text), bad(json!(529), text)]);
    let verdict = session.exit(1);
    assert_eq!(verdict.outcome, Outcome::Overloaded);
    assert_eq!(verdict.error.as_deref(), Some(text));
    assert_eq!(verdict.response, None);
    assert_eq!(session.types(), ["complete"]);
}

#[test]
fn an_error_after_which_the_run_goes_on_is_a_notice() {
    let mut session = Session::of(&[error_answer("unknown", "hiccup"), says("on"), good("on")]);
    assert_eq!(session.exit(0).outcome, Outcome::Success);
    assert_eq!(session.types(), ["notice", "output", "complete"]);
    // Shown when the second event came, with the time of the first.
    let lines = session.lines();
    assert_eq!(
        (&lines[0]["ts"], &lines[0]["raw"]),
        (&json!(1000), &json!(2000 + says("on").to_string().len()))
    );
}

#[test]
fn a_synthetic_message_without_an_error_is_a_notice() {
    let event = json!({"type": "assistant", "message": {"model": "<synthetic>",
        "content": [{"type": "text", "text": "No response requested."}]}});
    let session = Session::of(&[event]);
    assert_eq!(session.lines()[0]["type"], "notice");
}

#[test]
fn parallel_calls_are_matched_by_id_with_their_own_durations() {
    let mut session = Session::of(&[
        calls("a", "Bash", json!({"command": "sleep 3"})),
        calls("b", "Read", json!({"file_path": "/x"})),
        answers(
            "b",
            json!([{"type": "text", "text": "one"}, {"type": "image"}]),
            false,
        ),
    ]);
    assert_eq!(session.decoder.vitals().open_tools, 1);
    session.line(&answers("a", json!("Exit code 130\n^C"), true).to_string());
    session.line(&answers("zzz", json!(""), false).to_string());
    assert_eq!(session.decoder.vitals().open_tools, 0);
    let lines = session.lines();
    assert_eq!(lines[2]["callId"], "b");
    assert_eq!(
        (&lines[2]["duration"], &lines[2]["msg"]),
        (&json!(1000), &json!("one\n[image]"))
    );
    assert_eq!(
        (&lines[3]["duration"], &lines[3]["exitCode"]),
        (&json!(3000), &json!(130))
    );
    assert_eq!(lines[3]["ok"], false);
    assert!(lines[4].get("duration").is_none() && lines[4].get("msg").is_none());
}

#[test]
fn a_failed_change_of_the_plan_takes_it_back_and_says_so() {
    let session = Session::of(&[
        calls("a", "TaskCreate", json!({"subject": "x"})),
        answers("a", json!("no such thing"), true),
    ]);
    let lines = session.lines();
    assert_eq!(session.types(), ["plan", "plan", "notice"]);
    assert_eq!(lines[1]["items"], json!([]));
}

#[test]
fn what_a_user_event_says_is_a_notice_but_for_prompts_and_echoes() {
    let mut session = Session::of(&[
        calls("a", "Agent", json!({"description": "d", "prompt": "p"})),
        json!({"type": "user", "parent_tool_use_id": "a", "message": {"content": [{"type": "text", "text": "p"}]}}),
        json!({"type": "user", "parent_tool_use_id": "a", "message": {"content": "later"}}),
        json!({"type": "user", "message": {"content": [{"type": "text", "text": "[Request interrupted by user for tool use]"}]}}),
        json!({"type": "user", "isReplay": true, "message": {"content": "sent"}}),
    ]);
    session.exit(0);
    assert_eq!(session.types(), ["tool", "notice", "notice", "complete"]);
    assert_eq!(session.lines()[2]["level"], "warn");
    assert_eq!(session.decoder.tally().ignored.len(), 2);
}

#[test]
fn a_limit_that_was_reached_decides_the_verdict_with_its_time() {
    let event = |resets| json!({"type": "rate_limit_event", "rate_limit_info": {"status": "rejected", "resetsAt": resets}});
    let verdict = Session::of(&[event(json!(1_795_400_000)), bad(json!(429), "limit")]).exit(1);
    assert_eq!(verdict.outcome, Outcome::RateLimited);
    assert_eq!(
        verdict.error.as_deref(),
        Some("limit (resets 2026-11-23T02:13:20Z)")
    );
    let verdict = Session::of(&[event(json!(null)), bad(json!(429), "limit")]).exit(1);
    assert_eq!(verdict.outcome, Outcome::CreditExhausted);
    let verdict = Session::of(&[event(json!(1)), good("went on")]).exit(0);
    assert_eq!(verdict.outcome, Outcome::Success);
}

#[test]
fn a_limit_that_it_went_on_after_is_not_what_it_failed_of() {
    let limit = |status: &str, overage: bool| {
        json!({"type": "rate_limit_event", "rate_limit_info":
            {"status": status, "resetsAt": 1_795_400_000, "isUsingOverage": overage}})
    };
    let answer = json!({"type": "assistant", "message": {"model": "claude-opus-4",
        "content": [{"type": "text", "text": "on it"}]}});
    let turns = json!({"type": "result", "subtype": "error_max_turns", "is_error": true});
    let failed = |events: &[Value]| Session::of(events).exit(1).outcome;
    let reached = limit("rejected", false);
    assert_eq!(
        failed(&[reached.clone(), turns.clone()]),
        Outcome::RateLimited
    );
    for goes_on in [
        answer,
        limit("allowed", false),
        limit("allowed_warning", false),
    ] {
        let events = [reached.clone(), goes_on, turns.clone()];
        assert_eq!(failed(&events), Outcome::Failed, "{events:?}");
    }
    // What is paid for beside the subscription stops nothing.
    let mut session = Session::of(&[limit("rejected", true), turns]);
    assert_eq!(session.exit(1).outcome, Outcome::Failed);
    assert!(
        session.types().iter().any(|it| it == "notice"),
        "{:?}",
        session.types()
    );
}

#[test]
fn fields_of_other_types_cost_only_themselves() {
    let session = Session::of(&[
        json!({"type": "assistant", "message": {"id": 7, "usage": [], "content": [
            {"type": "text", "text": {"no": 1}},
            {"type": "tool_use", "id": "a", "name": "Bash", "input": {"command": 5}},
            {"type": "text", "text": "still here"}]}}),
        json!({"type": "user", "message": {"content": [{"type": "tool_result", "tool_use_id": "a", "is_error": "no", "content": 5}]}}),
        json!({"type": "user", "message": 5}),
        json!({"type": "system", "subtype": ["x"]}),
        json!({"type": 5}),
        json!([1]),
    ]);
    let types = session.types();
    assert_eq!(types[..4], ["unknown", "tool", "output", "tool_result"]);
    assert_eq!(types[4..7], ["unknown", "unknown", "unknown"]);
    assert_eq!((types[7].as_str(), types.len()), ("output", 8));
}

#[test]
fn an_answer_that_stands_in_the_result_alone_is_shown_once() {
    let mut session = Session::of(&[says("said"), good("said"), good("only here")]);
    session.exit(0);
    let outputs = session
        .types()
        .iter()
        .filter(|kind| *kind == "output")
        .count();
    assert_eq!(outputs, 2);
}

#[test]
fn half_an_event_is_unknown_and_a_whole_one_without_its_newline_is_not() {
    for (last, types) in [
        (
            r#"{"type":"result","is_error":fal"#,
            ["unknown", "complete"].as_slice(),
        ),
        (r#"{"type":"result","is_error":false}"#, &["complete"]),
    ] {
        let mut session = Session::new(Format::Json);
        let mut ignore = |_: Stamp, _: &Activity<'_>| {};
        let at = session.stamp();
        session
            .decoder
            .feed(Stream::Stdout, at, last.as_bytes(), &mut ignore);
        session.exit(0);
        assert_eq!(session.types(), types);
    }
}

#[test]
fn in_text_mode_an_error_is_told_from_an_answer_by_the_exit() {
    let mut session = Session::new(Format::Text);
    session.line("Credit balance is too low");
    let verdict = session.exit(1);
    assert_eq!(
        (verdict.outcome, verdict.response),
        (Outcome::CreditExhausted, None)
    );
    assert_eq!(session.types(), ["complete"]);

    let mut session = Session::new(Format::Text);
    session
        .line("API Error: is what I looked into.")
        .line("It is fine.");
    assert_eq!(session.types(), ["output", "output"]);
    let verdict = session.exit(0);
    assert_eq!(verdict.outcome, Outcome::Success);
    assert_eq!(
        verdict.response.as_deref(),
        Some("API Error: is what I looked into.\nIt is fine.")
    );

    let mut session = Session::new(Format::Text);
    session.line("Not logged in is what it says.");
    assert_eq!(session.exit(0).outcome, Outcome::Success);
    assert_eq!(session.types(), ["output", "complete"]);
}

#[test]
fn a_lost_connection_is_told_by_the_result_and_not_by_an_agents_words() {
    const SAID: &str = "API Error: Unable to connect to API (ENOTFOUND)";
    let result = |is_error: bool| {
        json!({"type": "result", "subtype": "success", "is_error": is_error,
               "api_error_status": null, "result": SAID})
    };
    let mut session = Session::of(&[result(true)]);
    session.exit(1);
    let last = session.lines().pop().unwrap();
    assert_eq!(
        (&last["outcome"], &last["cause"]),
        (&"overloaded".into(), &"unreachable".into())
    );
    assert_eq!(
        Session::of(&[result(false)]).exit(0).outcome,
        Outcome::Success
    );
    let failed = json!({"type": "result", "subtype": "error_max_turns", "is_error": true,
                        "errors": ["Reached maximum number of turns (2)"]});
    let verdict = Session::of(&[says(SAID), failed]).exit(1);
    assert_eq!(
        (verdict.outcome, verdict.evidence.cause),
        (Outcome::Failed, None)
    );
}

#[test]
fn an_unknown_session_is_told_by_stderr_or_by_the_result() {
    const SAID: &str = "No conversation found with session ID: s-gone";
    let result = json!({"type": "result", "subtype": "error_during_execution", "is_error": true,
                        "errors": [SAID]});
    let mut session = Session::of(std::slice::from_ref(&result));
    let verdict = session.exit(1);
    assert_eq!(verdict.evidence.cause, Some(Cause::UnknownSession));
    assert_eq!(verdict.evidence.final_event, Some(result.to_string()));
    let last = session.lines().pop().unwrap();
    assert_eq!(
        (&last["outcome"], &last["cause"]),
        (&"failed".into(), &"unknown_session".into())
    );

    let mut session = Session::new(Format::Json);
    let at = session.stamp();
    let mut ignore = |_: Stamp, _: &Activity<'_>| {};
    let line = format!("{SAID}\n");
    session
        .decoder
        .feed(Stream::Stderr, at, line.as_bytes(), &mut ignore);
    let verdict = session.exit(1);
    assert_eq!(verdict.evidence.cause, Some(Cause::UnknownSession));
    assert_eq!(verdict.evidence.stderr, [SAID]);

    // What an agent says of it means nothing.
    let mut session =
        Session::of(&[json!({"type": "result", "subtype": "success", "result": SAID})]);
    assert_eq!(session.exit(0).evidence.cause, None);
}

#[test]
fn a_message_after_the_result_wants_another_one() {
    let result = json!({"type": "result", "subtype": "success", "is_error": false, "result": "ok"});
    let init = json!({"type": "system", "subtype": "init", "session_id": "s"});
    // A further turn begins with it, and it is no answer.
    let mut session = Session::of(std::slice::from_ref(&result));
    session.decoder.asked();
    session.line(&init.to_string());
    assert!(!session.decoder.vitals().result_seen);
    let verdict = session.exit(0);
    assert_eq!(verdict.outcome, Outcome::Interrupted);
    assert!(verdict.error.unwrap().contains("last message"));

    let mut session = Session::of(std::slice::from_ref(&result));
    session.decoder.asked();
    session.line(&init.to_string()).line(&result.to_string());
    assert!(session.decoder.vitals().result_seen);
    assert_eq!(session.exit(0).outcome, Outcome::Success);

    // One that came before any result is answered by that, as far as anybody can tell.
    let mut session = Session::of(&[init]);
    session.decoder.asked();
    session.line(&result.to_string());
    assert_eq!(session.exit(0).outcome, Outcome::Success);

    let failed =
        json!({"type": "result", "is_error": true, "api_error_status": 529, "result": "no"});
    let mut session = Session::of(&[failed]);
    session.decoder.asked();
    assert_eq!(session.exit(0).outcome, Outcome::Overloaded);
}

#[test]
fn the_model_is_what_its_own_messages_say_and_no_subagents() {
    let message = |model: &str, parent: Value| json!({"type": "assistant", "message": {"model": model, "content": []}, "parent_tool_use_id": parent});
    let mut session = Session::new(Format::Json);
    assert_eq!(session.decoder.model(), None);
    let init = json!({"type": "system", "subtype": "init", "session_id": "s", "model": "claude-opus-4[1m]"});
    session.line(&init.to_string());
    assert_eq!(session.decoder.model(), Some("claude-opus-4[1m]"));
    session.line(&message("claude-opus-4-5", Value::Null).to_string());
    session.line(&message("claude-haiku-4-5", json!("call")).to_string());
    session.line(&message("<synthetic>", Value::Null).to_string());
    session.exit(0);
    assert_eq!(session.decoder.model(), Some("claude-opus-4-5"));
}

#[test]
fn what_no_command_line_would_take_back_is_no_session() {
    let giant = "s".repeat(5_000_000);
    let init = json!({"type": "system", "subtype": "init", "session_id": giant, "model": "m"});
    let result = json!({"type": "result", "subtype": "success", "is_error": false, "result": "ok",
                        "session_id": giant});
    let mut session = Session::of(&[init, result.clone()]);
    let verdict = session.exit(0);
    assert_eq!(verdict.outcome, Outcome::Success);
    assert_eq!(verdict.session_id, None);
    // One that came before it stays.
    let init = json!({"type": "system", "subtype": "init", "session_id": "s-1", "model": "m"});
    let mut session = Session::of(&[init, result]);
    assert_eq!(session.exit(0).session_id.as_deref(), Some("s-1"));
}
