//! Sessions that go on: resumed by their id or as the last of a task, and told apart where their CLI
//! knows them no more.

use serde_json::Value;
use steroids_proto::v1;
use steroids_tests::{Ctl, Daemon, Home, Puppet, Rpc, eventually, log};

/// A run of claude that says who it is, and succeeds.
async fn ran(rpc: &Rpc, ctl: &Ctl, home: &std::sync::Arc<Home>, task: &str, session: &str) -> i64 {
    let mut agent = Puppet::new(home, &format!("{task}-{session}"));
    let words = agent.args();
    let started = rpc.start_as(&ctl.project(), task, "claude", &words).await;
    agent.prints(&format!(
        r#"{{"type":"result","subtype":"success","is_error":false,"session_id":"{session}","result":"ok"}}"#
    ));
    agent.exits(0);
    let ended = rpc.ended(&ctl.project(), started.id).await;
    assert_eq!(ended.session_id, session);
    started.id
}

fn resuming(ctl: &Ctl, task: &str, session: &str, request_id: &str) -> v1::StartRequest {
    v1::StartRequest {
        project: ctl.project(),
        task_id: task.to_owned(),
        provider: "claude".to_owned(),
        prompt: "go on".to_owned(),
        resume: session.to_owned(),
        request_id: request_id.to_owned(),
        env: [("FAKE_PROVIDER".to_owned(), r#"["exit","0"]"#.to_owned())].into(),
        ..Default::default()
    }
}

/// The session that its CLI was asked to go on with.
fn resumed(home: &Home, invocation: &v1::Invocation) -> Option<String> {
    let spec = home.invocation_dir(&invocation.uuid).join("spec.json");
    let spec = std::fs::read_to_string(spec).unwrap();
    let spec: Value = serde_json::from_str(&spec).unwrap();
    let argv: Vec<&str> = spec["argv"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let at = argv.iter().position(|word| *word == "--resume")?;
    assert_eq!(spec["resume"], argv[at + 1]);
    Some(argv[at + 1].to_owned())
}

#[tokio::test]
async fn the_last_session_of_the_task_goes_on_and_a_repeated_start_keeps_it() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let none = rpc.start(resuming(&ctl, "T1", "last", "r-0")).await;
    assert_eq!(none.unwrap_err().code(), tonic::Code::FailedPrecondition);
    let refused = ctl
        .run([
            "start", "--task", "T1", "--resume", "last", "--prompt", "go on",
        ])
        .await
        .exits(4);
    assert!(refused.stderr.contains("--resume"), "{}", refused.stderr);

    ran(&rpc, &ctl, &home, "T1", "s-1").await;
    let second = ran(&rpc, &ctl, &home, "T1", "s-2").await;
    ran(&rpc, &ctl, &home, "T2", "s-3").await;
    let first = rpc
        .start(resuming(&ctl, "T1", "last", "r-1"))
        .await
        .unwrap();
    assert_eq!(resumed(&home, &first).as_deref(), Some("s-2"));
    assert_eq!(first.mode, "resume");
    rpc.ended(&ctl.project(), first.id).await;

    // By the id of an invocation.
    let of = async |id: i64, further: &[&str]| {
        let id = id.to_string();
        let words = [
            "start",
            "--task",
            "T3",
            "--prompt",
            "go on",
            "--resume-of",
            &id,
        ];
        ctl.run([&words, further].concat()).await
    };
    let env = ["--env", r#"FAKE_PROVIDER=["exit","0"]"#];
    let id: i64 = of(second, &env).await.ok().trim().parse().unwrap();
    let third = rpc.get(&ctl.project(), id).await;
    assert_eq!(resumed(&home, &third).as_deref(), Some("s-2"));
    of(999, &env).await.exits(3);
    let refused = of(second, &["--provider", "codex"]).await.exits(4);
    assert!(
        refused.stderr.contains("was run by claude"),
        "{}",
        refused.stderr
    );

    // The same request, although another session is the last by now.
    ran(&rpc, &ctl, &home, "T1", "s-4").await;
    let again = rpc
        .start(resuming(&ctl, "T1", "last", "r-1"))
        .await
        .unwrap();
    assert_eq!(again.id, first.id);
    let other = rpc.start(resuming(&ctl, "T1", "s-2", "r-1")).await;
    assert_eq!(other.unwrap_err().code(), tonic::Code::AlreadyExists);
    let next = rpc
        .start(resuming(&ctl, "T1", "last", "r-2"))
        .await
        .unwrap();
    assert_eq!(resumed(&home, &next).as_deref(), Some("s-4"));
}

/// Whoever wants to go on by hand needs it then; nothing of ours goes on with a session that is in use.
#[tokio::test]
async fn one_that_runs_tells_its_session_and_nothing_goes_on_with_it() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    ran(&rpc, &ctl, &home, "T1", "s-1").await;
    let mut agent = Puppet::new(&home, "running");
    let words = agent.args();
    let id = rpc
        .start_as(&ctl.project(), "T2", "claude", &words)
        .await
        .id;
    agent.prints(r#"{"type":"system","subtype":"init","session_id":"s-2","cwd":"/","tools":[]}"#);
    let told = async |rpc: &Rpc| {
        eventually("its session", async || {
            let shown = rpc.get(&ctl.project(), id).await;
            (!shown.session_id.is_empty()).then_some(shown)
        })
        .await
    };
    let running = told(&rpc).await;
    assert_eq!(running.state(), v1::State::Running);
    assert_eq!(running.session_id, "s-2");
    let word = id.to_string();
    let shown = ctl.run(["show", &word]).await.ok();
    assert!(shown.contains("session     s-2"), "{shown}");
    let listed = ctl.run(["--json", "list"]).await.json();
    assert_eq!(listed["invocations"][0]["sessionId"], "s-2");

    let last = rpc.start(resuming(&ctl, "T2", "last", "r-1")).await;
    assert_eq!(last.unwrap_err().code(), tonic::Code::FailedPrecondition);
    ctl.run([
        "start",
        "--task",
        "T3",
        "--prompt",
        "x",
        "--resume-of",
        &word,
    ])
    .await
    .exits(4)
    .says("has not ended");
    ctl.run(["retry", &word]).await.exits(4);

    daemon.kill9_and_restart().await;
    let rpc = daemon.rpc().await;
    assert_eq!(told(&rpc).await.session_id, "s-2");
    agent.prints(r#"{"type":"result","subtype":"success","is_error":false,"session_id":"s-3","result":"ok"}"#);
    agent.exits(0);
    let ended = rpc.ended(&ctl.project(), id).await;
    assert_eq!(ended.session_id, "s-3");
}

#[tokio::test]
async fn an_unknown_session_is_told_apart_and_what_was_judged_by_is_shown() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let start = async |agent: &Puppet, request_id: &str| {
        let words = serde_json::to_string(&agent.args()).unwrap();
        let secret = (
            "ANTHROPIC_API_KEY".to_owned(),
            "key-0123456789abcdef".to_owned(),
        );
        let request = v1::StartRequest {
            env: [("FAKE_PROVIDER".to_owned(), words), secret].into(),
            ..resuming(&ctl, "T1", "s-gone", request_id)
        };
        rpc.start(request).await.unwrap()
    };

    let mut agent = Puppet::new(&home, "gone");
    let gone = start(&agent, "r-1").await;
    agent.complains("No conversation found with session ID: s-gone");
    agent.exits(1);
    let ended = rpc.ended(&ctl.project(), gone.id).await;
    assert_eq!(
        (&*ended.outcome, &*ended.cause),
        ("failed", "unknown_session")
    );
    let last = log::lines(&ctl.log_path(gone.id)).pop().unwrap();
    assert_eq!(last["cause"], "unknown_session");
    let shown = ctl.run(["show", &gone.id.to_string()]).await.ok();
    assert!(shown.contains("cause       unknown_session"), "{shown}");
    assert!(
        shown.contains("stderr      No conversation found"),
        "{shown}"
    );

    let mut agent = Puppet::new(&home, "limited");
    let limited = start(&agent, "r-2").await;
    agent.prints(r#"{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":4102444800}}"#);
    agent.prints(r#"{"type":"result","subtype":"success","is_error":true,"api_error_status":429,"session_id":"s-5","result":"You've hit your limit key-0123456789abcdef"}"#);
    agent.exits(1);
    rpc.ended(&ctl.project(), limited.id).await;
    let shown = ctl
        .run(["--json", "show", &limited.id.to_string()])
        .await
        .json();
    assert_eq!(shown["outcome"], "rate_limited");
    assert_eq!(shown["resetsAtMs"], 4_102_444_800_000_i64);
    assert_eq!(shown["httpStatus"], 429);
    assert_eq!(shown["cause"], Value::Null);
    let event = shown["evidence"]["finalEvent"].as_str().unwrap();
    assert!(event.contains(r#""api_error_status":429"#), "{event}");
    assert!(event.contains("[redacted ANTHROPIC_API_KEY]"), "{event}");
    let last = log::lines(&ctl.log_path(limited.id)).pop().unwrap();
    assert_eq!(last["resetsAt"], 4_102_444_800_000_i64);
    assert_eq!(last["httpStatus"], 429);
    // A list is for many, and has none of it.
    let listed = ctl.run(["--json", "list"]).await.json();
    assert_eq!(listed["invocations"][0]["evidence"], Value::Null);
    assert_eq!(listed["invocations"][0]["httpStatus"], 429);
}

/// A session that is gone is asked for once: the attempt after that begins as the first did.
#[tokio::test]
async fn an_attempt_after_an_unknown_session_begins_anew() {
    let home = Home::new();
    let script = "#!/bin/sh\ncase \"$*\" in *--resume*) echo 'No conversation found with session ID: s-1' >&2; exit 1;; esac\n\
        cat >&2\necho '{\"type\":\"system\",\"subtype\":\"init\",\"session_id\":\"s-1\",\"model\":\"m\",\"tools\":[],\"cwd\":\"/\"}'\nexit 1\n";
    let claude = home.script("claude-that-forgets", script);
    home.configure(&format!(
        "[providers.claude]\ncommand = \"{}\"\n[retry]\non = [\"failed\", \"interrupted\"]\nmax = 2\nfirst = \"1ms\"\n",
        claude.display()
    ));
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let mut next = Some(rpc.start_as(&ctl.project(), "T1", "claude", &[]).await.id);
    let mut told = Vec::new();
    while let Some(id) = next {
        let ended = rpc.ended(&ctl.project(), id).await;
        let prompt = rpc.get(&ctl.project(), id).await.prompt;
        told.push((ended.mode.clone(), ended.cause.clone(), prompt == "do it"));
        next = ended.retried_by;
    }
    let told: Vec<_> = told.iter().map(|it| (&*it.0, &*it.1, it.2)).collect();
    assert_eq!(
        told,
        [
            ("fresh", "", true),
            ("resume", "unknown_session", false),
            ("fresh", "", true),
        ]
    );
}
