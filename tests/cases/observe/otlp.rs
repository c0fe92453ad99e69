//! What a collector is told, at a server in its place.

use serde_json::json;
use steroids_proto::v1;
use steroids_tests::receiver::{Closed, Received, Receiver, Reply};
use steroids_tests::{Ctl, Daemon, Home, Rpc};

use super::fields::Fields;
use super::{run_one, told};

fn configured(collector: &Closed, more: &str) -> String {
    let url = collector.url("/base");
    // The daemon's end tells the sums; no test waits for an interval.
    format!("[otlp]\nendpoint = {url:?}\ninterval = \"1h\"\n{more}\n")
}

/// The spans of a request.
fn spans(request: &Received) -> Vec<Fields> {
    assert!(
        request.line.starts_with("POST /base/v1/traces"),
        "{request:?}"
    );
    assert_eq!(request.headers["content-type"], "application/x-protobuf");
    let resource = Fields::of(&request.body).one(1);
    let service = resource.one(1).attribute(1, "service.name");
    assert_eq!(service.as_deref(), Some("steroidsd"));
    resource.one(2).all(2)
}

fn named(spans: &[Fields], name: &str) -> Fields {
    let found = spans.iter().find(|span| span.text(5) == name);
    let names = || spans.iter().map(|span| span.text(5)).collect::<Vec<_>>();
    found
        .unwrap_or_else(|| panic!("{name} among {:?}", names()))
        .clone()
}

/// Runs a recording of Claude Code that uses tools.
async fn replay(rpc: &Rpc, ctl: &Ctl) -> v1::Invocation {
    let folder = crate::recording("claude", "tools");
    let words = json!(["replay", folder, "--speed", "0"]);
    let request = v1::StartRequest {
        project: ctl.project(),
        task_id: "T1".to_owned(),
        provider: "claude".to_owned(),
        model: "opus".to_owned(),
        prompt: "the prompt".to_owned(),
        env: [("FAKE_PROVIDER".to_owned(), words.to_string())].into(),
        ..Default::default()
    };
    let started = rpc.start(request).await.unwrap();
    rpc.ended(&ctl.project(), started.id).await
}

#[tokio::test]
async fn an_invocation_is_a_trace_of_turns_and_tools_and_the_end_tells_the_sums() {
    let closed = Closed::new();
    let more = "headers = { authorization = \"Bearer s3cr3t-t0k3n\" }";
    let home = Home::with_config(&configured(&closed, more));
    let mut collector = closed.open();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let ended = replay(&rpc, &ctl).await;
    let request = collector.next().await;
    assert_eq!(request.headers["authorization"], "Bearer s3cr3t-t0k3n");
    let spans = spans(&request);
    let root = named(&spans, "invoke_agent claude");
    let attribute = |span: &Fields, key: &str| span.attribute(9, key).unwrap_or_default();
    assert_eq!(attribute(&root, "gen_ai.provider.name"), "anthropic");
    assert_eq!(attribute(&root, "gen_ai.conversation.id"), ended.session_id);
    assert_eq!(
        attribute(&root, "steroids.invocation.id"),
        ended.id.to_string()
    );
    let usage = ended.usage.unwrap();
    let output = usage.output_tokens.to_string();
    assert_eq!(attribute(&root, "gen_ai.usage.output_tokens"), output);
    let trace = uuid::Uuid::parse_str(&ended.uuid).unwrap();
    let turn = named(&spans, "chat opus");
    let is_tool = |span: &&Fields| span.text(5).starts_with("execute_tool ");
    let tools: Vec<_> = spans.iter().filter(is_tool).collect();
    assert!(!tools.is_empty());
    assert_eq!(turn.bytes(4), root.bytes(2), "a turn is the invocation's");
    for span in &spans {
        assert_eq!(span.bytes(1), [trace.as_bytes().to_vec()]);
        assert!(span.number(7) <= span.number(8) && span.number(7) >= root.number(7));
    }
    let said = String::from_utf8_lossy(&request.body).into_owned();
    assert!(!said.contains("the prompt") && !said.contains("arguments"));
    assert_eq!(daemon.term().await, 0);
    let request = collector.next().await;
    assert!(
        request.line.starts_with("POST /base/v1/metrics"),
        "{request:?}"
    );
    let metrics = Fields::of(&request.body).one(1).one(2).all(2);
    let names: Vec<_> = metrics.iter().map(|metric| metric.text(1)).collect();
    let expected = [
        "gen_ai.client.token.usage",
        "gen_ai.client.operation.duration",
    ];
    assert_eq!(names, expected);
    let points = metrics[0].one(9).all(1);
    let kinds: Vec<_> = points
        .iter()
        .filter_map(|point| point.attribute(9, "gen_ai.token.type"))
        .collect();
    assert_eq!(kinds, ["input", "output"]);
    assert!(!home.daemon_log().contains("s3cr3t-t0k3n"));
}

