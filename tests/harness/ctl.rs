//! The real `steroidsctl`, run as a person or a script would.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::wait::{eventually, within};
use crate::{Home, Screen, binaries, processes};

/// A terminal in a folder.
#[derive(Debug, Clone)]
pub struct Ctl {
    home: Arc<Home>,
    folder: PathBuf,
    through: Vec<String>,
    variables: Vec<(String, String)>,
}

/// What a finished call printed.
#[derive(Debug)]
pub struct Output {
    /// What was called, for messages.
    pub call: String,
    /// The exit code; 128+n for a signal.
    pub code: i32,
    /// All of stdout.
    pub stdout: String,
    /// All of stderr.
    pub stderr: String,
}

/// A call that still runs, read line by line.
#[derive(Debug)]
pub struct Terminal {
    call: String,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Ctl {
    /// A terminal of `home`, in `folder`.
    pub fn new(home: &Arc<Home>, folder: &Path) -> Ctl {
        Ctl {
            home: Arc::clone(home),
            folder: folder.to_owned(),
            through: Vec::new(),
            variables: Vec::new(),
        }
    }

    /// The same with a variable more in its environment.
    pub fn with_env(&self, name: &str, value: &str) -> Ctl {
        let mut ctl = self.clone();
        ctl.variables.push((name.to_owned(), value.to_owned()));
        ctl
    }

    /// The same by a program that becomes it: `WORDS steroidsctl`.
    pub fn through(&self, words: &[&str]) -> Ctl {
        let mut ctl = self.clone();
        ctl.through = words.iter().map(|&word| word.to_owned()).collect();
        ctl
    }

    /// The folder it stands in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Deletes the folder with all that is in it. What is written there meanwhile stands in the way, so
    /// it is tried until it is gone.
    pub async fn delete_folder(&self) {
        eventually("the folder to be gone", async || {
            std::fs::remove_dir_all(&self.folder).ok()
        })
        .await;
    }

    /// The folder as text, for requests.
    pub fn project(&self) -> String {
        let path = self.folder.to_str().expect("test paths are ASCII");
        path.to_owned()
    }

    /// The home it belongs to.
    pub fn home(&self) -> &Arc<Home> {
        &self.home
    }

    /// The activity log of an invocation.
    pub fn log_path(&self, id: i64) -> PathBuf {
        let folder = self.folder.join(".steroids/invocations");
        folder.join(format!("{id}.log"))
    }

    /// How the invocations of its project have ended, as a list says; empty for what has not.
    pub async fn outcomes(&self) -> Vec<String> {
        let listed = self.run(["list", "--json"]).await.json();
        let rows = listed["invocations"].as_array().expect("a list").iter();
        rows.map(|row| row["outcome"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// Runs to the end, with no stdin.
    pub async fn run<I, S>(&self, args: I) -> Output
    where
        I: IntoIterator<Item = S>,
        S: AsRef<str>,
    {
        self.run_with_stdin(args, b"").await
    }

    /// Runs to the end, with `input` on stdin.
    pub async fn run_with_stdin<I, S>(&self, args: I, input: &[u8]) -> Output
    where
        I: IntoIterator<Item = S>,
        S: AsRef<str>,
    {
        let (call, mut command) = self.command(args);
        let mut child = command
            .stdin(Stdio::piped())
            .spawn()
            .expect("steroidsctl is built");
        let mut stdin = child.stdin.take().expect("it was asked for");
        let written = async {
            // It may end without reading what it was given.
            let _ = stdin.write_all(input).await;
            drop(stdin);
        };
        let (_, output) = within(&call, async {
            tokio::join!(written, child.wait_with_output())
        })
        .await;
        Output::of(call, &output.expect("its pipes are ours"))
    }

    /// Starts a call and leaves it running.
    pub fn spawn<I, S>(&self, args: I) -> Terminal
    where
        I: IntoIterator<Item = S>,
        S: AsRef<str>,
    {
        let (call, mut command) = self.command(args);
        let mut child = command
            .stdin(Stdio::null())
            .spawn()
            .expect("steroidsctl is built");
        let stdout = child.stdout.take().expect("it was asked for");
        Terminal {
            call,
            child,
            lines: BufReader::new(stdout).lines(),
        }
    }

    /// Starts a call at a terminal of its own, of so many columns and rows.
    pub fn at_terminal(&self, size: (u16, u16), args: &[&str]) -> Screen {
        // A leader of a session whose terminal it is: so it hears of a new size, and of the end.
        let words = ["setsid", "--ctty"];
        let (_, command) = self.through(&words).command(args);
        let mut command = command.into_std();
        // What a case says of it comes last.
        if !self.variables.iter().any(|(name, _)| name == "TERM") {
            command.env("TERM", "xterm-256color");
        }
        Screen::start(command, size)
    }

    /// Starts `fake-provider ARGS` as a plain command of `task`, and gives the invocation's id.
    pub async fn start_fake(&self, task: &str, args: &[&str]) -> i64 {
        let program = binaries::fake_provider();
        let program = program.to_str().expect("test paths are ASCII");
        let mut call = vec!["--json", "start", "--task", task, "--", program];
        call.extend(args);
        let started = self.run(call).await.json();
        started["id"].as_i64().expect("an invocation has an id")
    }

    fn command<I, S>(&self, args: I) -> (String, Command)
    where
        I: IntoIterator<Item = S>,
        S: AsRef<str>,
    {
        let steroidsctl = binaries::steroidsctl();
        let words = self.through.iter().map(Path::new);
        let mut words = words.chain([steroidsctl.as_path()]);
        let program = words.next().expect("there is steroidsctl at least");
        let mut command = Command::from(self.home.command(program));
        command.args(words);
        command.current_dir(&self.folder);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true);
        let mut call = String::from("steroidsctl");
        for arg in args {
            call.push(' ');
            call.push_str(arg.as_ref().get(..80).unwrap_or(arg.as_ref()));
            command.arg(arg.as_ref());
        }
        (call, command)
    }
}

impl Output {
    /// What `call` came to.
    pub(crate) fn of(call: String, output: &std::process::Output) -> Output {
        Output {
            call,
            code: exit_code(output.status),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Its stdout; panics unless it exited with 0.
    pub fn ok(self) -> String {
        self.exits(0).stdout
    }

    /// Its stdout as one JSON value; panics unless it exited with 0.
    pub fn json(self) -> Value {
        let call = self.call.clone();
        let stdout = self.ok();
        serde_json::from_str(&stdout).unwrap_or_else(|e| panic!("{call}: {e} in {stdout:?}"))
    }

    /// Panics unless it exited with `code`.
    pub fn exits(self, code: i32) -> Output {
        assert_eq!(self.code, code, "exit code of {self:#?}");
        self
    }

    /// Panics unless `words` stand in what it said on stderr.
    pub fn says(self, words: &str) -> Output {
        assert!(self.stderr.contains(words), "`{words}` is not in {self:#?}");
        self
    }
}

impl Terminal {
    /// The next line of stdout; `None` at its end.
    pub async fn line(&mut self) -> Option<String> {
        let call = format!("a line of {}", self.call);
        within(&call, self.lines.next_line())
            .await
            .unwrap_or_else(|e| panic!("{call}: {e}"))
    }

    /// Lines up to and with the first that contains `words`; panics if none does.
    pub async fn until(&mut self, words: &str) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = self.line().await {
            let found = line.contains(words);
            lines.push(line);
            if found {
                return lines;
            }
        }
        panic!("{} ended without `{words}`: {lines:#?}", self.call);
    }

    /// All lines up to its end, and its exit.
    pub async fn rest(mut self) -> (Vec<String>, Output) {
        let mut lines = Vec::new();
        while let Some(line) = self.line().await {
            lines.push(line);
        }
        let output = self.end().await;
        (lines, output)
    }

    /// Sends it a signal: what Ctrl-C does is INT.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = self.child.id().expect("it has not been waited for");
        processes::signal(pid.cast_signed(), signal);
    }

    /// Closes its stdout, as `head` does when it has enough.
    pub async fn hang_up(mut self) -> Output {
        let (_, unread) = tokio::io::duplex(1);
        drop(unread);
        drop(self.lines);
        let stderr = self.child.stderr.take();
        finish(&self.call, self.child, stderr).await
    }

    /// Waits until it has ended; what was not read of stdout is dropped.
    pub async fn end(mut self) -> Output {
        while self.line().await.is_some() {}
        let stderr = self.child.stderr.take();
        finish(&self.call, self.child, stderr).await
    }
}

async fn finish(
    call: &str,
    mut child: Child,
    stderr: Option<tokio::process::ChildStderr>,
) -> Output {
    let mut said = String::new();
    let read = async {
        if let Some(mut stderr) = stderr {
            stderr
                .read_to_string(&mut said)
                .await
                .expect("stderr is UTF-8");
        }
    };
    let (_, status) = within(call, async { tokio::join!(read, child.wait()) }).await;
    Output {
        call: call.to_owned(),
        code: exit_code(status.expect("it is our child")),
        stdout: String::new(),
        stderr: said,
    }
}

pub(crate) fn exit_code(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}
