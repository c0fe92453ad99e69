//! A limit of a provider holds its starts until it is over; what met it is tried again.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use steroids_proto::v1;
use steroids_tests::{Daemon, FailPoints, Home, Puppet, Rpc, eventually, rpc};

const SESSION: &str = "52002dff-dd70-4b96-a623-2c3a3d8523a5";
const HOUR_MS: i64 = 60 * 60 * 1000;

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

fn says_who_it_is(puppet: &mut Puppet) {
    let init = json!({"type": "system", "subtype": "init", "session_id": SESSION});
    puppet.prints(&init.to_string());
}

fn meets_its_limit(puppet: &mut Puppet, resets_at_s: i64) {
    says_who_it_is(puppet);
    let event = json!({"type": "rate_limit_event", "session_id": SESSION,
        "rate_limit_info": {"status": "rejected", "resetsAt": resets_at_s}});
    puppet.prints(&event.to_string());
    let result = json!({"type": "result", "subtype": "success", "is_error": true,
        "api_error_status": 429, "session_id": SESSION, "result": "You've hit your session limit"});
    puppet.prints(&result.to_string());
    puppet.exits(1);
}

fn succeeds(puppet: &mut Puppet) {
    says_who_it_is(puppet);
    let result = json!({"type": "result", "subtype": "success", "is_error": false,
        "session_id": SESSION, "result": "done"});
    puppet.prints(&result.to_string());
    puppet.exits(0);
}

/// Its pid is there when it has been launched; its row says that it runs a moment before.
async fn running(rpc: &Rpc, project: &str, id: i64) -> v1::Invocation {
    eventually("an invocation to run", async || {
        Some(rpc.get(project, id).await).filter(|it| it.pid.is_some())
    })
    .await
}

