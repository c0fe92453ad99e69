//! Questions with one answer: JSON, the long-poll, control, metrics.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use steroids_tests::gateway::Answer;
use steroids_tests::{Ctl, Daemon, Gateway, Home, Puppet, log, rpc, served_with, within};

struct Scene {
    home: std::sync::Arc<Home>,
    daemon: Daemon,
    gateway: Gateway,
    ctl: Ctl,
}

impl Scene {
    async fn new(table: &str) -> Scene {
        let config = format!("[gateway]\n{table}\n");
        let (home, daemon, gateway, ctl) = served_with(&config).await;
        Scene {
            home,
            daemon,
            gateway,
            ctl,
        }
    }

    /// The answer to a GET below `/api/`, `?project=` filled in.
    async fn get(&self, below: &str) -> Answer {
        let mark = if below.contains('?') { '&' } else { '?' };
        let project = self.ctl.project();
        let target = format!("/api/{below}{mark}project={project}");
        self.gateway.get(&target).send().await
    }

    async fn value(&self, below: &str) -> Value {
        let answer = self.get(below).await.ok();
        let kind = answer.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("application/json"), "{below}: {kind}");
        let value = answer.value();
        assert_eq!(value["success"], true, "{below}: {value}");
        value
    }
}

fn events(answer: &Value) -> Vec<Value> {
    answer["events"].as_array().unwrap().clone()
}

/// Of `[cursor, line]` pairs the lines, as they stand in the log.
fn lines_of(answer: &Value, key: &str) -> Vec<Value> {
    let pairs = answer[key].as_array().unwrap().iter();
    pairs
        .map(|pair| {
            let mut line = pair[1].clone();
            line.as_object_mut().unwrap().remove("invocationId");
            line
        })
        .collect()
}

#[tokio::test]
async fn a_long_poll_gives_what_is_there_waits_for_more_and_tells_the_end() {
    let mut scene = Scene::new("").await;
    let mut agent = Puppet::new(&scene.home, "agent");
    let id = scene.ctl.start_fake("T1", &agent.args()).await;
    let first = scene.value("tasks/T1/events?wait=20").await;
    assert_eq!(first["done"], false);
    assert_eq!(log::types(&events(&first)), ["start"]);
    let cursor = first["cursor"].as_str().unwrap();
    let empty = scene
        .value(&format!("tasks/T1/events?after={cursor}&wait=1"))
        .await;
    assert_eq!(events(&empty), Vec::<Value>::new());
    assert_eq!(empty["cursor"], cursor, "the same again");
    // One that waits has what comes as it comes.
    let waiting = format!("tasks/T1/events?after={cursor}&wait=20");
    let (came, ()) = tokio::join!(scene.value(&waiting), async { agent.prints("came") });
    assert_eq!(log::messages(&events(&came), "output"), ["came"]);
    assert_eq!(events(&came)[0]["invocationId"], id);
    agent.exits(0);
    let cursor = came["cursor"].as_str().unwrap();
    let last = scene
        .value(&format!("tasks/T1/events?after={cursor}&wait=20"))
        .await;
    assert_eq!(log::types(&events(&last)), ["complete"]);
    assert_eq!(last["done"], true);
    let cursor = last["cursor"].as_str().unwrap();
    let over = scene
        .value(&format!("tasks/T1/events?after={cursor}&wait=20"))
        .await;
    assert_eq!((&over["done"], events(&over).len()), (&json!(true), 0));
    scene.daemon.term().await;
}

