use std::borrow::Cow;

use proptest::prelude::*;
use serde_json::Value;
use serde_json::value::RawValue;

use super::*;
use crate::activity::Used;
use crate::evidence::Cause;

const AT: Stamp = Stamp {
    wall_ms: 1_700_000_000_123,
    mono_ms: 5,
    raw: 77,
};

fn line(activity: &Activity<'_>) -> String {
    let mut out = b"before".to_vec();
    encode_line(&mut out, AT, activity);
    let text = String::from_utf8(out.split_off(6)).unwrap();
    assert!(text.len() <= LINE_LIMIT);
    assert_eq!(text.find('\n'), Some(text.len() - 1));
    serde_json::from_str::<Value>(&text).unwrap();
    text.trim_end().to_owned()
}

fn text(text: &str) -> Text<'_> {
    crate::text::whole(text)
}

fn raw(json: &str) -> Option<Cow<'_, RawValue>> {
    Some(Cow::Borrowed(serde_json::from_str(json).unwrap()))
}

#[test]
fn fields_stand_in_their_order_with_raw_last() {
    let tool = Activity::Tool {
        cmd: text("rg -n \"TODO\"\nsrc"),
        name: "Bash".into(),
        input: raw("{\"command\":\n\"x\"}"),
        call_id: Some("c1".into()),
        parent_call_id: Some("p1".into()),
    };
    assert_eq!(
        line(&tool),
        r#"{"ts":1700000000123,"type":"tool","cmd":"rg -n \"TODO\"\nsrc","name":"Bash","input":{"command": "x"},"callId":"c1","parentCallId":"p1","raw":77}"#
    );
    let result = Activity::ToolResult {
        call_id: "c1".into(),
        ok: false,
        exit_code: Some(-3),
        duration_ms: Some(12),
        msg: Some(text("no")),
    };
    assert_eq!(
        line(&result),
        r#"{"ts":1700000000123,"type":"tool_result","callId":"c1","ok":false,"exitCode":-3,"duration":12,"msg":"no","raw":77}"#
    );
}

#[test]
fn a_complete_line_has_its_fields_and_only_those_that_apply() {
    let mut completion = Completion {
        outcome: Outcome::TimeoutWall,
        duration_ms: 90_000,
        exit_code: None,
        signal: Some(15),
        error: Some("ran longer\nthan allowed".to_owned()),
        exit_forced: false,
        session_id: None,
        usage: None,
        leftovers: 0,
        resets_at_ms: None,
        http_status: None,
        cause: None,
        used: Used::default(),
    };
    assert_eq!(
        line(&Activity::Complete(Box::new(completion.clone()))),
        r#"{"ts":1700000000123,"type":"complete","success":false,"duration":90000,"exitCode":null,"signal":"SIGTERM","timedOut":true,"outcome":"timeout_wall","error":"ran longer\nthan allowed","raw":77}"#
    );
    completion = Completion {
        outcome: Outcome::Success,
        exit_code: Some(0),
        signal: None,
        error: None,
        exit_forced: true,
        session_id: Some("s".to_owned()),
        usage: Some(Usage {
            input_tokens: 1,
            output_tokens: 2,
            cached_input_tokens: Some(3),
            total_cost_usd: Some(0.5),
            total: true,
            cumulative: true,
            ..Usage::default()
        }),
        leftovers: 2,
        resets_at_ms: Some(1_795_400_000_000),
        http_status: Some(429),
        cause: Some(Cause::UnknownSession),
        used: Used {
            peak_memory_bytes: Some(5 << 20),
            cpu_ms: Some(0),
        },
        ..completion
    };
    assert_eq!(
        line(&Activity::Complete(Box::new(completion))),
        r#"{"ts":1700000000123,"type":"complete","success":true,"duration":90000,"exitCode":0,"timedOut":false,"outcome":"success","exitForced":true,"sessionId":"s","usage":{"inputTokens":1,"outputTokens":2,"cachedInputTokens":3,"totalCostUsd":0.5,"total":true,"cumulative":true},"leftovers":2,"resetsAt":1795400000000,"httpStatus":429,"cause":"unknown_session","peakMemoryBytes":5242880,"cpuMs":0,"raw":77}"#
    );
}

#[test]
fn a_text_is_cut_at_a_character_and_says_so() {
    let long = "é".repeat(200_000);
    let mut msg = text(&long);
    msg.truncated_bytes = 5;
    msg.lossy = true;
    let line = line(&Activity::Thinking { msg });
    let cut = 400_000 - TEXT_LIMIT + 5;
    assert!(line.ends_with(&format!(
        r#""truncatedBytes":{cut},"lossy":true,"raw":77}}"#
    )));
}

#[test]
fn the_worst_of_everything_stays_under_the_limit() {
    let worst = "\u{1}".repeat(2_000_000);
    let object = format!("{{\"a\":\"{}\"}}", "\\u0001".repeat(900_000));
    line(&Activity::Tool {
        cmd: text(&worst),
        name: worst.as_str().into(),
        input: raw(&object),
        call_id: Some(worst.as_str().into()),
        parent_call_id: Some(worst.as_str().into()),
    });
    line(&Activity::Unknown {
        name: Some(worst.as_str().into()),
        data: Foreign::Text(text(&worst)),
    });
    let item = PlanItem {
        text: worst[..50_000].to_owned(),
        status: PlanStatus::Pending,
    };
    line(&Activity::Plan {
        items: vec![item; 1000],
    });
    line(&Activity::Retry {
        reason: worst.as_str().into(),
        attempt: Some(u32::MAX),
        delay_ms: Some(u64::MAX),
        msg: text(&worst),
    });
    line(&Activity::Start {
        role: worst.as_str().into(),
        provider: worst.as_str().into(),
        model: worst.as_str().into(),
        mode: Mode::Resume,
        cwd: worst.as_str().into(),
    });
}

#[test]
fn a_cost_that_is_no_number_is_left_out() {
    let usage = Usage {
        total_cost_usd: Some(f64::NAN),
        ..Usage::default()
    };
    assert_eq!(
        line(&Activity::Usage(usage)),
        r#"{"ts":1700000000123,"type":"usage","inputTokens":0,"outputTokens":0,"total":false,"raw":77}"#
    );
}

proptest! {
    #[test]
    fn output_reads_back(body in any::<String>(), stderr in any::<bool>()) {
        let stream = if stderr { Stream::Stderr } else { Stream::Stdout };
        let line = line(&Activity::Output { stream, msg: text(&body) });
        let value: Value = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(value["msg"].as_str().unwrap(), body.as_str());
    }
}
