//! Every recorded run of the real CLIs, through its parser: what comes out is held by snapshots,
//! does not depend on how the bytes were cut, and every line is accounted for in
//! `docs/recordings.md` (written anew with `STEROIDS_BLESS=1`).

mod document;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use steroids_provider::activity::Stream;
use steroids_provider::decoder::{Tally, ignore_rules};
use steroids_provider::kind::Format;
use steroids_provider::outcome::Outcome;
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

/// How the runs ended that did not succeed, as `meta.json` and the README beside it tell of them,
/// and words of the reason. Written by hand, so that no blessing can change it.
const NO_SUCCESS: &[(&str, Outcome, &str)] = &[
    ("claude/auth", Outcome::Auth, "Invalid API key"),
    ("claude/auth-none", Outcome::Auth, "Not logged in"),
    (
        "claude/bad-flag",
        Outcome::Failed,
        "unknown option '--no-such-flag'",
    ),
    (
        "claude/cli-missing",
        Outcome::Failed,
        "claude-not-installed: not found",
    ),
    (
        "claude/forbidden",
        Outcome::Auth,
        "403 Your API key does not have permission",
    ),
    (
        "claude/max-turns",
        Outcome::Failed,
        "maximum number of turns (2)",
    ),
    (
        "claude/rate-limit",
        Outcome::RateLimited,
        "Request rejected (429)",
    ),
    (
        "claude/rate-limit-uncapped",
        Outcome::TimeoutWall,
        "wall limit",
    ),
    (
        "claude/server-error",
        Outcome::Overloaded,
        "500 Internal server error",
    ),
    (
        "claude/subscription-limit",
        Outcome::RateLimited,
        "resets 2026-11-23T02:13:20Z",
    ),
    ("claude/text-mode-error", Outcome::Auth, "Invalid API key"),
    ("codex/auth", Outcome::Auth, "401 Unauthorized"),
    (
        "codex/auth-none",
        Outcome::Auth,
        "Missing environment variable",
    ),
    (
        "codex/bad-flag",
        Outcome::Failed,
        "unexpected argument '--no-such-flag'",
    ),
    (
        "codex/cli-missing",
        Outcome::Failed,
        "codex-not-installed: not found",
    ),
    (
        "codex/rate-limit",
        Outcome::RateLimited,
        "429 Too Many Requests",
    ),
    (
        "codex/server-error",
        Outcome::Overloaded,
        "experiencing high demand",
    ),
    ("codex/stdin-open", Outcome::TimeoutWall, "wall limit"),
    ("codex/text-mode-error", Outcome::Auth, "401 Unauthorized"),
    (
        "codex/usage-limit",
        Outcome::RateLimited,
        "try again at Nov 23rd, 2026 2:13 AM",
    ),
    ("gemini/auth", Outcome::Auth, "(401 UNAUTHENTICATED)"),
    (
        "gemini/auth-none",
        Outcome::Auth,
        "specify the GEMINI_API_KEY",
    ),
    (
        "gemini/bad-flag",
        Outcome::Failed,
        "Unknown arguments: such-flag",
    ),
    ("gemini/bad-key", Outcome::Auth, "API key not valid"),
    (
        "gemini/cli-missing",
        Outcome::Failed,
        "gemini-not-installed: not found",
    ),
    (
        "gemini/rate-limit",
        Outcome::RateLimited,
        "Resource has been exhausted",
    ),
    (
        "gemini/rate-limit-uncapped",
        Outcome::TimeoutWall,
        "wall limit",
    ),
    ("gemini/server-error", Outcome::Overloaded, "(500 INTERNAL)"),
    (
        "gemini/text-mode-error",
        Outcome::Auth,
        "(401 UNAUTHENTICATED)",
    ),
    ("opencode/auth", Outcome::Auth, "(401 invalid_api_key)"),
    (
        "opencode/bad-flag",
        Outcome::Failed,
        "a flag that it does not know",
    ),
    (
        "opencode/cli-missing",
        Outcome::Failed,
        "opencode-not-installed: not found",
    ),
    (
        "opencode/rate-limit",
        Outcome::RateLimited,
        "(429 rate_limit_exceeded)",
    ),
    (
        "opencode/server-error",
        Outcome::Overloaded,
        "(500 server_error)",
    ),
    ("opencode/stdin-open", Outcome::TimeoutWall, "wall limit"),
    (
        "opencode/text-mode-error",
        Outcome::Auth,
        "Incorrect API key provided",
    ),
];

#[test]
fn every_run_that_did_not_succeed_says_why() -> anyhow::Result<()> {
    let mut seen = 0;
    for recording in recording::all()? {
        let verdict = recording.replay().verdict;
        let known = NO_SUCCESS.iter().find(|(name, ..)| *name == recording.name);
        let (outcome, words) = known.map_or((Outcome::Success, ""), |it| (it.1, it.2));
        assert_eq!(verdict.outcome, outcome, "{}", recording.name);
        let error = verdict.error.unwrap_or_default();
        assert!(error.contains(words), "{}: {error}", recording.name);
        assert_eq!(error.is_empty(), known.is_none(), "{}", recording.name);
        seen += usize::from(known.is_some());
    }
    assert_eq!(seen, NO_SUCCESS.len());
    Ok(())
}

