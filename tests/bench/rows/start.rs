//! How long it takes from a Start to the provider's own first instruction.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use steroids_tests::{Ctl, Daemon, Home, Rpc, log};

use super::{Options, each, millis};
use crate::figure::Figure;
use crate::figure::Limit::Most;
use crate::load::now;

const STARTS: usize = 60;
const AT_ONCE: usize = 100;
/// Where nothing is durable, and a sync costs nothing.
const MEMORY: &str = "/dev/shm";
const ROOM: &str = "[daemon]\nmax_running = 110\nmax_streams = 200\n";

/// What one daemon showed; milliseconds.
struct Starts {
    to_main: f64,
    to_main_p99: f64,
    to_answer: f64,
    all_at_once: f64,
}

/// G': one after the other, and a hundred at once; then the same where syncs cost nothing.
pub(crate) async fn starts(options: &Options) -> Vec<Figure> {
    let (mut on_disk, mut in_memory) = (Vec::new(), Vec::new());
    for _ in 0..options.repeats {
        on_disk.push(measured(Path::new("/tmp")).await);
        in_memory.push(measured(Path::new(MEMORY)).await);
    }
    let figure =
        |what: &str, of: fn(&Starts) -> f64| Figure::new("G'", what, "ms", each(&on_disk, of));
    let free =
        |what: &str, of: fn(&Starts) -> f64| Figure::new("G'", what, "ms", each(&in_memory, of));
    vec![
        figure("Start -> the provider's main: p50", |it| it.to_main)
            .must(Most(6.0))
            .want(Most(3.0)),
        free("  where a sync costs nothing", |it| it.to_main),
        figure("  p99", |it| it.to_main_p99),
        figure("Start -> its answer: p50", |it| it.to_answer),
        free("  where a sync costs nothing", |it| it.to_answer),
        figure("100 starts at once: until the last one's main", |it| {
            it.all_at_once
        })
        .must(Most(1_500.0)),
        free("  where a sync costs nothing", |it| it.all_at_once),
    ]
}

async fn measured(place: &Path) -> Starts {
    let home = Home::below(place, ROOM);
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("bench").await;
    let rpc = daemon.rpc().await;
    let (mut to_main, mut to_answer) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let before = now();
        let id = start(&rpc, &ctl.project(), "T").await;
        to_answer.push(Duration::from_nanos(now().saturating_sub(before)));
        rpc.ended(&ctl.project(), id).await;
        to_main.push(main_of(&ctl, id, before));
    }
    let (p50, p99) = (quantile(&mut to_main, 0.5), quantile(&mut to_main, 0.99));
    Starts {
        to_main: p50,
        to_main_p99: p99,
        to_answer: quantile(&mut to_answer, 0.5),
        all_at_once: at_once(&ctl, &rpc).await,
    }
}

async fn at_once(ctl: &Ctl, rpc: &Rpc) -> f64 {
    let project: Arc<str> = ctl.project().into();
    let before = now();
    let starts: Vec<_> = (0..AT_ONCE)
        .map(|number| {
            let (rpc, project) = (rpc.clone(), Arc::clone(&project));
            tokio::spawn(async move { start(&rpc, &project, &format!("T{number}")).await })
        })
        .collect();
    let mut last = Duration::ZERO;
    let mut ids = Vec::new();
    for started in starts {
        ids.push(started.await.expect("a start does not panic"));
    }
    for id in ids {
        rpc.ended(&project, id).await;
        last = last.max(main_of(ctl, id, before));
    }
    millis(last)
}

/// One that stamps its first line, and lives on for a moment.
async fn start(rpc: &Rpc, project: &str, task: &str) -> i64 {
    let words = ["stamp", "--count", "1", "--every-ms", "60"];
    rpc.start_fake(project, task, &words).await.id
}

/// From `before` to the provider's first line.
fn main_of(ctl: &Ctl, id: i64, before: u64) -> Duration {
    let lines = log::lines(&ctl.log_path(id));
    let output = log::messages(&lines, "output");
    let stamp = output[0]
        .strip_prefix("t ")
        .and_then(|nanos| nanos.parse().ok());
    let stamp: u64 = stamp.expect("a stamp is a number");
    Duration::from_nanos(stamp.saturating_sub(before))
}

fn quantile(values: &mut [Duration], part: f64) -> f64 {
    values.sort();
    let at = (values.len().saturating_sub(1) as f64 * part).round() as usize;
    values.get(at).map_or(f64::NAN, |value| millis(*value))
}
