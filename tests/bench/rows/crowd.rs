//! Many who look on: all at one invocation, or each at one of its own.

use std::time::Duration;

use super::{Options, each, millis, of_processes, wrong};
use crate::figure::Limit::{Most, Times};
use crate::figure::{Figure, Limit};
use crate::live::{Live, Seen};
use crate::load::Report;

const THOUSAND: Live = Live {
    logs: 1,
    viewers_each: 1_000,
    lines: 1_000,
    every: Duration::from_millis(10),
    join_every: Duration::ZERO,
};

const FIVE_THOUSAND: Live = Live {
    viewers_each: 5_000,
    ..THOUSAND
};

const TWO_HUNDRED: Live = Live {
    logs: 200,
    viewers_each: 1,
    lines: 25,
    every: Duration::from_millis(200),
    join_every: Duration::ZERO,
};

const JOINING: Live = Live {
    logs: 1,
    viewers_each: 40,
    lines: 6_000,
    every: Duration::from_millis(1),
    join_every: Duration::from_millis(125),
};

/// The floor and both of ours, each time one after the other.
#[derive(Default)]
struct Three {
    floor: Vec<Seen>,
    appended: Vec<Seen>,
    printed: Vec<Seen>,
}

impl Three {
    async fn measure(live: Live, options: &Options) -> Three {
        let mut three = Three::default();
        for _ in 0..options.repeats {
            three.once(live).await;
        }
        three
    }

    async fn once(&mut self, live: Live) {
        self.floor.push(live.floor().await);
        self.appended.push(live.appended().await);
        self.printed.push(live.printed().await);
    }

    /// A figure of each way, beside the floor.
    fn figures(
        &self,
        row: &'static str,
        what: &str,
        unit: &'static str,
        of: impl Fn(&Seen) -> f64,
        (must, want): (Limit, Limit),
    ) -> Vec<Figure> {
        let figure = |name: &str, seen| {
            Figure::new(row, format!("{what} ({name})"), unit, each(seen, &of))
                .floor(each(&self.floor, &of))
                .must(must)
                .want(want)
        };
        vec![
            figure("printed", &self.printed),
            figure("appended", &self.appended),
        ]
    }

    fn wrong(&self, row: &'static str) -> Vec<Figure> {
        let figure = |what, seen| Figure::new(row, what, "", wrong(seen)).must(Most(0.0));
        vec![
            figure("  lost, repeated, out of order (printed)", &self.printed),
            figure("  lost, repeated, out of order (appended)", &self.appended),
        ]
    }

    fn by_program(&self, row: &'static str) -> Vec<Figure> {
        let of_daemon = |seen: &Seen| seen.report.per_event(seen.used.daemon);
        let of_gateway = |seen: &Seen| seen.report.per_event(seen.used.gateway);
        vec![
            Figure::new(
                row,
                "    of the daemon (printed)",
                "us",
                each(&self.printed, of_daemon),
            ),
            Figure::new(
                row,
                "    of the gateway (printed)",
                "us",
                each(&self.printed, of_gateway),
            ),
        ]
    }
}

/// C.
pub(crate) async fn thousand(options: &Options) -> Vec<Figure> {
    let three = Three::measure(THOUSAND, options).await;
    let p50 = |seen: &Seen| seen.report.latency_ms(|it| it.p50);
    let p99 = |seen: &Seen| seen.report.latency_ms(|it| it.p99);
    let mut figures = three.figures(
        "C",
        "1,000 viewers: p50",
        "ms",
        p50,
        (Times(2.0), Times(1.3)),
    );
    figures.push(
        Figure::new("C", "  p99 (printed)", "ms", each(&three.printed, p99))
            .floor(each(&three.floor, p99)),
    );
    let limits = (Times(2.5), Times(1.5));
    figures.extend(three.figures("C", "  CPU per delivery", "us", Seen::per_delivery, limits));
    figures.extend(three.by_program("C"));
    let per_viewer = |seen: &Seen| seen.growth_kib as f64 / seen.report.viewers as f64;
    figures.extend(three.figures(
        "C",
        "  RSS of the gateway per viewer",
        "KiB",
        per_viewer,
        (Most(16.0), Most(8.0)),
    ));
    let joined = |seen: &Seen| millis(seen.joined);
    figures.push(
        Figure::new(
            "C",
            "  until all have subscribed (printed)",
            "ms",
            each(&three.printed, joined),
        )
        .floor(each(&three.floor, joined))
        .must(Most(400.0)),
    );
    figures.extend(three.wrong("C"));
    figures
}

