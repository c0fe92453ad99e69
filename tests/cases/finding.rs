//! The daemon that a client finds in another environment than the daemon's: by cron, by `su`, in an agent.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::UnixListener;

use steroids_tests::{Ctl, Daemon, Home};

#[tokio::test]
async fn who_has_another_runtime_folder_or_none_finds_the_daemon_by_its_state_folder() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let without = ctl.through(&["env", "-u", "XDG_RUNTIME_DIR"]);
    let elsewhere = ctl.with_env("XDG_RUNTIME_DIR", home.path("tmp").to_str().unwrap());
    for ctl in [&without, &elsewhere] {
        works(ctl).await;
    }
    // One that a daemon has left when it was killed, in the days when it had no such folder.
    let run = home.state_dir().join("run");
    fs::DirBuilder::new().mode(0o700).create(&run).unwrap();
    drop(UnixListener::bind(run.join("steroidsd.sock")).unwrap());
    works(&without).await;

    // The socket that somebody names is meant.
    let named = ctl.with_env("STEROIDS_SOCKET", "/nowhere/d.sock");
    let refusal = named.run(["list"]).await.exits(69);
    let socket = home.socket();
    refusal.says(&format!("--socket {}", socket.display()));

    assert_eq!(daemon.term().await, 0);
    for ctl in [&without, &elsewhere] {
        ctl.run(["list"]).await.exits(69).says("start it with");
    }
}

async fn works(ctl: &Ctl) {
    let start = ["start", "--task", "T1", "--follow", "--", "true"];
    ctl.run(start).await.ok();
    let doctor = ctl.run(["doctor"]).await.stdout;
    let socket = ctl.home().socket();
    let line = format!("ok    socket      {}", socket.display());
    assert!(doctor.contains(&line), "{doctor}");
}

/// One that began without a runtime folder, at the host's start.
#[tokio::test]
async fn a_daemon_that_has_no_runtime_folder_is_found_by_who_has_one() {
    let home = Home::new();
    let beside = home.state_dir().join("run/steroidsd.sock");
    let at = ["--socket", beside.to_str().unwrap()];
    let daemon = Daemon::start_with(&home, &at).await;
    let ctl = daemon.project("app").await;
    let status = ctl.run(["--json", "status"]).await.json();
    assert_eq!(status["pid"], daemon.pid());
}
