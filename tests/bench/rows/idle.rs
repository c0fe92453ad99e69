//! What is used while nothing happens: by viewers who wait, by daemons and shims at rest.

use std::time::Duration;

use steroids_tests::processes::descriptors;
use steroids_tests::{Daemon, Home, invocation};

use super::{Options, each, millis};
use crate::figure::Figure;
use crate::figure::Limit::Most;
use crate::load::{Asked, Load};
use crate::process::{Sleeps, cpu, private_dirty_kib, rss_kib, shim};
use crate::scene::{Scene, Used};

const VIEWERS: usize = 100;
const AGENTS: usize = 100;
const WATCHED: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_secs(1);

/// Nothing tells when memory was given back and spools synced; this is longer than either takes.
const SETTLE: Duration = Duration::from_secs(10);

/// What a daemon and a gateway showed.
struct Idle {
    used: Used,
    wakes_daemon: f64,
    wakes_gateway: f64,
    daemon_kib: u64,
    gateway_kib: u64,
}

/// E: a hundred viewers of an invocation that prints nothing.
pub(crate) async fn viewers(options: &Options) -> Vec<Figure> {
    let mut idle = Vec::new();
    for _ in 0..options.repeats {
        idle.push(watched().await);
    }
    let figure = |what, unit, of: fn(&Idle) -> f64| Figure::new("E", what, unit, each(&idle, of));
    let mebibytes = |what, of: fn(&Idle) -> u64| {
        Figure::new("E", what, "MiB", each(&idle, |it| of(it) as f64 / 1024.0))
    };
    vec![
        figure("100 viewers, nothing happens: CPU in 30 s", "ms", |it| {
            millis(it.used.all())
        })
        .must(Most(5.0))
        .want(Most(1.0)),
        figure("    of the daemon", "ms", |it| millis(it.used.daemon)),
        figure("    of the gateway", "ms", |it| millis(it.used.gateway)),
        figure("  wake-ups a second", "", |it| {
            it.wakes_daemon + it.wakes_gateway
        })
        .must(Most(1.0)),
        figure("    of the daemon", "", |it| it.wakes_daemon),
        figure("    of the gateway", "", |it| it.wakes_gateway),
        mebibytes("  RSS of the daemon", |it| it.daemon_kib).must(Most(15.0)),
        mebibytes("  RSS of the gateway", |it| it.gateway_kib).must(Most(15.0)),
    ]
}

async fn watched() -> Idle {
    let scene = Scene::new().await;
    let started = scene.rpc().await;
    let started = started.start_fake(&scene.project(), "T", &["stall"]).await;
    let request = scene.stream("T", started.id);
    // The line that would be the last one never comes.
    let asked = Asked {
        patience_ms: 600_000,
        ..Asked::new(scene.gateway.address(), vec![request], VIEWERS, 1)
    };
    let mut load = Load::start(&asked).await;
    load.ready().await;
    tokio::time::sleep(SETTLE).await;
    let (daemon, gateway) = (scene.daemon.pid(), scene.gateway.pid());
    let mut sleeps = [Sleeps::of(daemon), Sleeps::of(gateway)];
    let used = scene.used();
    let until = tokio::time::Instant::now() + WATCHED;
    // The time is what is measured.
    while tokio::time::Instant::now() < until {
        tokio::time::sleep(LOOK).await;
        for it in &mut sleeps {
            it.look();
        }
    }
    let used = scene.used().since(used);
    let [wakes_daemon, wakes_gateway] =
        sleeps.map(|mut it| it.look() as f64 / WATCHED.as_secs_f64());
    Idle {
        used,
        wakes_daemon,
        wakes_gateway,
        daemon_kib: rss_kib(daemon),
        gateway_kib: rss_kib(gateway),
    }
}

/// What a daemon and its shims showed.
struct Silent {
    fresh: Duration,
    fresh_kib: u64,
    daemon: Duration,
    shims: Duration,
    daemon_kib: u64,
    shim_kib: f64,
    shim_dirty_kib: f64,
    descriptors: usize,
    descriptors_more: usize,
}

/// A daemon alone; then a hundred agents that print a word and then nothing, and nobody who reads.
pub(crate) async fn agents(options: &Options) -> Vec<Figure> {
    let mut silent = Vec::new();
    for _ in 0..options.repeats {
        silent.push(hundred_silent().await);
    }
    let figure =
        |what, unit, of: fn(&Silent) -> f64| Figure::new("", what, unit, each(&silent, of));
    vec![
        figure("nothing to do: CPU of the daemon in 30 s", "ms", |it| {
            millis(it.fresh)
        }),
        figure("  RSS of the daemon", "MiB", |it| {
            it.fresh_kib as f64 / 1024.0
        }),
        figure("100 silent agents: CPU of the daemon in 30 s", "ms", |it| {
            millis(it.daemon)
        }),
        figure("  CPU of all 100 shims in 30 s", "ms", |it| {
            millis(it.shims)
        }),
        figure("  RSS of the daemon", "MiB", |it| {
            it.daemon_kib as f64 / 1024.0
        }),
        figure("  RSS of a shim", "MiB", |it| it.shim_kib / 1024.0),
        figure("  private and dirty of a shim", "MiB", |it| {
            it.shim_dirty_kib / 1024.0
        }),
        figure("  descriptors of the daemon", "", |it| {
            it.descriptors as f64
        }),
        figure("  more after 30 s, daemon and shims", "", |it| {
            it.descriptors_more as f64
        }),
    ]
}

async fn hundred_silent() -> Silent {
    let home = Home::with_config(&format!("[daemon]\nmax_running = {AGENTS}"));
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("bench").await;
    tokio::time::sleep(SETTLE).await;
    let before = cpu(daemon.pid());
    // The time is what is measured.
    tokio::time::sleep(WATCHED).await;
    let (fresh, fresh_kib) = (
        cpu(daemon.pid()).saturating_sub(before),
        rss_kib(daemon.pid()),
    );
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
    tokio::time::sleep(SETTLE).await;
    let processes = home.processes();
    let shims: Vec<i32> = uuids.iter().map(|uuid| shim(&processes, uuid)).collect();
    let open = || {
        let all = [daemon.pid()].into_iter().chain(shims.iter().copied());
        all.map(descriptors).sum::<usize>()
    };
    let of_shims = || shims.iter().map(|pid| cpu(*pid)).sum::<Duration>();
    let (before, opened) = ((cpu(daemon.pid()), of_shims()), open());
    // The time is what is measured.
    tokio::time::sleep(WATCHED).await;
    let mean = |of: fn(i32) -> u64| {
        let all: u64 = shims.iter().map(|pid| of(*pid)).sum();
        all as f64 / AGENTS as f64
    };
    Silent {
        fresh,
        fresh_kib,
        daemon: cpu(daemon.pid()).saturating_sub(before.0),
        shims: of_shims().saturating_sub(before.1),
        daemon_kib: rss_kib(daemon.pid()),
        shim_kib: mean(rss_kib),
        shim_dirty_kib: mean(private_dirty_kib),
        descriptors: descriptors(daemon.pid()),
        descriptors_more: open().saturating_sub(opened),
    }
}
