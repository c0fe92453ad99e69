//! What is written can be read, is documented, and is what the dashboard asks for.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::metrics::Metrics;

/// A daemon that says all that one can say.
fn full() -> v1::StatusResponse {
    let of = |provider: &str, count| v1::ProviderCount {
        provider: provider.to_owned(),
        count,
    };
    v1::StatusResponse {
        version: "1.2.3".to_owned(),
        launcher: "fork".to_owned(),
        state: "serving".to_owned(),
        started_at_ms: 1_767_225_600_500,
        rss_bytes: 12_000_000,
        running: 3,
        max_running: 8,
        queued: 2,
        held: 1,
        stalled: 1,
        degraded: vec!["a disk is full".to_owned()],
        holds: vec![v1::Hold {
            provider: "codex".to_owned(),
            until_ms: 1_767_225_700_000,
            ..v1::Hold::default()
        }],
        unknown: vec![
            v1::UnknownEvents {
                provider: "claude".to_owned(),
                version: "2.1".to_owned(),
                count: 14,
                ..v1::UnknownEvents::default()
            },
            v1::UnknownEvents {
                provider: "codex".to_owned(),
                version: "a\"b\nc\\".to_owned(),
                count: 1,
                ..v1::UnknownEvents::default()
            },
        ],
        projection_lag: Some(v1::ProjectionLag {
            invocations: 1,
            bytes: 700,
            worst_bytes: 700,
            worst_age_ms: 1500,
            ..v1::ProjectionLag::default()
        }),
        subscriber_lag: Some(v1::SubscriberLag::default()),
        stored: Some(v1::Stored::default()),
        export: Some(v1::Export::default()),
        commits: Some(commits()),
        hook_queues: vec![v1::HookQueue {
            name: "page".to_owned(),
            waiting: 4,
            ..v1::HookQueue::default()
        }],
        counts: Some(v1::Counts {
            started: vec![of("claude", 5)],
            ended: vec![v1::EndedCount {
                provider: "claude".to_owned(),
                outcome: "success".to_owned(),
                count: 4,
            }],
            retried: vec![of("claude", 1)],
            adopted: 2,
            used: vec![v1::UsedCount {
                provider: "claude".to_owned(),
                model: "opus".to_owned(),
                input_tokens: 1200,
                cost_usd: 1.25,
                ..v1::UsedCount::default()
            }],
            holds: vec![v1::HoldCount {
                provider: "codex".to_owned(),
                reason: "by hand".to_owned(),
                count: 1,
            }],
            ..v1::Counts::default()
        }),
        ..v1::StatusResponse::default()
    }
}

fn commits() -> v1::CommitLatency {
    let bucket = |up_to_us, count| v1::CommitBucket { up_to_us, count };
    v1::CommitLatency {
        count: 6,
        sum_us: 2_500_000,
        last_us: 800,
        worst_us: 31_000,
        window_seconds: 300,
        buckets: vec![bucket(1000, 3), bucket(5000, 2), bucket(0, 1)],
    }
}

/// Families by name, each with its samples: labels as they stand, and value.
type Families = BTreeMap<String, (String, Vec<(String, String, f64)>)>;

/// Reads an exposition as strictly as its format is described.
fn parse(text: &str) -> Families {
    let mut families = Families::new();
    let mut seen = BTreeSet::new();
    let mut open: Option<String> = None;
    let mut helped = String::new();
    assert!(text.ends_with('\n'), "the last line has an end");
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, said) = help.split_once(' ').unwrap();
            assert!(!said.is_empty() && is_name(name), "{line}");
            helped = name.to_owned();
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(name, helped, "help comes first");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
            let new = families.insert(name.to_owned(), (kind.to_owned(), Vec::new()));
            assert!(new.is_none(), "{name} stands there twice");
            open = Some(name.to_owned());
        } else {
            assert!(!line.starts_with('#') && !line.is_empty(), "{line}");
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert!(
                seen.insert(series.to_owned()),
                "{series} stands there twice"
            );
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let labels = labels.strip_suffix('}').unwrap();
            let family = open.clone().unwrap();
            let (kind, samples) = families.get_mut(&family).unwrap();
            let part = name.strip_prefix(&family).unwrap();
            match kind.as_str() {
                "histogram" => assert!(["_bucket", "_sum", "_count"].contains(&part), "{line}"),
                _ => assert_eq!(part, "", "{line}"),
            }
            check_labels(labels);
            samples.push((part.to_owned(), labels.to_owned(), value.parse().unwrap()));
        }
    }
    families
}

fn is_name(name: &str) -> bool {
    let is_one = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.starts_with("steroids_") && name.chars().all(is_one)
}

