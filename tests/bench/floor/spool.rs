//! What a provider prints, appended to a file: the least that a shim does.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

/// A pipe holds no more, by default.
const READ: usize = 64 * 1024;

/// Runs a program until it ends, and appends what it prints.
pub(crate) fn serve(file: &Path, program: &[&str]) -> io::Result<()> {
    let (program, arguments) = program
        .split_first()
        .ok_or_else(|| io::Error::other("no program is named"))?;
    let mut spool = OpenOptions::new().create(true).append(true).open(file)?;
    let mut child = Command::new(OsStr::new(program))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut output = child
        .stdout
        .take()
        .ok_or_else(|| io::Error::other("it has no stdout"))?;
    let mut buffer = vec![0; READ];
    loop {
        match output.read(&mut buffer)? {
            0 => break,
            length => spool.write_all(&buffer[..length])?,
        }
    }
    child.wait()?;
    Ok(())
}
