//! One viewer: how long a line takes to it, and what that costs.

use steroids_tests::Puppet;

use super::{Options, each, of_processes, wrong};
use crate::figure::Figure;
use crate::figure::Limit::{Most, Times};
use crate::live::{Live, Seen};
use crate::load::{Count, now, number};
use crate::scene::Scene;

/// A: a log that somebody else appends to.
pub(crate) async fn appended(options: &Options) -> Vec<Figure> {
    let (mut floor, mut relayed, mut ours) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.repeats {
        relayed.push(Live::ONE.relayed().await);
        floor.push(Live::ONE.floor().await);
        ours.push(Live::ONE.appended().await);
    }
    let p50 = |seen: &Seen| seen.report.latency_ms(|it| it.p50);
    let p99 = |seen: &Seen| seen.report.latency_ms(|it| it.p99);
    let mut figures = vec![
        Figure::new("A", "appended line -> SSE: p50", "ms", each(&ours, p50))
            .floor(each(&floor, p50))
            .must(Times(2.0))
            .want(Times(1.5)),
        Figure::new("A", "  p99", "ms", each(&ours, p99)).floor(each(&floor, p99)),
        Figure::new(
            "A",
            "  CPU of daemon + gateway per event",
            "us",
            each(&ours, Seen::per_delivery),
        )
        .floor(each(&floor, Seen::per_delivery))
        .must(Times(4.0))
        .want(Times(2.5)),
        Figure::new(
            "A",
            "    of the daemon",
            "us",
            each(&ours, |seen| seen.report.per_event(seen.used.daemon)),
        ),
        Figure::new(
            "A",
            "    of the gateway",
            "us",
            each(&ours, |seen| seen.report.per_event(seen.used.gateway)),
        ),
        Figure::wrong("A", wrong(&ours)),
    ];
    figures.extend(of_processes(
        "A",
        "a second process",
        &relayed,
        &floor,
        &ours,
    ));
    figures
}

/// A': a line that a provider prints.
pub(crate) async fn printed(options: &Options) -> Vec<Figure> {
    let (mut seen, mut streamed) = (Vec::new(), Vec::new());
    for _ in 0..options.repeats {
        seen.push(Live::ONE.printed().await);
        streamed.push(to_terminal().await);
    }
    let p50 = |seen: &Seen| seen.report.latency_ms(|it| it.p50);
    let p99 = |seen: &Seen| seen.report.latency_ms(|it| it.p99);
    vec![
        Figure::new("A'", "provider's write -> SSE: p50", "ms", each(&seen, p50))
            .must(Most(1.0))
            .want(Most(0.5)),
        Figure::new("A'", "  p99", "ms", each(&seen, p99)),
        Figure::new(
            "A'",
            "  CPU of daemon + gateway per event",
            "us",
            each(&seen, Seen::per_delivery),
        ),
        Figure::wrong("A'", wrong(&seen)),
        Figure::new(
            "A'",
            "provider's write -> steroidsctl stream: p50",
            "ms",
            each(&streamed, |it| it.p50),
        )
        .must(Most(1.0))
        .want(Most(0.5)),
        Figure::new("A'", "  p99", "ms", each(&streamed, |it| it.p99)),
        Figure::wrong("A'", each(&streamed, |it| it.wrong as f64)),
    ]
}

/// What `steroidsctl stream` showed; milliseconds.
struct Streamed {
    p50: f64,
    p99: f64,
    wrong: u64,
}

async fn to_terminal() -> Streamed {
    let scene = Scene::new().await;
    let mut puppet = Puppet::new(&scene.home, "puppet");
    let id = scene.ctl.start_fake("T", &puppet.args()).await;
    let mut stream = scene.ctl.spawn(["--json", "stream", &id.to_string()]);
    stream.line().await.expect("it shows the log's first line");
    puppet.stamps(Live::ONE.lines, 150, Live::ONE.every);
    let mut count = Count::up_to(Live::ONE.lines);
    let mut latencies = Vec::new();
    while !count.is_whole() {
        let line = stream.line().await.expect("the stream goes on");
        let arrived = now();
        if let Some((number, Some(stamp))) = number(line.as_bytes()) {
            count.take(number);
            latencies.push(arrived.saturating_sub(stamp) as f64 / 1e6);
        }
    }
    latencies.sort_by(f64::total_cmp);
    let at = |part: f64| latencies[((latencies.len() - 1) as f64 * part).round() as usize];
    Streamed {
        p50: at(0.5),
        p99: at(0.99),
        wrong: count.wrong(),
    }
}