/// C'.
pub(crate) async fn five_thousand(options: &Options) -> Vec<Figure> {
    let (mut floor, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..options.repeats {
        floor.push(FIVE_THOUSAND.floor().await);
        ours.push(FIVE_THOUSAND.printed().await);
    }
    let p50 = |seen: &Seen| seen.report.latency_ms(|it| it.p50);
    let p99 = |seen: &Seen| seen.report.latency_ms(|it| it.p99);
    let joined = |seen: &Seen| millis(seen.joined);
    vec![
        Figure::new("C'", "5,000 viewers: p99", "ms", each(&ours, p99))
            .floor(each(&floor, p99))
            .must(Most(1_000.0))
            .want(Most(150.0)),
        Figure::new("C'", "  p50", "ms", each(&ours, p50)).floor(each(&floor, p50)),
        Figure::new(
            "C'",
            "  CPU per delivery",
            "us",
            each(&ours, Seen::per_delivery),
        )
        .floor(each(&floor, Seen::per_delivery)),
        Figure::new(
            "C'",
            "  until all have subscribed",
            "ms",
            each(&ours, joined),
        )
        .floor(each(&floor, joined)),
        Figure::wrong("C'", wrong(&ours)),
        Figure::new("C'", "  of the floor", "", wrong(&floor)),
    ]
}

/// F.
pub(crate) async fn two_hundred(options: &Options) -> Vec<Figure> {
    let (mut three, mut relayed, mut printed) = (Three::default(), Vec::new(), Vec::new());
    for _ in 0..options.repeats {
        relayed.push(TWO_HUNDRED.relayed().await);
        printed.push(TWO_HUNDRED.printed_at_floor().await);
        three.once(TWO_HUNDRED).await;
    }
    let p50 = |seen: &Seen| seen.report.latency_ms(|it| it.p50);
    let p99 = |seen: &Seen| seen.report.latency_ms(|it| it.p99);
    let limits = (Times(2.0), Times(1.5));
    let mut figures = three.figures("F", "200 invocations: p50", "ms", p50, limits);
    figures.push(
        Figure::new("F", "  p99 (printed)", "ms", each(&three.printed, p99))
            .floor(each(&three.floor, p99)),
    );
    let limits = (Times(3.0), Times(2.0));
    figures.extend(three.figures("F", "  CPU per delivery", "us", Seen::per_delivery, limits));
    figures.extend(three.by_program("F"));
    figures.extend(three.wrong("F"));
    for (through, more, ours) in [
        ("a second process (appended)", &relayed, &three.appended),
        ("as many as ours (printed)", &printed, &three.printed),
    ] {
        figures.extend(of_processes("F", through, more, &three.floor, ours));
    }
    figures
}

/// H.
pub(crate) async fn joining(options: &Options) -> Vec<Figure> {
    let three = Three::measure(JOINING, options).await;
    let mut figures = Vec::new();
    for (name, seen) in [("printed", &three.printed), ("appended", &three.appended)] {
        let count = |what: &str, of: fn(&Report) -> u64| {
            let what = format!("  {what} ({name})");
            let values = each(seen, |it| of(&it.report) as f64);
            Figure::new("H", what, "", values).must(Most(0.0))
        };
        figures.extend([
            Figure::new(
                "H",
                format!("40 joining at 1,000 lines/s: delivered ({name})"),
                "",
                each(seen, |it| it.report.delivered as f64),
            ),
            count("lost", |it| it.lost),
            count("repeated", |it| it.repeated),
            count("out of order", |it| it.disordered),
        ]);
    }
    figures
}
