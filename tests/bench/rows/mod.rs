//! What is measured, a topic a file, and which name asks for which.

mod crowd;
mod flood;
mod follow;
mod idle;
mod length;
mod page;
mod replay;
mod start;
mod timeline;

use std::future::Future;
use std::pin::Pin;

use crate::figure::Figure;
use crate::live::Seen;

/// How to measure.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// How often each.
    pub(crate) repeats: usize,
    /// Without what takes much disk or long.
    pub(crate) is_small: bool,
}

type Measured<'a> = Pin<Box<dyn Future<Output = Vec<Figure>> + 'a>>;

/// One that can be asked for by name.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) measure: for<'a> fn(&'a Options) -> Measured<'a>,
}

macro_rules! rows {
    ($($name:literal $what:literal $measure:path,)*) => {
        &[$(Row {
            name: $name,
            what: $what,
            measure: |options| Box::pin($measure(options)),
        },)*]
    };
}

/// In the order in which they are measured.
pub(crate) const ROWS: &[Row] = rows![
    "a" "a line appended to a followed log -> one viewer" follow::appended,
    "a2" "a provider's write -> a viewer, and -> steroidsctl" follow::printed,
    "b" "replay of 100 MB to one viewer" replay::replay,
    "c" "1,000 viewers of one invocation, 100 events/s" crowd::thousand,
    "c2" "5,000 viewers of one invocation, 100 events/s" crowd::five_thousand,
    "d" "timeline of 10 logs, 100 MB in all" timeline::ten_logs,
    "e" "idle with 100 viewers" idle::viewers,
    "f" "200 running invocations, one viewer and 5 events/s each" crowd::two_hundred,
    "g" "1,000,000 lines of 200 B through shim, spool, parser, log" flood::million_lines,
    "g2" "Start -> the provider's main, alone and 100 at once" start::starts,
    "h" "40 viewers joining while a log grows at 1,000 lines/s" crowd::joining,
    "i" "catching up with 1,000,000 lines spooled meanwhile" flood::absence,
    "j" "cost against the length of a log, and of the history" length::length,
    "rest" "a daemon alone, and with 100 silent agents" idle::agents,
    "page" "the page in a browser, at 100,000 and 1,000,000 events" page::long_logs,
];

/// One value of each repeat.
fn each<T>(seen: &[T], of: impl Fn(&T) -> f64) -> Vec<f64> {
    seen.iter().map(of).collect()
}

fn millis(duration: std::time::Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Events that did not come as they should, of all repeats.
fn wrong(seen: &[Seen]) -> Vec<f64> {
    each(seen, |it| it.report.wrong() as f64)
}

/// What the floor comes to where its lines go through more processes than one: of the price that a row names,
/// the part that so many processes have whatever they do. Then ours, beside that.
fn of_processes(
    row: &'static str,
    through: &str,
    more: &[Seen],
    floor: &[Seen],
    ours: &[Seen],
) -> [Figure; 5] {
    let p50 = |seen: &Seen| seen.report.latency_ms(|it| it.p50);
    let figure = |what, unit, seen, beside, of: &dyn Fn(&Seen) -> f64| {
        Figure::new(row, what, unit, each(seen, of)).floor(each(beside, of))
    };
    let what = format!("  the floor through {through}: p50");
    let cpu = "    CPU per delivery";
    [
        figure(what, "ms", more, floor, &p50),
        figure(cpu.to_owned(), "us", more, floor, &Seen::per_delivery),
        Figure::new(row, "    lost, repeated, out of order", "", wrong(more)),
        figure(
            "    ours beside that: p50".to_owned(),
            "ms",
            ours,
            more,
            &p50,
        ),
        figure(format!("  {cpu}"), "us", ours, more, &Seen::per_delivery),
    ]
}
