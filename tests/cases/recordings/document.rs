//! `docs/recordings.md`: what each recorded run comes to, and what becomes of each of its lines.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;
use steroids_provider::activity::Usage;
use steroids_provider::decoder::{Tally, ignore_rules};
use steroids_provider::kind::Kind;
use steroids_tests::recording::{Recording, Replay};

const HEAD: &str = "\
# Recorded runs, line by line

Generated from `tests/recordings/` by the test suite; `STEROIDS_BLESS=1 cargo test -p steroids-tests recordings`
writes it anew. The recordings are of claude 2.1.197, codex 0.169.0, gemini 0.61.0 and opencode 1.18.33, against a
scripted model: the programs and all that they print are real, the numbers and the API's words are the script's.

## What each comes to

*Tools* counts `tool` lines, *matched* those of them whose `tool_result` has the same `callId`: in opencode's text mode
a tool is told of without how it went. *Plans* are calls that wrote a plan, shown as such. *Unknown* counts
activities for events that no parser knows: none here. Of a run without numbers the CLI printed none. *HTTP* is the
status of the API's answer that ended it, *resets* when the limit goes away: at a moment that the CLI named, or some seconds
after the line that says it.

| recording | outcome | why | HTTP | resets | tools | matched | plans | input | cached | output | cost | unknown |
| --- | --- | --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
";

const LINES: &str = "
## What becomes of each line

Every line that a CLI printed, on stdout or stderr, is in one of the columns *shown* (it gave at least one
activity), *kept* (for the terminal line, or to be joined with what follows) or *ignored* (by a rule below).

| recording | lines | activities | shown | kept | ignored, by rule |
| --- | ---: | ---: | ---: | --- | --- |
";

/// The whole document.
pub(super) fn of(recordings: &[Recording]) -> String {
    let replays: Vec<Replay> = recordings.iter().map(Recording::replay).collect();
    let mut text = String::from(HEAD);
    for (recording, replay) in recordings.iter().zip(&replays) {
        text.push_str(&outcome(&recording.name, replay));
    }
    text.push_str(LINES);
    for (recording, replay) in recordings.iter().zip(&replays) {
        text.push_str(&accounts(&recording.name, replay.decoder.tally()));
    }
    text.push_str("\n## What is ignored, and why\n");
    for kind in Kind::ALL {
        if !ignore_rules(kind).is_empty() {
            write!(text, "\n### {kind}\n\n| event | reason |\n| --- | --- |\n")
                .expect("a string takes everything");
        }
        for rule in ignore_rules(kind) {
            writeln!(text, "| {} | {} |", rule.event, rule.reason)
                .expect("a string takes everything");
        }
    }
    text
}

fn outcome(name: &str, replay: &Replay) -> String {
    let lines: Vec<Value> = replay
        .log
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of the log is JSON"))
        .collect();
    let of_type = |kind: &'static str| lines.iter().filter(move |line| line["type"] == kind);
    let matched = of_type("tool")
        .filter(|tool| of_type("tool_result").any(|result| result["callId"] == tool["callId"]));
    let verdict = &replay.verdict;
    let status = verdict.evidence.http_status;
    format!(
        "| {name} | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
        verdict.outcome,
        verdict
            .error
            .as_deref()
            .unwrap_or_default()
            .replace('|', "\\|"),
        status.map(|status| status.to_string()).unwrap_or_default(),
        resets(replay).unwrap_or_default(),
        of_type("tool").count(),
        matched.count(),
        of_type("plan").count(),
        verdict.usage.map_or(" | | | ".to_owned(), numbers),
        replay.decoder.tally().unknown,
    )
}

/// The moment, or that it is a short span from the line that says it.
fn resets(replay: &Replay) -> Option<String> {
    let at = replay.verdict.resets_at_ms?;
    let last = replay.log.lines().last()?;
    let last: Value = serde_json::from_str(last).expect("a line of the log is JSON");
    let from_end = at - last["ts"].as_i64().expect("every line has ts");
    Some(match from_end {
        -3_600_000..3_600_000 => "within seconds".to_owned(),
        _ => jiff::Timestamp::from_millisecond(at)
            .expect("a time that a CLI named")
            .to_string(),
    })
}

fn numbers(usage: Usage) -> String {
    // Nobody counts tokens that were not counted.
    let or_none = |count: Option<u64>| count.map(|count| count.to_string()).unwrap_or_default();
    let cost = usage.total_cost_usd.map(|cost| format!("${cost:.6}"));
    format!(
        "{} | {} | {}{} | {}",
        usage.input_tokens,
        or_none(usage.cached_input_tokens),
        usage.output_tokens,
        if usage.cumulative {
            " (cumulative)"
        } else {
            ""
        },
        cost.unwrap_or_default(),
    )
}

fn accounts(name: &str, tally: &Tally) -> String {
    let Tally {
        lines,
        activities,
        shown,
        ..
    } = tally;
    let (held, ignored) = (by_name(&tally.held), by_name(&tally.ignored));
    format!("| {name} | {lines} | {activities} | {shown} | {held} | {ignored} |\n")
}

fn by_name(counts: &BTreeMap<&'static str, u64>) -> String {
    let counts = counts.iter().map(|(name, count)| format!("{count} {name}"));
    counts.collect::<Vec<_>>().join(", ")
}
