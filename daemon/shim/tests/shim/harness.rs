//! One invocation's folder, a shim for it, and ways to wait for what becomes of it.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use steroids_provider::activity::Stream;
use steroids_provider::kind::{Format, Kind};
use steroids_shim::exit::{End, ExitRecord, Reason};
use steroids_shim::lock;
use steroids_shim::paths::InvDir;
use steroids_shim::protocol::{self, Message, Request};
use steroids_shim::spec::{Life, Limits, PROTOCOL, Spec, Turn};
use steroids_shim::spool::{Control, Payload, Reader};
use steroids_shim::state::State;
use steroids_shim::tree;

/// No wait takes longer; a machine that is busy with other builds stays well below.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// An invocation.
pub(crate) struct Case {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) dir: InvDir,
    pub(crate) spec: Spec,
    shim: Option<Child>,
}

/// The facts of a provider that ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) ended_by: Option<Reason>,
    pub(crate) duration_ms: u64,
    pub(crate) leftovers: u32,
}

/// What a spool holds.
#[derive(Debug, Default)]
pub(crate) struct Spooled {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) controls: Vec<Control>,
}

/// Asks until the answer is there: files and processes are looked at that tell nobody of a change.
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

impl Case {
    /// A provider that is a shell script.
    pub(crate) fn script(script: &str) -> Case {
        Case::program(&["/bin/sh", "-c", script])
    }

    pub(crate) fn program(argv: &[&str]) -> Case {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = tempfile::tempdir().unwrap();
        let uuid = format!("case-{}-{count}", std::process::id());
        let dir = InvDir::new(folder.path(), &uuid);
        fs::create_dir_all(dir.path()).unwrap();
        let spec = Spec {
            proto: PROTOCOL,
            uuid,
            invocation: 1,
            project: folder.path().to_owned(),
            project_folder: None,
            task: "task".to_owned(),
            role: "coder".to_owned(),
            provider: "command".to_owned(),
            kind: Kind::Command,
            format: Format::Text,
            model: String::new(),
            resume: None,
            request_id: "request".to_owned(),
            request_hash: "hash".to_owned(),
            argv: argv.iter().map(|argument| (*argument).to_owned()).collect(),
            env: vec![
                ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
                ("OUT".to_owned(), folder.path().display().to_string()),
            ],
            cwd: folder.path().to_owned(),
            prompt: String::new(),
            interactive: false,
            leave_background: false,
            limits: Limits {
                silence_ms: None,
                tool_silence_ms: None,
                wall_ms: None,
                post_result_ms: None,
                grace_ms: 10_000,
                life: Life::default(),
            },
            redaction: None,
            mapping: None,
            budget: None,
            resources: steroids_shim::spec::Resources::default(),
            zone: None,
            created_ms: 1,
            boot_id: "boot".to_owned(),
            socket: folder.path().join("run").join("s"),
            turn: Turn::default(),
            requested: None,
        };
        Case {
            folder,
            dir,
            spec,
            shim: None,
        }
    }

