//! A figure: what was measured, each time, what the floor came to beside it, and what is aimed at.

use serde::Serialize;

/// One line of the table.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figure {
    /// The row of the table; empty where it has none.
    row: &'static str,
    what: String,
    unit: &'static str,
    /// One for each repeat.
    ours: Vec<f64>,
    /// The floor's, each from the same repeat as ours.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    floor: Vec<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    must: Option<Limit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    want: Option<Limit>,
}

/// What a figure is held to.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Limit {
    /// So many times the floor's at most.
    Times(f64),
    /// So much at most.
    Most(f64),
    /// So much at least.
    Least(f64),
}

/// The median of several values, the smallest and the greatest.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

/// Whether a figure is as it is aimed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Verdict {
    /// Nothing is aimed at.
    Told,
    Wanted,
    Enough,
    Missed,
}

/// What is written for machines beside the values.
#[derive(Debug, Serialize)]
pub(crate) struct Summed<'a> {
    #[serde(flatten)]
    figure: &'a Figure,
    #[serde(rename = "oursSpread")]
    spread: Spread,
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<Spread>,
    verdict: Verdict,
}

// === impl Figure ===

impl Figure {
    /// What is not to be at all: events that did not come as they should.
    pub(crate) fn wrong(row: &'static str, ours: Vec<f64>) -> Figure {
        Figure::new(row, "  lost, repeated, out of order", "", ours).must(Limit::Most(0.0))
    }

    pub(crate) fn new(
        row: &'static str,
        what: impl Into<String>,
        unit: &'static str,
        ours: Vec<f64>,
    ) -> Figure {
        Figure {
            row,
            what: what.into(),
            unit,
            ours,
            floor: Vec::new(),
            must: None,
            want: None,
        }
    }

    /// Beside the floor's, repeat by repeat.
    pub(crate) fn floor(mut self, floor: Vec<f64>) -> Figure {
        self.floor = floor;
        self
    }

    pub(crate) fn must(mut self, limit: Limit) -> Figure {
        self.must = Some(limit);
        self
    }

    pub(crate) fn want(mut self, limit: Limit) -> Figure {
        self.want = Some(limit);
        self
    }

    /// With what is worked out from the values.
    pub(crate) fn summed(&self) -> Summed<'_> {
        Summed {
            figure: self,
            spread: Spread::of(&self.ours),
            ratio: self.ratio(),
            verdict: self.verdict(),
        }
    }

    fn ratio(&self) -> Option<Spread> {
        let pairs = self.ours.iter().zip(&self.floor);
        let ratios: Vec<f64> = pairs.map(|(ours, floor)| ours / floor).collect();
        (!ratios.is_empty()).then(|| Spread::of(&ratios))
    }

    fn verdict(&self) -> Verdict {
        match (self.must, self.want) {
            (_, Some(want)) if self.meets(want) => Verdict::Wanted,
            (Some(must), None) if self.meets(must) => Verdict::Wanted,
            (Some(must), Some(_)) if self.meets(must) => Verdict::Enough,
            (None, None) => Verdict::Told,
            _ => Verdict::Missed,
        }
    }

    /// By the median; where nothing was measured nothing is met.
    fn meets(&self, limit: Limit) -> bool {
        let ours = Spread::of(&self.ours).median;
        match limit {
            Limit::Times(times) => self.ratio().is_some_and(|ratio| ratio.median <= times),
            Limit::Most(most) => ours <= most,
            Limit::Least(least) => ours >= least,
        }
    }

    /// The table's line.
    pub(crate) fn line(&self) -> String {
        let spread = Spread::of(&self.ours);
        let floor = (!self.floor.is_empty()).then(|| Spread::of(&self.floor).median);
        let limit = |limit: Option<Limit>| limit.map_or(String::new(), |it| self.limit(it));
        columns([
            self.row,
            &self.what,
            &floor.map_or(String::new(), |floor| self.value(floor)),
            &self.value(spread.median),
            &format!("{} - {}", number(spread.min), number(spread.max)),
            &self
                .ratio()
                .map_or(String::new(), |ratio| format!("{:.2} x", ratio.median)),
            &limit(self.must),
            &limit(self.want),
            match self.verdict() {
                Verdict::Told => "",
                Verdict::Wanted => "yes",
                Verdict::Enough => "must",
                Verdict::Missed => "NO",
            },
        ])
    }

    fn value(&self, value: f64) -> String {
        format!("{} {}", number(value), self.unit)
            .trim_end()
            .to_owned()
    }

    fn limit(&self, limit: Limit) -> String {
        match limit {
            Limit::Times(times) => format!("{times} x"),
            Limit::Most(most) => self.value(most),
            Limit::Least(least) => format!(">= {}", self.value(least)),
        }
    }
}

