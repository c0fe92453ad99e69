//! What a daemon and its shims take while nothing happens.

use std::time::Duration;

use steroids_tests::{Daemon, Home, invocation};

use crate::process::{private_dirty_kib, rss_kib, shim, spent};
use crate::series::Row;

const RUNS: usize = 3;
const AGENTS: usize = 20;

/// Long enough to hold every safety poll several times.
const WATCHED: Duration = Duration::from_secs(15);

/// What one daemon at rest showed.
#[derive(Default)]
struct Rest {
    fresh: u64,
    with_agents: u64,
    resident: Vec<u64>,
    dirty: Vec<u64>,
    alone: Duration,
    with_silence: Duration,
    shims: Duration,
}

/// A daemon with nothing to do, then with agents that do nothing, one of them followed.
pub(crate) async fn at_rest() -> Vec<Row> {
    let mut rests = Vec::new();
    for _ in 0..RUNS {
        rests.push(rest().await);
    }
    let sizes = |of: fn(&Rest) -> &[u64]| rests.iter().flat_map(of).copied().collect::<Vec<_>>();
    let times = |of: fn(&Rest) -> Duration| rests.iter().map(of).collect::<Vec<_>>();
    let in_30_s = |of: fn(&Rest) -> Duration| {
        let scale = 30.0 / WATCHED.as_secs_f64();
        let times = times(of).into_iter();
        times.map(|time| time.mul_f64(scale)).collect::<Vec<_>>()
    };
    vec![
        Row::mebibytes("shim, resident", &sizes(|it| &it.resident)),
        Row::mebibytes("shim, private dirty", &sizes(|it| &it.dirty)),
        Row::mebibytes(
            "daemon, resident, nothing to do",
            &sizes(|it| std::slice::from_ref(&it.fresh)),
        ),
        Row::mebibytes(
            "daemon, resident, 20 silent agents",
            &sizes(|it| std::slice::from_ref(&it.with_agents)),
        ),
        Row::millis(
            "CPU in 30 s: daemon, nothing to do",
            &in_30_s(|it| it.alone),
        ),
        Row::millis(
            "CPU in 30 s: daemon, 20 silent, 1 followed",
            &in_30_s(|it| it.with_silence),
        ),
        Row::millis("CPU in 30 s: all 20 shims", &in_30_s(|it| it.shims)),
    ]
}

async fn rest() -> Rest {
    let home = Home::with_config(&format!("[daemon]\nmax_running = {AGENTS}"));
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("bench").await;
    let rpc = daemon.rpc().await;
    let mut rest = Rest {
        fresh: rss_kib(daemon.pid()),
        ..Rest::default()
    };
    rest.alone = while_watched(&[daemon.pid()]).await;
    let mut uuids = Vec::new();
    let mut followed = None;
    for number in 0..AGENTS {
        let task = format!("T{number}");
        let started = rpc.start_fake(&ctl.project(), &task, &["stall"]).await;
        let selector = invocation(&ctl.project(), started.id);
        let mut stream = rpc.follow(selector, "", true).await;
        stream.until("ready").await;
        followed = Some(stream);
        uuids.push(started.uuid);
    }
    let processes = home.processes();
    let shims: Vec<i32> = uuids.iter().map(|uuid| shim(&processes, uuid)).collect();
    let (daemons, all) = ([daemon.pid()], &shims);
    let (with_silence, of_shims) = tokio::join!(while_watched(&daemons), while_watched(all));
    (rest.with_silence, rest.shims) = (with_silence, of_shims);
    drop(followed);
    rest.with_agents = rss_kib(daemon.pid());
    rest.resident = shims.iter().map(|pid| rss_kib(*pid)).collect();
    rest.dirty = shims.iter().map(|pid| private_dirty_kib(*pid)).collect();
    rest
}

/// The CPU time that the processes take while nothing happens.
async fn while_watched(pids: &[i32]) -> Duration {
    let all = || pids.iter().map(|pid| spent(*pid)).sum::<Duration>();
    let before = all();
    // The time is what is measured.
    tokio::time::sleep(WATCHED).await;
    all().saturating_sub(before)
}
