//! Every recorded run of the real CLIs, through its parser: what comes out is held by snapshots,
//! does not depend on how the bytes were cut, and every line is accounted for in
//! `docs/recordings.md` (written anew with `STEROIDS_BLESS=1`).

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;
use steroids_provider::activity::Stream;
use steroids_provider::decoder::{Tally, ignore_rules};
use steroids_provider::kind::Kind;
use steroids_tests::recording::{self, Recording, Replay};

#[test]
fn every_recording_gives_the_log_we_know() -> anyhow::Result<()> {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("recordings/snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let _bound = settings.bind_to_scope();
    for recording in recording::all()? {
        let replay = recording.replay();
        let name = recording.name.replace('/', "__");
        let log = format!(
            "{}\nresponse: {:?}\n",
            replay.log.trim_end(),
            replay.verdict.response
        );
        insta::assert_snapshot!(name, log);
    }
    Ok(())
}

#[test]
fn no_recording_gives_anything_unknown() -> anyhow::Result<()> {
    for recording in recording::all()? {
        let tally = recording.replay().decoder.tally().clone();
        assert_eq!(tally.unknown, 0, "{}", recording.name);
        let held: u64 = tally.held.values().sum();
        let ignored: u64 = tally.ignored.values().sum();
        assert_eq!(
            tally.lines,
            tally.shown + held + ignored,
            "{}",
            recording.name
        );
        let known: BTreeSet<&str> = ignore_rules(recording.kind)
            .iter()
            .map(|rule| rule.event)
            .collect();
        for rule in tally.ignored.keys() {
            assert!(
                known.contains(rule),
                "{}: {rule} is on no list",
                recording.name
            );
        }
    }
    Ok(())
}

#[test]
fn a_made_up_event_becomes_unknown_and_disturbs_nothing() -> anyhow::Result<()> {
    let event = br#"{"type":"surprise","subtype":"new","n":[1,2]}"#;
    for name in ["claude/tools", "codex/tools", "gemini/tools"] {
        let recording = recording::named(name)?;
        let mut chunks = recording.chunks.clone();
        let mut line = event.to_vec();
        line.push(b'\n');
        let after = chunks.iter().position(|chunk| chunk.bytes.ends_with(b"\n"));
        let after = after.expect("some chunk ends with a line");
        let mut made_up = chunks[after].clone();
        (made_up.stream, made_up.bytes) = (Stream::Stdout, line);
        chunks.insert(after + 1, made_up);
        let with = recording.replay_chunks(&chunks);
        assert_eq!(with.decoder.tally().unknown, 1, "{name}");
        let (unknown, rest): (Vec<Value>, Vec<Value>) = essence(&with.log)
            .into_iter()
            .partition(|line| line["type"] == "unknown");
        assert_eq!(unknown[0]["data"], serde_json::from_slice::<Value>(event)?);
        assert_eq!(rest, essence(&recording.replay().log), "{name}");
    }
    Ok(())
}

#[test]
fn how_the_bytes_were_cut_makes_no_difference() -> anyhow::Result<()> {
    for recording in recording::all()? {
        let expected = Essence::of(&recording.replay());
        for seed in 0..12 {
            let replay = recording.replay_chunks(&recording.shuffled(seed));
            assert_eq!(
                Essence::of(&replay),
                expected,
                "{} with seed {seed}",
                recording.name
            );
        }
    }
    Ok(())
}

#[test]
fn a_run_cut_anywhere_ends_with_one_terminal_line_and_raw_never_falls() -> anyhow::Result<()> {
    for recording in recording::all()? {
        let mut chunks = recording.shuffled(99);
        while let Some(mut last) = chunks.pop() {
            check_log(&recording, &recording.replay_chunks(&chunks));
            if last.bytes.len() > 400 {
                last.bytes.truncate(last.bytes.len() / 2);
                chunks.push(last);
            }
        }
    }
    Ok(())
}

#[test]
fn the_accounts_of_all_lines_stand_in_the_documentation() -> anyhow::Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/recordings.md");
    let accounts = accounts(&recording::all()?);
    if std::env::var_os("STEROIDS_BLESS").is_some() {
        std::fs::write(&path, &accounts)?;
    }
    let written = std::fs::read_to_string(&path)?;
    assert!(
        written == accounts,
        "docs/recordings.md is out of date; write it anew with STEROIDS_BLESS=1"
    );
    Ok(())
}