#[tokio::test]
async fn what_ended_while_no_daemon_ran_is_told_by_the_next() {
    let closed = Closed::new();
    let home = Home::with_config(&configured(&closed, ""));
    let mut collector = closed.open();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let mut agent = steroids_tests::Puppet::new(&home, "agent");
    let id = ctl.start_fake("T1", &agent.args()).await;
    let shown = ctl.run(["--json", "show", &id.to_string()]).await.json();
    daemon.kill9().await;
    agent.exits(0);
    home.recorded(shown["uuid"].as_str().unwrap()).await;
    assert!(collector.ready().is_none());
    daemon.start_again().await;
    let spans = spans(&collector.next().await);
    let root = named(&spans, "invoke_agent command");
    let said = root.attribute(9, "steroids.invocation.id");
    assert_eq!((spans.len(), said), (1, Some(id.to_string())));
}

#[tokio::test]
async fn a_collector_that_is_away_or_refuses_costs_no_invocation_and_what_is_dropped_is_counted() {
    let closed = Closed::new();
    let home = Home::with_config(&configured(&closed, ""));
    let collector: Receiver = closed.open();
    collector.replies([Reply::Status(400, ""), Reply::Status(503, "")]);
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    run_one(&rpc, &ctl, "T1").await;
    let export = told(&rpc, "a refusal", |status| {
        status.export.filter(|export| export.spans_dropped == 1)
    })
    .await;
    assert_eq!((export.spans_sent, export.failures), (0, 1));
    assert!(export.last_error.contains("400"), "{export:?}");
    // While it is away each is tried once; then it is well.
    run_one(&rpc, &ctl, "T2").await;
    run_one(&rpc, &ctl, "T3").await;
    let export = told(&rpc, "a collector that is well again", |status| {
        status.export.filter(|export| export.spans_sent == 1)
    })
    .await;
    assert_eq!((export.failures, export.spans_dropped), (0, 2));
    let shown = ctl.run(["status"]).await.ok();
    assert!(shown.contains("spans: 1 sent, 2 dropped"), "{shown}");
}

#[tokio::test]
async fn what_a_daemon_could_not_tell_before_it_ended_the_next_one_tells() {
    let closed = Closed::new();
    let home = Home::with_config(&configured(&closed, ""));
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let mut ids = Vec::new();
    for task in ["T1", "T2"] {
        ids.push(run_one(&rpc, &ctl, task).await.to_string());
    }
    assert_eq!(daemon.term().await, 0);
    let kept = home.state_dir().join("otlp.json");
    assert!(kept.exists());
    let mut collector = closed.open();
    daemon.start_again().await;
    for id in ids {
        let spans = spans(&collector.next().await);
        let root = named(&spans, "invoke_agent command");
        let said = root.attribute(9, "steroids.invocation.id");
        assert_eq!(said, Some(id));
    }
    steroids_tests::eventually("nothing to be left", async || {
        (!kept.exists()).then_some(())
    })
    .await;
}
