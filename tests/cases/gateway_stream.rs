//! One invocation as a browser reads it: what is logged so far, then live, then the end; and what
//! is said where there is nothing to read.

use serde_json::{Value, json};
use steroids_proto::v1;
use steroids_tests::gateway::{Answer, Item, Received, Request, Sse};
use steroids_tests::{Ctl, Daemon, Gateway, Home, Puppet, faults, rpc, served, served_with};

/// The stream of a task.
fn stream(gateway: &Gateway, ctl: &Ctl, task: &str, more: &str) -> Request {
    gateway.get(&format!(
        "/api/tasks/{task}/stream?project={}{more}",
        ctl.project()
    ))
}

async fn open(request: &Request) -> Sse {
    Sse::open(request)
        .await
        .unwrap_or_else(|answer| panic!("{}: {}", answer.status, answer.text()))
}

async fn refused(request: &Request) -> Answer {
    match Sse::open(request).await {
        Err(answer) => answer,
        Ok(stream) => panic!("a stream: {stream:?}"),
    }
}

fn on_disk(ctl: &Ctl, id: i64) -> String {
    std::fs::read_to_string(ctl.log_path(id)).unwrap()
}

#[tokio::test]
async fn what_is_logged_comes_first_then_what_is_live_then_the_end() {
    let (home, daemon, gateway, ctl) = served().await;
    let mut agent = Puppet::new(&home, "agent");
    let id = ctl.start_fake("T1", &agent.args()).await;
    agent.prints("logged");
    let selector = rpc::invocation(&ctl.project(), id);
    let mut followed = daemon.rpc().await.follow(selector, "", true).await;
    followed.until("logged").await;

    let mut stream = open(&stream(&gateway, &ctl, "T1", "")).await;
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-cache, no-transform"),
        ("x-accel-buffering", "no"),
    ] {
        // `no-store` may follow, as on every answer.
        let stands = stream.head.header(name).unwrap_or_default();
        assert!(stands.starts_with(value), "{name}: {stands}");
    }
    let mut received = Received::default();
    while !received.comments.iter().any(|comment| comment == "live") {
        received.take(stream.next().await);
    }
    assert!(received.retry.is_some(), "told once, before all else");
    assert_eq!(received.data.len(), 2, "start and one line: {received:?}");
    agent.prints("live now");
    received.take(stream.next().await);
    assert!(received.data[2].contains("live now"), "{received:?}");
    assert!(received.last_id.is_some());
    agent.exits(0);
    assert_eq!(received.read(&mut stream).await, Item::End);
    assert!(received.is_complete());
    assert_eq!(received.log(id), on_disk(&ctl, id).into_bytes());
}

#[tokio::test]
async fn every_id_resumes_with_exactly_what_comes_after_it() {
    let (_home, daemon, gateway, ctl) = served().await;
    let id = ctl.start_fake("T1", &["split", "--count", "20"]).await;
    daemon.rpc().await.ended(&ctl.project(), id).await;
    let whole = stream(&gateway, &ctl, "T1", &format!("&invocation={id}"));
    let mut events = Vec::new();
    let mut reader = open(&whole).await;
    while let Some((cursor, data)) = reader.event().await {
        events.push((cursor.expect("every event has an id"), data));
    }
    assert_eq!(events.len(), 22);
    for (at, (cursor, _)) in events.iter().enumerate() {
        let target = format!("&invocation={id}&after={cursor}");
        let by_header = whole.clone().header("Last-Event-ID", cursor);
        for request in [by_header, stream(&gateway, &ctl, "T1", &target)] {
            if at + 1 == events.len() {
                // Makes an EventSource stop.
                refused(&request).await.is(204);
                continue;
            }
            let mut reader = open(&request).await;
            let mut rest = Vec::new();
            while let Some((cursor, data)) = reader.event().await {
                rest.push((cursor.expect("every event has an id"), data));
            }
            assert_eq!(rest, events[at + 1..], "after {cursor}");
        }
    }
}

