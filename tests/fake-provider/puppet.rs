//! A provider moved from outside, step by step: each line of a FIFO is one thing to do. With it a
//! test decides what is printed when, and need not wait for time to pass.
//!
//! | line | does |
//! | --- | --- |
//! | `o TEXT`, `e TEXT` | prints a line on stdout, stderr |
//! | `p TEXT` | prints on stdout without a newline |
//! | `x CODE` | exits |
//! | `k SIGNAL` | ends itself by that signal |

use std::fs::File;
use std::io::{BufRead, BufReader};

use crate::life;
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
            "x" => return parse("x", text),
            "k" => return life::end_by(parse("k", text)?),
            _ => return Err(Failure::new(format!("{path}: no such step: `{line}`"))),
        }
    }
    Ok(0)
}
