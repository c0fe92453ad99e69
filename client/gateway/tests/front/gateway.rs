//! Starts the real gateway with a folder of its own, and speaks plain bytes with it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::TempDir;

/// A deadline only ends a hang.
const HANG: Duration = Duration::from_secs(60);

/// A running gateway; dropping it kills it.
pub(crate) struct Gateway {
    folder: TempDir,
    child: Child,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
    /// `127.0.0.1:PORT`
    pub(crate) host: String,
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In small letters, each with its line break.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// The program, with a state folder and flags.
pub(crate) fn command(folder: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_steroids-gateway"));
    command
        .env_clear()
        .env("HOME", folder)
        .args(["--log-format", "json", "--listen", "127.0.0.1:0"])
        .arg("--state-dir")
        .arg(folder.join("state"))
        .args(flags)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs it to its end, where it is not to start: its exit code and last words.
pub(crate) fn refused(folder: &Path, flags: &[&str]) -> (i32, String) {
    // A later flag of the same name would be refused by itself.
    let mut command = Command::new(env!("CARGO_BIN_EXE_steroids-gateway"));
    let mut child = command
        .env_clear()
        .env("HOME", folder)
        .arg("--state-dir")
        .arg(folder.join("state"))
        .args(flags)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        said.push_str(&line.unwrap());
        if said.contains("gateway listening") {
            child.kill().unwrap();
        }
    }
    let code = child.wait().unwrap().code();
    (code.expect("it does not start"), said)
}

impl Gateway {
    pub(crate) fn start(flags: &[&str]) -> Gateway {
        Gateway::start_in(tempfile::tempdir().unwrap(), flags)
    }

    /// With what an earlier one left.
    pub(crate) fn start_in(folder: TempDir, flags: &[&str]) -> Gateway {
        let command = command(folder.path(), flags);
        Gateway::run(folder, command)
    }

    /// The same, where no file takes a byte.
    pub(crate) fn start_without_room(folder: TempDir, flags: &[&str]) -> Gateway {
        let program = command(folder.path(), flags);
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "sh"])
            .arg(program.get_program())
            .args(program.get_args())
            .env_clear()
            .env("HOME", folder.path())
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        Gateway::run(folder, command)
    }

    /// Another with the folder of this one, whose files it is asked for.
    pub(crate) fn start_beside(&self, flags: &[&str]) -> Gateway {
        let command = command(self.folder.path(), flags);
        Gateway::run(tempfile::tempdir().unwrap(), command)
    }

    fn run(folder: TempDir, mut command: Command) -> Gateway {
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(String::new()));
        let mut host = None;
        while host.is_none() {
            let line = lines.next().expect("it listens, or says why not").unwrap();
            let said: serde_json::Value = serde_json::from_str(&line).unwrap();
            let url = said["url"].as_str();
            host = url.map(|url| url.trim_start_matches("http://").to_owned());
            log.lock().unwrap().push_str(&line);
        }
        let kept = Arc::clone(&log);
        let reader = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                kept.lock().unwrap().push_str(&line);
            }
        });
        Gateway {
            folder,
            child,
            log,
            reader: Some(reader),
            host: host.unwrap(),
        }
    }

    /// As [`refused`], with its folder, while it runs.
    pub(crate) fn beside(&self, flags: &[&str]) -> (i32, String) {
        refused(self.folder.path(), flags)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("state/gateway").join(name)
    }

    pub(crate) fn token(&self) -> String {
        let text = std::fs::read_to_string(self.file("token")).unwrap();
        text.trim_end().to_owned()
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.host).unwrap();
        stream.set_read_timeout(Some(HANG)).unwrap();
        stream.set_write_timeout(Some(HANG)).unwrap();
        stream
    }

    /// Sends bytes and reads until the other end closes.
    pub(crate) fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        // It may have said no, and closed, before it has heard all.
        let _ = stream.write_all(bytes);
        let mut text = Vec::new();
        let read = stream.read_to_end(&mut text);
        assert!(
            read.is_ok(),
            "{read:?} after {}",
            String::from_utf8_lossy(&text)
        );
        String::from_utf8(text).unwrap()
    }

    /// One request with these header lines besides `Host` (unless they have their own), on a
    /// connection of its own.
    pub(crate) fn ask(&self, request: &str, headers: &[&str]) -> Answer {
        self.ask_with(request, headers, "")
    }

    pub(crate) fn ask_with(&self, request: &str, headers: &[&str], body: &str) -> Answer {
        let mut text = format!("{request} HTTP/1.1\r\n");
        let has_host = headers
            .iter()
            .any(|line| line.to_ascii_lowercase().starts_with("host:") || *line == "(no host)");
        if !has_host {
            text.push_str(&format!("Host: {}\r\n", self.host));
        }
        for line in headers.iter().filter(|line| **line != "(no host)") {
            text.push_str(&format!("{line}\r\n"));
        }
        if !body.is_empty() {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        text.push_str(&format!("Connection: close\r\n\r\n{body}"));
        parse(&self.raw(text.as_bytes()))
    }

    /// As the page asks: with the token, and a JSON body.
    pub(crate) fn call(&self, request: &str, body: &str) -> Answer {
        let token = format!("Authorization: Bearer {}", self.token());
        self.ask_with(request, &[&token, "Content-Type: application/json"], body)
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Asks it to end, and waits until it has: its exit code, and what is left.
    pub(crate) fn stop(mut self) -> (Option<i32>, TempDir, String) {
        self.signal(rustix::process::Signal::TERM);
        let code = self.child.wait().unwrap().code();
        self.reader.take().unwrap().join().unwrap();
        let log = self.log();
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap());
        (code, folder, log)
    }

    /// Tells it something, without waiting.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Takes an answer apart.
pub(crate) fn parse(text: &str) -> Answer {
    let (head, body) = text.split_once("\r\n\r\n").expect("a whole answer");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer {
        status,
        head: format!("{}\r\n", head.to_ascii_lowercase()),
        body: body.to_owned(),
    }
}

/// What stands on every answer does, and what must not does not.
pub(crate) fn is_guarded(answer: &Answer) {
    for needed in [
        "\r\ncontent-security-policy: default-src 'none'; script-src 'self'",
        "frame-ancestors 'none'",
        "\r\nx-content-type-options: nosniff\r\n",
        "\r\nreferrer-policy: no-referrer\r\n",
        "\r\ncross-origin-resource-policy: same-origin\r\n",
        "\r\ncross-origin-opener-policy: same-origin\r\n",
        "no-store\r\n",
    ] {
        assert!(answer.head.contains(needed), "{needed:?}: {}", answer.head);
    }
    for never in ["access-control", "set-cookie"] {
        assert!(!answer.head.contains(never), "{}", answer.head);
    }
}
