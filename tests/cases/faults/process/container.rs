//! The daemon as the first process of a container: of a PID namespace, with a /proc of its own. Who
//! connects from outside has no process id there: the kernel says 0.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use steroids_tests::faults::held;
use steroids_tests::{
    Ctl, Daemon, Home, Puppet, assert_undisturbed, eventually, invocation, log, processes, shim,
};

/// Words that make a program the first process of a container, which ends with them.
const CONTAINER: [&str; 5] = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];

fn can_contain() -> bool {
    let mut trial = std::process::Command::new(CONTAINER[0]);
    trial
        .args(&CONTAINER[1..])
        .arg("true")
        .stderr(Stdio::null());
    trial.status().is_ok_and(|status| status.success())
}

/// The container's first process, by its number outside: what was started for it has forked.
fn first(daemon: &Daemon) -> i32 {
    let mut found = daemon.home().processes().into_iter();
    let first = found.find(|process| is_child(process.pid, daemon.pid()));
    first.expect("it serves").pid
}

fn is_child(pid: i32, parent: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status"));
    status.is_ok_and(|status| status.contains(&format!("PPid:\t{parent}\n")))
}

/// Ended children of the container's first process that nobody has waited for.
fn zombies(first: i32) -> Vec<i32> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| is_child(*pid, first) && !processes::is_alive(*pid))
        .collect()
}

fn namespace(pid: i32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/pid")).ok()
}

/// `steroidsctl` in the daemon's container.
fn inside(ctl: &Ctl, first: i32) -> Ctl {
    let target = first.to_string();
    let folder = format!("--wd={}", ctl.project());
    ctl.through(&["nsenter", "--target", &target, "--pid", "--mount", &folder])
}

async fn row(ctl: &Ctl, id: i64) -> Value {
    ctl.run(["--json", "show", &id.to_string()]).await.json()
}

#[tokio::test]
async fn the_first_process_of_a_container_serves_who_is_inside_and_who_is_not() {
    if !rustix::process::geteuid().is_root() || !can_contain() {
        return held(165, "not shown: needs root and a PID namespace");
    }
    let home = Home::new();
    let mut daemon = Daemon::start_through(&home, &CONTAINER).await;
    let (outer, rpc) = (daemon.project("app").await, daemon.rpc().await);
    let container = namespace(first(&daemon));
    assert_ne!(container, namespace(daemon.pid()));
    let inner = inside(&outer, first(&daemon));

    // Started from outside, looked at from both sides, stopped from inside.
    let mut agent = Puppet::new(&home, "agent");
    let started = rpc.start_fake(&outer.project(), "T1", &agent.args()).await;
    agent.prints("hello from inside");
    let selector = invocation(&outer.project(), started.id);
    let mut followed = rpc.follow(selector, "", true).await;
    followed.until("hello from inside").await;
    let own = processes::marked(&started.uuid);
    assert!(!own.is_empty() && own.iter().all(|it| namespace(it.pid) == container));
    assert_eq!(row(&inner, started.id).await["status"], "running");
    // Its shim, too, may be asked from outside, and lives on.
    shim::stat(&home, &started.uuid).await;
    let call = ["stop", &started.id.to_string(), "--grace", "10s"];
    inner.run(call).await.ok();
    assert_eq!(processes::marked(&started.uuid), []);
    let ended = rpc.ended(&outer.project(), started.id).await;
    assert_eq!(ended.outcome, "cancelled");
    assert_undisturbed(&outer, &ended);

    // Started from inside, stopped from outside.
    let id = inner.start_fake("T2", &["stall"]).await;
    let running = rpc.get(&outer.project(), id).await;
    assert_ne!(processes::marked(&running.uuid), []);
    let grace = Duration::from_secs(10);
    let stopped = rpc.stop(&outer.project(), id, grace).await;
    assert_eq!(stopped.invocation.unwrap().outcome, "cancelled");
    assert_eq!(processes::marked(&running.uuid), []);

    // One may have ended by a signal that has no name.
    let target = first(&daemon).to_string();
    let nsenter = ["--target", &target, "--pid", "--mount", "--"];
    let mut orphan = std::process::Command::new("nsenter");
    let script = ["sh", "-c", "sleep 60 & kill -40 $!"];
    assert!(
        orphan
            .args(nsenter)
            .args(script)
            .status()
            .unwrap()
            .success()
    );
    // Whoever lost its parent has become the first one's child, and is waited for.
    eventually("no zombies", async || {
        zombies(first(&daemon)).is_empty().then_some(())
    })
    .await;

    // Killed with all that is in it; in the next one the same numbers are other processes.
    let id = outer.start_fake("T3", &["stall"]).await;
    let all = home.processes();
    daemon.kill9().await;
    // By their numbers: one that is going has no words any more, and its socket still.
    eventually("all in the container to go", async || {
        let is_alive = |process: &processes::Process| processes::is_alive(process.pid);
        (!all.iter().any(is_alive)).then_some(())
    })
    .await;
    daemon.start_again().await;
    let rpc = daemon.rpc().await;
    let lost = rpc.ended(&outer.project(), id).await;
    assert_eq!((&*lost.outcome, lost.exit_code), ("lost", Some(-1)));
    log::assert_whole(&log::lines(&outer.log_path(id)));
    let inner = inside(&outer, first(&daemon));
    assert_eq!(row(&inner, id).await["outcome"], "lost");

    // What was started for it gives its exit code.
    processes::signal(first(&daemon), Signal::TERM);
    assert_eq!(daemon.ended().await, 0);
    assert_eq!(home.processes(), []);
    let seen = format!(
        "started outside and stopped inside, and the other way; no zombies; killed with its \
         container: `{}`; exit 0 on TERM",
        lost.error
    );
    held(165, seen);
}