// === impl Spread ===

impl Spread {
    pub(crate) fn of(values: &[f64]) -> Spread {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |place: usize| sorted.get(place).copied().unwrap_or(f64::NAN);
        let middle = sorted.len() / 2;
        let median = if sorted.len().is_multiple_of(2) && middle > 0 {
            (at(middle - 1) + at(middle)) / 2.0
        } else {
            at(middle)
        };
        Spread {
            median,
            min: at(0),
            max: at(sorted.len().saturating_sub(1)),
        }
    }
}

/// The table's first two lines.
pub(crate) fn heading() -> String {
    let names = columns([
        "row", "what", "floor", "ours", "spread", "ratio", "must", "want", "met",
    ]);
    format!("{names}\n{}", "-".repeat(names.len()))
}

fn columns(columns: [&str; 9]) -> String {
    let [row, what, floor, ours, spread, ratio, must, want, met] = columns;
    let line = format!(
        "{row:<4}{what:<56} {floor:>11} {ours:>12} {spread:>19} {ratio:>8} {must:>11} {want:>11} {met:>5}"
    );
    line.trim_end().to_owned()
}

/// With as many digits as say something.
fn number(value: f64) -> String {
    match value.abs() {
        _ if value.fract() == 0.0 => format!("{value}"),
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(ours: &[f64]) -> Figure {
        Figure::new("A", "something", "ms", ours.to_vec())
    }

    #[test]
    fn a_ratio_is_of_values_of_one_repeat_and_its_median_decides() {
        let figure = figure(&[2.0, 30.0, 3.0])
            .floor(vec![1.0, 10.0, 3.0])
            .must(Limit::Times(2.0))
            .want(Limit::Times(1.5));
        let ratio = figure.ratio().unwrap();
        assert_eq!((ratio.median, ratio.min, ratio.max), (2.0, 1.0, 3.0));
        assert_eq!(figure.verdict(), Verdict::Enough);
    }

    #[test]
    fn what_is_met_goes_by_the_median() {
        let held = |must, want| figure(&[9.0, 1.0, 5.0]).must(must).want(want).verdict();
        assert_eq!(held(Limit::Most(7.0), Limit::Most(5.0)), Verdict::Wanted);
        assert_eq!(held(Limit::Most(7.0), Limit::Most(4.0)), Verdict::Enough);
        assert_eq!(held(Limit::Most(4.0), Limit::Most(2.0)), Verdict::Missed);
        assert_eq!(held(Limit::Least(6.0), Limit::Least(9.0)), Verdict::Missed);
        assert_eq!(figure(&[1.0]).verdict(), Verdict::Told);
    }

    #[test]
    fn nothing_measured_meets_nothing() {
        for limit in [Limit::Most(1.0), Limit::Least(0.0), Limit::Times(9.0)] {
            assert_eq!(figure(&[]).must(limit).verdict(), Verdict::Missed);
            assert_eq!(figure(&[f64::NAN]).must(limit).verdict(), Verdict::Missed);
        }
    }

    #[test]
    fn the_middle_of_an_even_number_of_values_lies_between_two() {
        assert_eq!(Spread::of(&[4.0, 1.0, 3.0, 2.0]).median, 2.5);
        assert_eq!(Spread::of(&[7.0]).median, 7.0);
    }
}
