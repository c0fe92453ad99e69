//! Logs as spans.

use super::super::wire::Value;
use super::*;
use crate::domain::InvocationId;

fn row(outcome: Outcome) -> Invocation {
    Invocation {
        id: InvocationId::new(7).unwrap(),
        task: "T1".to_owned(),
        role: "coder".to_owned(),
        provider: "claude".to_owned(),
        model: "opus".to_owned(),
        answering_model: Some("claude-opus-4-5".to_owned()),
        phase: Phase::Ended {
            status: outcome.row_status(),
            outcome: Some(outcome),
        },
        error: Some("it printed hunter2".to_owned()),
        started_ms: Some(1000),
        completed_ms: Some(9000),
        duration_ms: Some(8000),
        exit_code: Some(0),
        session_id: Some("s-1".to_owned()),
        usage: Some(UsageTotals {
            input_tokens: 10,
            output_tokens: 4,
            cached_input_tokens: Some(100),
            total_cost_usd: Some(0.5),
            ..UsageTotals::default()
        }),
        managed: None,
    }
}

const LOG: [&str; 11] = [
    r#"{"ts":1000,"type":"start","role":"coder","provider":"claude","model":"opus","raw":0}"#,
    r#"{"ts":1100,"type":"session","sessionId":"s-1","raw":1}"#,
    r#"{"ts":1500,"type":"output","stream":"stdout","msg":"secret plan","raw":2}"#,
    r#"{"ts":2000,"type":"tool","cmd":"cat hunter2","name":"Bash","callId":"c1","raw":3}"#,
    r#"{"ts":2000,"type":"usage","inputTokens":5,"cachedInputTokens":50,"outputTokens":2,"total":false,"raw":3}"#,
    "not even JSON",
    r#"{"ts":4000,"type":"tool_result","callId":"c1","ok":false,"duration":2000,"msg":"hunter2","raw":4}"#,
    r#"{"ts":4500,"type":"output","stream":"stderr","msg":"noise","raw":5}"#,
    r#"{"ts":6000,"type":"thinking","msg":"hm","raw":6}"#,
    r#"{"ts":6100,"type":"tool","cmd":"sleep","name":"Task","callId":"c2","raw":7}"#,
    r#"{"ts":9000,"type":"complete","success":true,"raw":8}"#,
];

fn spans(outcome: Outcome, content: bool) -> Vec<Span> {
    let about = About {
        project: "/p".to_owned(),
        maker: "anthropic".to_owned(),
        has_turns: true,
        content,
    };
    let mut spans = Spans::new(about, row(outcome), Uuid::from_u128(77));
    LOG.iter().for_each(|line| spans.line(line.as_bytes()));
    let (spans, dropped) = spans.finish();
    assert_eq!(dropped, 0);
    spans
}

fn of<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

fn get(span: &Span, key: &str) -> Option<Value> {
    let found = span.attributes.iter().find(|it| it.key == key)?;
    found.value.clone()?.value
}

fn at(span: &Span) -> (u64, u64) {
    let ms = |nanos: u64| nanos / 1_000_000;
    (ms(span.start_time_unix_nano), ms(span.end_time_unix_nano))
}

#[test]
fn an_invocation_has_turns_and_turns_have_tools() {
    let spans = spans(Outcome::Success, false);
    assert_eq!(spans.len(), 5);
    let root = of(&spans, "invoke_agent claude")[0];
    assert_eq!(at(root), (1000, 9000));
    assert_eq!(root.trace_id, Uuid::from_u128(77).as_bytes());
    assert!(root.parent_span_id.is_empty() && root.status.is_none());
    let turns = of(&spans, "chat opus");
    // The second begins with what was given to the model.
    assert_eq!([at(turns[0]), at(turns[1])], [(1000, 2000), (4000, 6100)]);
    assert!(turns.iter().all(|it| it.parent_span_id == root.span_id));
    let tool = of(&spans, "execute_tool Bash")[0];
    assert_eq!(at(tool), (2000, 4000));
    assert_eq!(tool.parent_span_id, turns[0].span_id);
    assert_eq!(tool.status.as_ref().unwrap().code, 2);
    // Nobody told its end.
    let open = of(&spans, "execute_tool Task")[0];
    assert_eq!(at(open), (6100, 9000));
    assert_eq!(open.parent_span_id, turns[1].span_id);
}