/// `name="value",…`, where a value has its quotes, backslashes and line ends escaped.
fn check_labels(mut labels: &str) {
    while !labels.is_empty() {
        let (name, rest) = labels.split_once("=\"").unwrap();
        let is_letter = |c: char| c.is_ascii_lowercase() || c == '_';
        assert!(!name.is_empty() && name.chars().all(is_letter), "{labels}");
        let mut escaped = false;
        let end = rest.find(|c: char| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let rest = &rest[end.unwrap() + 1..];
        labels = rest.strip_prefix(',').unwrap_or(rest);
    }
}

/// All that `/metrics` can show.
fn everything() -> Families {
    let metrics = Metrics::new();
    let _stream = metrics.stream_opened("task");
    metrics.refused("host");
    parse(&(metrics.text() + &daemon(Some(full()))))
}

#[test]
fn what_is_written_can_be_read() {
    let families = everything();
    let value = |name: &str, labels: &str| {
        let samples = &families[name].1;
        let sample = samples.iter().find(|(_, it, _)| it == labels);
        sample
            .unwrap_or_else(|| panic!("{name}{{{labels}}}: {samples:?}"))
            .2
    };
    let is = |name: &str, labels: &str, expected: f64| {
        let value = value(name, labels);
        assert!(
            (value - expected).abs() < 1e-9,
            "{name}{{{labels}}}: {value}"
        );
    };
    is("steroids_daemon_up", "", 1.0);
    is(
        "steroids_daemon_info",
        "version=\"1.2.3\",launcher=\"fork\"",
        1.0,
    );
    is("steroids_daemon_start_time_seconds", "", 1_767_225_600.5);
    is("steroids_degraded_reasons", "", 1.0);
    is("steroids_held_invocations", "", 1.0);
    is("steroids_projection_lag_seconds", "", 1.5);
    is("steroids_hook_waiting_events", "hook=\"page\"", 4.0);
    let ended = "provider=\"claude\",outcome=\"success\"";
    is("steroids_invocations_ended_total", ended, 4.0);
    let tokens = "provider=\"claude\",model=\"opus\",type=\"input\"";
    is("steroids_tokens_total", tokens, 1200.0);
    let cost = "provider=\"claude\",model=\"opus\",estimated=\"false\"";
    is("steroids_cost_dollars_total", cost, 1.25);
    let cli = "provider=\"codex\",version=\"a\\\"b\\nc\\\\\"";
    is("steroids_unknown_events_total", cli, 1.0);
}

#[test]
fn buckets_of_commits_add_up() {
    let families = everything();
    let (kind, samples) = &families["steroids_database_commit_duration_seconds"];
    assert_eq!(kind, "histogram");
    let said: Vec<_> = samples
        .iter()
        .map(|(part, labels, value)| format!("{part}{{{labels}}} {value}"))
        .collect();
    let expected = [
        "_bucket{le=\"0.001\"} 3",
        "_bucket{le=\"0.005\"} 5",
        "_bucket{le=\"+Inf\"} 6",
        "_sum{} 2.5",
        "_count{} 6",
    ];
    assert_eq!(said, expected);
}

#[test]
fn of_a_daemon_that_is_away_it_is_said() {
    let families = parse(&daemon(None));
    let names: Vec<_> = families.keys().collect();
    assert_eq!(names, ["steroids_daemon_up"]);
    let up = families["steroids_daemon_up"].1[0].2;
    assert!(up.abs() < 1e-9);
}

fn page(path: &str) -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/");
    std::fs::read_to_string(format!("{root}{path}")).unwrap()
}

#[test]
fn what_the_daemon_tells_is_documented_and_nothing_else_is() {
    let page = page("observability.md");
    let (_, table) = page.split_once("| `steroids_…` | is |").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let rows = table.lines().filter_map(|row| row.strip_prefix("| `"));
    let names = rows.flat_map(|row| row.split_once(" |").unwrap().0.split(", "));
    let documented: BTreeSet<_> = names
        .map(|name| format!("steroids_{}", name.trim_matches('`')))
        .collect();
    let told = parse(&daemon(Some(full()))).into_keys();
    assert_eq!(documented, told.collect());
}

#[test]
fn the_dashboard_asks_for_nothing_that_there_is_not() {
    let families = everything();
    let dashboard = page("grafana/steroids.json");
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut asked = BTreeSet::new();
    for panel in panels {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expr = target["expr"].as_str().unwrap();
            let words = expr.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            let names = words.filter(|word| word.starts_with("steroids_"));
            asked.extend(names.map(str::to_owned));
        }
    }
    assert!(asked.len() > 20, "{asked:?}");
    for name in asked {
        let whole = ["_bucket", "_sum", "_count"].iter();
        let mut whole = whole.filter_map(|part| name.strip_suffix(part));
        let is_histogram = |name: &str| families.get(name).is_some_and(|it| it.0 == "histogram");
        let is_told = families.contains_key(&name) || whole.any(is_histogram);
        assert!(is_told, "{name} is in the dashboard only");
    }
}

#[test]
fn the_panels_of_the_dashboard_do_not_cover_one_another() {
    let dashboard: serde_json::Value =
        serde_json::from_str(&page("grafana/steroids.json")).unwrap();
    let mut taken = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{panel}");
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(taken.insert((x, y)), "{} covers another", panel["title"]);
            }
        }
    }
}
