//! Messages to running agents: delivered once and in order, on record, and refused with the reason
//! where nobody takes them.

use steroids_proto::v1;
use steroids_tests::{
    Ctl, Daemon, Gateway, Home, Puppet, Rpc, SmallDisk, eventually, log, rpc, within,
};
use tonic::{Code, Status};

/// Starts the fake provider as an AI CLI that is to take messages.
async fn talking(rpc: &Rpc, ctl: &Ctl, post_result_ms: u64) -> v1::Invocation {
    let limit = std::time::Duration::from_millis(post_result_ms);
    let request = v1::StartRequest {
        project: ctl.project(),
        task_id: "T1".to_owned(),
        provider: "claude".to_owned(),
        prompt: "begin".to_owned(),
        interactive: true,
        limits: Some(v1::Limits {
            post_result: limit.try_into().ok(),
            ..Default::default()
        }),
        env: [("FAKE_PROVIDER".to_owned(), r#"["talk"]"#.to_owned())].into(),
        ..Default::default()
    };
    rpc.start(request).await.unwrap()
}

async fn send(rpc: &Rpc, request: v1::SendInputRequest) -> Result<String, Status> {
    let sent = within("SendInput", rpc.invocations().send_input(request)).await?;
    Ok(sent.into_inner().message_id)
}

fn message(ctl: &Ctl, id: i64, text: &str, message_id: &str) -> v1::SendInputRequest {
    v1::SendInputRequest {
        project: ctl.project(),
        id,
        text: text.to_owned(),
        message_id: message_id.to_owned(),
        ..Default::default()
    }
}

/// The log's messages and answers, in order.
fn talk(ctl: &Ctl, id: i64) -> Vec<String> {
    let lines = log::lines(&ctl.log_path(id));
    let said = lines
        .iter()
        .filter(|line| line["type"] == "input" || line["type"] == "output");
    said.map(|line| {
        format!(
            "{} {}",
            line["type"].as_str().unwrap(),
            line["msg"].as_str().unwrap()
        )
    })
    .collect()
}

/// None of these ends by itself: that would outlast the test.
const LONG_MS: u64 = 3_600_000;

#[tokio::test]
async fn a_running_agent_hears_each_message_once_and_ends_when_it_is_told_that_no_more_comes() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let agent = talking(&rpc, &ctl, LONG_MS).await;
    let id = agent.id.to_string();
    let mut followed = rpc
        .follow(rpc::invocation(&ctl.project(), agent.id), "", true)
        .await;
    followed.until("heard begin").await;
    ctl.run(["send", &id, "also \"this\""]).await.exits(0);
    followed.until("heard also").await;
    assert_eq!(
        send(&rpc, message(&ctl, agent.id, "two", "m-2"))
            .await
            .unwrap(),
        "m-2"
    );
    followed.until("heard two").await;
    daemon.kill9_and_restart().await;
    // Nobody heard the answer, say: the same message is sent again.
    let rpc = daemon.rpc().await;
    assert_eq!(
        send(&rpc, message(&ctl, agent.id, "two", "m-2"))
            .await
            .unwrap(),
        "m-2"
    );
    let other = send(&rpc, message(&ctl, agent.id, "another", "m-2")).await;
    let refused = other.unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists, "{refused}");
    assert!(refused.message().contains("`m-2`"), "{refused}");
    ctl.run_with_stdin(["send", &id, "-"], b"three")
        .await
        .exits(0);
    ctl.run(["send", &id, "--end"]).await.exits(0);
    let ended = rpc.ended(&ctl.project(), agent.id).await;
    assert_eq!(
        (&*ended.outcome, &*ended.response),
        ("success", "heard three")
    );
    let expected = [
        "output heard begin",
        "input also \"this\"",
        "output heard also \"this\"",
        "input two",
        "output heard two",
        "input three",
        "output heard three",
    ];
    assert_eq!(talk(&ctl, agent.id), expected);
    let last = log::lines(&ctl.log_path(agent.id)).pop().unwrap();
    assert_eq!(
        (&last["exitCode"], last.get("exitForced")),
        (&0.into(), None)
    );
    let late = ctl.run(["send", &id, "too late"]).await.exits(4);
    assert!(late.stderr.contains("has ended"), "{}", late.stderr);
}

