//! Providers that cannot be started: the row ends at once, and says what the kernel said.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use steroids_proto::v1;
use steroids_tests::faults::held;
use steroids_tests::{Ctl, Daemon, Home, log, rpc};

async fn ends_never_started(daemon: &Daemon, ctl: &Ctl, program: &str, why: &str) {
    let rpc = daemon.rpc().await;
    let request = rpc::command(&ctl.project(), "T1", vec![program.to_owned()]);
    let started = rpc.start(request).await.unwrap();
    let ended = rpc.ended(&ctl.project(), started.id).await;
    assert_eq!(ended.outcome, "never_started", "{ended:?}");
    assert_eq!(ended.state(), v1::State::Failed);
    assert_eq!(ended.exit_code, Some(-1));
    assert!(
        ended.error.contains(why),
        "{} is not in {:?}",
        why,
        ended.error
    );
    assert!(ended.error.contains(program), "{:?}", ended.error);
    let lines = log::lines(&ctl.log_path(ended.id));
    log::assert_whole(&lines);
    assert_eq!(lines.last().unwrap()["type"], "error");
    assert_eq!(lines.last().unwrap()["outcome"], "never_started");
    let shown = ctl.run(["show", &ended.id.to_string()]).await.ok();
    let again = format!("steroidsctl retry {}", ended.id);
    let is_again = |line: &str| line.starts_with("again ") && line.ends_with(&again);
    assert!(shown.lines().any(is_again), "{shown}");
    // For a script that has only the exit code.
    let start = ["start", "--task", "T1", "--", program];
    ctl.run(start).await.exits(1).says(why);
    let running = ctl.run(["--json", "list", "--running"]).await.json();
    assert_eq!(running["invocations"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn a_missing_program_ends_with_the_kernels_words() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let missing = home.path("bin/no-such-program");
    let why = "No such file or directory";
    ends_never_started(&daemon, &ctl, missing.to_str().unwrap(), why).await;
    ends_never_started(&daemon, &ctl, "no-such-program", why).await;
    let seen = format!("missing: `{why}`, no running row");
    held(19, seen);
}

#[tokio::test]
async fn a_program_without_the_right_to_run_ends_with_the_kernels_words() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let file = home.path("bin/plain-file");
    fs::write(&file, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    ends_never_started(&daemon, &ctl, file.to_str().unwrap(), "Permission denied").await;
    let seen = "not executable: `Permission denied`, no running row";
    held(19, seen);
}

#[tokio::test]
async fn a_script_whose_interpreter_is_missing_ends_with_the_kernels_words() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let file = home.script("script", "#!/no/such/interpreter\n");
    let why = "its interpreter is missing: No such file or directory";
    ends_never_started(&daemon, &ctl, file.to_str().unwrap(), why).await;
    let seen = format!("`{why}`, no running row");
    held(19, seen);
}

#[tokio::test]
async fn a_configured_cli_that_is_not_installed_ends_the_same_way() {
    let home = Home::with_config("[providers.codex]\ncommand = \"codex-not-here\"");
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let args = [
        "--json",
        "start",
        "--task",
        "T",
        "--provider",
        "codex",
        "--prompt",
        "p",
    ];
    let started = ctl.run(args).await.exits(1);
    let started: serde_json::Value = serde_json::from_str(&started.stdout).unwrap();
    let id = started["id"].as_i64().unwrap();
    let ended = daemon.rpc().await.ended(&ctl.project(), id).await;
    assert_eq!(ended.outcome, "never_started");
    assert!(ended.error.contains("codex-not-here"), "{}", ended.error);
}
