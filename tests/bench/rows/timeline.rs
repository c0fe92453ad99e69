//! A task's timeline, and what asking for it does to who watches another task meanwhile.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use steroids_tests::{Puppet, old_database};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Options, each, millis};
use crate::figure::Figure;
use crate::figure::Limit::Most;
use crate::live::BYTES;
use crate::load::{Asked, Load, Report};
use crate::process::{peak_rss_kib, reset_peak, rss_kib};
use crate::scene::Scene;

const LOGS: usize = 10;
const LOG_BYTES: usize = 10_000_000;
const CALLS: usize = 7;
const LIVE_LINES: u64 = 600;
const LIVE_EVERY: Duration = Duration::from_millis(10);

/// What one scene showed.
struct Timeline {
    p50: Duration,
    bytes: u64,
    growth_kib: u64,
    alone: Report,
    beside: Report,
}

/// D.
pub(crate) async fn ten_logs(options: &Options) -> Vec<Figure> {
    let mut seen = Vec::new();
    for _ in 0..options.repeats {
        seen.push(measured().await);
    }
    let figure =
        |what, unit, of: fn(&Timeline) -> f64| Figure::new("D", what, unit, each(&seen, of));
    vec![
        figure("timeline of 10 logs of 10 MB: p50", "ms", |it| {
            millis(it.p50)
        })
        .must(Most(250.0))
        .want(Most(120.0)),
        figure("  answer", "MB", |it| it.bytes as f64 / 1e6),
        figure("  growth of daemon + gateway", "MiB", |it| {
            it.growth_kib as f64 / 1024.0
        })
        .must(Most(16.0)),
        figure("  p99 of a live stream meanwhile", "ms", |it| {
            it.beside.latency_ms(|it| it.p99)
        })
        .must(Most(10.0)),
        figure("  p99 of the same stream alone", "ms", |it| {
            it.alone.latency_ms(|it| it.p99)
        }),
        figure("  lost, repeated, out of order there", "", |it| {
            (it.alone.wrong() + it.beside.wrong()) as f64
        })
        .must(Most(0.0)),
    ]
}

async fn measured() -> Timeline {
    let scene = Scene::bare().await;
    let db = old_database::at_028(scene.ctl.folder());
    for _ in 0..LOGS {
        let id = old_database::insert_running(&db, "old", 1_700_000_000_000);
        write_log(&scene.ctl.log_path(id));
        old_database::end_running(&db, id);
    }
    scene.ctl.run(["init"]).await.ok();
    let project = scene.project();
    let request = scene.get(&format!("/api/tasks/old/timeline?project={project}"));
    let request = request.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    // The first opens what others find open.
    fetched(&scene, &request).await;
    let servers = [scene.daemon.pid(), scene.gateway.pid()];
    let before: Vec<u64> = servers.iter().map(|pid| rss_kib(*pid)).collect();
    servers.iter().for_each(|pid| reset_peak(*pid));
    let (mut calls, mut bytes) = (Vec::new(), 0);
    for _ in 0..CALLS {
        let (took, length) = fetched(&scene, &request).await;
        calls.push(took);
        bytes = length;
    }
    let growths = servers.iter().zip(before);
    let growth_kib = growths
        .map(|(pid, before)| peak_rss_kib(*pid).saturating_sub(before))
        .sum();
    calls.sort();
    let alone = live(&scene, "alone").await;
    let beside = tokio::select! {
        report = live(&scene, "beside") => report,
        () = without_end(&scene, &request) => unreachable!("it has no end"),
    };
    Timeline {
        p50: calls[CALLS / 2],
        bytes,
        growth_kib,
        alone,
        beside,
    }
}

/// A viewer of an agent that prints a hundred lines a second.
async fn live(scene: &Scene, task: &str) -> Report {
    let rpc = scene.rpc().await;
    let mut puppet = Puppet::new(&scene.home, task);
    let started = rpc.start_fake(&scene.project(), task, &puppet.args()).await;
    let request = scene.stream(task, started.id);
    let asked = Asked::new(scene.gateway.address(), vec![request], 1, LIVE_LINES);
    let mut load = Load::start(&asked).await;
    load.ready().await;
    puppet.stamps(LIVE_LINES, BYTES, LIVE_EVERY);
    load.report().await
}

async fn without_end(scene: &Scene, request: &str) {
    loop {
        fetched(scene, request).await;
    }
}

/// Asks and reads the answer to its end without looking at it.
async fn fetched(scene: &Scene, request: &str) -> (Duration, u64) {
    let begin = Instant::now();
    let connected = TcpStream::connect(scene.gateway.address()).await;
    let mut stream = connected.expect("the gateway listens");
    let sent = stream.write_all(request.as_bytes()).await;
    sent.expect("it reads a request");
    let mut buffer = vec![0; 256 * 1024];
    let mut length = 0;
    loop {
        let read = stream.read(&mut buffer).await;
        match read.expect("an answer can be read") {
            0 => break,
            read => {
                let is_first = length == 0;
                assert!(!is_first || buffer.starts_with(b"HTTP/1.1 200"), "refused");
                length += read as u64;
            }
        }
    }
    (begin.elapsed(), length)
}

/// Of an agent at work: of twenty lines two are tool calls, two their results, one tells usage.
fn write_log(path: &Path) {
    let folder = path.parent().expect("it is in a folder");
    fs::create_dir_all(folder).expect("a project takes a folder");
    let words = "some words of what an agent says while it works on something ".repeat(4);
    let mut log = String::with_capacity(LOG_BYTES + 1024);
    let mut ts = 1_700_000_000_000_u64;
    let mut number = 0_u64;
    while log.len() < LOG_BYTES {
        ts += 40;
        number += 1;
        // A string takes all that is written to it.
        let _ = match number % 20 {
            3 | 13 => writeln!(
                log,
                r#"{{"ts":{ts},"type":"tool","raw":{number},"cmd":"cargo test -p crate-{number} -- --nocapture","name":"Bash","callId":"call_{number}"}}"#
            ),
            4 | 14 => writeln!(
                log,
                r#"{{"ts":{ts},"type":"tool_result","raw":{number},"callId":"call_{number}","ok":true,"exitCode":0,"duration":1234,"msg":"{words}"}}"#
            ),
            19 => writeln!(
                log,
                r#"{{"ts":{ts},"type":"usage","raw":{number},"inputTokens":12,"outputTokens":345,"cachedInputTokens":67890,"total":false}}"#
            ),
            _ => writeln!(
                log,
                r#"{{"ts":{ts},"type":"output","raw":{number},"stream":"stdout","msg":"{words}"}}"#
            ),
        };
    }
    fs::write(path, log).expect("a folder takes a file");
}