/// When a limit goes away.
#[derive(Debug, Clone, Copy)]
enum Resets {
    Untold,
    /// Epoch milliseconds.
    At(i64),
    /// Milliseconds from a line on.
    In(i64),
}

/// The statuses and times that stand in what those runs printed, read by hand: in a `result`, a
/// sentence, a header, or an exit code above 143. All others told of neither.
const TOLD: &[(&str, Option<u16>, Resets)] = &[
    ("claude/auth", Some(401), Resets::Untold),
    ("claude/forbidden", Some(403), Resets::Untold),
    ("claude/rate-limit", Some(429), Resets::Untold),
    ("claude/server-error", Some(500), Resets::Untold),
    (
        "claude/subscription-limit",
        Some(429),
        Resets::At(1_795_400_000_000),
    ),
    ("codex/auth", Some(401), Resets::Untold),
    ("codex/rate-limit", Some(429), Resets::Untold),
    ("codex/text-mode-error", Some(401), Resets::Untold),
    // 2:13 AM of the recorder's clock, which was UTC.
    ("codex/usage-limit", None, Resets::At(1_795_399_980_000)),
    ("gemini/auth", Some(401), Resets::Untold),
    ("gemini/bad-key", Some(400), Resets::Untold),
    ("gemini/rate-limit", Some(429), Resets::In(2_000)),
    ("gemini/server-error", Some(500), Resets::Untold),
    ("gemini/text-mode-error", Some(401), Resets::Untold),
    ("opencode/auth", Some(401), Resets::Untold),
    ("opencode/rate-limit", Some(429), Resets::In(2_000)),
    ("opencode/server-error", Some(500), Resets::Untold),
];

#[test]
fn statuses_and_reset_times_are_those_that_were_printed() -> anyhow::Result<()> {
    let mut seen = 0;
    for recording in recording::all()? {
        let verdict = recording.replay().verdict;
        let told = TOLD.iter().find(|(name, ..)| *name == recording.name);
        let (status, resets) = told.map_or((None, Resets::Untold), |it| (it.1, it.2));
        seen += usize::from(told.is_some());
        let name = &recording.name;
        assert_eq!(verdict.evidence.http_status, status, "{name}");
        match (resets, verdict.resets_at_ms) {
            (Resets::Untold, None) => {}
            (Resets::At(at), Some(found)) => assert_eq!(found, at, "{name}"),
            (Resets::In(span), Some(found)) => {
                let mut chunks = recording.chunks.iter();
                let says = |ms: u64| found - span == (recording::BEGIN_MS + ms).cast_signed();
                assert!(chunks.any(|chunk| says(chunk.ms)), "{name}: {found}");
            }
            (expected, found) => panic!("{name}: {expected:?}, not {found:?}"),
        }
    }
    assert_eq!(seen, TOLD.len());
    Ok(())
}

#[test]
fn a_run_with_a_final_event_is_judged_by_it_and_shows_it() -> anyhow::Result<()> {
    for recording in recording::all()? {
        let verdict = recording.replay().verdict;
        let stdout = recording.text_of(Stream::Stdout);
        if let Some(event) = &verdict.evidence.final_event {
            let shown = event.split("… [").next().unwrap_or_default();
            assert!(stdout.contains(shown), "{}: {event}", recording.name);
        }
        // A run that came to its end by itself has one, where its format has any.
        let is_json = recording.format == Format::Json;
        let needs = is_json && verdict.outcome == Outcome::Success;
        assert!(
            !needs || verdict.evidence.final_event.is_some(),
            "{}",
            recording.name
        );
    }
    Ok(())
}

#[test]
fn every_result_belongs_to_a_call_and_every_call_has_one() -> anyhow::Result<()> {
    for recording in recording::all()? {
        let lines = essence(&recording.replay().log);
        let ids = |kind: &str| {
            let of_kind = lines.iter().filter(|line| line["type"] == kind);
            let mut ids: Vec<_> = of_kind.filter_map(|line| line["callId"].as_str()).collect();
            ids.sort_unstable();
            ids
        };
        let calls = ids("tool");
        let of_its_own: BTreeSet<_> = calls.iter().collect();
        assert_eq!(of_its_own.len(), calls.len(), "{}", recording.name);
        assert_eq!(ids("tool_result"), calls, "{}", recording.name);
    }
    Ok(())
}

#[test]
fn a_made_up_event_becomes_unknown_and_disturbs_nothing() -> anyhow::Result<()> {
    let event = br#"{"type":"surprise","subtype":"new","n":[1,2]}"#;
    for name in [
        "claude/tools",
        "codex/tools",
        "gemini/tools",
        "opencode/tools",
    ] {
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
    let accounts = document::of(&recording::all()?);
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
