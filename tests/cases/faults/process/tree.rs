//! What an agent has started does not outlive it, however it tries to get away.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use rustix::fs::OFlags;
use rustix::process::Signal;
use steroids_proto::v1;
use steroids_tests::cgroup::Cgroup;
use steroids_tests::faults::held;
use steroids_tests::processes::{self, Process};
use steroids_tests::{Ctl, Daemon, Home, eventually, log};

use super::start_script;

const CHILDREN: usize = 200;

/// Starts `$2` children that ignore TERM, each in a session of its own; one that is nobody's child,
/// in a session of its own, with nothing in its environment; and one that is stopped and holds the
/// output open. Then it ignores TERM itself.
const FAMILY: &str = r#"
trap '' TERM INT HUP
nap=$1
i=0
while [ $i -lt $2 ]; do setsid "$nap" 3600 > /dev/null & i=$((i+1)); done
env -i "$(command -v setsid)" /bin/sh -c '"$1" 3600 > /dev/null & exit' sh "$nap" &
"$nap" 3600 & last=$!
until read name < /proc/$last/comm && [ "$name" = nap ]; do sleep 0.01; done
kill -STOP $last
while :; do sleep 1; done
"#;

/// Leaves three behind, tells their numbers, and exits when they are what they are to be.
const LEAVER: &str = r#"
nap=$1 file=$1.pid
"$nap" 3600 > /dev/null 2>&1 & a=$!
setsid "$nap" 3600 > /dev/null 2>&1 & b=$!
env -i "$(command -v setsid)" /bin/sh -c '"$1" 3600 > /dev/null 2>&1 & echo $! > "$2"' sh "$nap" "$file"
read c < "$file"
for pid in $a $b $c; do
    until read name < /proc/$pid/comm && [ "$name" = nap ]; do sleep 0.01; done
done
echo "left $a $b $c"
"#;

/// Leaves one behind that goes from process to process, each in a session of its own, for as long as its script is
/// there; whoever it is holds `$2` open. Then it does `$3`.
const HOPPER: &str = r#"
printf '[ -e "%s" ] && setsid sh "%s" > /dev/null 2>&1 &' "$1" "$1" > "$1"
exec 9> "$2"
sh "$1"
: > "$1.up"
eval "$3"
"#;

/// A program that sleeps, and by whose path its processes are known whatever their environment.
fn nap(home: &Home) -> PathBuf {
    let path = home.path("bin/nap");
    symlink("/bin/sleep", &path).unwrap();
    path
}

fn naps(home: &Home) -> Vec<Process> {
    let nap = home.path("bin/nap 3600");
    let mut found = home.processes();
    found.retain(|process| process.command == nap.to_str().unwrap());
    found
}

/// What is alive in the home besides the daemon and shims that are about to leave.
fn others(home: &Home, daemon: &Daemon) -> Vec<Process> {
    let mut found = home.processes();
    found.retain(|it| it.pid != daemon.pid() && !it.command.contains("steroids-shim"));
    found
}

fn is_unmarked(process: &Process) -> bool {
    let environ = fs::read(format!("/proc/{}/environ", process.pid)).unwrap_or_default();
    !String::from_utf8_lossy(&environ).contains("STEROIDS_INVOCATION")
}

/// Starts the family, and waits until all of it is there.
async fn started_family(daemon: &Daemon, ctl: &Ctl) -> v1::Invocation {
    let home = daemon.home();
    let nap = nap(home);
    let words = [nap.to_str().unwrap(), &CHILDREN.to_string()];
    let agent = start_script(&daemon.rpc().await, ctl, FAMILY, &words).await;
    let all = eventually("the whole family", async || {
        Some(naps(home)).filter(|all| all.len() == CHILDREN + 2)
    })
    .await;
    assert_eq!(all.iter().filter(|it| is_unmarked(it)).count(), 1);
    eventually("one of it to be stopped", async || {
        naps(home)
            .iter()
            .any(|it| processes::is_stopped(it.pid))
            .then_some(())
    })
    .await;
    agent
}

/// Stops the agent; no process of its family is there when that is answered.
async fn ends_with_its_family(daemon: &Daemon, ctl: &Ctl, agent: &v1::Invocation) -> Duration {
    let asked = Instant::now();
    let grace = Duration::from_millis(300);
    let rpc = daemon.rpc().await;
    let stopped = rpc.stop(&ctl.project(), agent.id, grace).await;
    let took = asked.elapsed();
    let ended = stopped.invocation.unwrap();
    assert_eq!(others(daemon.home(), daemon), []);
    assert_eq!(
        (&*ended.outcome, ended.exit_code),
        ("cancelled", Some(128 + 9))
    );
    log::assert_whole(&log::lines(&ctl.log_path(agent.id)));
    took
}

