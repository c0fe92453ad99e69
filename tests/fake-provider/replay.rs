//! A recorded run again: the same bytes in the same chunks, on the same pipes, at the same times,
//! and the same end. What the recorder did to the CLI (a signal at its time limit) is not repeated.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::life;
use crate::options::{Failure, Options, parse};
use crate::pipes::{self, Pipe};

/// What is needed of `meta.json`.
#[derive(Debug, Deserialize)]
struct Meta {
    exit_code: Option<i32>,
    signal: Option<String>,
    duration_ms: u64,
}

/// One `read` of the recorder.
struct Chunk {
    at: Duration,
    pipe: Pipe,
    length: usize,
}

pub(crate) fn run(options: &Options) -> Result<u8, Failure> {
    let folder = Path::new(options.word("a recording's folder")?);
    let speed: f64 = options.number("speed", 1.0)?;
    let meta: Meta = serde_json::from_slice(&read(&folder.join("meta.json"))?)
        .map_err(|e| Failure::new(format!("meta.json: {e}")))?;
    let stdout = read(&folder.join("stdout"))?;
    let stderr = read(&folder.join("stderr"))?;
    let (mut stdout, mut stderr) = (stdout.as_slice(), stderr.as_slice());
    let start = Instant::now();
    for chunk in chunks(&folder.join("timing.tsv"))? {
        wait_until(start, chunk.at, speed);
        let rest = match chunk.pipe {
            Pipe::Stdout => &mut stdout,
            Pipe::Stderr => &mut stderr,
        };
        let bytes = rest
            .split_off(..chunk.length)
            .ok_or_else(|| Failure::new("timing.tsv names more bytes than there are"))?;
        pipes::write(chunk.pipe, bytes);
    }
    wait_until(start, Duration::from_millis(meta.duration_ms), speed);
    if options.flag("stay") {
        life::forever();
    }
    end(&meta)
}

fn end(meta: &Meta) -> Result<u8, Failure> {
    match (meta.exit_code, meta.signal.as_deref()) {
        (Some(code), _) => {
            u8::try_from(code).map_err(|_| Failure::new(format!("exit code {code} is none")))
        }
        (None, Some("SIGTERM")) => life::end_by(15),
        (None, Some("SIGKILL")) => life::end_by(9),
        (None, other) => Err(Failure::new(format!("no such end: {other:?}"))),
    }
}

fn chunks(path: &Path) -> Result<Vec<Chunk>, Failure> {
    let text = read(path)?;
    let text = String::from_utf8_lossy(&text);
    text.lines().skip(1).map(chunk).collect()
}

fn chunk(row: &str) -> Result<Chunk, Failure> {
    let mut columns = row.split('\t');
    let mut next = || columns.next().unwrap_or_default();
    let at = Duration::from_millis(parse("ms", next())?);
    let pipe = match next() {
        "stdout" => Pipe::Stdout,
        "stderr" => Pipe::Stderr,
        other => return Err(Failure::new(format!("no such stream: `{other}`"))),
    };
    let length = parse("bytes", next())?;
    Ok(Chunk { at, pipe, length })
}

/// Keeps the pace of the recording; speed 0 means without a pause.
fn wait_until(start: Instant, at: Duration, speed: f64) {
    if speed > 0.0 {
        let target = at.div_f64(speed);
        sleep(target.saturating_sub(start.elapsed()));
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|e| Failure::new(format!("{}: {e}", path.display())))
}
