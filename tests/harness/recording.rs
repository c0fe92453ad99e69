//! Recorded runs of the real CLIs (`tests/recordings/`), and ways to hand them to a decoder: with
//! the chunks in which they were read, or cut and interleaved otherwise by a seeded generator.

use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context, bail};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde::Deserialize;
use steroids_provider::activity::{Activity, Stamp, Stream};
use steroids_provider::decoder::Decoder;
use steroids_provider::encode::encode_line;
use steroids_provider::kind::{Format, Kind};
use steroids_provider::parser::{EndedBy, Exit, Sink, Verdict};
use steroids_provider::redact::Redactor;
use steroids_provider::run::Run;

/// When every replay begins, in epoch milliseconds.
pub const BEGIN_MS: u64 = 1_700_000_000_000;

/// Bytes that a spool puts before each chunk, so that positions grow as they do there.
const HEADER: u64 = 32;

/// One run of a CLI.
#[derive(Debug, Clone)]
pub struct Recording {
    /// `claude/tools`.
    pub name: String,
    /// Whose run it is.
    pub kind: Kind,
    /// What it was asked to print.
    pub format: Format,
    /// What the parser is told beforehand.
    pub run: Run,
    /// How it ended.
    pub exit: Exit,
    /// What was read, in the order of reading.
    pub chunks: Vec<Chunk>,
}

/// What one read gave.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// Milliseconds since the start.
    pub ms: u64,
    /// The pipe.
    pub stream: Stream,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// What a replay gave.
#[derive(Debug)]
pub struct Replay {
    /// The activity log, without its first line.
    pub log: String,
    /// Which pipe's bytes caused each line; `None` for the end.
    pub causes: Vec<Option<Stream>>,
    /// What the run amounts to.
    pub verdict: Verdict,
    /// The decoder, with its tally.
    pub decoder: Decoder,
}

#[derive(Deserialize)]
struct Meta {
    provider: String,
    scenario: String,
    argv: Vec<String>,
    cwd: String,
    exit_code: Option<i32>,
    signal: Option<String>,
    sent_signal: Option<String>,
    duration_ms: u64,
}

/// Every recording, in the order of their names.
pub fn all() -> anyhow::Result<Vec<Recording>> {
    let root = root();
    let mut recordings = Vec::new();
    for provider in folders(&root)? {
        for scenario in folders(&provider)? {
            recordings.push(load(&scenario)?);
        }
    }
    Ok(recordings)
}

/// The recording of this name: `claude/tools`.
pub fn named(name: &str) -> anyhow::Result<Recording> {
    load(&root().join(name))
}

/// The folder of recordings.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings")
}

fn folders(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

fn load(folder: &Path) -> anyhow::Result<Recording> {
    let read = |name: &str| {
        let path = folder.join(name);
        fs::read(&path).with_context(|| format!("reading {}", path.display()))
    };
    let meta: Meta = serde_json::from_slice(&read("meta.json")?)?;
    let timing = String::from_utf8(read("timing.tsv")?)?;
    let (stdout, stderr) = (read("stdout")?, read("stderr")?);
    let format = match meta.scenario.starts_with("text-mode") {
        true => Format::Text,
        false => Format::Json,
    };
    let is_resumption =
        |word: &String| word == "--resume" || word == "resume" || word == "--session";
    Ok(Recording {
        name: format!("{}/{}", meta.provider, meta.scenario),
        kind: meta.provider.parse()?,
        format,
        run: Run {
            resumed: meta.argv.iter().any(is_resumption),
            cwd: Some(meta.cwd),
            mapping: None,
            zone: None,
        },
        exit: Exit {
            code: meta.exit_code,
            signal: meta.signal.as_deref().map(signal_number).transpose()?,
            // The recorder stopped runs that would have gone on for too long.
            ended_by: meta.sent_signal.map(|_| EndedBy::Wall),
            duration_ms: meta.duration_ms,
            leftovers: 0,
            ..Exit::default()
        },
        chunks: chunks(&timing, &stdout, &stderr)
            .with_context(|| format!("timing of {}", folder.display()))?,
    })
}

fn signal_number(name: &str) -> anyhow::Result<i32> {
    match name {
        "SIGKILL" => Ok(9),
        "SIGINT" => Ok(2),
        "SIGTERM" => Ok(15),
        _ => bail!("signal {name}"),
    }
}

fn chunks<'a>(
    timing: &str,
    mut stdout: &'a [u8],
    mut stderr: &'a [u8],
) -> anyhow::Result<Vec<Chunk>> {
    let mut chunks = Vec::new();
    for row in timing.lines().skip(1) {
        let mut columns = row.split('\t');
        let mut column = || columns.next().context("a column is missing");
        let (ms, stream, length): (u64, _, usize) =
            (column()?.parse()?, column()?, column()?.parse()?);
        let (stream, rest) = match stream {
            "stdout" => (Stream::Stdout, &mut stdout),
            "stderr" => (Stream::Stderr, &mut stderr),
            _ => bail!("stream {stream}"),
        };
        let bytes = rest
            .split_off(..length)
            .context("more timing than output")?
            .to_vec();
        chunks.push(Chunk { ms, stream, bytes });
    }
    if !stdout.is_empty() || !stderr.is_empty() {
        bail!("more output than timing");
    }
    Ok(chunks)
}

