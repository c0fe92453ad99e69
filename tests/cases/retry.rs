//! What has ended is tried again as somebody asks for it: the same once more, as the next attempt.

mod stopped;

use std::time::Duration;

use serde_json::{Value, json};
use steroids_proto::v1;
use steroids_tests::{Ctl, Daemon, Gateway, Home, Puppet, Rpc, eventually, rpc};
use tokio::task::JoinSet;
use tonic::{Code, Status};

fn retry(ctl: &Ctl, id: i64) -> v1::RetryRequest {
    v1::RetryRequest {
        project: ctl.project(),
        id,
        ..Default::default()
    }
}

async fn retried(rpc: &Rpc, request: v1::RetryRequest) -> Result<v1::Invocation, Status> {
    let answer = rpc.invocations().retry(request).await?.into_inner();
    Ok(answer.invocation.unwrap())
}

fn spec(home: &Home, invocation: &v1::Invocation) -> Value {
    let spec = home.invocation_dir(&invocation.uuid).join("spec.json");
    serde_json::from_str(&std::fs::read_to_string(spec).unwrap()).unwrap()
}

fn output(ctl: &Ctl, id: i64) -> String {
    std::fs::read_to_string(ctl.log_path(id)).unwrap()
}

/// The id that a command prints.
async fn id_of(ctl: &Ctl, words: &[&str]) -> i64 {
    ctl.run(words).await.ok().trim().parse().unwrap()
}

#[tokio::test]
async fn the_same_is_run_once_more_as_the_next_attempt() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    std::fs::create_dir(ctl.folder().join("sub")).unwrap();
    let start =
        "start --task T1 --role reviewer --cwd sub --wall 5m --env MARK=then --priority 3 --";
    let mut words: Vec<&str> = start.split(' ').collect();
    words.extend(["sh", "-c", "echo \"$MARK in ${PWD##*/}\"; exit 3"]);
    let first = id_of(&ctl, &words).await;
    let before = rpc.ended(&ctl.project(), first).await;
    assert_eq!(before.outcome, "failed");

    let second = id_of(&ctl, &["retry", "1"]).await;
    let next = rpc.ended(&ctl.project(), second).await;
    assert_eq!((next.attempt, next.retry_of), (2, Some(first)));
    assert_eq!(
        (&*next.task_id, &*next.role, next.priority),
        ("T1", "reviewer", 3)
    );
    assert!(output(&ctl, second).contains("then in sub"));
    assert_eq!(spec(&home, &next)["limits"]["wall_ms"], 300_000);
    let before = rpc.get(&ctl.project(), first).await;
    assert_eq!(before.retried_by, Some(second));
    let shown = ctl.run(["show", "1"]).await.ok();
    assert!(shown.contains("retried by"), "{shown}");
    // What it is that can be had once more.
    assert!(shown.contains("sh -c 'echo \"$MARK"), "{shown}");
    assert!(shown.contains("variables   MARK"), "{shown}");
    assert!(shown.contains("wall 5m 00s"), "{shown}");
    let shown = ctl.run(["--json", "show", "2"]).await.json();
    assert_eq!(shown["terms"]["limits"]["wallMs"], 300_000, "{shown}");
    assert_eq!(shown["terms"]["argv"][1], "-c");

    // Any attempt may be named, and what is said goes first; the rest is as it was.
    let words = [
        "retry", "1", "--env", "MARK=now", "--wall", "none", "--follow",
    ];
    let followed = ctl.run(words).await.exits(1);
    assert!(
        followed.stdout.contains("now in sub"),
        "{}",
        followed.stdout
    );
    let third = rpc.get(&ctl.project(), 3).await;
    assert_eq!((third.attempt, third.retry_of), (3, Some(second)));
    let third = spec(&home, &third);
    assert_eq!(third["limits"]["wall_ms"], Value::Null);
    let fourth = id_of(&ctl, &["retry", "3"]).await;
    let fourth = rpc.ended(&ctl.project(), fourth).await;
    assert!(
        output(&ctl, fourth.id).contains("now in sub"),
        "what was said last"
    );

    // Several, of which some cannot be.
    let others = ctl.run(["retry", "4", "4", "99"]).await.exits(3);
    assert_eq!(others.stdout, "5\n");
    assert!(others.stderr.contains("99"), "{}", others.stderr);
    ctl.run(["retry", "4", "5", "--follow"]).await.exits(2);
}

