//! What grows with length: of a log that is watched, and of a project's history.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use steroids_proto::v1;
use steroids_tests::{Ctl, Daemon, Home, Rpc, invocation, old_database};

use super::{Options, each, millis};
use crate::figure::Figure;
use crate::figure::Limit::Times;
use crate::live::{self, Live};
use crate::load::{Asked, Load, Report};
use crate::process::{peak_rss_kib, reset_peak, rss_kib};
use crate::scene::Scene;

const LOGS: [(u64, &str); 3] = [
    (1_000_000, "1 MB"),
    (100_000_000, "100 MB"),
    (4_000_000_000, "4 GB"),
];
const HISTORIES: [(u64, &str); 3] = [(10, "10"), (10_000, "10,000"), (1_000_000, "1,000,000")];

/// Invocations of a task.
const OF_A_TASK: u64 = 100;
const CALLS: usize = 40;
const SHOWN: u64 = 10;
const STARTS: usize = 20;

/// J. Beside each stands, where the floor stands otherwise, the shortest.
pub(crate) async fn length(options: &Options) -> Vec<Figure> {
    let mut figures = logs(options).await;
    figures.extend(histories(options).await);
    figures
}

/// As [`beside`], and held to it.
fn flat<T>(
    seen: &[Vec<T>],
    at: usize,
    what: String,
    unit: &'static str,
    of: impl Fn(&T) -> f64,
) -> Figure {
    let figure = beside(seen, at, what, unit, of);
    if at == 0 {
        return figure;
    }
    figure.must(Times(1.3))
}

/// Beside the shortest.
fn beside<T>(
    seen: &[Vec<T>],
    at: usize,
    what: String,
    unit: &'static str,
    of: impl Fn(&T) -> f64,
) -> Figure {
    let figure = Figure::new("J", what, unit, each(&seen[at], &of));
    if at == 0 {
        return figure;
    }
    figure.floor(each(&seen[0], of))
}

/// One log of some length.
struct Long {
    report: Report,
    daemon_kib: u64,
    gateway_kib: u64,
}

async fn logs(options: &Options) -> Vec<Figure> {
    let kept = if options.is_small { 2 } else { LOGS.len() };
    let mut seen: Vec<Vec<Long>> = LOGS[..kept].iter().map(|_| Vec::new()).collect();
    for _ in 0..options.repeats {
        for ((length, _), seen) in LOGS.iter().zip(&mut seen) {
            seen.push(long(*length).await);
        }
    }
    let mut figures = Vec::new();
    for (at, (_, name)) in LOGS[..kept].iter().enumerate() {
        let figure = |what: &str, unit, of: fn(&Long) -> f64| {
            flat(&seen, at, format!("{what} ({name})"), unit, of)
        };
        figures.extend([
            figure("log: a line to one viewer, p50", "ms", |it| {
                it.report.latency_ms(|it| it.p50)
            }),
            figure("  RSS of the daemon, at most", "MiB", |it| {
                it.daemon_kib as f64 / 1024.0
            }),
            figure("  RSS of the gateway, at most", "MiB", |it| {
                it.gateway_kib as f64 / 1024.0
            }),
        ]);
    }
    figures
}

/// A log of the older tool's, watched from its end on.
async fn long(length: u64) -> Long {
    let scene = Scene::bare().await;
    let db = old_database::at_028(scene.ctl.folder());
    let id = old_database::insert_running(&db, "old", 1_700_000_000_000);
    scene.ctl.run(["init"]).await.ok();
    let path = scene.ctl.log_path(id);
    filled(&path, length);
    let request = v1::OutlineRequest {
        project: scene.project(),
        id,
        max_places: 16,
        ..Default::default()
    };
    let outline = scene.rpc().await.outline(request).await;
    let end = outline.expect("Outline is served").end;
    let target = format!(
        "/api/tasks/old/stream?project={}&invocation={id}&after={end}",
        scene.project()
    );
    let (daemon, gateway) = (scene.daemon.pid(), scene.gateway.pid());
    reset_peak(daemon);
    reset_peak(gateway);
    let asked = Asked {
        is_from_end: true,
        ..Asked::new(
            scene.gateway.address(),
            vec![scene.get(&target)],
            1,
            Live::ONE.lines,
        )
    };
    let mut load = Load::start(&asked).await;
    load.ready().await;
    tokio::time::sleep(live::SETTLE).await;
    Live::ONE.append(vec![open(&path)]);
    Long {
        report: load.report().await,
        daemon_kib: peak_rss_kib(daemon),
        gateway_kib: peak_rss_kib(gateway),
    }
}