#[tokio::test]
async fn what_there_is_is_told_in_the_keys_of_the_terminal_client() {
    let scene = Scene::new("").await;
    let id = scene
        .ctl
        .start_fake("T1", &["numbers", "--count", "3"])
        .await;
    scene
        .daemon
        .rpc()
        .await
        .ended(&scene.ctl.project(), id)
        .await;
    let status = scene.value("status").await;
    assert_eq!(
        (&status["daemon"], &status["control"], &status["auth"]),
        (&json!("live"), &json!(false), &json!("token"))
    );
    let projects = scene.value("projects").await;
    assert_eq!(projects["projects"][0]["path"], scene.ctl.project());
    let tasks = scene.value("tasks").await;
    assert_eq!(tasks["tasks"].as_array().unwrap().len(), 1, "{tasks}");
    let task = scene.value("tasks/T1").await;
    assert_eq!(task["invocations"][0]["id"], id, "{task}");
    let shown = scene.value(&format!("tasks/T1/invocations/{id}")).await;
    let call = ["--json", "show", &id.to_string()];
    let by_terminal = scene.ctl.run(call).await.json();
    for (key, value) in by_terminal.as_object().unwrap() {
        assert_eq!(&shown["invocation"][key], value, "{key}: {shown}");
    }
    for (below, status) in [
        ("tasks/T1/invocations/99", 404),
        ("tasks/T2/invocations/1", 404),
        ("tasks/T1/invocations/x", 400),
        ("tasks/nothing-of-that-name", 404),
    ] {
        let answer = scene.get(below).await;
        assert_eq!(answer.status, status, "{below}: {}", answer.text());
        assert_eq!(answer.value()["success"], false, "{below}");
    }
}

#[tokio::test]
async fn any_part_of_a_log_can_be_had_by_its_place() {
    let scene = Scene::new("").await;
    let recording = crate::recording("claude", "tools");
    let rpc = scene.daemon.rpc().await;
    let words = ["replay", &recording, "--speed", "0"];
    let project = scene.ctl.project();
    let id = rpc.start_as(&project, "T1", "claude", &words).await.id;
    rpc.ended(&project, id).await;
    let log = log::lines(&scene.ctl.log_path(id));
    let base = format!("tasks/T1/invocations/{id}");
    let outline = scene.value(&format!("{base}/outline")).await;
    assert_eq!(outline["lines"], log.len());
    let stride = outline["stride"].as_u64().unwrap() as usize;
    for (at, place) in outline["places"].as_array().unwrap().iter().enumerate() {
        let cursor = place[0].as_str().unwrap();
        let read = scene
            .value(&format!("{base}/lines?after={cursor}&limit=1"))
            .await;
        assert_eq!(lines_of(&read, "events"), [log[at * stride].clone()]);
        assert_eq!(place[1], log[at * stride]["ts"]);
    }
    // Page by page it is the whole log.
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let page = scene
            .value(&format!("{base}/lines?after={after}&limit=5"))
            .await;
        all.extend(lines_of(&page, "events"));
        if page["more"] == false {
            break;
        }
        let next = page["next"].as_str().unwrap().to_owned();
        assert_ne!(after, next, "there is more, and no way to it");
        after = next;
    }
    assert_eq!(all, log);
    // Behind the last event of a page stands what goes on from it.
    let tools = scene.value(&format!("{base}/outline?types=tool")).await;
    let expected = log.iter().filter(|line| line["type"] == "tool");
    assert_eq!(tools["lines"], expected.clone().count());
    let read = scene
        .value(&format!("{base}/lines?types=tool&results=1"))
        .await;
    let expected: Vec<Value> = expected.cloned().collect();
    assert_eq!(lines_of(&read, "events"), expected);
    let results = log.iter().filter(|line| line["type"] == "tool_result");
    let results: Vec<Value> = results.cloned().collect();
    assert_eq!(lines_of(&read, "results"), results);
    let bad = scene
        .get(&format!("{base}/lines?after={id}:0:9999999"))
        .await;
    assert_eq!((bad.status, &bad.value()["gap"]), (409, &json!(true)));
    let bad = scene.get(&format!("{base}/lines?after=nonsense")).await;
    assert_eq!(bad.status, 409, "{}", bad.text());
}