// === impl Recording ===

impl Recording {
    /// Replays it as it was read.
    pub fn replay(&self) -> Replay {
        self.replay_chunks(&self.chunks)
    }

    /// Replays it in other chunks.
    pub fn replay_chunks(&self, chunks: &[Chunk]) -> Replay {
        let mut decoder = Decoder::of_run(self.kind, self.format, self.run.clone());
        let mut log = Log {
            redactor: Redactor::of_shapes(),
            bytes: Vec::new(),
            cause: None,
            causes: Vec::new(),
        };
        let mut raw = HEADER;
        for chunk in chunks {
            log.cause = Some(chunk.stream);
            decoder.feed(chunk.stream, stamp(chunk.ms, raw), &chunk.bytes, &mut log);
            raw += HEADER + chunk.bytes.len() as u64;
        }
        log.cause = None;
        let end = stamp(self.exit.duration_ms, raw);
        let verdict = decoder.end(end, &self.exit, &mut log);
        Replay {
            log: String::from_utf8(log.bytes).expect("the encoder writes UTF-8"),
            causes: log.causes,
            verdict,
            decoder,
        }
    }

    /// The same bytes, cut at random places and the two pipes interleaved at random. Times go
    /// with the bytes, but never back.
    pub fn shuffled(&self, seed: u64) -> Vec<Chunk> {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut pipes = [Stream::Stdout, Stream::Stderr].map(|stream| self.bytes_of(stream));
        let mut chunks: Vec<Chunk> = Vec::new();
        while let Some(index) = pick(&mut rng, &pipes) {
            let (stream, bytes) = &mut pipes[index];
            let most = if rng.random_bool(0.3) { 4 } else { 2000 };
            let length = rng.random_range(1..=most.min(bytes.len()));
            let piece: Vec<(u64, u8)> = bytes.drain(..length).collect();
            let earlier = chunks.last().map_or(0, |chunk| chunk.ms);
            chunks.push(Chunk {
                ms: piece.last().map_or(0, |(ms, _)| *ms).max(earlier),
                stream: *stream,
                bytes: piece.into_iter().map(|(_, byte)| byte).collect(),
            });
        }
        chunks
    }

    /// The same chunks with bytes overwritten, and pieces left out or repeated, at random.
    pub fn damaged(&self, seed: u64) -> Vec<Chunk> {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut chunks = self.shuffled(seed);
        for _ in 0..chunks.len() / 2 {
            let index = rng.random_range(0..chunks.len());
            let bytes = &mut chunks[index].bytes;
            let at = rng.random_range(0..bytes.len());
            match rng.random_range(0..4) {
                0 => bytes[at] = rng.random(),
                1 => bytes[at] = b"\"{}[],:\n\\0"[rng.random_range(0..10)],
                2 => bytes.extend_from_within(at..),
                _ => bytes.truncate(at.max(1)),
            }
        }
        chunks
    }

    /// All that one pipe gave.
    pub fn text_of(&self, stream: Stream) -> String {
        let (_, bytes) = self.bytes_of(stream);
        let bytes: Vec<u8> = bytes.into_iter().map(|(_, byte)| byte).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn bytes_of(&self, stream: Stream) -> (Stream, Vec<(u64, u8)>) {
        let of_stream = self.chunks.iter().filter(|chunk| chunk.stream == stream);
        let bytes = of_stream.flat_map(|chunk| chunk.bytes.iter().map(|byte| (chunk.ms, *byte)));
        (stream, bytes.collect())
    }
}

fn pick(rng: &mut SmallRng, pipes: &[(Stream, Vec<(u64, u8)>); 2]) -> Option<usize> {
    match (pipes[0].1.is_empty(), pipes[1].1.is_empty()) {
        (true, true) => None,
        (false, true) => Some(0),
        (true, false) => Some(1),
        (false, false) => Some(usize::from(rng.random_bool(0.5))),
    }
}

fn stamp(ms: u64, raw: u64) -> Stamp {
    Stamp {
        wall_ms: BEGIN_MS + ms,
        mono_ms: ms,
        raw,
    }
}

struct Log {
    redactor: Redactor,
    bytes: Vec<u8>,
    cause: Option<Stream>,
    causes: Vec<Option<Stream>>,
}

impl Sink for Log {
    fn activity(&mut self, at: Stamp, activity: &Activity<'_>) {
        let redacted = self.redactor.activity(activity);
        let activity = redacted.as_ref().unwrap_or(activity);
        encode_line(&mut self.bytes, at, activity);
        self.causes.push(self.cause);
    }
}