/// Lines without a number, of so many bytes in all.
fn filled(path: &Path, length: u64) {
    std::fs::create_dir_all(path.parent().expect("it is in a folder")).expect("it is ours");
    let mut log = BufWriter::with_capacity(1 << 20, open(path));
    let words = "x".repeat(150);
    let (mut written, mut number) = (0, 0_u64);
    while written < length {
        number += 1;
        let line = format!(
            "{{\"ts\":{},\"type\":\"output\",\"raw\":{number},\"stream\":\"stdout\",\"msg\":\"{words}\"}}\n",
            1_700_000_000_000 + number
        );
        log.write_all(line.as_bytes())
            .expect("there is room for it");
        written += line.len() as u64;
    }
    log.flush().expect("there is room for it");
}

fn open(path: &Path) -> File {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.expect("a folder takes a file")
}

/// A project with so many ended invocations; milliseconds.
struct History {
    list: f64,
    show: f64,
    start: f64,
    up: f64,
    daemon_kib: u64,
}

async fn histories(options: &Options) -> Vec<Figure> {
    let kept = if options.is_small { 2 } else { HISTORIES.len() };
    let mut seen: Vec<Vec<History>> = HISTORIES[..kept].iter().map(|_| Vec::new()).collect();
    let mut all = Vec::new();
    for (rows, _) in &HISTORIES[..kept] {
        all.push((*rows, history(*rows).await));
    }
    // In turn: what is compared is minutes apart otherwise, in which the disk becomes another.
    for _ in 0..options.repeats {
        for ((rows, (home, daemon, ctl)), seen) in all.iter_mut().zip(&mut seen) {
            seen.push(asked(home, daemon, ctl, *rows).await);
        }
    }
    let mut figures = Vec::new();
    for (at, (_, name)) in HISTORIES[..kept].iter().enumerate() {
        let figure = |what: &str, unit, of: fn(&History) -> f64| {
            flat(&seen, at, format!("{what} ({name})"), unit, of)
        };
        let told = |what: &str, unit, of: fn(&History) -> f64| {
            beside(&seen, at, format!("{what} ({name})"), unit, of)
        };
        figures.extend([
            figure("history: list, the 10 newest, p50", "ms", |it| it.list),
            figure("  show, p50", "ms", |it| it.show),
            figure("  Start to its answer, p50", "ms", |it| it.start),
            told("  until a daemon that starts serves", "ms", |it| it.up),
            told("  RSS of the daemon", "MiB", |it| {
                it.daemon_kib as f64 / 1024.0
            }),
        ]);
    }
    figures
}

/// One real invocation, and its rows again and again, while no daemon is there.
async fn history(rows: u64) -> (std::sync::Arc<Home>, Daemon, Ctl) {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("bench").await;
    let rpc = daemon.rpc().await;
    let id = rpc.start_fake(&ctl.project(), "T", &["exit", "0"]).await.id;
    rpc.ended(&ctl.project(), id).await;
    drop(rpc);
    daemon.term().await;
    let db = Connection::open(old_database::path(ctl.folder())).expect("nobody has it open");
    multiplied(&db, rows).expect("the tables are known");
    drop(db);
    // A history has long been on the disk; what was written a second ago would be written out meanwhile.
    rustix::fs::sync();
    daemon.start_again().await;
    (home, daemon, ctl)
}

