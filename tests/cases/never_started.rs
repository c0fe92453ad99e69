//! Providers that cannot be started: the row ends at once, and says what the kernel said.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use steroids_proto::v1;
use steroids_tests::faults::held;
use steroids_tests::{Ctl, Daemon, Home, binaries, log, rpc};

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

/// As while another release is installed, or after somebody removed it.
#[tokio::test]
async fn without_a_shim_a_start_is_refused_with_its_path_and_leaves_no_row() {
    let home = Home::new();
    let shim = home.path("bin/steroids-shim");
    fs::create_dir_all(shim.parent().unwrap()).unwrap();
    let install = || {
        // By another process: a descriptor that a child of this one has open for writing keeps it busy.
        let copied = std::process::Command::new("cp")
            .arg(binaries::steroidsd().with_file_name("steroids-shim"))
            .arg(&shim)
            .status();
        assert!(copied.unwrap().success());
    };
    install();
    home.configure(&format!("[daemon]\nshim = {:?}\n", shim.to_str().unwrap()));
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let start = ["start", "--task", "T1", "--", "/bin/true"];
    let at = shim.to_str().unwrap();

    fs::remove_file(&shim).unwrap();
    let refused = ctl.run(start).await.exits(75);
    let refused = refused
        .says(at)
        .says("No such file")
        .says("install steroids anew");
    refused.says("try again in a moment");
    let doctor = ctl.run(["doctor"]).await.stdout;
    let cure = "install steroids anew";
    assert!(doctor.contains(at) && doctor.contains(cure), "{doctor}");

    install();
    fs::set_permissions(&shim, fs::Permissions::from_mode(0o600)).unwrap();
    ctl.run(start)
        .await
        .exits(75)
        .says(at)
        .says("Permission denied");
    let rows = ctl.run(["--json", "list"]).await.json();
    assert_eq!(rows["invocations"], serde_json::json!([]), "{rows}");

    fs::set_permissions(&shim, fs::Permissions::from_mode(0o700)).unwrap();
    ctl.run(start).await.exits(0);
    let status = ctl.run(["status"]).await.ok();
    assert!(!status.contains("nothing can be started"), "{status}");
}
