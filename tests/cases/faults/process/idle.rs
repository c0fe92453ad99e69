//! What invocations cost while they do nothing. `make bench` measures it; here are its bounds.

use std::time::{Duration, Instant};

use steroids_tests::faults::{held, share};
use steroids_tests::{Daemon, Home, eventually, invocation, processes};

/// Long enough for a loop that never sleeps to show, and in the long form every safety poll.
fn watched() -> Duration {
    share(Duration::from_millis(1500), Duration::from_secs(30))
}

#[tokio::test]
async fn silent_invocations_wake_nobody_and_leave_no_descriptor_behind() {
    let count: usize = share(10, 100);
    let home = Home::with_config(&format!("[daemon]\nmax_running = {count}"));
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    // What the first one opens once and for all.
    let first = rpc.start_fake(&ctl.project(), "T", &["exit", "0"]).await;
    rpc.ended(&ctl.project(), first.id).await;
    let before = processes::descriptors(daemon.pid());

    let mut started = Vec::new();
    for number in 0..count {
        let task = format!("T{number}");
        let agent = rpc.start_fake(&ctl.project(), &task, &["stall"]).await;
        let selector = invocation(&ctl.project(), agent.id);
        rpc.follow(selector, "", true).await.until("ready").await;
        started.push(agent);
    }
    let shims: Vec<i32> = home
        .processes()
        .into_iter()
        .filter(|it| it.command.contains("steroids-shim"))
        .map(|it| it.pid)
        .collect();
    assert_eq!(shims.len(), count);
    let sleeps = || shims.iter().map(|pid| processes::sleeps(*pid)).sum::<u64>();
    let (slept, since) = (sleeps(), Instant::now());
    // The time is what is looked at.
    tokio::time::sleep(watched()).await;
    let (woken, took) = (sleeps() - slept, since.elapsed());
    // Some are for what was printed a moment ago, or for the daemon's first word to its shim. One
    // that looked for something every 50 ms would come to twice as many in a second.
    let bound = (count as f64 * 10.0 * (1.0 + took.as_secs_f64())) as u64;
    assert!(woken <= bound, "{woken} in {took:?}");
    let open = processes::descriptors(daemon.pid());
    // A connection to its shim, its spool, its log.
    assert!(open <= before + 4 * count, "{before} became {open}");
    let of_shims = shims.iter().map(|pid| processes::descriptors(*pid)).max();
    assert!(of_shims.is_some_and(|most| most <= 16), "{of_shims:?}");

    for agent in &started {
        let grace = Duration::from_secs(10);
        rpc.stop(&ctl.project(), agent.id, grace).await;
    }
    // SQLite keeps the descriptor of a look at the database that ended while another of our
    // connections held a lock, for the next look.
    let most = before + 2;
    let after = eventually("the daemon to close what it had opened", async || {
        Some(processes::descriptors(daemon.pid())).filter(|now| *now <= most)
    })
    .await;
    let seen = format!(
        "{count} shims woke {woken} times in {took:.1?}; descriptors of the daemon {before}, with them {open}, after them {after}; figures of 100: `make bench`"
    );
    held(71, seen);
}