fn multiplied(db: &Connection, rows: u64) -> rusqlite::Result<()> {
    db.execute_batch("PRAGMA synchronous = OFF; BEGIN;")?;
    let tasks = rows.div_ceil(OF_A_TASK) + 1;
    db.execute_batch(&copies(
        db,
        "tasks",
        tasks,
        &[("id", "'H' || n"), ("title", "'H' || n")],
    )?)?;
    let task = format!("'H' || ((n - 2) / {OF_A_TASK} + 2)");
    db.execute_batch(&copies(
        db,
        "task_invocations",
        rows,
        &[
            ("id", "n"),
            ("task_id", &task),
            ("started_at_ms", "started_at_ms - 1000000000 + n * 1000"),
            ("completed_at_ms", "completed_at_ms - 1000000000 + n * 1000"),
        ],
    )?)?;
    db.execute_batch(&copies(
        db,
        "steroidsd_invocations",
        rows,
        &[
            ("invocation_id", "n"),
            ("uuid", "lower(hex(randomblob(16)))"),
            ("request_id", "'r' || n"),
            ("created_ms", "created_ms - 1000000000 + n * 1000"),
            ("ended_ms", "ended_ms - 1000000000 + n * 1000"),
        ],
    )?)?;
    for kind in ["started", "finished"] {
        db.execute_batch(&format!(
            "WITH RECURSIVE c(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM c WHERE n < {rows})
             INSERT INTO steroidsd_events (ts_ms, kind, invocation_id, task_id, message)
             SELECT ts_ms, kind, n, {task}, message FROM c, steroidsd_events
             WHERE kind = '{kind}' AND invocation_id = 1;"
        ))?;
    }
    db.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE);")
}

/// SQL that puts copies 2 to `rows` of the first row beside it, with some columns of their own.
fn copies(
    db: &Connection,
    table: &str,
    rows: u64,
    own: &[(&str, &str)],
) -> rusqlite::Result<String> {
    let mut statement = db.prepare(&format!("SELECT name FROM pragma_table_info('{table}')"))?;
    let names = statement.query_map([], |row| row.get(0))?;
    let names: Vec<String> = names.collect::<rusqlite::Result<_>>()?;
    let values = names.iter().map(|name| {
        let own = own.iter().find(|(column, _)| column == name);
        own.map_or(name.as_str(), |(_, value)| value)
    });
    let values: Vec<&str> = values.collect();
    Ok(format!(
        "WITH RECURSIVE c(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM c WHERE n < {rows})
         INSERT INTO {table} ({}) SELECT {} FROM c, (SELECT * FROM {table} ORDER BY 1 LIMIT 1);",
        names.join(", "),
        values.join(", ")
    ))
}

async fn asked(home: &Home, daemon: &mut Daemon, ctl: &Ctl, rows: u64) -> History {
    daemon.term().await;
    let begin = Instant::now();
    daemon.start_again().await;
    let up = millis(begin.elapsed());
    let rpc = daemon.rpc().await;
    let project = ctl.project();
    let listed = || list(&rpc, &project);
    listed().await;
    let mut lists = Vec::new();
    for _ in 0..CALLS {
        lists.push(listed().await);
    }
    let mut shows = Vec::new();
    for call in 0..CALLS as u64 {
        // As many different ones of each, from all of its length: one that was just asked for costs less.
        let id = 1 + (call % SHOWN) * (rows - 1) / (SHOWN - 1);
        let begin = Instant::now();
        rpc.get(&project, i64::try_from(id).expect("not that many"))
            .await;
        shows.push(begin.elapsed());
    }
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let begin = Instant::now();
        let id = rpc.start_fake(&project, "T", &["exit", "0"]).await.id;
        starts.push(begin.elapsed());
        // Not by a Watch, which would be told of the whole history.
        let followed = rpc.follow(invocation(&project, id), "", true).await;
        followed.rest().await.expect("the stream does not break");
    }
    debug_assert!(home.root().exists(), "it is kept until the end");
    History {
        list: median(&mut lists),
        show: median(&mut shows),
        start: median(&mut starts),
        up,
        daemon_kib: rss_kib(daemon.pid()),
    }
}

async fn list(rpc: &Rpc, project: &str) -> Duration {
    let request = v1::ListRequest {
        project: project.to_owned(),
        page_size: 10,
        ..Default::default()
    };
    let begin = Instant::now();
    let listed = rpc.invocations().list(request).await;
    listed.expect("List is served");
    begin.elapsed()
}

fn median(values: &mut [Duration]) -> f64 {
    values.sort();
    values
        .get(values.len() / 2)
        .map_or(f64::NAN, |it| millis(*it))
}