#[tokio::test]
async fn both_go_on_by_themselves_after_the_limit_and_the_session_is_resumed() {
    let home = Home::with_config("[retry]\non = [\"rate_limited\"]");
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let (rpc, project) = (daemon.rpc().await, ctl.project());
    let [mut one, mut other] = ["one", "other"].map(|name| Puppet::new(&home, name));
    let first = rpc.start_as(&project, "T1", "claude", &one.args()).await;
    let resets_at_ms = (now_ms() / 1000 + 3600) * 1000;
    meets_its_limit(&mut one, resets_at_ms / 1000);
    let ended = rpc.ended(&project, first.id).await;
    assert_eq!(ended.outcome, "rate_limited", "{ended:?}");
    let again = ended.retried_by.expect("it is tried again");
    let second = rpc.start_as(&project, "T2", "claude", &other.args()).await;
    assert_eq!(second.state(), v1::State::Queued);
    assert!(
        second.waiting.contains("claude is held until"),
        "{second:?}"
    );
    // Another provider is no concern of that.
    let codex = rpc.start_as(&project, "T3", "codex", &["exit", "0"]).await;
    assert_ne!(codex.state(), v1::State::Queued);
    let holds = ctl.run(["holds", "--json"]).await.json();
    assert_eq!(holds["holds"][0]["untilMs"], resets_at_ms);

    daemon.kill9().await;
    daemon.start_again().await;
    let rpc = daemon.rpc().await;
    for id in [again, second.id] {
        let waits = rpc.get(&project, id).await;
        assert_eq!(waits.state(), v1::State::Queued);
        assert!(waits.waiting.contains("claude is held until"), "{waits:?}");
    }
    // The hour passes while no daemon is there.
    daemon.kill9().await;
    FailPoints::of(&home).set(&[&format!("clock {HOUR_MS}")]);
    daemon.start_again().await;
    let rpc = daemon.rpc().await;
    let resumed = running(&rpc, &project, again).await;
    assert_eq!((resumed.attempt, resumed.retry_of), (2, Some(first.id)));
    assert_eq!(resumed.mode, "resume");
    let spec = std::fs::read(home.invocation_dir(&resumed.uuid).join("spec.json")).unwrap();
    let spec: serde_json::Value = serde_json::from_slice(&spec).unwrap();
    let argv: Vec<_> = spec["argv"].as_array().unwrap().iter().collect();
    let at = argv.iter().position(|word| **word == "--resume").unwrap();
    assert_eq!(argv[at + 1], SESSION);
    let prompt = spec["prompt"].as_str().unwrap();
    assert!(
        prompt.ends_with("\n\ndo it") && prompt.contains("rate_limited"),
        "{prompt}"
    );
    running(&rpc, &project, second.id).await;
    for puppet in [&mut one, &mut other] {
        succeeds(puppet);
    }
    for id in [again, second.id] {
        let ended = rpc.ended(&project, id).await;
        assert_eq!((&*ended.outcome, ended.retried_by), ("success", None));
    }
    let all = rpc
        .events(&project, |events| rpc::told(events, "finished").len() == 4)
        .await;
    let mut started = rpc::told(&all, "started");
    started.sort_unstable();
    assert_eq!(started, [first.id, again, second.id, codex.id]);
    for kind in ["held", "released", "retried"] {
        assert_eq!(rpc::told(&all, kind), [first.id], "{kind}");
    }
    let list = ctl.run(["--json", "list"]).await.json();
    assert_eq!(list["invocations"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn a_hold_is_set_and_lifted_by_hand_and_ends_by_itself() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let (rpc, project) = (daemon.rpc().await, ctl.project());
    ctl.run(["holds", "lift", "nobody"])
        .await
        .exits(3)
        .says("claude");
    ctl.run(["holds", "set", "command", "--for", "1h"])
        .await
        .ok();
    let waits = rpc.start_fake(&project, "T1", &["exit", "0"]).await;
    assert_eq!(waits.state(), v1::State::Queued);
    assert!(waits.waiting.contains("(by hand)"), "{waits:?}");
    let status = ctl.run(["status"]).await.ok();
    assert!(status.contains("command is held until"), "{status}");
    // One clock for all that a terminal shows, which need not be the daemon's.
    let elsewhere = ctl.with_env("TZ", "XST-9");
    let status = elsewhere.run(["status"]).await.ok();
    let until = status.split("held until ").nth(1).unwrap();
    let until = until.split(',').next().unwrap();
    let id = waits.id.to_string();
    for command in [&["list"][..], &["show", &id]] {
        let shown = elsewhere.run(command).await.ok();
        let said = format!("held until {until} (by hand)");
        assert!(shown.contains(&said), "{said}: {shown}");
    }
    ctl.run(["holds", "lift", "command"]).await.ok();
    assert_eq!(rpc.ended(&project, waits.id).await.outcome, "success");
    ctl.run(["holds", "lift", "command"])
        .await
        .says("was not held")
        .ok();
    // However late it comes: it starts by itself.
    ctl.run(["holds", "set", "command", "--for", "500ms"])
        .await
        .ok();
    let waits = rpc.start_fake(&project, "T1", &["exit", "0"]).await;
    assert_eq!(rpc.ended(&project, waits.id).await.outcome, "success");
}

/// Who wants that nothing more begins tonight need not know what there is.
#[tokio::test]
async fn everything_is_held_and_goes_on_by_one_word() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let (rpc, project) = (daemon.rpc().await, ctl.project());
    ctl.run(["holds", "lift", "--all"])
        .await
        .says("no provider is held by hand")
        .ok();
    ctl.run(["holds", "set", "claude", "--for", "8h"])
        .await
        .ok();
    let held = ctl
        .run(["holds", "set", "--all", "--for", "1h", "--json"])
        .await
        .json();
    let status = ctl.run(["status", "--json"]).await.json();
    let providers = status["providers"].as_array().unwrap();
    assert!(providers.len() > 1, "{status}");
    let held = held["holds"].as_array().unwrap();
    assert_eq!(held.len(), providers.len());
    let claude = held.iter().find(|it| it["provider"] == "claude").unwrap();
    let until_ms = claude["untilMs"].as_i64().unwrap();
    assert!(
        until_ms > now_ms() + 7 * 3_600_000,
        "made shorter: {claude}"
    );
    let (one, two) = (
        rpc.start_fake(&project, "T1", &["exit", "0"]).await,
        rpc.start_as(&project, "T2", "claude", &["exit", "0"]).await,
    );
    for waits in [&one, &two] {
        assert_eq!(waits.state(), v1::State::Queued, "{waits:?}");
    }
    // One that there is not keeps no other held.
    ctl.run(["holds", "lift", "nobody", "command"])
        .await
        .exits(3)
        .says("command is no longer held");
    assert_eq!(rpc.ended(&project, one.id).await.outcome, "success");
    ctl.run(["holds", "lift", "--all"])
        .await
        .says("claude is no longer held")
        .ok();
    rpc.ended(&project, two.id).await;
    let holds = ctl.run(["holds", "--json"]).await.json();
    assert_eq!(holds["holds"].as_array().unwrap().len(), 0, "{holds}");
}

#[tokio::test]
async fn a_limits_hold_is_lifted_where_holds_are_switched_off_and_one_by_hand_stands() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let (rpc, project) = (daemon.rpc().await, ctl.project());
    let mut one = Puppet::new(&home, "one");
    let first = rpc.start_as(&project, "T1", "claude", &one.args()).await;
    meets_its_limit(&mut one, now_ms() / 1000 + 3600);
    rpc.ended(&project, first.id).await;
    let mut other = Puppet::new(&home, "other");
    let waits = rpc.start_as(&project, "T2", "claude", &other.args()).await;
    assert_eq!(waits.state(), v1::State::Queued, "{waits:?}");
    // What is set and lifted by hand meanwhile takes nothing of it away.
    for words in [
        &["holds", "set", "--all", "--for", "8h"][..],
        &["holds", "lift", "--all"],
        &["holds", "set", "claude", "--for", "1s"],
    ] {
        let ran = ctl.run(words).await;
        let said = [&*ran.stdout, &*ran.stderr].concat();
        assert!(said.contains("claude is held until"), "{ran:?}");
    }
    let held = rpc.get(&project, waits.id).await.waiting;
    assert!(held.contains("(rate_limited)"), "{held}");
    ctl.run(["holds", "set", "command", "--for", "1h"])
        .await
        .ok();
    home.configure("[holds]\nenabled = false\n");
    ctl.run(["reload"]).await.ok();
    running(&rpc, &project, waits.id).await;
    let told = rpc.lifecycle(&project, |event| event.kind == "released");
    assert_eq!(told.await.message, "the hold of claude is switched off");
    let status = ctl.run(["status"]).await.ok();
    assert!(status.contains("command is held until"), "{status}");
    assert!(!status.contains("claude is held"), "{status}");
    succeeds(&mut other);
    rpc.ended(&project, waits.id).await;
}