#[tokio::test]
async fn a_message_that_a_full_disk_does_not_take_may_be_sent_again_and_leaves_nothing_there() {
    let home = Home::with_config("[daemon]\nmin_free = \"\"");
    let Some(disk) = SmallDisk::mount(&home, "state/steroids", "4m") else {
        return;
    };
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let agent = talking(&rpc, &ctl, LONG_MS).await;
    let id = agent.id.to_string();
    let mut followed = rpc
        .follow(rpc::invocation(&ctl.project(), agent.id), "", true)
        .await;
    followed.until("heard begin").await;
    disk.fill();
    let send = ["send", &id, "two", "--message-id", "m-2"];
    let end = ["send", &id, "--end", "--message-id", "m-3"];
    for words in [send, end] {
        let again = words[3..].join(" ");
        let refused = ctl.run(words).await.exits(75);
        refused.says("free some space").says(&again);
    }
    let inputs = disk.path().join("inv").join(&agent.uuid).join("input");
    let left = std::fs::read_dir(inputs).map_or(0, Iterator::count);
    assert_eq!(left, 0, "a draft was left");
    let said = home.daemon_log();
    assert!(!said.contains("request failed"), "{said}");
    disk.free();
    ctl.run(send).await.exits(0);
    followed.until("heard two").await;
    ctl.run(end).await.exits(0);
    let ended = rpc.ended(&ctl.project(), agent.id).await;
    assert_eq!(ended.outcome, "success");
}

#[tokio::test]
async fn an_agent_whom_nobody_answers_ends_by_itself_once_its_input_is_closed() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let agent = talking(&rpc, &ctl, 100).await;
    let ended = rpc.ended(&ctl.project(), agent.id).await;
    assert_eq!((&*ended.outcome, ended.exit_code), ("success", Some(0)));
    let lines = log::lines(&ctl.log_path(agent.id));
    let told = |line: &serde_json::Value| {
        let msg = line["msg"].as_str().unwrap_or_default();
        msg.contains("after its result; closing its input")
    };
    assert!(lines.iter().any(told), "{lines:?}");
    assert_eq!(lines.last().unwrap().get("exitForced"), None);
}

#[tokio::test]
async fn who_takes_no_messages_says_why() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let codex = v1::StartRequest {
        project: ctl.project(),
        task_id: "T2".to_owned(),
        provider: "codex".to_owned(),
        prompt: "begin".to_owned(),
        interactive: true,
        ..Default::default()
    };
    let refused = rpc.start(codex).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("before it begins"), "{refused}");

    let closed = rpc.start_fake(&ctl.project(), "T1", &["stall"]).await;
    let code = async |request| send(&rpc, request).await.unwrap_err().code();
    let refused = Code::FailedPrecondition;
    assert_eq!(code(message(&ctl, closed.id, "hello", "")).await, refused);
    assert_eq!(code(message(&ctl, 999, "hello", "")).await, Code::NotFound);
    assert_eq!(
        code(message(&ctl, closed.id, "", "")).await,
        Code::InvalidArgument
    );
    let long = "x".repeat(70_000);
    assert_eq!(
        code(message(&ctl, closed.id, &long, "")).await,
        Code::InvalidArgument
    );
    let path = message(&ctl, closed.id, "hello", "../spec.json");
    assert_eq!(code(path).await, Code::InvalidArgument);
    let output = ctl
        .run(["send", &closed.id.to_string(), "hello"])
        .await
        .exits(4);
    assert!(output.stderr.contains("interactive"), "{}", output.stderr);
}