#[tokio::test]
async fn control_is_off_until_it_is_switched_on_and_then_starts_and_stops() {
    let off = Scene::new("").await;
    let body = json!({ "project": off.ctl.project(), "provider": "claude", "prompt": "hi" });
    let start = off.gateway.post("/api/tasks/T1/invocations", &body);
    start.send().await.is(403);
    let list = off.ctl.run(["--json", "list"]).await.ok();
    assert!(!list.contains("T1"), "{list}");

    let on = Scene::new("control = true").await;
    let body = json!({
        "project": on.ctl.project(),
        "provider": "claude",
        "prompt": "hi",
        "env": {"FAKE_PROVIDER": "[\"stall\"]"},
    });
    let start = on.gateway.post("/api/tasks/T1/invocations", &body);
    let started = start.send().await.ok().value();
    assert_eq!(started["success"], true);
    let id = started["invocationId"].as_i64().unwrap();
    let selector = rpc::invocation(&on.ctl.project(), id);
    let mut followed = on.daemon.rpc().await.follow(selector, "", true).await;
    followed.until("ready").await;
    let target = format!("/api/tasks/T1/invocations/{id}/stop");
    let body = json!({ "project": on.ctl.project() });
    let other = on.gateway.post("/api/tasks/T2/invocations/1/stop", &body);
    assert!(other.send().await.status >= 400, "of another task");
    let stop = on.gateway.post(&target, &body).send().await.ok();
    assert_eq!(stop.value()["success"], true);
    let ended = on.daemon.rpc().await.ended(&on.ctl.project(), id).await;
    assert_eq!(ended.outcome, "cancelled");
    let wrong = json!({ "project": on.ctl.project(), "provider": "nobody", "prompt": "x" });
    let refused = on.gateway.post("/api/tasks/T1/invocations", &wrong);
    let refused = refused.send().await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert!(refused.text().contains("nobody"), "{}", refused.text());
}

#[tokio::test]
async fn what_is_started_has_the_daemons_environment_and_no_provider_means_a_command() {
    let scene = Scene::new("control = true").await;
    let project = scene.ctl.project();
    let body = json!({
        "project": project,
        "argv": ["sh", "-c", "echo \"home=$HOME extra=$EXTRA withheld=$STEROIDS_SOCKET\""],
        "env": {"EXTRA": "yes"},
    });
    let start = scene.gateway.post("/api/tasks/T1/invocations", &body);
    let started = start.send().await.ok().value();
    assert_eq!(started["invocation"]["provider"], "command");
    let id = started["invocationId"].as_i64().unwrap();
    let rpc = scene.daemon.rpc().await;
    let ended = rpc.ended(&project, id).await;
    assert_eq!(ended.outcome, "success", "{ended:?}");
    let home = scene.home.path("home");
    let said = format!("home={} extra=yes withheld=", home.display());
    let lines = log::lines(&scene.ctl.log_path(id));
    assert!(
        lines.iter().any(|line| line["msg"] == said.as_str()),
        "{lines:?}"
    );
}

#[tokio::test]
async fn what_runs_in_a_folder_that_was_moved_can_be_stopped() {
    let scene = Scene::new("control = true").await;
    let mut agent = Puppet::new(&scene.home, "agent");
    let rpc = scene.daemon.rpc().await;
    let project = scene.ctl.project();
    let started = rpc.start_fake(&project, "T1", &agent.args()).await;
    let moved = scene.home.path("home/moved");
    std::fs::rename(scene.ctl.folder(), moved).unwrap();
    agent.prints("after");
    steroids_tests::eventually("the daemon to notice", async || {
        let lines = rpc.degraded().await;
        let told = lines.iter().any(|line| line.contains("it goes on"));
        told.then_some(())
    })
    .await;
    let target = format!("/api/tasks/T1/invocations/{}/stop", started.id);
    let stop = scene.gateway.post(&target, &json!({ "project": project }));
    let stopped = stop.send().await;
    // It has ended, and the daemon says what cannot be kept.
    assert_eq!(stopped.status, 409, "{}", stopped.text());
    assert_eq!(stopped.value()["reason"], "PROJECT_GONE");
    let record = scene.home.invocation_dir(&started.uuid).join("exit.json");
    assert!(record.exists());
}

#[tokio::test]
async fn a_refusal_says_which_method_would_do_and_is_a_page_for_a_browser() {
    let scene = Scene::new("").await;
    let gateway = &scene.gateway;
    let put = gateway.bare("PUT", "/api/status").send().await.is(405);
    assert_eq!(put.header("allow"), Some("GET"));
    let asked = |path| gateway.bare("GET", path);
    let kinds = "text/html,application/xhtml+xml,*/*;q=0.8";
    let page = asked("/bogus").header("accept", kinds).send().await.is(404);
    let kind = page.header("content-type").unwrap_or_default();
    assert!(kind.starts_with("text/html"), "{kind}");
    assert!(page.text().contains("There is nothing here"));
    for program in [asked("/bogus"), asked("/api/x").header("accept", kinds)] {
        let answer = program.send().await.is(404);
        assert_eq!(answer.value()["success"], false, "{}", answer.text());
    }
    // As the documentation has it.
    let words = "status=failed,timeout&outcome=failed,timeout_wall";
    scene.get(&format!("invocations?{words}")).await.ok();
}

