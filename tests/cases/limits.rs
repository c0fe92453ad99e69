//! Limits that end what hangs, and leave alone what works: with their warnings, without a daemon, and
//! seen by whoever looks.

use std::time::Duration;

use steroids_proto::v1;
use steroids_tests::{Daemon, Home, Puppet, Rpc, eventually, invocation, log, rpc, within};

const CALL: &str = r#"{"type":"assistant","message":{"id":"m1","role":"assistant","content":[{"type":"tool_use","id":"c1","name":"Bash","input":{"command":"make all"}}]},"session_id":"s"}"#;
const DONE: &str = r#"{"type":"user","message":{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":"built"}]},"session_id":"s"}"#;
const RESULT: &str = r#"{"type":"result","subtype":"success","is_error":false,"duration_ms":5,"num_turns":1,"result":"all built","session_id":"s"}"#;

/// A start of the fake provider in claude's place.
fn claude(project: &str, task: &str, args: &[&str], limits: v1::Limits) -> v1::StartRequest {
    let words = serde_json::to_string(args).unwrap();
    v1::StartRequest {
        project: project.to_owned(),
        task_id: task.to_owned(),
        provider: "claude".to_owned(),
        prompt: "do it".to_owned(),
        env: [("FAKE_PROVIDER".to_owned(), words)].into(),
        limits: Some(limits),
        ..Default::default()
    }
}

fn millis(ms: u64) -> Option<prost_types::Duration> {
    Some(Duration::from_millis(ms).try_into().unwrap())
}

/// The lifecycle events of an invocation up to the first of a kind.
async fn events_up_to(rpc: &Rpc, project: &str, id: i64, kind: &str) -> Vec<v1::LifecycleEvent> {
    let request = v1::WatchRequest {
        project: project.to_owned(),
        after: Some(0),
        pulse: None,
        since_ms: None,
    };
    let watch = within("Watch", rpc.projects().watch(request)).await;
    let mut watch = watch.unwrap().into_inner();
    let mut events = Vec::new();
    loop {
        let what = format!("{kind} after {events:?}");
        let message = within(&what, watch.message()).await.unwrap().unwrap();
        for event in message.events {
            if event.invocation_id != Some(id) {
                continue;
            }
            let is_it = event.kind == kind;
            events.push(event);
            if is_it {
                return events;
            }
        }
    }
}

fn kinds(events: &[v1::LifecycleEvent]) -> Vec<&str> {
    events.iter().map(|event| &*event.kind).collect()
}

#[tokio::test]
async fn a_quiet_build_outlives_the_silence_that_ends_another_and_a_hang_after_the_result_is_a_success()
 {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let (project, rpc) = (ctl.project(), daemon.rpc().await);
    let limits = v1::Limits {
        silence: millis(3000),
        post_result: millis(300),
        ..Default::default()
    };
    let mut agent = Puppet::new(&home, "agent");
    let build = rpc.start(claude(&project, "T1", &agent.args(), limits));
    let build = build.await.unwrap().id;
    agent.prints(CALL);
    let selector = invocation(&project, build);
    let mut followed = rpc.follow(selector, "", true).await;
    followed.until("make all").await;

    // Another one is silent from a later moment on, for as long as it may be.
    let other = Puppet::new(&home, "other");
    let mute = rpc.start(claude(&project, "T2", &other.args(), limits));
    let mute = rpc.ended(&project, mute.await.unwrap().id).await;
    assert_eq!(mute.outcome, "timeout_silence");
    assert_eq!(mute.state(), v1::State::Timeout);
    let lines = log::lines(&ctl.log_path(mute.id));
    assert_eq!(
        log::messages(&lines, "notice"),
        [
            "no output for 2400ms while it waits for the model; ended at 3s",
            "no output for 3s; ending it"
        ]
    );
    let events = events_up_to(&rpc, &project, mute.id, "finished").await;
    assert_eq!(kinds(&events), ["started", "stalled", "finished"]);
    assert!(events[1].message.starts_with("no output for 2400ms while"));

    let running = rpc.get(&project, build).await;
    assert_eq!(running.state(), v1::State::Running);
    let live = running.live.unwrap();
    assert_eq!((&*live.waits_for, &*live.waits_on), ("tool", "Bash"));
    assert!(live.waits_since_ms > 0);
    assert_eq!((&*live.limit, live.limit_at_ms), ("", None));
    let listed = ctl.run(["list"]).await.ok();
    assert!(listed.contains("running · tool "), "{listed}");
    let shown = ctl.run(["show", &build.to_string()]).await.ok();
    assert!(shown.contains("waits for   tool Bash, for "), "{shown}");
    let json = ctl.run(["--json", "show", &build.to_string()]).await.json();
    assert_eq!(json["live"]["waitsFor"], "tool");
    assert_eq!(json["live"]["waitsOn"], "Bash");
    assert_eq!(json["live"]["waitsSinceMs"], live.waits_since_ms);

    agent.prints(DONE);
    agent.prints(RESULT);
    // It hangs.
    let ended = rpc.ended(&project, build).await;
    assert_eq!(
        (&*ended.outcome, &*ended.response),
        ("success", "all built")
    );
    let lines = log::lines(&ctl.log_path(build));
    assert_eq!(lines.last().unwrap()["exitForced"], true);
    // A machine may be so busy that its first line was nearly too late.
    let notices = log::messages(&lines, "notice");
    assert_eq!(
        notices.last(),
        Some(&"still running 300ms after its result; ending it")
    );
    assert!(
        !notices
            .iter()
            .any(|notice| notice.contains("no output for 3s"))
    );
}

