//! What the daemon is for: start an agent, see it run from several terminals, stop it, read it later.

use steroids_proto::v1;
use steroids_tests::{Daemon, Home, Puppet, Rpc, log, rpc};

#[tokio::test]
async fn an_agent_is_started_watched_from_several_terminals_stopped_and_read_again() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let mut agent = Puppet::new(&home, "agent");
    let id = ctl.start_fake("T1", &agent.args()).await.to_string();

    let mut early = ctl.spawn(["--json", "stream", &id]);
    agent.prints("first");
    assert!(early.until("first").await[0].contains(r#""type":"start""#));
    let mut late = ctl.spawn(["--json", "stream", &id]);
    assert!(late.until("first").await[0].contains(r#""type":"start""#));
    agent.complains("second");
    early.until("second").await;
    late.until("second").await;

    let stopped = ctl.run(["--json", "stop", &id]).await.json();
    assert_eq!(stopped["status"], "failed");
    assert_eq!(stopped["outcome"], "cancelled");
    for terminal in [early, late] {
        let (lines, output) = terminal.rest().await;
        assert!(lines.last().unwrap().contains(r#""outcome":"cancelled""#));
        assert_eq!(output.code, 0, "{output:?}");
    }

    let (lines, _) = ctl.spawn(["--json", "stream", &id]).rest().await;
    let on_disk = std::fs::read_to_string(ctl.log_path(1)).unwrap();
    assert_eq!(lines.join("\n") + "\n", on_disk);
    log::assert_whole(&log::parse(&on_disk));

    let story = timeline(&daemon.rpc().await, &ctl.project(), "T1").await;
    assert_eq!(story.first().unwrap()["type"], "invocation.started");
    assert_eq!(story.last().unwrap()["type"], "invocation.completed");
    assert_eq!(story.last().unwrap()["outcome"], "cancelled");
    let told = ctl.run(["timeline", "--task", "T1"]).await.ok();
    assert!(told.contains("cancelled"), "{told}");
}

#[tokio::test]
async fn a_start_is_listed_as_running_as_soon_as_it_is_answered() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let id = ctl.start_fake("T1", &["stall"]).await;
    let listed = ctl.run(["--json", "list", "--running"]).await.json();
    assert_eq!(listed["invocations"][0]["id"], id);
    assert_eq!(listed["invocations"][0]["status"], "running");
    let request = v1::ListTasksRequest {
        project: ctl.project(),
        ..Default::default()
    };
    let mut projects = daemon.rpc().await.projects();
    let tasks = projects.list_tasks(request).await.unwrap().into_inner();
    let task = &tasks.tasks[0];
    assert_eq!((task.invocations, task.running), (1, 1));
    assert_eq!(task.status, "in_progress");
}

#[tokio::test]
async fn a_replayed_agent_shows_its_tools_and_leaves_a_finished_row() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    for provider in ["claude", "codex", "gemini", "opencode"] {
        let recording = crate::recording(provider, "tools");
        let args = ["replay", &recording, "--speed", "20"];
        let started = rpc.start_as(&ctl.project(), "T1", provider, &args).await;
        let ended = rpc.ended(&ctl.project(), started.id).await;
        assert_eq!(ended.outcome, "success", "{provider}: {}", ended.error);
        assert_eq!(ended.exit_code, Some(0));
        assert!(!ended.session_id.is_empty());
        assert!(ended.usage.is_some_and(|usage| usage.output_tokens > 0));
        assert!(!ended.response.is_empty(), "{provider} gave an answer");
        let lines = log::lines(&ctl.log_path(started.id));
        log::assert_whole(&lines);
        let types = log::types(&lines);
        assert!(
            types.contains(&"tool") && types.contains(&"tool_result"),
            "{types:?}"
        );
        assert!(!types.contains(&"unknown"), "{types:?}");
    }
}

#[tokio::test]
async fn what_follow_sends_is_what_the_log_holds() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let args = ["split", "--count", "200", "--stderr-every", "3"];
    let started = rpc.start_fake(&ctl.project(), "T1", &args).await;
    let followed = rpc.follow(rpc::invocation(&ctl.project(), started.id), "", true);
    let events = followed.await.rest().await.unwrap();
    let on_disk = std::fs::read(ctl.log_path(started.id)).unwrap();
    assert_eq!(rpc::bytes(&events), on_disk);
    log::assert_counts_to(&log::numbers(&rpc::values(&events)), 200);
    for (event, line) in events.iter().zip(rpc::values(&events)) {
        assert_eq!(line["ts"], event.ts);
        assert_eq!(line["type"], event.r#type);
        assert_eq!(event.invocation_id, started.id);
    }
}

async fn timeline(rpc: &Rpc, project: &str, task: &str) -> Vec<serde_json::Value> {
    let request = v1::TimelineRequest {
        project: project.to_owned(),
        task_id: task.to_owned(),
        sample: 1,
    };
    let answer = rpc.invocations().timeline(request).await.unwrap();
    let mut stream = answer.into_inner();
    let mut entries = Vec::new();
    while let Some(part) = stream.message().await.unwrap() {
        entries.extend(part.entries);
    }
    let parsed = entries
        .iter()
        .map(|entry| serde_json::from_slice(entry).unwrap());
    parsed.collect()
}