#[test]
fn attributes_have_the_names_and_meanings_of_the_conventions() {
    let spans = spans(Outcome::RateLimited, false);
    let root = of(&spans, "invoke_agent claude")[0];
    let text = |text: &str| Some(Value::from(text));
    for (key, value) in [
        ("gen_ai.operation.name", text("invoke_agent")),
        ("gen_ai.provider.name", text("anthropic")),
        ("gen_ai.request.model", text("opus")),
        ("gen_ai.response.model", text("claude-opus-4-5")),
        ("gen_ai.conversation.id", text("s-1")),
        // What came from caches is input.
        ("gen_ai.usage.input_tokens", Some(Value::Int(110))),
        (
            "gen_ai.usage.cache_read.input_tokens",
            Some(Value::Int(100)),
        ),
        ("gen_ai.usage.output_tokens", Some(Value::Int(4))),
        ("error.type", text("rate_limited")),
        ("steroids.invocation.id", Some(Value::Int(7))),
        ("steroids.task.id", text("T1")),
    ] {
        assert_eq!(get(root, key), value, "{key}");
    }
    assert_eq!(root.status.as_ref().unwrap().code, 2);
    let turn = of(&spans, "chat opus")[0];
    assert_eq!(get(turn, "gen_ai.usage.input_tokens"), Some(Value::Int(55)));
    let tool = of(&spans, "execute_tool Bash")[0];
    assert_eq!(get(tool, "gen_ai.tool.name"), text("Bash"));
    assert_eq!(get(tool, "gen_ai.tool.call.id"), text("c1"));
}

#[test]
fn nothing_that_was_printed_is_sent_unless_asked_for() {
    let said = |content| format!("{:?}", spans(Outcome::Failed, content));
    let without = said(false);
    for word in ["hunter2", "secret plan", "hm\"", "noise"] {
        assert!(!without.contains(word), "{word}: {without}");
    }
    let with = said(true);
    assert!(with.contains("cat hunter2") && with.contains("it printed hunter2"));
}

#[test]
fn the_same_log_gives_the_same_spans_and_ids_differ() {
    let (one, other) = (
        spans(Outcome::Success, false),
        spans(Outcome::Success, false),
    );
    assert_eq!(one, other);
    let ids: std::collections::BTreeSet<_> = one.iter().map(|span| &span.span_id).collect();
    assert_eq!(ids.len(), one.len());
}

#[test]
fn a_log_of_any_length_has_bounded_spans_and_the_rest_is_counted() {
    let about = About {
        project: "/p".to_owned(),
        maker: "anthropic".to_owned(),
        has_turns: true,
        content: false,
    };
    let mut spans = Spans::new(about, row(Outcome::Success), Uuid::from_u128(77));
    for number in 0..10_000_u64 {
        let tool = format!(r#"{{"ts":{number},"type":"tool","name":"Read","callId":"{number}"}}"#);
        spans.line(tool.as_bytes());
    }
    let (spans, dropped) = spans.finish();
    assert_eq!(spans.len(), MOST);
    // With the one turn and the invocation itself.
    assert_eq!(dropped, 10_002 - MOST as u64);
    let root = spans.last().unwrap();
    assert_eq!(root.name, "invoke_agent claude");
    // Made before the last ones were counted, or after: as many as there are.
    let said = get(root, "steroids.dropped_spans");
    assert_eq!(said, Some(Value::from(dropped)));
}