#[tokio::test]
async fn what_cannot_be_tried_again_is_refused_and_says_why() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("mine").await;
    let rpc = daemon.rpc().await;
    let runs = ctl.start_fake("T1", &["stall"]).await;
    let refused = ctl.run(["retry", "1"]).await.exits(4);
    assert!(refused.stderr.contains("is running"), "{}", refused.stderr);
    ctl.run(["retry", "9"]).await.exits(3);
    let words = ["start", "--task", "T2", "--retry", "network", "--", "true"];
    let refused = ctl.run(words).await.exits(2);
    refused.says("error: --retry: `network` is not an outcome; there are failed, ");
    rpc.stop(&ctl.project(), runs, Duration::ZERO).await;

    let mut once = retry(&ctl, runs);
    once.request_id = "once".to_owned();
    let second = retried(&rpc, once.clone()).await.unwrap();
    assert_eq!(retried(&rpc, once.clone()).await.unwrap().id, second.id);
    let other = v1::RetryRequest { anew: true, ..once };
    let other = retried(&rpc, other).await.unwrap_err();
    assert_eq!(other.code(), Code::AlreadyExists, "{other}");
    rpc.stop(&ctl.project(), second.id, Duration::ZERO).await;

    std::fs::remove_dir_all(home.invocation_dir(&second.uuid)).unwrap();
    let refused = ctl.run(["--json", "retry", "2"]).await.exits(4);
    assert!(
        refused.stderr.contains("is kept no more"),
        "{}",
        refused.stderr
    );
    assert!(
        refused.stderr.contains("start it anew"),
        "{}",
        refused.stderr
    );

    let (older, _db, id) = daemon.project_of_older_tool().await;
    let refused = retried(&rpc, retry(&older, id)).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    assert!(refused.message().contains("another tool"), "{refused}");
}

/// Ends with a session, and with what its API said.
async fn failed(rpc: &Rpc, ctl: &Ctl, agent: &mut Puppet, id: i64) {
    agent.prints(
        r#"{"type":"system","subtype":"init","session_id":"s-1","model":"m","tools":[],"cwd":"/"}"#,
    );
    agent.exits(1);
    let ended = rpc.ended(&ctl.project(), id).await;
    assert_eq!(ended.session_id, "s-1");
}

#[tokio::test]
async fn a_session_that_was_cut_short_goes_on_unless_it_is_to_begin_anew() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let mut agents = ["1", "2", "3", "4"].map(|name| Puppet::new(&home, name));
    let words = agents.each_ref().map(|agent| {
        let words = serde_json::to_string(&agent.args()).unwrap();
        [("FAKE_PROVIDER".to_owned(), words)].into()
    });
    let first = rpc
        .start_as(&ctl.project(), "T1", "claude", &agents[0].args())
        .await;
    failed(&rpc, &ctl, &mut agents[0], first.id).await;

    let [_, env, ..] = words.clone();
    let request = v1::RetryRequest {
        env,
        ..retry(&ctl, first.id)
    };
    let second = retried(&rpc, request).await.unwrap();
    assert_eq!(second.mode, "resume");
    let told = rpc.get(&ctl.project(), second.id).await.prompt;
    assert!(
        told.contains("cut short") && told.ends_with("do it"),
        "{told}"
    );
    failed(&rpc, &ctl, &mut agents[1], second.id).await;

    // Ended before it told any, it had the one that it was given.
    let mut request = retry(&ctl, second.id);
    request.env = [("FAKE_PROVIDER".to_owned(), "[\"exit\",\"1\"]".to_owned())].into();
    let silent = retried(&rpc, request.clone()).await.unwrap();
    assert_eq!(rpc.ended(&ctl.project(), silent.id).await.session_id, "");
    let silent = retried(&rpc, request).await.unwrap();
    assert_eq!((silent.mode.as_str(), silent.attempt), ("resume", 4));
    let told = rpc.get(&ctl.project(), silent.id).await.prompt;
    assert_eq!(told.matches("cut short").count(), 1, "{told}");
    rpc.ended(&ctl.project(), silent.id).await;

    let [_, _, env, _] = words.clone();
    let request = v1::RetryRequest {
        env,
        anew: true,
        ..retry(&ctl, first.id)
    };
    let third = retried(&rpc, request).await.unwrap();
    assert_eq!(third.mode, "fresh");
    assert_eq!(rpc.get(&ctl.project(), third.id).await.prompt, "do it");
    agents[2].prints(
        r#"{"type":"result","subtype":"success","is_error":false,"session_id":"s-2","result":"ok"}"#,
    );
    agents[2].exits(0);
    assert_eq!(rpc.ended(&ctl.project(), third.id).await.outcome, "success");

    // It was done: who wants it once more says so.
    let refused = retried(&rpc, retry(&ctl, first.id)).await.unwrap_err();
    assert!(refused.message().contains("succeeded"), "{refused}");
    // Nothing of a success is left to go on with.
    let [_, _, _, env] = words;
    let request = v1::RetryRequest {
        env,
        model: "haiku".to_owned(),
        ..retry(&ctl, third.id)
    };
    let fourth = retried(&rpc, request).await.unwrap();
    assert_eq!(
        (&*fourth.mode, fourth.attempt, &*fourth.model),
        ("fresh", 6, "haiku")
    );
    let argv = spec(&home, &fourth)["argv"].to_string();
    assert!(
        argv.contains("haiku") && !argv.contains("--resume"),
        "{argv}"
    );
    agents[3].exits(0);
    rpc.ended(&ctl.project(), fourth.id).await;
}