/// Killed between the attempt's end and the next one's row, and behind that: there is one next attempt.
#[tokio::test]
async fn a_daemon_killed_between_two_attempts_makes_one_of_them() {
    let config = "[holds]\nenabled = false\n[retry]\non = [\"failed\"]\nmax = 1\nfirst = \"1ms\"";
    for point in ["retry.file-stored kill", "retry.row-committed kill"] {
        let home = Home::with_config(config);
        let mut daemon = Daemon::start(&home).await;
        let ctl = daemon.project("app").await;
        let project = ctl.project();
        let points = FailPoints::of(&home);
        points.set(&[point]);
        let rpc = daemon.rpc().await;
        let mut puppet = Puppet::new(&home, "p");
        let first = rpc.start_fake(&project, "T1", &puppet.args()).await;
        puppet.exits(3);
        daemon.ended().await;
        points.clear();
        daemon.start_again().await;
        let rpc = daemon.rpc().await;
        let ended = rpc.ended(&project, first.id).await;
        assert_eq!(ended.outcome, "failed", "{point}: {ended:?}");
        let again = ended.retried_by.expect("it is tried again");
        running(&rpc, &project, again).await;
        puppet.exits(3);
        let last = rpc.ended(&project, again).await;
        assert_eq!((last.attempt, last.retried_by), (2, None), "{point}");
        let list = ctl.run(["--json", "list"]).await.json();
        assert_eq!(list["invocations"].as_array().unwrap().len(), 2, "{point}");
    }
}

#[tokio::test]
async fn what_a_person_stops_is_not_tried_again() {
    let home = Home::with_config("[retry]\non = [\"failed\", \"interrupted\"]\nfirst = \"1ms\"");
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let id = ctl.start_fake("T1", &["stall"]).await;
    let stopped = ctl.run(["--json", "stop", &id.to_string()]).await.json();
    assert_eq!(stopped["outcome"], "cancelled");
    assert!(stopped.get("retriedBy").is_none(), "{stopped}");
    let args = [
        "start",
        "--task",
        "T1",
        "--retry",
        "cancelled",
        "--",
        "true",
    ];
    ctl.run(args).await.exits(2).says("person");
}

#[tokio::test]
async fn what_cannot_be_written_down_is_refused_by_hand_and_of_a_limit_kept_and_told() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let (rpc, project) = (daemon.rpc().await, ctl.project());
    // In the way of what is written there first.
    let in_the_way = home.state_dir().join("holds.json.tmp");
    std::fs::create_dir(&in_the_way).unwrap();
    let set = ["holds", "set", "claude", "--for", "2h"];
    ctl.run(set).await.exits(75).says("cannot be written");
    let held = async || ctl.run(["holds", "--json"]).await.json()["holds"].clone();
    assert_eq!(held().await, json!([]));

    let mut puppet = Puppet::new(&home, "one");
    let first = rpc.start_as(&project, "T1", "claude", &puppet.args()).await;
    assert_ne!(first.state(), v1::State::Queued);
    let resets_at_ms = (now_ms() / 1000 + 3600) * 1000;
    meets_its_limit(&mut puppet, resets_at_ms / 1000);
    assert_eq!(rpc.ended(&project, first.id).await.outcome, "rate_limited");
    let is_told = async || {
        let lines = rpc.degraded().await;
        lines
            .iter()
            .any(|line| line.contains("holds cannot be written"))
    };
    assert!(is_told().await);
    let lift = ["holds", "lift", "claude"];
    ctl.run(lift).await.exits(75).says("cannot be written");
    assert_eq!(held().await[0]["untilMs"], resets_at_ms);

    std::fs::remove_dir(&in_the_way).unwrap();
    eventually("it to be written", async || {
        (!is_told().await).then_some(())
    })
    .await;
    daemon.kill9().await;
    daemon.start_again().await;
    assert_eq!(held().await[0]["untilMs"], resets_at_ms);
    ctl.run(lift).await.ok();
    ctl.run(set).await.ok();
}
