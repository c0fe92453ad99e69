//! A state folder that is deleted, whole or in part, under a running daemon.

use std::fs;
use std::sync::Arc;

use rustix::process::Signal;
use steroids_tests::faults::held;
use steroids_tests::{Ctl, Daemon, Home, Puppet, eventually, invocation, log};

const LOCK: &str = "state/steroids/steroidsd.lock";
const LIST: &str = "state/steroids/projects.json";

/// Another daemon for the same state folder, as one with another runtime folder is.
fn beside(home: &Arc<Home>) -> Vec<String> {
    let socket = home.path("run/other.sock");
    vec!["--socket".to_owned(), socket.display().to_string()]
}

/// Also what the daemon puts into it meanwhile.
fn remove_folder(home: &Home) {
    while fs::remove_dir_all(home.state_dir()).is_err() {}
}

async fn made_anew(home: &Home) {
    eventually("lock and list of projects to be made anew", async || {
        (home.path(LOCK).exists() && home.path(LIST).exists()).then_some(())
    })
    .await;
}

async fn lists(ctl: &Ctl) {
    let listed = ctl.run(["projects", "--json"]).await.json();
    assert!(listed.to_string().contains(&ctl.project()), "{listed}");
}

#[tokio::test]
async fn one_that_is_deleted_under_a_daemon_is_made_anew_and_lets_no_second_one_in() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let only_the_lock = |home: &Home| fs::remove_file(home.path(LOCK)).unwrap();
    for remove in [remove_folder, only_the_lock] {
        remove(&home);
        made_anew(&home).await;
        let mut second = Daemon::launch(&home, beside(&home));
        assert_eq!(second.ended().await, 4, "{}", home.daemon_log());
    }
    let log = home.daemon_log();
    assert!(log.contains("is made anew"), "{log}");
    // The list alone, and nobody asks anything between its end and the next one's beginning.
    fs::remove_file(home.path(LIST)).unwrap();
    assert_eq!(daemon.term().await, 0);
    daemon.start_again().await;
    lists(&ctl).await;
    let seen = "made anew with lock and list; a second daemon ends with exit 4";
    held(225, seen);
}

#[tokio::test]
async fn a_daemon_that_finds_another_in_its_state_folder_ends_and_its_agents_do_not() {
    let home = Home::new();
    let mut first = Daemon::start(&home).await;
    let ctl = first.project("app").await;
    let mut agent = Puppet::new(&home, "agent");
    let runs = first.rpc().await;
    let runs = runs.start_fake(&ctl.project(), "T1", &agent.args()).await;
    agent.prints("one");
    let selector = invocation(&ctl.project(), runs.id);
    let rpc = first.rpc().await;
    rpc.follow(selector, "", true).await.until("one").await;
    first.freeze().await;
    fs::remove_file(home.path(LOCK)).unwrap();
    let other = beside(&home);
    let arguments: Vec<_> = other.iter().map(String::as_str).collect();
    let second = Daemon::start_with(&home, &arguments).await;
    // It holds the project all the same.
    let words = [
        arguments[0],
        arguments[1],
        "start",
        "--task",
        "T2",
        "--",
        "true",
    ];
    let state = home.state_dir();
    let refused = ctl.run(words).await.exits(4);
    refused.says(state.to_str().unwrap());
    first.signal(Signal::CONT);
    assert_eq!(first.ended().await, 4, "{}", home.daemon_log());
    agent.prints("two");
    agent.exits(0);
    ctl.run(words).await.exits(0);
    let ended = second.rpc().await.ended(&ctl.project(), runs.id).await;
    assert_eq!(ended.outcome, "success", "{ended:?}");
    let lines = log::lines(&ctl.log_path(runs.id));
    log::assert_whole(&lines);
    assert_eq!(log::messages(&lines, "output"), ["one", "two"]);
    held(
        225,
        "another has taken it: the first ends with exit 4, the agent goes on",
    );
}

/// As a home that was restored beside the original.
#[tokio::test]
async fn what_runs_is_not_stopped_by_a_daemon_on_a_copy_of_its_state_folder() {
    let home = Home::new();
    let first = Daemon::start(&home).await;
    let ctl = first.project("app").await;
    let mut agent = Puppet::new(&home, "agent");
    let rpc = first.rpc().await;
    let runs = rpc.start_fake(&ctl.project(), "T1", &agent.args()).await;
    let copy = home.path("state/copy");
    let paths = [&home.state_dir(), &copy];
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args(paths)
        .status();
    assert!(copied.unwrap().success());
    let other = beside(&home);
    let copy = copy.to_str().unwrap();
    let arguments = [&*other[0], &*other[1], "--state-dir", copy];
    let _second = Daemon::start_with(&home, &arguments).await;
    let id = runs.id.to_string();
    for which in ["--all", &*id] {
        let stop = [arguments[0], arguments[1], "stop", which];
        let refused = ctl.run(stop).await.exits(4);
        refused.says(home.state_dir().to_str().unwrap());
    }
    agent.prints("undisturbed");
    agent.exits(0);
    let ended = rpc.ended(&ctl.project(), runs.id).await;
    assert_eq!(ended.outcome, "success", "{ended:?}");
    held(
        225,
        "a daemon on a copy is refused its stop, by name of the first's folder",
    );
}
