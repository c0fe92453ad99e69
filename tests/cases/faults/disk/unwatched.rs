//! inotify has too much to tell, or may tell nothing: whoever follows still sees each line soon.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use steroids_tests::faults::{held, share};
use steroids_tests::{Daemon, FailPoints, Home, Puppet, assert_undisturbed, eventually, log, rpc};

/// Starts the daemon as root of a user namespace that has none of the inotify resource `name`.
async fn start_without(name: &str) -> Result<Daemon, &'static str> {
    let home = Home::with_config("[daemon]\nlog_level = \"debug\"");
    if !rustix::process::geteuid().is_root() {
        return Err("not shown: needs root");
    }
    let script = format!("echo 0 > /proc/sys/user/{name} && exec \"$@\"");
    let command = [
        "unshare",
        "--user",
        "--map-root-user",
        "sh",
        "-c",
        &script,
        "sh",
    ];
    Ok(Daemon::start_through(&home, &command).await)
}

/// Follows an agent line by line, and gives the longest time a line took, and all of it together.
async fn follow_lines(daemon: &Daemon, count: u32) -> (Duration, Duration) {
    let home = daemon.home();
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let mut agent = Puppet::new(home, "agent");
    let started = rpc.start_fake(&ctl.project(), "T1", &agent.args()).await;
    let selector = rpc::invocation(&ctl.project(), started.id);
    let mut follower = rpc.follow(selector, "", true).await;
    follower.until("start").await;
    let begun = Instant::now();
    let mut longest = Duration::ZERO;
    for number in 1..=count {
        let printed = Instant::now();
        agent.prints(&format!("n {number:06}"));
        follower.until(&format!("n {number:06}")).await;
        longest = longest.max(printed.elapsed());
    }
    let all = begun.elapsed();
    agent.exits(7);
    let ended = rpc.ended(&ctl.project(), started.id).await;
    assert_eq!(ended.exit_code, Some(7));
    let rest = follower.rest().await.unwrap();
    assert_eq!(log::types(&rpc::values(&rest)), ["complete"]);
    assert_undisturbed(&ctl, &ended);
    (longest, all)
}

/// True while the kernel tells the daemon of what happens in a folder: proc_pid_fdinfo(5).
fn is_watched(daemon: &Daemon, folder: &Path) -> bool {
    let inode = format!(" ino:{:x} ", std::fs::metadata(folder).unwrap().ino());
    let open = std::fs::read_dir(format!("/proc/{}/fdinfo", daemon.pid())).unwrap();
    // A descriptor may be closed meanwhile.
    let mut said = open.filter_map(|it| std::fs::read_to_string(it.ok()?.path()).ok());
    said.any(|said| {
        let mut lines = said.lines();
        lines.any(|it| it.starts_with("inotify wd:") && it.contains(&inode))
    })
}

#[tokio::test]
async fn without_watches_lines_are_followed_by_the_shims_own_hints() {
    let mut seen = Vec::new();
    for name in ["max_inotify_watches", "max_inotify_instances"] {
        let daemon = match start_without(name).await {
            Ok(daemon) => daemon,
            Err(why) => return held(34, why),
        };
        let (longest, all) = follow_lines(&daemon, 10).await;
        let said = daemon.home().daemon_log();
        assert!(said.contains("polled"), "inotify was to be had: {said}");
        // By the slow poll alone each would take 5 s.
        assert!(all < Duration::from_secs(20), "{all:?} for ten lines");
        seen.push(format!("{name} 0: {} ms at most", longest.as_millis()));
    }
    held(34, seen.join(", "));
}

#[tokio::test]
async fn more_events_than_the_queue_holds_are_made_good() {
    let home = Home::with_config("[daemon]\nlog_level = \"debug\"");
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let mut agent = Puppet::new(&home, "agent");
    let started = rpc.start_fake(&ctl.project(), "T1", &agent.args()).await;
    let selector = rpc::invocation(&ctl.project(), started.id);
    let mut follower = rpc.follow(selector, "", true).await;
    follower.until("start").await;
    let limit = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let limit: u32 = limit.trim().parse().unwrap();
    // Elsewhere, so that nothing but the overflow itself tells of the agent's line.
    let other = rpc.start_fake(&ctl.project(), "T2", &["stall"]).await;
    let noisy = home.invocation_dir(&other.uuid);
    let file = |name: &str| {
        let mut options = OpenOptions::new();
        let options = options.create(true).append(true);
        options.open(noisy.join(name)).unwrap()
    };
    let mut noise = [file("noise-1"), file("noise-2")];
    let spool = home.invocation_dir(&started.uuid).join("spool");
    // The poll behind the kernel's word would make it good as well.
    FailPoints::of(&home).set(&["job.poll errno 5"]);
    let mut longest = Duration::ZERO;
    let rounds = share(4, 40);
    for round in 1..=rounds {
        // After an overflow it is not, until the one whose folder it is has had a look.
        eventually("the noise to be watched", async || {
            is_watched(&daemon, &noisy).then_some(())
        })
        .await;
        daemon.freeze().await;
        // By turns, as equal events in a row are one.
        for number in 0..limit + 100 {
            noise[number as usize % 2].write_all(b".").unwrap();
        }
        let line = format!("n {round:06}");
        agent.prints(&line);
        eventually("the line in the spool", async || {
            let spooled = std::fs::read(&spool).unwrap();
            let mut found = spooled.windows(line.len());
            found.any(|bytes| bytes == line.as_bytes()).then_some(())
        })
        .await;
        let begun = Instant::now();
        daemon.signal(Signal::CONT);
        follower.until(&line).await;
        longest = longest.max(begun.elapsed());
        // One that is still in the queue would stand for that of the next round too.
        eventually("the overflow to be noticed", async || {
            let said = home.daemon_log();
            let overflows = said.matches("inotify queue overflowed").count();
            (overflows >= round as usize).then_some(())
        })
        .await;
    }
    agent.exits(7);
    let ended = rpc.ended(&ctl.project(), started.id).await;
    assert_undisturbed(&ctl, &ended);
    let seen = format!(
        "{} events unread, then the line within {} ms",
        limit,
        longest.as_millis()
    );
    held(34, seen);
}
