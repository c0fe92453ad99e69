//! What is counted. `parser KIND`: what a CLI printed in its recorded runs, to activities, to lines
//! of a log. `projection KIND`: the same from a spool's records and with redaction, as the daemon does
//! it. What an agent prints by itself is numbered lines of 200 bytes.

use std::fs;

use anyhow::Context;
use steroids_provider::activity::{Activity, Stamp, Stream};
use steroids_provider::decoder::Decoder;
use steroids_provider::encode::encode_line;
use steroids_provider::kind::{Format, Kind};
use steroids_provider::run::Run;
use steroids_shim::paths::InvDir;
use steroids_shim::spool::{Payload, Reader, Writer};
use steroids_tests::plain_spec;
use steroids_tests::recording::{self, Recording};

/// All of them.
pub(crate) const SUBJECTS: &[&str] = &[
    "parser claude",
    "parser codex",
    "parser command",
    "parser gemini",
    "parser opencode",
    "projection claude",
    "projection command",
];

/// Lines of plain text in a round.
const PLAIN: u64 = 2_000;

/// Rounds of a recording in one of these: a run of a CLI has few lines.
const REPLAYS: usize = 10;

/// How many lines a round has.
pub(crate) fn lines(subject: &str) -> anyhow::Result<u64> {
    let (_, kind) = split(subject)?;
    let runs = runs(kind)?;
    let chunks = runs.iter().flat_map(|run| &run.chunks);
    let bytes = chunks.flat_map(|chunk| &chunk.bytes);
    let lines = bytes.filter(|byte| **byte == b'\n').count();
    Ok((lines * REPLAYS) as u64)
}

/// So many rounds.
pub(crate) fn run(subject: &str, rounds: u64) -> anyhow::Result<()> {
    let (what, kind) = split(subject)?;
    let runs = runs(kind)?;
    for _ in 0..rounds * REPLAYS as u64 {
        match what {
            "parser" => runs.iter().for_each(parse),
            _ => runs.iter().try_for_each(project)?,
        }
    }
    Ok(())
}

fn split(subject: &str) -> anyhow::Result<(&str, Kind)> {
    let (what, kind) = subject.split_once(' ').context("no such subject")?;
    Ok((what, kind.parse()?))
}

/// What it is given: recorded runs in the CLI's own format, or plain lines.
fn runs(kind: Kind) -> anyhow::Result<Vec<Recording>> {
    if kind == Kind::Command {
        return Ok(vec![plain()?]);
    }
    let all = recording::all()?.into_iter();
    let runs = all.filter(|run| run.kind == kind && run.format == Format::Json);
    Ok(runs.collect())
}

fn plain() -> anyhow::Result<Recording> {
    let mut run = recording::named("claude/simple-text")?;
    let text: String = (0..PLAIN / REPLAYS as u64)
        .map(|number| format!("n {number:06} {}\n", "x".repeat(190)))
        .collect();
    let chunks = text.as_bytes().chunks(4096).enumerate();
    run.chunks = chunks
        .map(|(at, bytes)| recording::Chunk {
            ms: at as u64,
            stream: Stream::Stdout,
            bytes: bytes.to_vec(),
        })
        .collect();
    (run.kind, run.format, run.run) = (Kind::Command, Format::Text, Run::default());
    Ok(run)
}

fn parse(run: &Recording) {
    let mut decoder = Decoder::of_run(run.kind, run.format, run.run.clone());
    let mut log = Vec::with_capacity(1 << 20);
    let mut write = |at: Stamp, activity: &Activity<'_>| encode_line(&mut log, at, activity);
    let mut raw = 0;
    for chunk in &run.chunks {
        let at = Stamp {
            wall_ms: recording::BEGIN_MS + chunk.ms,
            mono_ms: chunk.ms,
            raw,
        };
        decoder.feed(chunk.stream, at, &chunk.bytes, &mut write);
        raw += chunk.bytes.len() as u64;
    }
    let at = Stamp {
        raw,
        ..Stamp::default()
    };
    decoder.end(at, &run.exit, &mut write);
    std::hint::black_box(log);
}

/// As [`Projection`](steroidsd::projection::Projection) does it, but for the log's file, which is
/// opened by a system call that older valgrinds do not know.
fn project(run: &Recording) -> anyhow::Result<()> {
    let root = tempfile::tempdir()?;
    let dir = InvDir::new(root.path(), "5d0e3c1a-0000-4000-8000-000000000001");
    fs::create_dir_all(dir.path())?;
    let mut spool = Writer::create(&dir.spool())?;
    for chunk in &run.chunks {
        let wall_ms = recording::BEGIN_MS + chunk.ms;
        spool.output(wall_ms, chunk.ms, chunk.stream, &chunk.bytes)?;
    }
    let mut redactor = plain_spec(root.path(), run.kind, run.format).redactor();
    let mut decoder = Decoder::of_run(run.kind, run.format, run.run.clone());
    let mut log = Vec::with_capacity(1 << 20);
    let mut write = |at: Stamp, activity: &Activity<'_>| {
        let redacted = redactor.activity(activity);
        encode_line(&mut log, at, redacted.as_ref().unwrap_or(activity));
    };
    let mut spool = Reader::open(&dir.spool())?;
    while let Some(record) = spool.next()? {
        if let Payload::Output { stream, bytes } = record.payload {
            decoder.feed(stream, record.at, bytes, &mut write);
        }
    }
    decoder.end(Stamp::default(), &run.exit, &mut write);
    std::hint::black_box(log);
    Ok(())
}
