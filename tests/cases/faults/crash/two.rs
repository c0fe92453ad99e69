//! More than one daemon at a time.

use std::os::unix::fs::MetadataExt;

use steroids_tests::{Daemon, Home, Puppet, eventually, faults, invocation, log, processes};
use steroidsd::service::lock::DaemonLock;

#[tokio::test]
async fn a_second_daemon_names_the_first_and_goes_and_the_first_does_not_notice() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let mut agent = Puppet::new(&home, "agent");
    let started = rpc.start_fake(&ctl.project(), "T1", &agent.args()).await;
    let selector = invocation(&ctl.project(), started.id);
    let mut followed = rpc.follow(selector, "", true).await;
    let socket = home.socket().symlink_metadata().unwrap().ino();
    let mut second = Daemon::launch(&home, Vec::new());
    assert_eq!(second.ended().await, 4);
    let said = home.daemon_log();
    let holder = format!("pid {}", daemon.pid());
    assert!(said.contains(&holder), "{holder} is not in {said}");
    assert_eq!(home.socket().symlink_metadata().unwrap().ino(), socket);
    agent.prints("undisturbed");
    followed.until("undisturbed").await;
    agent.exits(0);
    rpc.ended(&ctl.project(), started.id).await;
    let seen = "exit 4, names pid and socket; the first's stream went on, same socket";
    faults::held(13, seen);
}

#[tokio::test]
async fn a_daemon_waits_for_one_that_is_about_to_be_gone() {
    for name in [
        "state/steroids/steroidsd.lock",
        "run/steroids/steroidsd.sock.lock",
    ] {
        let home = Home::new();
        Daemon::start(&home).await.kill9().await;
        let going = DaemonLock::acquire(&home.path(name), "one that was killed").unwrap();
        let mut daemon = Daemon::launch(&home, Vec::new());
        eventually("it to find the lock held", async || {
            home.daemon_log()
                .contains("waiting for another")
                .then_some(())
        })
        .await;
        drop(going);
        eventually("it to serve", async || {
            tokio::net::UnixStream::connect(home.socket()).await.ok()
        })
        .await;
        assert_eq!(daemon.term().await, 0);
    }
    faults::held(111, "it serves as soon as the lock is free");
}

#[tokio::test]
async fn two_daemons_with_states_of_their_own_do_not_share_a_project() {
    let home = Home::new();
    let mut first = Daemon::start(&home).await;
    let ctl = first.project("app").await;
    let rpc = first.rpc().await;
    let mut agent = Puppet::new(&home, "agent");
    let started = rpc.start_fake(&ctl.project(), "T1", &agent.args()).await;
    let (state, socket) = (home.path("state/other"), home.path("run/other.sock"));
    let (state, socket) = (state.to_str().unwrap(), socket.to_str().unwrap());
    let arguments = ["--state-dir", state, "--socket", socket];
    let _second = Daemon::start_with(&home, &arguments).await;
    let owner = home.state_dir();
    let owner = owner.to_str().unwrap();
    ctl.run(["--socket", socket, "init"])
        .await
        .exits(4)
        .says(owner);
    let start = ["--socket", socket, "start", "--task", "T2", "--", "true"];
    ctl.run(start).await.exits(4).says(owner);
    // Nor while the first is away: what runs is the first's.
    first.kill9().await;
    ctl.run(start).await.exits(4).says(owner);
    assert_eq!(processes::marked(&started.uuid).len(), 1);
    first.start_again().await;
    agent.prints("undisturbed");
    agent.exits(0);
    let ended = first.rpc().await.ended(&ctl.project(), started.id).await;
    assert_eq!(ended.outcome, "success");
    let lines = log::lines(&ctl.log_path(started.id));
    assert_eq!(log::messages(&lines, "output"), ["undisturbed"]);
    let seen = "exit 4, names the first's state folder, also while the first is away";
    faults::held(110, seen);
}
