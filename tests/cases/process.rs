//! What the provider gets when it is started, and what is told of how it ended.

use std::time::Duration;

use serde_json::Value;
use steroids_proto::v1;
use steroids_tests::faults::{held, is_long, share};
use steroids_tests::{Daemon, Home, log, rpc};

#[tokio::test]
async fn a_provider_gets_three_descriptors_an_allowed_environment_and_a_clean_slate() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let caller = [
        ("PATH", "/opt/callers/bin:/usr/bin:/bin"),
        ("LANG", "de_DE.UTF-8"),
        ("SECRET_OF_ANOTHER", "x"),
        ("STEROIDS_SOCKET", "/x"),
        ("LD_PRELOAD", ""),
        ("CLAUDECODE", "1"),
        ("NOTIFY_SOCKET", "/x"),
    ];
    let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let request = v1::StartRequest {
        caller_env: caller.map(pair).into(),
        env: [pair(("CHOSEN", "yes"))].into(),
        ..rpc::command(&ctl.project(), "T1", rpc::argv(&["facts"]))
    };
    let started = rpc.start(request).await.unwrap();
    assert_eq!(
        rpc.ended(&ctl.project(), started.id).await.outcome,
        "success"
    );
    let lines = log::lines(&ctl.log_path(started.id));
    let facts: Value = serde_json::from_str(log::messages(&lines, "output")[0]).unwrap();

    let fds: Vec<_> = facts["fds"].as_object().unwrap().keys().collect();
    assert_eq!(fds, ["0", "1", "2"], "{facts}");
    assert_eq!(facts["umask"], "0077");
    assert_eq!(facts["sigBlk"], "0000000000000000");
    assert_eq!(facts["sid"], facts["pid"]);
    assert_eq!(facts["core"], 0);
    assert_eq!(facts["cwd"], ctl.project());
    let env = &facts["env"];
    assert_eq!(env["PATH"], "/opt/callers/bin:/usr/bin:/bin");
    assert_eq!(env["LANG"], "de_DE.UTF-8");
    assert_eq!(env["CHOSEN"], "yes");
    assert_eq!(env["STEROIDS_INVOCATION"], started.uuid);
    for name in [
        "SECRET_OF_ANOTHER",
        "STEROIDS_SOCKET",
        "LD_PRELOAD",
        "CLAUDECODE",
        "NOTIFY_SOCKET",
    ] {
        assert!(env[name].is_null(), "{name} came through: {env}");
    }
    let seen =
        "descriptors 0, 1, 2; of the caller's environment PATH and LANG, no secret, no LD_PRELOAD";
    held(23, seen);
}

#[tokio::test]
async fn a_prompt_comes_on_stdin_and_then_its_end() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let started = rpc
        .start_as(&ctl.project(), "T1", "gemini", &["echo-stdin"])
        .await;
    rpc.ended(&ctl.project(), started.id).await;
    let text = std::fs::read_to_string(ctl.log_path(started.id)).unwrap();
    assert!(text.contains("in do it"), "{text}");
    assert!(text.contains("stdin 5 bytes"), "{text}");
    // A command has no prompt, and waits for none.
    let started = rpc.start_fake(&ctl.project(), "T1", &["echo-stdin"]).await;
    let ended = rpc.ended(&ctl.project(), started.id).await;
    assert_eq!(ended.outcome, "success");
    let text = std::fs::read_to_string(ctl.log_path(started.id)).unwrap();
    assert!(text.contains("stdin 0 bytes"), "{text}");
    let seen = "the prompt and EOF; without a prompt EOF at once";
    held(24, seen);
}

#[tokio::test]
async fn exit_codes_and_signals_are_told_apart_from_end_to_end() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    for code in [0, 1, 127, 137, 173, 255] {
        let args = ["exit", &code.to_string()];
        let started = rpc.start_fake(&ctl.project(), "T1", &args).await;
        let ended = rpc.ended(&ctl.project(), started.id).await;
        let outcome = if code == 0 { "success" } else { "failed" };
        assert_eq!((ended.exit_code, &*ended.outcome), (Some(code), outcome));
        let lines = log::lines(&ctl.log_path(started.id));
        assert_eq!(lines.last().unwrap()["exitCode"], code);
        assert!(lines.last().unwrap()["signal"].is_null());
    }
    for (signal, name) in [
        (6, "SIGABRT"),
        (9, "SIGKILL"),
        (11, "SIGSEGV"),
        (15, "SIGTERM"),
    ] {
        let args = ["signal", &signal.to_string()];
        let started = rpc.start_fake(&ctl.project(), "T1", &args).await;
        let ended = rpc.ended(&ctl.project(), started.id).await;
        assert_eq!(ended.exit_code, Some(128 + signal));
        assert_eq!(ended.outcome, "interrupted", "a signal that was not ours");
        let lines = log::lines(&ctl.log_path(started.id));
        assert!(lines.last().unwrap()["exitCode"].is_null());
        assert_eq!(lines.last().unwrap()["signal"], name);
    }
    let seen = "exit 0, 1, 127, 137, 173, 255 and SIGABRT, SIGKILL, SIGSEGV, SIGTERM as such in row and log";
    held(18, seen);
}

#[tokio::test]
async fn a_provider_that_closes_its_output_runs_on_until_it_ends() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let ms: i64 = share(700, 60_000);
    let args = ["close-output", "--ms", &ms.to_string(), "--exit", "4"];
    let started = rpc.start_fake(&ctl.project(), "T1", &args).await;
    if is_long() {
        // Not a wait for anything: that it runs on is what is tried, for longer than `ended` waits.
        tokio::time::sleep(Duration::from_secs(45)).await;
        let now = rpc.get(&ctl.project(), started.id).await;
        assert_eq!(now.state(), v1::State::Running);
    }
    let ended = rpc.ended(&ctl.project(), started.id).await;
    assert_eq!(ended.exit_code, Some(4));
    assert!(ended.duration_ms.unwrap() >= ms, "{ended:?}");
    let seen = format!("ran on for {ms} ms without its output, then exit 4");
    held(20, seen);
}
