//! Several measurements of one thing, and the table's row that tells them.

use std::fmt;
use std::time::Duration;

/// One row: what was measured, in which unit, and all values.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    what: String,
    unit: &'static str,
    values: Vec<f64>,
}

/// The table's first two lines.
pub(crate) fn heading() -> String {
    format!(
        "{}\n{}",
        line(["what", "median", "min", "p90", "p99", "max", "runs"]),
        "-".repeat(109)
    )
}

impl Row {
    /// Durations, told in milliseconds.
    pub(crate) fn millis(what: &str, values: &[Duration]) -> Row {
        let values = values.iter().map(|value| value.as_secs_f64() * 1e3);
        Row::new(what, "ms", values.collect())
    }

    /// Durations, told in seconds.
    pub(crate) fn seconds(what: &str, values: &[Duration]) -> Row {
        let values = values.iter().map(Duration::as_secs_f64);
        Row::new(what, "s", values.collect())
    }

    /// Sizes in KiB, told in MiB.
    pub(crate) fn mebibytes(what: &str, kibibytes: &[u64]) -> Row {
        let values = kibibytes.iter().map(|&value| value as f64 / 1024.0);
        Row::new(what, "MiB", values.collect())
    }

    /// One duration, told in microseconds.
    pub(crate) fn micros(what: &str, value: Duration) -> Row {
        Row::new(what, "us", vec![value.as_secs_f64() * 1e6])
    }

    /// One part of something.
    pub(crate) fn per_cent(what: &str, value: f64) -> Row {
        Row::new(what, "%", vec![value])
    }

    /// One size, told in KiB.
    pub(crate) fn kibibytes(what: &str, value: f64) -> Row {
        Row::new(what, "KiB", vec![value])
    }

    /// How many bytes a second, in megabytes, where so many took so long.
    pub(crate) fn per_second(what: &str, bytes: u64, durations: &[Duration]) -> Row {
        let megabytes = bytes as f64 / 1e6;
        let values = durations.iter().map(|it| megabytes / it.as_secs_f64());
        Row::new(what, "MB/s", values.collect())
    }

    /// Plain numbers.
    pub(crate) fn count(what: &str, values: &[u64]) -> Row {
        let values = values.iter().map(|&value| value as f64);
        Row::new(what, "", values.collect())
    }

    fn new(what: &str, unit: &'static str, mut values: Vec<f64>) -> Row {
        values.sort_by(f64::total_cmp);
        Row {
            what: what.to_owned(),
            unit,
            values,
        }
    }

    /// The value below which `part` of them are; nearest rank.
    fn quantile(&self, part: f64) -> f64 {
        let last = self.values.len().saturating_sub(1);
        let at = (part * last as f64).round() as usize;
        self.values.get(at).copied().unwrap_or(f64::NAN)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = |part| match self.unit {
            "" => format!("{:.0}", self.quantile(part)),
            unit => format!("{:.2} {unit}", self.quantile(part)),
        };
        let runs = self.values.len().to_string();
        f.write_str(&line([
            &self.what,
            &told(0.5),
            &told(0.0),
            &told(0.9),
            &told(0.99),
            &told(1.0),
            &runs,
        ]))
    }
}

fn line([what, median, min, p90, p99, max, runs]: [&str; 7]) -> String {
    format!("{what:<48} {median:>11} {min:>10} {p90:>10} {p99:>10} {max:>10} {runs:>4}")
}
