//! A shim's socket is gone while it lives: whoever ends the last session of a user removes the runtime
//! folder. The shim binds it anew, and all that goes by it is done.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::time::Duration;

use steroids_proto::v1;
use steroids_tests::{Daemon, Home, Puppet, eventually, faults, invocation};

/// As the end of the last session does, and the beginning of the next one.
fn renew_runtime_folder(home: &Home) {
    let folder = home.path("run");
    fs::remove_dir_all(&folder).unwrap();
    DirBuilder::new().mode(0o700).create(&folder).unwrap();
}

#[tokio::test]
async fn an_agent_whose_shim_has_lost_its_socket_is_stopped_by_the_next_daemon() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let mut agent = Puppet::new(&home, "a");
    let started = {
        let rpc = daemon.rpc().await;
        let started = rpc.start_fake(&ctl.project(), "A", &agent.args()).await;
        agent.prints("before");
        let selector = invocation(&ctl.project(), started.id);
        rpc.follow(selector, "", true).await.until("before").await;
        started
    };
    let shim = home.shim(&started.uuid);
    // Killed first: else it may see that the socket is gone and tell the shim itself, and be killed before it
    // says so.
    daemon.kill9().await;
    renew_runtime_folder(&home);
    daemon.start_again().await;
    let rpc = daemon.rpc().await;
    rpc.stop(&ctl.project(), started.id, Duration::from_secs(5))
        .await;
    let ended = rpc.ended(&ctl.project(), started.id).await;
    assert_eq!(ended.outcome, "cancelled");
    assert!(
        home.daemon_log().contains("told to bind its socket anew"),
        "{}",
        home.daemon_log()
    );
    let sockets = fs::metadata(home.path("run/steroids/s")).unwrap();
    assert_eq!(sockets.permissions().mode() & 0o777, 0o700);
    assert_eq!(rpc.degraded().await, Vec::<String>::new());
    let log = fs::read_to_string(ctl.log_path(started.id)).unwrap();
    assert!(log.contains("before"), "{log}");
    let seen = format!("stopped by the next daemon, of which shim {shim} had no socket");
    faults::held(210, seen);
}

#[tokio::test]
async fn a_message_reaches_an_agent_whose_shim_has_lost_its_socket() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let request = v1::StartRequest {
        project: ctl.project(),
        task_id: "A".to_owned(),
        provider: "claude".to_owned(),
        prompt: "begin".to_owned(),
        interactive: true,
        env: [("FAKE_PROVIDER".to_owned(), r#"["talk"]"#.to_owned())].into(),
        ..Default::default()
    };
    let agent = rpc.start(request).await.unwrap();
    let selector = invocation(&ctl.project(), agent.id);
    let mut followed = rpc.follow(selector, "", true).await;
    followed.until("heard begin").await;
    fs::remove_dir_all(home.path("run/steroids/s")).unwrap();
    ctl.run(["send", &agent.id.to_string(), "more"]).await.ok();
    followed.until("heard more").await;
    // Its line was never lost.
    rpc.stop(&ctl.project(), agent.id, Duration::from_secs(5))
        .await;
    assert_eq!(
        rpc.ended(&ctl.project(), agent.id).await.outcome,
        "cancelled"
    );
    faults::held(210, "a message sent meanwhile is heard");
}

#[tokio::test]
async fn what_keeps_a_socket_away_is_told_until_it_is_there() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let agent = Puppet::new(&home, "a");
    let started = {
        let rpc = daemon.rpc().await;
        rpc.start_fake(&ctl.project(), "A", &agent.args()).await
    };
    daemon.kill9().await;
    let sockets = home.path("run/steroids/s");
    fs::remove_dir_all(&sockets).unwrap();
    fs::write(&sockets, "in the way").unwrap();
    daemon.start_again().await;
    let rpc = daemon.rpc().await;
    let is_cause = |text: &str| text.contains("socket is gone") && text.contains("cannot make");
    let shown = eventually("the cause, in the alarm", async || {
        let shown = rpc.get(&ctl.project(), started.id).await;
        is_cause(&shown.alarm).then_some(shown)
    })
    .await;
    assert_eq!(shown.state(), v1::State::Running);
    assert!(!shown.alarm.contains("does not answer"), "{}", shown.alarm);
    let told = rpc.degraded().await;
    assert!(told.len() == 1 && is_cause(&told[0]), "{told:?}");
    assert!(!told[0].contains("SIGSTOP"), "{told:?}");
    assert_eq!(fs::read_to_string(&sockets).unwrap(), "in the way");

    fs::remove_file(&sockets).unwrap();
    eventually("the alarm to end", async || {
        let shown = rpc.get(&ctl.project(), started.id).await;
        shown.alarm.is_empty().then_some(())
    })
    .await;
    assert_eq!(rpc.degraded().await, Vec::<String>::new());
    rpc.stop(&ctl.project(), started.id, Duration::from_secs(5))
        .await;
    assert_eq!(
        rpc.ended(&ctl.project(), started.id).await.outcome,
        "cancelled"
    );
    faults::held(210, "the alarm names what is in the way, and ends with it");
}