#[tokio::test]
async fn the_last_session_is_that_of_then() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let mut agents = ["1", "2", "3"].map(|name| Puppet::new(&home, name));
    let start = async |agent: &mut Puppet, session: &str, resume: &str| {
        let words = serde_json::to_string(&agent.args()).unwrap();
        let request = v1::StartRequest {
            project: ctl.project(),
            task_id: "T1".to_owned(),
            provider: "claude".to_owned(),
            prompt: "do it".to_owned(),
            resume: resume.to_owned(),
            env: [("FAKE_PROVIDER".to_owned(), words)].into(),
            ..Default::default()
        };
        let started = rpc.start(request).await.unwrap();
        agent.prints(&format!(
            r#"{{"type":"result","subtype":"success","is_error":false,"session_id":"{session}","result":"ok"}}"#
        ));
        agent.exits(0);
        rpc.ended(&ctl.project(), started.id).await.id
    };
    start(&mut agents[0], "s-1", "").await;
    let second = start(&mut agents[1], "s-2", "last").await;
    start(&mut agents[2], "s-3", "").await;
    let mut request = retry(&ctl, second);
    request.env = [("FAKE_PROVIDER".to_owned(), "[\"exit\",\"0\"]".to_owned())].into();
    let again = retried(&rpc, request).await.unwrap();
    assert_eq!(spec(&home, &again)["resume"], "s-1");
    rpc.ended(&ctl.project(), again.id).await;
}

#[tokio::test]
async fn it_is_started_as_is_configured_by_then() {
    let wrong = "[providers.mine]\nkind = \"command\"\ncommand = \"/nowhere/mine\"\n";
    let home = Home::with_config(wrong);
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let words = ["start", "--task", "T1", "--provider", "mine", "--", "hello"];
    ctl.run(words).await.exits(1);
    let program = home.script("mine", "#!/bin/sh\necho \"it says $1\"\n");
    let program = program.display();
    home.configure(&format!(
        "[providers.mine]\nkind = \"command\"\ncommand = \"{program}\"\n"
    ));
    ctl.run(["reload"]).await.ok();
    let second = id_of(&ctl, &["retry", "1"]).await;
    let ended = rpc.ended(&ctl.project(), second).await;
    assert_eq!(ended.outcome, "success", "{}", ended.error);
    assert!(output(&ctl, second).contains("it says hello"));
}

#[tokio::test]
async fn what_never_started_waits_for_the_same_once_more() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    // The same command fails at first.
    let good = ctl.folder().join("good");
    let told = home.path("told");
    rustix::fs::mkfifoat(rustix::fs::CWD, &told, rustix::fs::Mode::RWXU).unwrap();
    let shell = format!("read x <{}; test -e good", told.display());
    let argv = ["/bin/sh", "-c", &shell].map(str::to_owned).to_vec();
    let first = rpc::command(&ctl.project(), "T1", argv);
    let first = rpc.start(first).await.unwrap().id;
    let after = v1::StartRequest {
        after: vec![first],
        ..rpc::command(&ctl.project(), "T2", rpc::argv(&["exit", "0"]))
    };
    let after = rpc.start(after).await.unwrap();
    tokio::fs::write(&told, "go\n").await.unwrap();
    let after = rpc.ended(&ctl.project(), after.id).await;
    assert_eq!(after.outcome, "never_started");
    let refused = retried(&rpc, retry(&ctl, after.id)).await.unwrap_err();
    assert!(
        refused.message().contains("has ended as failed"),
        "{refused}"
    );

    // Nor is one that was stopped while it waited started before its turn.
    let blocks = ctl.start_fake("T3", &["stall"]).await;
    let stopped = v1::StartRequest {
        after: vec![blocks],
        ..rpc::command(&ctl.project(), "T4", rpc::argv(&["exit", "0"]))
    };
    let stopped = rpc.start(stopped).await.unwrap();
    rpc.stop(&ctl.project(), stopped.id, Duration::ZERO).await;
    let stopped = retried(&rpc, retry(&ctl, stopped.id)).await.unwrap();
    assert_eq!(stopped.state(), v1::State::Queued);

    std::fs::write(good, "").unwrap();
    let again = retried(&rpc, retry(&ctl, first)).await.unwrap();
    // It may share its task with those before it, and is one all the same.
    let waits = at_once(&rpc, retry(&ctl, after.id)).await;
    assert_eq!(waits.state(), v1::State::Queued);
    let why = format!("waits for invocation {} to succeed", again.id);
    eventually("the attempt it waits for to be named", async || {
        let row = rpc.get(&ctl.project(), waits.id).await;
        row.waiting.ends_with(&why).then_some(())
    })
    .await;
    tokio::fs::write(&told, "go\n").await.unwrap();
    assert_eq!(rpc.ended(&ctl.project(), waits.id).await.outcome, "success");
}