#[tokio::test]
async fn any_command_gets_lines_of_text_until_no_more_comes() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let request = v1::StartRequest {
        interactive: true,
        ..rpc::command(&ctl.project(), "T1", rpc::argv(&["echo-stdin"]))
    };
    let agent = rpc.start(request).await.unwrap();
    send(&rpc, message(&ctl, agent.id, "one", ""))
        .await
        .unwrap();
    let last = v1::SendInputRequest {
        end: true,
        ..message(&ctl, agent.id, "two", "")
    };
    send(&rpc, last).await.unwrap();
    let ended = rpc.ended(&ctl.project(), agent.id).await;
    assert_eq!(ended.outcome, "success");
    assert_eq!(ended.response, "in one\nin two\nstdin 8 bytes");
}

#[tokio::test]
async fn an_agent_that_leaves_a_message_unanswered_has_not_succeeded() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let mut puppet = Puppet::new(&home, "mute");
    let words = serde_json::to_string(&puppet.args()).unwrap();
    let request = v1::StartRequest {
        project: ctl.project(),
        task_id: "T1".to_owned(),
        provider: "claude".to_owned(),
        prompt: "begin".to_owned(),
        interactive: true,
        env: [("FAKE_PROVIDER".to_owned(), words)].into(),
        ..Default::default()
    };
    let agent = rpc.start(request).await.unwrap();
    let waits_for = async |what: &str| {
        eventually("what it waits for", async || {
            let live = rpc.get(&ctl.project(), agent.id).await.live?;
            (live.waits_for == what).then_some(())
        })
        .await;
    };
    let result =
        r#"{"type":"result","subtype":"success","is_error":false,"session_id":"s","result":"ok"}"#;
    puppet.prints(result);
    waits_for("message").await;
    send(&rpc, message(&ctl, agent.id, "and the tests?", ""))
        .await
        .unwrap();
    waits_for("model").await;
    puppet.exits(0);
    let ended = rpc.ended(&ctl.project(), agent.id).await;
    assert_eq!(ended.outcome, "interrupted", "{ended:?}");
    assert!(ended.error.contains("without an answer"), "{ended:?}");
}

#[tokio::test]
async fn the_gateway_passes_a_message_on_once_where_it_may_control() {
    let home = Home::with_config("[gateway]\ncontrol = true\n");
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let gateway = Gateway::start(&home).await;
    let agent = talking(&rpc, &ctl, LONG_MS).await;
    assert!(rpc.get(&ctl.project(), agent.id).await.interactive);
    let id = agent.id.to_string();
    let shown = ctl.run(["show", &id]).await.ok();
    let how = format!("takes messages: steroidsctl send {id} TEXT");
    assert!(shown.contains(&how), "{shown}");
    let target = |task: &str, id: i64| {
        let project = ctl.project();
        format!("/api/tasks/{task}/invocations/{id}/input?project={project}")
    };
    let body = serde_json::json!({ "text": "one", "messageId": "m-1" });
    for _ in 0..2 {
        let answer = gateway
            .post(&target("T1", agent.id), &body)
            .send()
            .await
            .ok();
        assert_eq!(answer.value()["messageId"], "m-1");
    }
    let elsewhere = [target("T2", agent.id), target("T1", 999)];
    for target in elsewhere {
        gateway.post(&target, &body).send().await.is(404);
    }
    let body = serde_json::json!({ "text": "two", "end": true });
    gateway
        .post(&target("T1", agent.id), &body)
        .send()
        .await
        .ok();
    let ended = rpc.ended(&ctl.project(), agent.id).await;
    assert_eq!((&*ended.outcome, ended.interactive), ("success", false));
    assert_eq!(
        talk(&ctl, agent.id),
        [
            "output heard begin",
            "input one",
            "output heard one",
            "input two",
            "output heard two"
        ]
    );
    gateway
        .post(&target("T1", agent.id), &body)
        .send()
        .await
        .is(409);
    let silent = rpc
        .start_as(&ctl.project(), "T3", "claude", &["stall"])
        .await;
    let answer = gateway.post(&target("T3", silent.id), &body).send().await;
    assert!(answer.is(409).text().contains("interactive"));
}