#[test]
fn damaged_recordings_still_give_whole_logs() -> anyhow::Result<()> {
    for recording in recording::all()? {
        for seed in 0..12 {
            let replay = recording.replay_chunks(&recording.damaged(seed));
            check_log(&recording, &replay);
            let tally = replay.decoder.tally();
            let apart: u64 = tally.held.values().chain(tally.ignored.values()).sum();
            assert_eq!(tally.lines, tally.shown + apart, "{}", recording.name);
        }
    }
    Ok(())
}

/// What must not depend on how the bytes were cut.
#[derive(Debug, PartialEq)]
struct Essence {
    of_stdout: Vec<Value>,
    of_stderr: Vec<Value>,
    at_the_end: Vec<Value>,
    tally: Tally,
}

impl Essence {
    fn of(replay: &Replay) -> Essence {
        let lines = essence(&replay.log);
        let caused_by = |cause: Option<Stream>| {
            let lines = lines.iter().zip(&replay.causes);
            let of_cause = lines.filter(|(_, of)| **of == cause);
            of_cause.map(|(line, _)| line.clone()).collect()
        };
        Essence {
            of_stdout: caused_by(Some(Stream::Stdout)),
            of_stderr: caused_by(Some(Stream::Stderr)),
            at_the_end: caused_by(None),
            tally: replay.decoder.tally().clone(),
        }
    }
}

/// The lines without what tells of time and place.
fn essence(log: &str) -> Vec<Value> {
    let lines = log.lines().map(|line| {
        let mut value: Value = serde_json::from_str(line).expect("a line of the log is JSON");
        let object = value.as_object_mut().expect("and an object");
        object.remove("ts");
        object.remove("raw");
        if object["type"] == "tool_result" {
            object.remove("duration");
        }
        value
    });
    lines.collect()
}

fn check_log(recording: &Recording, replay: &Replay) {
    let mut raw = 0;
    let mut terminal = 0;
    for line in replay.log.lines() {
        let value: Value = serde_json::from_str(line).expect("a line of the log is JSON");
        let at = value["raw"].as_u64().expect("every line has raw");
        assert!(at >= raw, "{}: {line}", recording.name);
        raw = at;
        assert_eq!(
            terminal, 0,
            "{}: a line after the terminal one",
            recording.name
        );
        terminal += u32::from(value["type"] == "complete");
    }
    assert_eq!(terminal, 1, "{}", recording.name);
}

fn accounts(recordings: &[Recording]) -> String {
    let mut text = String::from(
        "# Recorded runs, line by line\n\n\
         Generated from `tests/recordings/` by the test suite; `STEROIDS_BLESS=1 cargo test -p steroids-tests recordings`\n\
         writes it anew. Every line that a CLI printed, on stdout or stderr, is in one of the columns *shown* (it gave at\n\
         least one activity), *kept* (for the terminal line, or to be joined with what follows) or *ignored* (by a rule\n\
         below). *Unknown* counts activities for events that no parser knows: none here.\n\n\
         | recording | lines | activities | shown | kept | ignored, by rule | unknown | outcome |\n\
         | --- | ---: | ---: | ---: | --- | --- | ---: | --- |\n",
    );
    for recording in recordings {
        let replay = recording.replay();
        let tally = replay.decoder.tally();
        let Tally {
            lines,
            activities,
            shown,
            unknown,
            ..
        } = tally;
        let (held, ignored) = (by_name(&tally.held), by_name(&tally.ignored));
        let outcome = replay.verdict.outcome;
        let name = &recording.name;
        writeln!(
            text,
            "| {name} | {lines} | {activities} | {shown} | {held} | {ignored} | {unknown} | {outcome} |"
        )
        .expect("a string takes everything");
    }
    text.push_str("\n## What is ignored, and why\n");
    for kind in Kind::ALL {
        if ignore_rules(kind).is_empty() {
            continue;
        }
        write!(text, "\n### {kind}\n\n| event | reason |\n| --- | --- |\n")
            .expect("a string takes everything");
        for rule in ignore_rules(kind) {
            writeln!(text, "| {} | {} |", rule.event, rule.reason)
                .expect("a string takes everything");
        }
    }
    text
}

fn by_name(counts: &std::collections::BTreeMap<&'static str, u64>) -> String {
    let counts = counts.iter().map(|(name, count)| format!("{count} {name}"));
    counts.collect::<Vec<_>>().join(", ")
}
