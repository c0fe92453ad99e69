//! What a hundred silent invocations cost in a minute.

use std::time::Duration;

use steroids_tests::processes::descriptors;
use steroids_tests::{Daemon, Home, invocation};

use crate::process::{cpu, private_clean_kib, private_dirty_kib, rss_kib, shim, spent};
use crate::series::Row;

const AGENTS: usize = 100;
const WATCHED: Duration = Duration::from_secs(60);

/// One daemon, a hundred agents that print a word and then nothing, nobody who reads. The aim: the
/// daemon below 1 % of a processor, a shim below 1 MiB of its own, no descriptor more.
pub(crate) async fn hundred_silent() -> Vec<Row> {
    let home = Home::with_config(&format!("[daemon]\nmax_running = {AGENTS}"));
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("bench").await;
    let rpc = daemon.rpc().await;
    let mut uuids = Vec::new();
    for number in 0..AGENTS {
        let task = format!("T{number}");
        let started = rpc.start_fake(&ctl.project(), &task, &["stall"]).await;
        let selector = invocation(&ctl.project(), started.id);
        rpc.follow(selector, "", true).await.until("ready").await;
        uuids.push(started.uuid);
    }
    drop(rpc);
    // Nothing tells when memory was given back and spools synced; two safety polls are longer than
    // either.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let processes = home.processes();
    let shims: Vec<i32> = uuids.iter().map(|uuid| shim(&processes, uuid)).collect();
    let all = || [daemon.pid()].into_iter().chain(shims.iter().copied());
    let counts = || all().map(descriptors).collect::<Vec<_>>();
    let time = || {
        let of_shims = shims.iter().map(|pid| spent(*pid)).sum::<Duration>();
        (
            cpu(daemon.pid()).expect("it serves"),
            spent(daemon.pid()),
            of_shims,
        )
    };
    let (open, before) = (counts(), time());
    // The time is what is measured.
    tokio::time::sleep(WATCHED).await;
    let (after, now) = (time(), counts());
    let grown = now.iter().zip(&open);
    let grown = grown.map(|(now, open)| now.saturating_sub(*open) as u64);
    let per_cent = |time: Duration| time.as_secs_f64() / WATCHED.as_secs_f64() * 100.0;
    let sizes = |of: fn(i32) -> u64| shims.iter().map(|pid| of(*pid)).collect::<Vec<_>>();
    vec![
        Row::per_cent(
            "100 silent, 60 s: CPU of the daemon",
            per_cent(after.1.saturating_sub(before.1)),
        ),
        Row::per_cent(
            "  the same by utime + stime",
            per_cent(after.0.saturating_sub(before.0)),
        ),
        Row::per_cent(
            "  CPU of all 100 shims",
            per_cent(after.2.saturating_sub(before.2)),
        ),
        Row::mebibytes("  shim, resident", &sizes(rss_kib)),
        Row::mebibytes(
            "  shim, private",
            &sizes(|pid| private_dirty_kib(pid) + private_clean_kib(pid)),
        ),
        Row::mebibytes("  shim, private dirty", &sizes(private_dirty_kib)),
        Row::mebibytes("  daemon, resident", &[rss_kib(daemon.pid())]),
        Row::count(
            "  descriptors more after it, daemon and shims",
            &[grown.sum()],
        ),
        Row::count("  descriptors of the daemon", &[now[0] as u64]),
    ]
}