#[tokio::test]
async fn one_that_never_prints_dies_at_its_limit_also_while_the_daemon_is_down() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let agent = Puppet::new(&home, "agent");
    let limits = v1::Limits {
        silence: millis(1000),
        ..Default::default()
    };
    let request = claude(&ctl.project(), "T1", &agent.args(), limits);
    let started = rpc.start(request).await.unwrap();
    daemon.kill9().await;
    home.recorded(&started.uuid).await;
    daemon.start_again().await;
    let rpc = daemon.rpc().await;
    let ended = rpc.ended(&ctl.project(), started.id).await;
    assert_eq!(ended.outcome, "timeout_silence");
    let lines = log::lines(&ctl.log_path(started.id));
    log::assert_whole(&lines);
    assert_eq!(
        log::types(&lines),
        ["start", "notice", "notice", "complete"]
    );
    steroids_tests::assert_undisturbed(&ctl, &ended);
}

#[tokio::test]
async fn a_stall_is_told_once_by_however_many_daemons() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let project = ctl.project();
    let rpc = daemon.rpc().await;
    // Silent from its line on, however long it took to that; and it does not end when it is asked
    // to, so that there is all the time to look.
    let limits = v1::Limits {
        silence: millis(0),
        tool_silence: millis(1000),
        grace: millis(600_000),
        ..Default::default()
    };
    let request = claude(&project, "T1", &["ignore-term", "--line", CALL], limits);
    let id = rpc.start(request).await.unwrap().id;
    events_up_to(&rpc, &project, id, "stalled").await;
    let waits = async |rpc: &Rpc| {
        eventually("it to be ended", async || {
            let live = rpc.get(&project, id).await.live?;
            // What its processes use changes from one look to the next.
            let live = v1::Live {
                cpu_ms: None,
                cpu_percent: None,
                memory_bytes: None,
                processes: None,
                ..live
            };
            (live.waits_for == "ending").then_some(live)
        })
        .await
    };
    let before = waits(&rpc).await;
    assert!(before.waits_since_ms > 0);
    daemon.kill9_and_restart().await;
    let rpc = daemon.rpc().await;
    assert_eq!(waits(&rpc).await, before);
    let stopped = rpc.stop(&project, id, Duration::ZERO).await;
    assert_eq!(stopped.invocation.unwrap().outcome, "timeout_silence");
    let events = events_up_to(&rpc, &project, id, "finished").await;
    assert_eq!(
        kinds(&events),
        ["started", "stalled", "adopted", "finished"]
    );
}

#[tokio::test]
async fn a_silent_command_whose_processes_work_goes_on_and_says_so() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    // Three of them, as others may want the processors too.
    let work = "(while :; do :; done) & (while :; do :; done) & while :; do :; done";
    let argv = ["/bin/sh", "-c", work].map(str::to_owned);
    let request = v1::StartRequest {
        limits: Some(v1::Limits {
            silence: millis(2500),
            ..Default::default()
        }),
        ..rpc::command(&ctl.project(), "T1", argv.to_vec())
    };
    let id = rpc.start(request).await.unwrap().id;
    let events = events_up_to(&rpc, &ctl.project(), id, "resumed").await;
    assert_eq!(kinds(&events), ["started", "stalled", "resumed"]);
    assert_eq!(events[1].message, "no output for 2s; ended at 2500ms");
    let why = &events[2].message;
    assert!(why.contains("but its processes used "), "{why}");
    let live = rpc.get(&ctl.project(), id).await.live.unwrap();
    assert_eq!((&*live.waits_for, &*live.limit), ("", ""));
    rpc.stop(&ctl.project(), id, Duration::ZERO).await;
}
