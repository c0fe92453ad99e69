//! What ended invocations used and how long they took, as OTLP's histograms: counted since the daemon
//! started, by words of which there are few.

use std::collections::BTreeMap;

use super::wire::{
    Histogram, KeyValue, Metric, MetricsRequest, Point, ResourceMetrics, SCHEMA, ScopeMetrics,
    attribute, resource, scope,
};
use crate::domain::{Invocation, Outcome, Phase};

/// As the conventions want it.
const TOKENS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// The conventions' bounds are those of one request, up to 82 s; an agent works for hours.
const SECONDS: [f64; 12] = [
    1.0, 5.0, 15.0, 60.0, 180.0, 600.0, 1800.0, 3600.0, 7200.0, 14_400.0, 28_800.0, 86_400.0,
];

/// Series of each kind; what is beyond has the model `other`.
const SERIES: usize = 256;

/// Words that a series is told apart by: maker, model, and type of token or error.
type Key = (String, String, &'static str);

/// The sums so far.
#[derive(Debug, Default)]
pub(super) struct Sums {
    tokens: BTreeMap<Key, Counted>,
    durations: BTreeMap<Key, Counted>,
    /// Ends that are in them, and those of them that were told.
    ends: u64,
    told: u64,
}

#[derive(Debug, Clone)]
struct Counted {
    buckets: Vec<u64>,
    sum: f64,
}

impl Sums {
    /// One has ended.
    pub(super) fn add(&mut self, maker: &str, row: &Invocation) {
        self.ends += 1;
        let key = |kind| (maker.to_owned(), row.model.clone(), kind);
        if let Some(usage) = &row.usage {
            let caches = usage.all_tokens() - usage.output_tokens.min(usage.all_tokens());
            count(&mut self.tokens, &TOKENS, key("input"), double(caches));
            let output = double(usage.output_tokens);
            count(&mut self.tokens, &TOKENS, key("output"), output);
        }
        let error = match row.phase {
            Phase::Ended {
                outcome: Some(Outcome::Success),
                ..
            } => "",
            Phase::Ended {
                outcome: Some(outcome),
                ..
            } => outcome.as_str(),
            _ => "unknown",
        };
        let took = u64::try_from(row.duration_ms.unwrap_or(0)).unwrap_or(0);
        let took = double(took) / 1e3;
        count(&mut self.durations, &SECONDS, key(error), took);
    }

    /// Whether there is something that was not told.
    pub(super) fn is_new(&self) -> bool {
        self.ends != self.told
    }

    /// Of how many ends they are.
    pub(super) fn ends(&self) -> u64 {
        self.ends
    }

    /// Those of so many ends were told.
    pub(super) fn told(&mut self, ends: u64) {
        self.told = ends;
    }

    /// All of them, since `start` until `now`, in nanoseconds.
    pub(super) fn request(&self, start: u64, now: u64) -> MetricsRequest {
        let points = |all: &BTreeMap<Key, Counted>, bounds: &[f64], last: &str| {
            let points = all.iter().map(|(key, counted)| Point {
                start_time_unix_nano: start,
                time_unix_nano: now,
                count: counted.buckets.iter().sum(),
                sum: Some(counted.sum),
                bucket_counts: counted.buckets.clone(),
                explicit_bounds: bounds.to_vec(),
                attributes: attributes(key, last),
            });
            points.collect()
        };
        let tokens = points(&self.tokens, &TOKENS, "gen_ai.token.type");
        let durations = points(&self.durations, &SECONDS, "error.type");
        let metrics = vec![
            metric(
                "gen_ai.client.token.usage",
                "Tokens that an invocation used",
                "{token}",
                tokens,
            ),
            metric(
                "gen_ai.client.operation.duration",
                "How long an invocation took",
                "s",
                durations,
            ),
        ];
        MetricsRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(resource()),
                scope_metrics: vec![ScopeMetrics {
                    scope: Some(scope()),
                    metrics,
                    schema_url: SCHEMA.to_owned(),
                }],
            }],
        }
    }
}

fn count(all: &mut BTreeMap<Key, Counted>, bounds: &[f64], mut key: Key, value: f64) {
    if !all.contains_key(&key) && all.len() >= SERIES {
        key.1 = "other".to_owned();
    }
    let counted = all.entry(key).or_insert_with(|| Counted {
        buckets: vec![0; bounds.len() + 1],
        sum: 0.0,
    });
    counted.buckets[bounds.partition_point(|bound| *bound < value)] += 1;
    counted.sum += value;
}

fn attributes((maker, model, last): &Key, last_key: &str) -> Vec<KeyValue> {
    let mut attributes = vec![
        attribute("gen_ai.operation.name", "invoke_agent"),
        attribute("gen_ai.provider.name", maker.as_str()),
    ];
    if !model.is_empty() {
        attributes.push(attribute("gen_ai.request.model", model.as_str()));
    }
    if !last.is_empty() {
        attributes.push(attribute(last_key, *last));
    }
    attributes
}

fn metric(name: &str, description: &str, unit: &str, data_points: Vec<Point>) -> Metric {
    Metric {
        name: name.to_owned(),
        description: description.to_owned(),
        unit: unit.to_owned(),
        histogram: Some(Histogram {
            data_points,
            // Cumulative.
            aggregation_temporality: 2,
        }),
    }
}

fn double(number: u64) -> f64 {
    number as f64
}
