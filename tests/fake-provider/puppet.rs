//! A provider moved from outside, step by step: each line of a FIFO is one thing to do. With it a
//! test decides what is printed when, and need not wait for time to pass.
//!
//! | line | does |
//! | --- | --- |
//! | `o TEXT`, `e TEXT` | prints a line on stdout, stderr |
//! | `p TEXT` | prints on stdout without a newline |
//! | `l BYTES` | prints a line of so many bytes on stdout, in many writes |
//! | `n FROM TO BYTES MS` | prints numbered lines of so many bytes, evenly over so long |
//! | `t COUNT BYTES MICROS` | prints numbered lines of so many bytes, each stamped, one each so long |
//! | `x CODE` | exits |
//! | `k SIGNAL` | ends itself by that signal |

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::life;
use crate::lines::{push_numbered, push_stamped};
use crate::options::{Failure, Options, parse};
use crate::pipes;

pub(crate) fn run(options: &Options) -> Result<u8, Failure> {
    let path = options.word("the path of a FIFO")?;
    let strings = File::open(path).map_err(|e| Failure::new(format!("{path}: {e}")))?;
    for line in BufReader::new(strings).lines() {
        let line = line.map_err(|e| Failure::new(format!("{path}: {e}")))?;
        let (what, text) = line.split_once(' ').unwrap_or((&line, ""));
        match what {
            "o" => pipes::stdout(format!("{text}\n").as_bytes()),
            "e" => pipes::stderr(format!("{text}\n").as_bytes()),
            "p" => pipes::stdout(text.as_bytes()),
            "l" => long_line(parse("l", text)?),
            "n" => numbered(text)?,
            "t" => stamped(text)?,
            "x" => return parse("x", text),
            "k" => return life::end_by(parse("k", text)?),
            _ => return Err(Failure::new(format!("{path}: no such step: `{line}`"))),
        }
    }
    Ok(0)
}

fn long_line(bytes: usize) {
    let piece = [b'x'; 64 * 1024];
    let mut left = bytes;
    while left > 0 {
        let size = left.min(piece.len());
        pipes::stdout(&piece[..size]);
        left -= size;
    }
    pipes::stdout(b"\n");
}

fn stamped(text: &str) -> Result<(), Failure> {
    let words: Vec<u64> = text
        .split(' ')
        .map(|word| parse("t", word))
        .collect::<Result<_, _>>()?;
    let [count, bytes, micros] = words[..] else {
        return Err(Failure::new("t takes COUNT BYTES MICROS"));
    };
    let padding = "x".repeat(usize::try_from(bytes).unwrap_or(0));
    let (begun, each) = (Instant::now(), Duration::from_micros(micros));
    let mut line = String::new();
    for number in 1..=count {
        // The pace that was asked for.
        sleep(
            each.mul_f64((number - 1) as f64)
                .saturating_sub(begun.elapsed()),
        );
        line.clear();
        push_stamped(&mut line, number, &padding);
        pipes::stdout(line.as_bytes());
    }
    Ok(())
}

fn numbered(text: &str) -> Result<(), Failure> {
    let words: Vec<u64> = text
        .split(' ')
        .map(|word| parse("n", word))
        .collect::<Result<_, _>>()?;
    let [from, to, bytes, ms] = words[..] else {
        return Err(Failure::new("n takes FROM TO BYTES MS"));
    };
    let padding = "x".repeat(usize::try_from(bytes).unwrap_or(0));
    let (begun, whole) = (Instant::now(), Duration::from_millis(ms));
    let count = to.saturating_sub(from) + 1;
    let mut batch = String::new();
    for number in from..=to {
        push_numbered(&mut batch, number, &padding);
        if batch.len() >= 64 * 1024 || number == to {
            pipes::stdout(batch.as_bytes());
            batch.clear();
            let done = (number - from + 1) as f64 / count as f64;
            // The pace that was asked for.
            sleep(whole.mul_f64(done).saturating_sub(begun.elapsed()));
        }
    }
    Ok(())
}
