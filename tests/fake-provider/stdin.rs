//! What came on stdin, so that a test sees the prompt as the provider does.

use std::io::{BufRead, stdin};

use crate::options::{Failure, Options};
use crate::pipes;

/// `in TEXT` for each line, unless only the count is wanted; at the end of file `stdin N bytes`.
pub(crate) fn run(options: &Options) -> Result<u8, Failure> {
    let quiet = options.flag("count-only");
    let mut input = stdin().lock();
    let mut line = Vec::new();
    let mut total = 0;
    loop {
        line.clear();
        let read = input
            .read_until(b'\n', &mut line)
            .map_err(|e| Failure::new(format!("stdin: {e}")))?;
        if read == 0 {
            break;
        }
        total += read;
        if !quiet {
            let text = line.strip_suffix(b"\n").unwrap_or(&line);
            pipes::stdout(&[b"in ", text, b"\n"].concat());
        }
    }
    pipes::stdout(format!("stdin {total} bytes\n").as_bytes());
    options.number("exit", 0)
}