/// Asks for the same eight times at once: one is started, and the others are refused.
async fn at_once(rpc: &Rpc, request: v1::RetryRequest) -> v1::Invocation {
    let mut asking = JoinSet::new();
    for _ in 0..8 {
        let (mut client, request) = (rpc.invocations(), request.clone());
        asking.spawn(async move { client.retry(request).await });
    }
    let all = asking.join_all().await;
    let (made, refused): (Vec<_>, Vec<_>) = all.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 1, "{refused:?}");
    for refused in refused {
        assert_eq!(refused.unwrap_err().code(), Code::FailedPrecondition);
    }
    let made = made.into_iter().next().unwrap().unwrap();
    made.into_inner().invocation.unwrap()
}

#[tokio::test]
async fn of_many_who_ask_at_once_one_is_the_next_attempt() {
    let home = Home::with_config("[daemon]\nmax_running = 1");
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let first = ctl.start_fake("T1", &["exit", "1"]).await;
    rpc.ended(&ctl.project(), first).await;
    // Has the only place.
    ctl.start_fake("T2", &["stall"]).await;
    let made = at_once(&rpc, retry(&ctl, first)).await;
    assert_eq!(
        (made.state(), made.retry_of),
        (v1::State::Queued, Some(first))
    );
}

#[tokio::test]
async fn it_is_tried_again_by_itself_as_often_as_at_first() {
    let config = "[retry]\non = [\"failed\"]\nmax = 1\nfirst = \"1ms\"";
    let home = Home::with_config(config);
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let first = ctl.start_fake("T1", &["exit", "1"]).await;
    let last = last(&rpc, &ctl, first).await;
    assert_eq!(last.attempt, 2);
    let third = retried(&rpc, retry(&ctl, first)).await.unwrap();
    assert_eq!(third.retry_of, Some(last.id));
    let last = self::last(&rpc, &ctl, third.id).await;
    assert_eq!(last.attempt, 4, "once more by itself");
}

/// The last attempt after one, which has ended.
async fn last(rpc: &Rpc, ctl: &Ctl, id: i64) -> v1::Invocation {
    let mut ended = rpc.ended(&ctl.project(), id).await;
    while let Some(next) = ended.retried_by {
        ended = rpc.ended(&ctl.project(), next).await;
    }
    ended
}

#[tokio::test]
async fn over_http_as_well_where_that_is_on() {
    let home = Home::with_config("[gateway]\ncontrol = true\n[retry]\nmax = 2\nfirst = \"1ms\"");
    let daemon = Daemon::start(&home).await;
    let gateway = Gateway::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let first = ctl.start_fake("T1", &["exit", "1"]).await;
    rpc.ended(&ctl.project(), first).await;
    let target = format!("/api/tasks/T1/invocations/{first}/retry");
    let body = json!({"project": ctl.project(), "requestId": "r", "limits": {"wallMs": 1000}});
    for existing in [false, true] {
        let answer = gateway.post(&target, &body).send().await.ok().value();
        assert_eq!(answer["existing"], existing, "{answer}");
        assert_eq!(answer["invocation"]["retryOf"], first);
    }
    let second = rpc.ended(&ctl.project(), 2).await;
    assert_eq!(spec(&home, &second)["limits"]["wall_ms"], 1000);
    // How often is as configured where only after what is said; the other way round nobody knows what is meant.
    let (starts, argv) = ("/api/tasks/T3/invocations", ["sh", "-c", "exit 3"]);
    let body = json!({"project": ctl.project(), "argv": argv, "retry": {"on": ["failed"]}});
    let third = gateway.post(starts, &body).send().await.ok().value()["invocationId"].clone();
    assert_eq!(last(&rpc, &ctl, third.as_i64().unwrap()).await.attempt, 3);
    let body = json!({"project": ctl.project(), "argv": argv, "retry": {"max": 3}});
    let refused = gateway.post(starts, &body).send().await.is(400).text();
    assert!(refused.contains("retry: missing field `on`"), "{refused}");
    let other = "/api/tasks/T2/invocations/1/retry";
    let body = json!({"project": ctl.project()});
    assert!(gateway.post(other, &body).send().await.status >= 400);
    let body = json!({"project": ctl.project(), "prompt": "another"});
    let refused = gateway.post(&target, &body).send().await.is(400);
    assert!(
        refused.text().contains("expected one of"),
        "{}",
        refused.text()
    );
}