#[tokio::test]
async fn the_overview_tells_what_begins_goes_on_and_ends() {
    let scene = Scene::new("").await;
    let request = scene.gateway.get("/api/overview/stream");
    let mut stream = steroids_tests::gateway::Sse::open(&request).await.unwrap();
    let first: Value = serde_json::from_str(&stream.event().await.unwrap().1).unwrap();
    assert_eq!(first["type"], "snapshot");
    assert_eq!(first["projects"][0]["path"], scene.ctl.project());
    assert_eq!(first["running"], json!([]));
    assert_eq!(first["holds"], json!([]));
    let mut agent = Puppet::new(&scene.home, "agent");
    let id = scene.ctl.start_fake("T1", &agent.args()).await;
    // The first thing told of it that is as wanted.
    let mut told = async |what: &str, wanted: &dyn Fn(&Value) -> bool| {
        within(what, async {
            loop {
                let (_, data) = stream.event().await.unwrap();
                let mut told: Value = serde_json::from_str(&data).unwrap();
                if told["type"] != "invocation" {
                    continue;
                }
                assert_eq!(told["project"], scene.ctl.project());
                assert_eq!(told["invocation"]["id"], id, "{told}");
                if wanted(&told["invocation"]) {
                    return told["invocation"].take();
                }
            }
        })
        .await
    };
    told("its beginning", &|it| it["status"] == "running").await;
    agent.prints("something to look at");
    let text = |it: &Value| it["live"]["lastText"] == "something to look at";
    told("what it said", &text).await;
    agent.exits(3);
    let ended = told("its end", &|it| it["status"] == "failed").await;
    assert_eq!(ended["exitCode"], 3, "{ended}");
}

#[tokio::test]
async fn whether_a_frozen_daemon_answers_is_told_within_seconds() {
    let scene = Scene::new("").await;
    let health = scene.gateway.bare("GET", "/healthz");
    health.send().await.ok();
    scene.daemon.freeze().await;
    let asked = Instant::now();
    health.send().await.is(503);
    assert_eq!(scene.value("status").await["daemon"], "away");
    assert!(asked.elapsed() < Duration::from_secs(15));
    scene.daemon.signal(Signal::CONT);
    health.send().await.ok();
}

#[tokio::test]
async fn one_upstream_serves_all_viewers_and_metrics_count() {
    let scene = Scene::new("").await;
    let mut agent = Puppet::new(&scene.home, "agent");
    scene.ctl.start_fake("T1", &agent.args()).await;
    let target = format!("/api/tasks/T1/stream?project={}", scene.ctl.project());
    let request = scene.gateway.get(&target);
    let before = scene.value("status").await;
    assert_eq!(before["subscribers"], 0);
    let mut streams = Vec::new();
    for _ in 0..5 {
        streams.push(steroids_tests::gateway::Sse::open(&request).await.unwrap());
    }
    for stream in &mut streams {
        stream.until_comment("live").await;
    }
    agent.prints("to all");
    for stream in &mut streams {
        stream.until("to all").await;
    }
    // A viewer's own reads are over once it is live; what is open then is what they share.
    steroids_tests::eventually("one stream of the daemon's", async || {
        (scene.value("status").await["subscribers"] == 1).then_some(())
    })
    .await;
    agent.prints("once more");
    for stream in &mut streams {
        stream.until("once more").await;
    }
    assert_eq!(scene.value("status").await["subscribers"], 1);
    scene.gateway.bare("GET", "/metrics").send().await.is(401);
    let text = scene.gateway.get("/metrics").send().await.ok();
    let kind = text.header("content-type").unwrap_or_default().to_owned();
    let text = text.text();
    assert!(
        kind.starts_with("application/openmetrics-text") || kind.starts_with("text/plain"),
        "{kind}"
    );
    for name in [
        "streams_open",
        "events_sent",
        "events_sent_bytes",
        "live_latency_seconds_bucket",
        "replay_duration_seconds_bucket",
        "stream_lag_events",
        "reconnects",
        "refused",
    ] {
        assert!(text.contains(name), "no {name} in\n{text}");
    }
    assert_eq!(before["daemon"], "live");
    let health = scene.gateway.bare("GET", "/healthz").send().await;
    health.is(200);
}
