//! Numbered lines in several manners. A reader can tell by the number that none is missing, twice
//! there or out of its place.

use std::fmt::Write as _;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::options::{Failure, Options};
use crate::pipes::{self, Pipe};

/// Lines written at once where speed is the point.
const BATCH_BYTES: usize = 64 * 1024;

/// `n 000001 xxxx`, as long as the padding with its newline.
pub(crate) fn push_numbered(out: &mut String, number: u64, padding: &str) {
    let begin = out.len();
    // A string takes all that is written to it.
    let _ = write!(out, "n {number:06}");
    let rest = padding.len().saturating_sub(out.len() - begin + 2);
    if rest > 0 {
        out.push(' ');
        out.push_str(&padding[..rest]);
    }
    out.push('\n');
}

/// `t 1 1700000000000000000 xxxx`, as long as the padding with its newline: the wall clock's
/// nanoseconds.
pub(crate) fn push_stamped(out: &mut String, number: u64, padding: &str) {
    let begin = out.len();
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    // A string takes all that is written to it.
    let _ = write!(
        out,
        "t {number} {} ",
        now.map_or(0, |since| since.as_nanos())
    );
    let rest = padding.len().saturating_sub(out.len() - begin + 1);
    out.push_str(&padding[..rest]);
    out.push('\n');
}

/// Every `every`th line goes to stderr; none where it is 0.
fn pipe_of(number: u64, every: u64) -> Pipe {
    if every > 0 && number.is_multiple_of(every) {
        Pipe::Stderr
    } else {
        Pipe::Stdout
    }
}

pub(crate) fn numbers(options: &Options) -> Result<u8, Failure> {
    let count = options.number("count", 10)?;
    let pause = options.millis("every-ms", 0)?;
    let bytes = options.number("bytes", 0)?;
    let stderr_every = options.number("stderr-every", 0)?;
    let padding = "x".repeat(bytes);
    let mut line = String::new();
    for number in 1..=count {
        line.clear();
        push_numbered(&mut line, number, &padding);
        pipes::write(pipe_of(number, stderr_every), line.as_bytes());
        rest(pause);
    }
    options.number("exit", 0)
}

pub(crate) fn flood(options: &Options) -> Result<u8, Failure> {
    let lines: u64 = options.number("lines", 1_000)?;
    let bytes = options.number("bytes", 200)?;
    let mut batch = String::with_capacity(BATCH_BYTES + bytes);
    let padding = "x".repeat(bytes);
    for number in 1..=lines {
        push_numbered(&mut batch, number, &padding);
        if batch.len() >= BATCH_BYTES {
            pipes::stdout(batch.as_bytes());
            batch.clear();
        }
    }
    pipes::stdout(batch.as_bytes());
    options.number("exit", 0)
}

/// Each line in pieces of 1 to 7 bytes by turns; with stderr lines falling between the pieces.
pub(crate) fn split(options: &Options) -> Result<u8, Failure> {
    let count = options.number("count", 10)?;
    let pause = options.millis("every-ms", 0)?;
    let stderr_every: u64 = options.number("stderr-every", 0)?;
    let mut size = 0;
    for number in 1..=count {
        let line = format!("n {number:06} äöü ✓ end\n");
        let mut rest_of_line = line.as_bytes();
        while !rest_of_line.is_empty() {
            size = size % 7 + 1;
            let (piece, after) = rest_of_line.split_at(size.min(rest_of_line.len()));
            pipes::stdout(piece);
            rest_of_line = after;
        }
        if stderr_every > 0 && number % stderr_every == 0 {
            pipes::stderr(format!("e {number:06}").as_bytes());
            pipes::stdout(b"");
            pipes::stderr(b"\n");
        }
        rest(pause);
    }
    options.number("exit", 0)
}

/// `t NANOSECONDS` since the epoch, taken just before the write.
pub(crate) fn stamp(options: &Options) -> Result<u8, Failure> {
    let count: u64 = options.number("count", 10)?;
    let pause = options.millis("every-ms", 0)?;
    for _ in 0..count {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let nanos = now.map_or(0, |since| since.as_nanos());
        pipes::stdout(format!("t {nanos}\n").as_bytes());
        rest(pause);
    }
    options.number("exit", 0)
}

/// Keeps the pace that was asked for.
fn rest(pause: Duration) {
    if !pause.is_zero() {
        sleep(pause);
    }
}