#[tokio::test]
async fn a_family_that_gets_away_in_every_way_is_ended_by_a_stop() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let agent = started_family(&daemon, &ctl).await;
    let took = ends_with_its_family(&daemon, &ctl, &agent).await;
    let seen = format!(
        "no control group: {CHILDREN} children that ignore TERM in sessions of their own, one unmarked, one stopped: none alive {took:.1?} after a stop with 300 ms of grace"
    );
    held(17, seen);
}

#[tokio::test]
async fn a_family_in_a_control_group_is_ended_by_a_stop_and_the_group_removed() {
    let Some(group) = Cgroup::delegated() else {
        return held(17, "not shown with a control group: none can be made here");
    };
    let home = Home::new();
    let daemon = Daemon::start_through(&home, &group.entering()).await;
    let ctl = daemon.project("app").await;
    let agent = started_family(&daemon, &ctl).await;
    let groups = group.groups();
    let [own] = &groups[..] else {
        panic!("no group of its own: {groups:?}");
    };
    let inside = fs::read_to_string(own.join("cgroup.procs")).unwrap();
    let inside: Vec<i32> = inside.lines().map(|pid| pid.parse().unwrap()).collect();
    assert!(naps(&home).iter().all(|it| inside.contains(&it.pid)));
    let took = ends_with_its_family(&daemon, &ctl, &agent).await;
    eventually("its group to be removed", async || {
        group.groups().is_empty().then_some(())
    })
    .await;
    let seen = format!(
        "control group: the same family, none alive {took:.1?} after the stop; group removed"
    );
    held(17, seen);
}

#[tokio::test]
async fn a_lost_shims_control_group_is_emptied_and_removed() {
    let Some(group) = Cgroup::delegated() else {
        return held(126, "not shown: no control group can be made here");
    };
    let home = Home::new();
    let daemon = Daemon::start_through(&home, &group.entering()).await;
    let ctl = daemon.project("app").await;
    let agent = started_family(&daemon, &ctl).await;
    processes::signal(home.shim(&agent.uuid), Signal::KILL);
    let ended = daemon.rpc().await.ended(&ctl.project(), agent.id).await;
    assert_eq!(ended.outcome, "lost");
    assert_eq!(others(&home, &daemon), []);
    eventually("its group to be removed", async || {
        group.groups().is_empty().then_some(())
    })
    .await;
    let seen = "all of 203 processes gone when the row says lost; group removed";
    held(126, seen);
}

#[tokio::test]
async fn what_is_left_over_is_named_also_with_a_cleared_environment() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let nap = nap(&home);
    let words = [nap.to_str().unwrap()];
    let agent = start_script(&rpc, &ctl, LEAVER, &words).await;
    let ended = rpc.ended(&ctl.project(), agent.id).await;
    assert_eq!((&*ended.outcome, ended.leftovers), ("success", Some(3)));
    assert_eq!(naps(&home), []);
    let lines = log::lines(&ctl.log_path(agent.id));
    log::assert_whole(&lines);
    let left = log::messages(&lines, "output")[0];
    let pids = left.strip_prefix("left ").unwrap();
    let [said] = log::messages(&lines, "notice")[..] else {
        panic!("one notice: {lines:?}");
    };
    for pid in pids.split(' ') {
        assert!(said.contains(&format!("nap (pid {pid})")), "{said}");
    }
    assert_eq!(lines.last().unwrap()["leftovers"], 3);
    let seen = format!("`{said}`");
    held(121, seen);
}

#[tokio::test]
async fn what_moves_on_by_fork_is_ended_by_a_stop_and_after_an_end() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let mut seen = Vec::new();
    for n in 0..10 {
        let is_stopped = n % 2 == 0;
        let [script, fifo] = ["hop", "held"].map(|name| home.path(&format!("{name}{n}")));
        mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        let holders = rustix::fs::open(&fifo, OFlags::NONBLOCK, rustix::fs::Mode::empty()).unwrap();
        let rest = if is_stopped {
            "while :; do sleep 1; done"
        } else {
            "exit 0"
        };
        let words = [script.to_str().unwrap(), fifo.to_str().unwrap(), rest];
        let agent = start_script(&rpc, &ctl, HOPPER, &words).await;
        let up = script.with_extension("up");
        eventually("it to move", async || up.exists().then_some(())).await;
        let ended = match is_stopped {
            true => {
                let grace = Duration::from_millis(300);
                let stopped = rpc.stop(&ctl.project(), agent.id, grace).await;
                stopped.invocation.unwrap()
            }
            false => rpc.ended(&ctl.project(), agent.id).await,
        };
        // The end of what nobody holds any more; an error where somebody does.
        let read = rustix::io::read(&holders, &mut [0; 1]);
        seen.push((ended.outcome, read));
    }
    let wanted = (0..10).map(|n| match n % 2 {
        0 => ("cancelled".to_owned(), Ok(0)),
        _ => ("success".to_owned(), Ok(0)),
    });
    assert_eq!(seen, wanted.collect::<Vec<_>>());
    let seen = "one that moves on about each millisecond: gone after 5 stops and 5 ends";
    held(224, seen);
}