#[tokio::test]
async fn a_tail_is_the_end_of_what_is_logged_and_all_that_comes() {
    let (home, daemon, gateway, ctl) = served().await;
    let mut agent = Puppet::new(&home, "agent");
    let id = ctl.start_fake("T1", &agent.args()).await;
    for line in ["first", "second", "third"] {
        agent.prints(line);
    }
    let selector = rpc::invocation(&ctl.project(), id);
    let mut followed = daemon.rpc().await.follow(selector, "", true).await;
    followed.until("third").await;

    let mut two = open(&stream(&gateway, &ctl, "T1", "&tail=2")).await;
    assert!(two.event().await.unwrap().1.contains("second"));
    let mut live = open(&stream(&gateway, &ctl, "T1", "&tail=0")).await;
    live.until_comment("live").await;
    // More than there is: all of it.
    let mut all = open(&stream(&gateway, &ctl, "T1", "&tail=100000")).await;
    assert!(all.event().await.unwrap().1.contains(r#""type":"start""#));
    let project = gateway.get(&format!(
        "/api/projects/stream?project={}&tail=1",
        ctl.project()
    ));
    let mut project = open(&project).await;
    assert!(project.event().await.unwrap().1.contains("third"));
    let polled = gateway.get(&format!(
        "/api/tasks/T1/events?project={}&tail=1",
        ctl.project()
    ));
    let polled = polled.send().await.value();
    assert_eq!(polled["events"].as_array().unwrap().len(), 1, "{polled}");
    assert_eq!(polled["events"][0]["msg"], "third");

    agent.prints("fourth");
    let (cursor, line) = live.event().await.unwrap();
    assert!(line.contains("fourth"), "{line}");
    assert_eq!(two.until("fourth").await.len(), 2, "third, fourth");
    assert!(project.event().await.unwrap().1.contains("fourth"));
    // Who comes back with the URL it began with goes on behind its cursor.
    let back = stream(&gateway, &ctl, "T1", "&tail=2").header("Last-Event-ID", &cursor.unwrap());
    let mut back = open(&back).await;
    agent.exits(0);
    assert!(
        back.event()
            .await
            .unwrap()
            .1
            .contains(r#""type":"complete""#)
    );
    daemon.rpc().await.ended(&ctl.project(), id).await;
    let ended = stream(&gateway, &ctl, "T1", &format!("&invocation={id}&tail=2"));
    let mut received = Received::default();
    let mut reader = open(&ended).await;
    assert_eq!(received.read(&mut reader).await, Item::End);
    assert_eq!(received.data.len(), 2, "{received:?}");
    assert!(received.data[0].contains("fourth") && received.is_complete());
    let nothing = stream(&gateway, &ctl, "T1", &format!("&invocation={id}&tail=0"));
    refused(&nothing).await.is(204);
    for tail in ["-1", "100001", "all"] {
        let request = stream(&gateway, &ctl, "T1", &format!("&tail={tail}"));
        let text = refused(&request).await.is(400).text();
        assert!(text.contains("tail is not a number"), "{tail}: {text}");
    }
}

/// A browser comes back with the URL that it began with, and with the last id it was given.
#[tokio::test]
async fn who_is_cut_off_before_the_first_line_of_a_tail_misses_none() {
    let (home, daemon, gateway, ctl) = served().await;
    let mut agent = Puppet::new(&home, "agent");
    ctl.start_fake("T1", &agent.args()).await;
    agent.prints("before");
    let selector = rpc::invocation(&ctl.project(), 1);
    let mut followed = daemon.rpc().await.follow(selector, "", true).await;
    followed.until("before").await;
    let project = format!("/api/projects/stream?project={}&tail=0", ctl.project());
    let requests = [
        stream(&gateway, &ctl, "T1", "&tail=0"),
        gateway.get(&project),
        gateway.get(&project.replace("&tail=0", "")),
    ];
    let mut left = Vec::new();
    for request in &requests {
        let mut received = Received::default();
        let mut reader = open(request).await;
        while !received.comments.iter().any(|comment| comment == "live") {
            received.take(reader.next().await);
        }
        assert!(received.last_id.is_some(), "{request:?} {received:?}");
        left.push(received);
    }
    agent.prints("between");
    followed.until("between").await;
    for (request, received) in requests.iter().zip(&left) {
        let mut back = open(&received.resumes(request)).await;
        let (_, line) = back.event().await.unwrap();
        assert!(line.contains("between"), "{request:?} {line}");
    }
    // One that waits has no log yet: whoever asks again begins with its first line.
    let waits = v1::StartRequest {
        after: vec![1],
        ..rpc::command(
            &ctl.project(),
            "T2",
            rpc::argv(&["numbers", "--count", "2"]),
        )
    };
    let waits = daemon.rpc().await.start(waits).await.unwrap().id;
    let poll = |after: &str| {
        gateway.get(&format!(
            "/api/tasks/T2/events?project={}&invocation={waits}&tail=0&wait=0&after={after}",
            ctl.project()
        ))
    };
    let nothing = poll("").send().await.ok().value();
    assert_eq!(nothing["events"], json!([]));
    agent.exits(0);
    daemon.rpc().await.ended(&ctl.project(), waits).await;
    let all = poll(nothing["cursor"].as_str().unwrap())
        .send()
        .await
        .ok()
        .value();
    assert_eq!(all["events"].as_array().unwrap().len(), 4, "{all}");
}

/// The daemon is away as the stream is asked for: it begins with the last lines all the same.
#[tokio::test]
async fn a_tail_that_waited_for_the_daemon_is_one() {
    let (home, mut daemon, gateway, ctl) = served().await;
    let mut agent = Puppet::new(&home, "agent");
    let id = ctl.start_fake("T1", &agent.args()).await;
    agent.prints("first");
    agent.prints("second");
    let selector = rpc::invocation(&ctl.project(), id);
    let mut followed = daemon.rpc().await.follow(selector, "", true).await;
    followed.until("second").await;
    daemon.kill9().await;
    let mut reader = open(&stream(&gateway, &ctl, "T1", "&tail=1")).await;
    reader.until_comment("daemon away").await;
    daemon.start_again().await;
    assert!(reader.event().await.unwrap().1.contains("second"));
    agent.exits(0);
    reader.until("complete").await;
}

#[tokio::test]
async fn a_log_that_lacks_its_last_line_is_told_behind_what_there_is() {
    let (_home, daemon, gateway, ctl) = served().await;
    let id = ctl.start_fake("T1", &["numbers", "--count", "3"]).await;
    daemon.rpc().await.ended(&ctl.project(), id).await;
    let whole = on_disk(&ctl, id);
    let last = whole.trim_end().rfind('\n').unwrap() + 1;
    std::fs::write(ctl.log_path(id), &whole[..last]).unwrap();
    let request = stream(&gateway, &ctl, "T1", &format!("&invocation={id}"));
    let mut reader = open(&request).await;
    let (mut cursor, mut data) = (None, Vec::new());
    while let Some((at, line)) = reader.event().await {
        cursor = at;
        data.push(line);
    }
    assert_eq!(data.len(), 5, "{data:?}");
    assert!(data[4].contains(r#""reason":"incomplete""#), "{data:?}");
    // Who was told that comes back to nothing more.
    let again = request.header("Last-Event-ID", &cursor.unwrap());
    refused(&again).await.is(204);
}

#[tokio::test]
async fn a_cursor_that_cannot_be_honoured_is_a_400_or_told_as_a_gap() {
    let (_home, daemon, gateway, ctl) = served().await;
    let mut cursors = Vec::new();
    for task in ["T1", "T2"] {
        let id = ctl.start_fake(task, &["numbers", "--count", "3"]).await;
        daemon.rpc().await.ended(&ctl.project(), id).await;
        let request = stream(&gateway, &ctl, task, &format!("&invocation={id}"));
        let (cursor, _) = open(&request).await.event().await.unwrap();
        cursors.push(cursor.unwrap());
    }
    let request = stream(&gateway, &ctl, "T1", "&invocation=1");
    for malformed in ["nonsense", "1:0", "-1:0:-5", &cursors[1], "1:0:9\u{e9}"] {
        let answer = refused(&request.clone().header("Last-Event-ID", malformed)).await;
        assert_eq!(answer.status, 400, "{malformed}: {}", answer.text());
        assert_eq!(answer.value()["success"], false);
    }
    // Past the end: the place is told, then the log from its start.
    let (front, _) = cursors[0].rsplit_once(':').unwrap();
    let past = format!("{front}:99999999");
    let mut reader = open(&request.clone().header("Last-Event-ID", &past)).await;
    let mut received = Received::default();
    assert_eq!(received.read(&mut reader).await, Item::End);
    let gap: Value = serde_json::from_str(&received.data.remove(0)).unwrap();
    assert_eq!(gap["type"], "gap", "{gap}");
    assert_eq!(received.log(1), on_disk(&ctl, 1).into_bytes());
}

#[tokio::test]
async fn a_task_that_does_nothing_says_so_and_ends() {
    let (_home, daemon, gateway, ctl) = served().await;
    let id = ctl.start_fake("T1", &["exit", "0"]).await;
    daemon.rpc().await.ended(&ctl.project(), id).await;
    for task in ["T1", "never-heard-of"] {
        let mut reader = open(&stream(&gateway, &ctl, task, "")).await;
        let (_, data) = reader.event().await.unwrap();
        let told: Value = serde_json::from_str(&data).unwrap();
        assert_eq!(
            told,
            json!({"type": "no_active_invocation", "taskId": task})
        );
        assert_eq!(reader.rest().await, []);
    }
}

#[tokio::test]
async fn a_request_without_a_project_or_of_an_unknown_one_is_told_so() {
    let (home, _daemon, gateway, _ctl) = served().await;
    let missing = "Missing required query parameter: project";
    for target in [
        "/api/tasks/T1/stream",
        "/api/tasks/T1/events",
        "/api/tasks/T1/timeline",
        "/api/projects/stream",
    ] {
        let answer = refused(&gateway.get(target)).await.is(400).value();
        assert_eq!(answer["success"], false, "{target}");
        assert_eq!(answer["error"], missing, "{target}");
    }
    let elsewhere = home.folder("elsewhere");
    let project = elsewhere.to_str().unwrap();
    let why = "Project database not found";
    let unknown = json!({ "type": "error", "error": why, "project": project });
    for path in ["tasks/T1/stream", "projects/stream"] {
        let target = format!("/api/{path}?project={project}");
        let mut reader = open(&gateway.get(&target)).await;
        let (_, data) = reader.event().await.unwrap();
        let told: Value = serde_json::from_str(&data).unwrap();
        assert_eq!(told, unknown, "{path}");
        assert_eq!(reader.rest().await, []);
    }
    for path in ["tasks/T1/events", "tasks/T1/timeline"] {
        let target = format!("/api/{path}?project={project}");
        let answer = refused(&gateway.get(&target)).await.is(404).value();
        assert_eq!(answer["error"], why, "{path}");
        assert_eq!(answer["project"], project, "{path}");
    }
}

#[tokio::test]
async fn the_story_of_a_task_has_every_tool_and_every_tenth_line() {
    let (_home, daemon, gateway, ctl) = served().await;
    let recording = crate::recording("claude", "tools");
    let rpc = daemon.rpc().await;
    let words = ["replay", &recording, "--speed", "0"];
    let started = rpc.start_as(&ctl.project(), "T1", "claude", &words).await;
    rpc.ended(&ctl.project(), started.id).await;
    let timeline = async |task: &str, more: &str| {
        let target = format!("/api/tasks/{task}/timeline?project={}{more}", ctl.project());
        let answer = gateway.get(&target).send().await.ok().value();
        assert_eq!(answer["success"], true);
        answer["timeline"].as_array().unwrap().clone()
    };
    let log = steroids_tests::log::lines(&ctl.log_path(started.id));
    for (more, every) in [
        ("", 10),
        ("&sample=10", 10),
        ("&sample=3", 3),
        ("&sample=1", 1),
    ] {
        let lines = log.iter().enumerate();
        let sampled = lines.filter(|(at, line)| line["type"] == "tool" || at % every == 0);
        let expected: Vec<Value> = sampled.map(|(_, line)| line.clone()).collect();
        let mut story = timeline("T1", more).await;
        assert!(
            story
                .iter()
                .all(|entry| entry["invocationId"] == started.id)
        );
        let (first, last) = (story.remove(0), story.pop().unwrap());
        assert_eq!(first["type"], "invocation.started");
        assert_eq!(
            (&first["provider"], &first["role"]),
            (&json!("claude"), &json!("coder"))
        );
        assert_eq!(last["type"], "invocation.completed");
        assert_eq!(
            (&last["success"], &last["exitCode"]),
            (&json!(true), &json!(0))
        );
        for entry in &mut story {
            entry.as_object_mut().unwrap().remove("invocationId");
        }
        assert_eq!(story, expected, "{more}");
    }
    assert_eq!(timeline("unknown-task", "").await, Vec::<Value>::new());
}

#[tokio::test]
async fn too_many_streams_are_told_the_limit_and_others_go_on() {
    let served = served_with("[gateway]\nmax_streams = 2\n").await;
    let (home, _daemon, gateway, ctl) = served;
    let mut agent = Puppet::new(&home, "agent");
    ctl.start_fake("T1", &agent.args()).await;
    let request = stream(&gateway, &ctl, "T1", "");
    let first = open(&request).await;
    let mut second = open(&request).await;
    let answer = refused(&request).await.is(429).value();
    assert_eq!(answer["error"], "Too many active streams");
    assert_eq!(answer["max"], 2);
    assert_eq!(answer["success"], false);
    gateway.get("/api/status").send().await.ok();
    drop(first);
    // The place is free once the gateway has noticed that the browser is gone.
    let mut third =
        steroids_tests::eventually("a place", async || Sse::open(&request).await.ok()).await;
    agent.prints("to both");
    second.until("to both").await;
    third.until("to both").await;
}

#[tokio::test]
async fn text_made_to_break_frames_is_one_event() {
    let (home, _daemon, gateway, ctl) = served().await;
    let mut agent = Puppet::new(&home, "agent");
    let id = ctl.start_fake("T1", &agent.args()).await;
    let mut reader = open(&stream(&gateway, &ctl, "T1", "")).await;
    let nasty = [
        "</script><script>alert(1)</script>",
        "data: forged\r\rid: 9:9:9\rdata: x",
        "\u{2028}\u{2029}\u{85}\u{feff}",
        "\u{1b}]52;c;ZXZpbA==\u{7}\u{1b}[2J",
        "\u{202e}txt.exe\u{2066}",
    ];
    for text in nasty {
        agent.prints(text);
    }
    // In the log's own line a newline can only stand escaped.
    agent.prints("\\n\\ndata: {\"type\":\"complete\"}\\n\\n");
    agent.exits(0);
    let mut received = Received::default();
    assert_eq!(received.read(&mut reader).await, Item::End);
    assert_eq!(received.log(id), on_disk(&ctl, id).into_bytes());
    let bad = received
        .data
        .iter()
        .filter(|data| data.contains(['\r', '\n', '\u{1b}']));
    assert_eq!(bad.count(), 0, "control bytes stay escaped");
    let count = nasty.len() + 1;
    let seen = format!("{count} texts, one event each, byte for byte the log's line");
    faults::held(59, seen);
}

#[tokio::test]
async fn a_stream_of_the_task_goes_on_with_its_next_invocation() {
    let (home, daemon, gateway, ctl) = served().await;
    let mut first = Puppet::new(&home, "first");
    let one = ctl.start_fake("T1", &first.args()).await;
    let mut reader = open(&stream(&gateway, &ctl, "T1", "&follow=task")).await;
    first.prints("of the first");
    first.exits(0);
    let mut data = reader.until("\"complete\"").await;
    daemon.rpc().await.ended(&ctl.project(), one).await;
    let two = ctl.start_fake("T1", &["numbers", "--count", "2"]).await;
    data.extend(reader.until("\"complete\"").await);
    let lines: Vec<String> = data
        .iter()
        // A log that is about to be made is waited for, and that is said.
        .filter(|data| data.starts_with("{\"invocationId\":"))
        .filter_map(|data| {
            let id = serde_json::from_str::<Value>(data).ok()?["invocationId"].as_i64()?;
            Some(steroids_tests::gateway::sse::unspliced(data, id) + "\n")
        })
        .collect();
    assert_eq!(lines.concat(), on_disk(&ctl, one) + &on_disk(&ctl, two));
}

#[tokio::test]
async fn a_log_that_never_comes_is_waited_for_and_then_given_up() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let gateway = Gateway::start(&home).await;
    let (ctl, _db, id) = daemon.project_of_older_tool().await;
    let told = async |more: &str| {
        let mut reader = open(&stream(&gateway, &ctl, "old", more)).await;
        let mut types = Vec::new();
        while let Some((_, data)) = reader.event().await {
            let told: Value = serde_json::from_str(&data).unwrap();
            assert_eq!(told["taskId"], "old", "{told}");
            assert_eq!(told["invocationId"], id, "{told}");
            types.push(told["type"].as_str().unwrap().to_owned());
        }
        types
    };
    // Its last lines are no more there than its first.
    let (whole, tail) = tokio::join!(told(""), told("&tail=3"));
    for types in [whole, tail] {
        assert_eq!(types, ["waiting_for_log", "log_not_found"]);
    }
}
