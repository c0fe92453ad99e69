//! Runs the program in a project's folder with an environment of its own, and makes its output
//! comparable.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::fake::Fake;

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// All of it in one text, for a snapshot.
    pub(crate) fn all(&self) -> String {
        format!(
            "exit {}\n--- stdout\n{}--- stderr\n{}",
            self.code, self.stdout, self.stderr
        )
    }
}

/// The project the program runs in.
pub(crate) fn project(fake: &Fake) -> PathBuf {
    let folder = fake.folder().join("app");
    std::fs::create_dir_all(folder.join(".steroids")).unwrap();
    folder
}

/// The program with these arguments, not yet started.
pub(crate) fn command(fake: &Fake, arguments: &[&str]) -> Command {
    let program = Command::new(env!("CARGO_BIN_EXE_steroidsctl"));
    prepared(program, fake, arguments)
}

/// The same by another program that becomes it.
pub(crate) fn through(other: &str, fake: &Fake, arguments: &[&str]) -> Command {
    let mut program = Command::new(other);
    program.arg(env!("CARGO_BIN_EXE_steroidsctl"));
    prepared(program, fake, arguments)
}

fn prepared(mut command: Command, fake: &Fake, arguments: &[&str]) -> Command {
    command
        .args(arguments)
        .env_clear()
        .env("HOME", fake.folder())
        .env("PATH", "/usr/bin:/bin")
        .env("TZ", "UTC")
        .env("STEROIDS_SOCKET", fake.socket())
        .current_dir(project(fake))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs it to its end.
pub(crate) fn run(fake: &Fake, arguments: &[&str]) -> Ran {
    finish(fake, command(fake, arguments))
}

/// Runs it to its end with this on its standard input.
pub(crate) fn run_with(fake: &Fake, arguments: &[&str], input: Vec<u8>) -> Ran {
    let mut command = command(fake, arguments);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // It may have read enough before the end; then the rest has no reader.
    let writer = std::thread::spawn(move || stdin.write_all(&input).is_ok());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    ran(fake, output)
}

/// Runs a prepared command to its end.
pub(crate) fn finish(fake: &Fake, mut command: Command) -> Ran {
    let output = command.output().unwrap();
    ran(fake, output)
}

fn ran(fake: &Fake, output: std::process::Output) -> Ran {
    let text = |bytes: Vec<u8>| redact(fake, &String::from_utf8(bytes).unwrap());
    Ran {
        code: output.status.code().unwrap(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// A run that goes on while the test does.
pub(crate) struct Running {
    child: Child,
    stdout: Option<BufReader<ChildStdout>>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Running {
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().map(BufReader::new);
        Running { child, stdout }
    }

    /// The next line of its output.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.as_mut().unwrap().read_line(&mut line).unwrap();
        line
    }

    /// Waits until it has written something that was not read.
    pub(crate) fn until_written(&self) {
        let pipe = self.stdout.as_ref().unwrap().get_ref();
        // Nobody tells what is in a pipe that is not to be read.
        while rustix::io::ioctl_fionread(pipe).unwrap() == 0 {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Stops reading its output.
    pub(crate) fn close(&mut self) {
        self.stdout = None;
    }

    /// Presses Ctrl-C.
    pub(crate) fn interrupt(&self) {
        self.signal(rustix::process::Signal::INT);
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for its end, and reads no more of its output; stderr. Until then this is done again and again.
    pub(crate) fn end_unread(mut self, meanwhile: impl Fn(&Self)) -> (ExitStatus, String) {
        let status = loop {
            meanwhile(&self);
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        let mut stderr = String::new();
        if let Some(mut source) = self.child.stderr.take() {
            source.read_to_string(&mut stderr).unwrap();
        }
        (status, stderr)
    }

    /// Waits for its end; the rest of stdout, and stderr.
    pub(crate) fn end(mut self) -> (ExitStatus, String, String) {
        let mut stdout = String::new();
        if let Some(mut rest) = self.stdout.take() {
            rest.read_to_string(&mut stdout).unwrap();
        }
        let mut stderr = String::new();
        let mut source = self.child.stderr.take().unwrap();
        source.read_to_string(&mut stderr).unwrap();
        (self.child.wait().unwrap(), stdout, stderr)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Only where a test failed before the end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Paths of this run and times that depend on when it ran, by placeholders of the same width where
/// columns would move.
fn redact(fake: &Fake, text: &str) -> String {
    let folder = fake.folder().to_str().unwrap();
    let text = text.replace(folder, "[FOLDER]");
    let mut redacted = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find(" ago") {
        let before = &rest[..at];
        let digits = before.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
        let kept = digits.trim_end_matches(|c: char| c.is_ascii_digit());
        redacted.push_str(kept);
        redacted.push_str(&format!("{:~<1$}", "", before.len() - kept.len()));
        redacted.push_str(" ago");
        rest = &rest[at + 4..];
    }
    redacted + rest
}
