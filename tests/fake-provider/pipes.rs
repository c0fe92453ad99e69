//! Bytes to stdout and stderr, unbuffered. A reader that is gone ends the process, as SIGPIPE would.

use std::os::fd::AsFd;

/// Which of the two.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pipe {
    Stdout,
    Stderr,
}

/// Writes all of `bytes`, in one `write` where the pipe has room.
pub(crate) fn write(pipe: Pipe, bytes: &[u8]) {
    match pipe {
        Pipe::Stdout => stdout(bytes),
        Pipe::Stderr => stderr(bytes),
    }
}

pub(crate) fn stdout(bytes: &[u8]) {
    write_all(std::io::stdout().as_fd(), bytes);
}

pub(crate) fn stderr(bytes: &[u8]) {
    write_all(std::io::stderr().as_fd(), bytes);
}

fn write_all(pipe: impl AsFd, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match rustix::io::write(&pipe, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(rustix::io::Errno::INTR) => {}
            // 128 + SIGPIPE, which Rust programs hold off.
            Err(_) => std::process::exit(141),
        }
    }
}