    /// A file of the script's own: `$OUT/name`.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A FIFO of the script's, `$OUT/fifo`. Open for reading here as well: opening then waits for
    /// nobody, no reader of a line meets the end of the writer before it, and lines are kept.
    pub(crate) fn fifo(&self) -> fs::File {
        let path = self.file("fifo");
        let mode = nix::sys::stat::Mode::from_bits_truncate(0o600);
        nix::unistd::mkfifo(&path, mode).unwrap();
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).open(&path).unwrap()
    }

    /// The shim's command line, with the specification in place.
    pub(crate) fn command(&self) -> Command {
        self.spec.store(&self.dir).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_steroids-shim"));
        command
            .arg(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    /// Starts a shim.
    pub(crate) fn start(&mut self) {
        self.shim = Some(self.command().spawn().unwrap());
    }

    /// Starts one in its own way.
    pub(crate) fn start_with(&mut self, command: &mut Command) {
        self.shim = Some(command.spawn().unwrap());
    }

    /// Starts one, and waits until its provider has made a file: `: > $OUT/name`.
    pub(crate) fn start_until(&mut self, name: &str) {
        self.start();
        self.wait_for(name);
    }

    pub(crate) fn wait_for(&self, name: &str) -> String {
        until(name, || fs::read_to_string(self.file(name)).ok())
    }

    pub(crate) fn shim(&mut self) -> &mut Child {
        self.shim.as_mut().unwrap()
    }

    /// Waits for the shim's own end, which must be a good one.
    pub(crate) fn exit(&mut self) -> ExitRecord {
        let shim = self.shim.as_mut().unwrap();
        let status = until("the shim's end", || shim.try_wait().unwrap());
        let record = ExitRecord::load(&self.dir).unwrap().unwrap();
        assert!(status.success(), "{status}");
        assert!(!lock::is_held(&self.dir.lock()).unwrap());
        assert!(!self.spec.socket.exists());
        assert_eq!(
            fs::metadata(self.dir.spool()).unwrap().len(),
            record.spool_length
        );
        record
    }

    /// The same, of a provider that ran.
    pub(crate) fn ran(&mut self) -> Ran {
        match self.exit().end {
            End::Ran {
                code,
                signal,
                ended_by,
                duration_ms,
                leftovers,
            } => Ran {
                code,
                signal,
                ended_by,
                duration_ms,
                leftovers,
            },
            other => panic!("it ran: {other:?}"),
        }
    }

    /// Runs it from beginning to end.
    pub(crate) fn run(&mut self) -> Ran {
        self.start();
        self.ran()
    }

    pub(crate) fn spooled(&self) -> Spooled {
        let mut reader = Reader::open(&self.dir.spool()).unwrap();
        let mut spooled = Spooled::default();
        while let Some(record) = reader.next().unwrap() {
            match record.payload {
                Payload::Output { stream, bytes } => match stream {
                    Stream::Stdout => spooled.stdout.extend_from_slice(bytes),
                    Stream::Stderr => spooled.stderr.extend_from_slice(bytes),
                },
                Payload::Control(control) => spooled.controls.push(control),
            }
        }
        spooled
    }

    /// From its first output to its last.
    pub(crate) fn spoken(&self) -> Duration {
        let mut reader = Reader::open(&self.dir.spool()).unwrap();
        let mut times = Vec::new();
        while let Some(record) = reader.next().unwrap() {
            if let Payload::Output { .. } = record.payload {
                times.push(record.at.mono_ms);
            }
        }
        let span = times.last().zip(times.first());
        span.map_or(Duration::ZERO, |(last, first)| {
            Duration::from_millis(last - first)
        })
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8(self.spooled().stdout).unwrap()
    }

    pub(crate) fn state(&self) -> State {
        until("a provider", || {
            State::load(&self.dir)
                .unwrap()
                .filter(|state| state.agent_pid.is_some())
        })
    }

    pub(crate) fn connect(&self) -> Client {
        let stream = until("the socket", || UnixStream::connect(&self.spec.socket).ok());
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Client {
            reader: BufReader::new(stream.try_clone().unwrap()),
            stream,
        }
    }

    /// True if no process of the invocation is left.
    pub(crate) fn is_over(&self) -> bool {
        let tree = tree::Tree {
            uuid: &self.spec.uuid,
            below: None,
            session: None,
            cgroup: None,
        };
        tree.alive().is_empty()
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        if let Some(shim) = &mut self.shim {
            let _ = shim.kill();
            let _ = shim.wait();
        }
        tree::kill_marked(&self.spec.uuid);
    }
}

/// A daemon, as far as a shim can tell.
pub(crate) struct Client {
    reader: BufReader<UnixStream>,
    pub(crate) stream: UnixStream,
}

impl Client {
    pub(crate) fn say(&mut self, line: &str) {
        self.stream.write_all(line.as_bytes()).unwrap();
    }

    /// The next message; `None` at the end.
    pub(crate) fn hear(&mut self) -> Option<Message> {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(0) => None,
            Err(error) if is_let_go(&error) => None,
            read => {
                read.unwrap();
                Some(protocol::decode(&line).unwrap())
            }
        }
    }

    /// Says what may already be too late to say, and hears the answer; `None` from one that was
    /// let go, whichever of the two noticed.
    pub(crate) fn try_ask(&mut self, request: &Request) -> Option<Message> {
        match self.stream.write_all(protocol::encode(request).as_bytes()) {
            Err(error) if is_let_go(&error) => None,
            said => {
                said.unwrap();
                self.hear()
            }
        }
    }

    /// Asks, and passes over what is pushed meanwhile.
    pub(crate) fn ask(&mut self, request: &Request) -> Message {
        self.say(&protocol::encode(request));
        loop {
            match self.hear().unwrap() {
                Message::Spool { .. } | Message::Ending { .. } => {}
                answer => return answer,
            }
        }
    }
}

/// Writes a script that may be run at once. Another process does it: of a file that this one had
/// open for writing, a child that another thread forks meanwhile keeps a descriptor until it
/// executes something, and until then the kernel says that the text file is busy.
pub(crate) fn write_script(path: &Path, text: &str) {
    let mut writer = Command::new("/bin/sh");
    writer.args(["-c", r#"printf %s "$2" > "$1" && chmod 755 "$1""#, "sh"]);
    assert!(writer.arg(path).arg(text).status().unwrap().success());
}

/// True if the shim closed its end: seen by a write after it (EPIPE), or by a read where it left
/// bytes unread (ECONNRESET).
fn is_let_go(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}

/// True if there is a process of this number that is no zombie, and none that its parent is just taking up.
pub(crate) fn is_alive(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(") ")
            .next()
            .unwrap_or("Z")
            .starts_with(['Z', 'X'])
    })
}
