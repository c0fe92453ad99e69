//! A folder that stands for a user's home, and all that lives in it.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use tempfile::TempDir;

use crate::wait::eventually;
use crate::{binaries, failure, processes};

/// So many lines of the daemon's log are printed beside a failure.
const LOG_SHOWN: usize = 60;

/// The folder. Dropping the last handle ends every process that was started in it; after a panic
/// the daemon's log is printed, and behind it once more what the panic said.
#[derive(Debug)]
pub struct Home {
    root: TempDir,
}

impl Home {
    /// A home whose `claude`, `codex`, `gemini` and `opencode` are all the fake provider.
    pub fn new() -> Arc<Home> {
        Home::with_config("")
    }

    /// As [`Home::new`], with `more` put before the providers in the configuration.
    pub fn with_config(more: &str) -> Arc<Home> {
        Home::below(Path::new("/tmp"), more)
    }

    /// As [`Home::with_config`], in another place than /tmp.
    pub fn below(folder: &Path, more: &str) -> Arc<Home> {
        failure::remember();
        // Short, since a socket's path may have 107 bytes.
        let root = tempfile::Builder::new()
            .prefix("st-")
            .tempdir_in(folder)
            .expect("the place takes a folder");
        let home = Home { root };
        for folder in ["home", "state", "run", "config/steroids", "tmp", "bin"] {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(home.path(folder))
                .expect("a new folder takes folders");
        }
        home.configure(more);
        Arc::new(home)
    }

    /// Writes the configuration anew.
    pub fn configure(&self, more: &str) {
        let program = binaries::fake_provider();
        let mut text = format!("{more}\n");
        for provider in ["claude", "codex", "gemini", "opencode"] {
            if !more.contains(&format!("[providers.{provider}]")) {
                text.push_str(&format!("[providers.{provider}]\ncommand = {program:?}\n"));
            }
        }
        self.configure_exactly(&text);
    }

    /// Writes the configuration, with nothing put to it.
    pub fn configure_exactly(&self, text: &str) {
        fs::write(self.config(), text).expect("the config folder takes a file");
    }

    /// A path below the folder.
    pub fn path(&self, below: &str) -> PathBuf {
        self.root.path().join(below)
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.path("config/steroids/config.toml")
    }

    /// The daemon's state folder.
    pub fn state_dir(&self) -> PathBuf {
        self.path("state/steroids")
    }

    /// One invocation's folder there.
    pub fn invocation_dir(&self, uuid: &str) -> PathBuf {
        self.state_dir().join("inv").join(uuid)
    }

    /// Waits until an invocation's shim has recorded its end, whether or not a daemon is there.
    pub async fn recorded(&self, uuid: &str) {
        let record = self.invocation_dir(uuid).join("exit.json");
        // It is renamed into place; nobody tells us.
        eventually("the exit record", async || record.exists().then_some(())).await;
    }

    /// The daemon's socket.
    pub fn socket(&self) -> PathBuf {
        self.path("run/steroids/steroidsd.sock")
    }

    /// What the daemons of this home have written to stderr, all of them.
    pub fn daemon_log(&self) -> String {
        fs::read_to_string(self.path("daemon.log")).unwrap_or_default()
    }

    /// A new folder that could become a project.
    pub fn folder(&self, name: &str) -> PathBuf {
        let path = self.path("home").join(name);
        fs::create_dir_all(&path).expect("the home takes folders");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
        path
    }

    /// Writes a script that may be run at once. Another process does it: of a file that this one
    /// had open for writing, a child that another test forks meanwhile keeps a descriptor until it
    /// executes something, and until then the kernel says that the text file is busy.
    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path("bin").join(name);
        let mut writer = Command::new("/bin/sh");
        writer.args(["-c", r#"printf %s "$2" > "$1" && chmod 755 "$1""#, "sh"]);
        let written = writer.arg(&path).arg(text).status();
        assert!(written.is_ok_and(|status| status.success()), "{path:?}");
        path
    }

    /// A program to run with this home's environment, and with nothing of the caller's but PATH.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(self.environment());
        command.current_dir(self.path("home"));
        command
    }

    /// The environment of [`Home::command`].
    pub fn environment(&self) -> Vec<(&'static str, OsString)> {
        let mut path = OsString::from(self.path("bin"));
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or("/usr/bin:/bin".into()));
        let below = |folder: &str| OsString::from(self.path(folder));
        let backtrace = std::env::var_os("RUST_BACKTRACE").unwrap_or("1".into());
        // Machines that test know no other user, often.
        let is_root = rustix::process::geteuid().is_root();
        vec![
            ("STEROIDS_ALLOW_ROOT", if is_root { "1" } else { "" }.into()),
            ("PATH", path),
            ("HOME", below("home")),
            ("TMPDIR", below("tmp")),
            ("XDG_STATE_HOME", below("state")),
            ("XDG_RUNTIME_DIR", below("run")),
            ("XDG_CONFIG_HOME", below("config")),
            ("LANG", "C.UTF-8".into()),
            ("TZ", "UTC".into()),
            ("RUST_BACKTRACE", backtrace),
            ("STEROIDS_FAIL_POINTS", below("fail-points")),
        ]
    }

    /// The shim of a running invocation.
    pub fn shim(&self, uuid: &str) -> i32 {
        let processes = self.processes();
        let shim = processes.iter().find(|process| {
            process.command.contains("steroids-shim") && process.command.contains(uuid)
        });
        shim.expect("a running invocation has a shim").pid
    }

    /// Living processes that were started here.
    pub fn processes(&self) -> Vec<processes::Process> {
        processes::of(self.root())
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprint_log(&self.daemon_log());
        }
        processes::end_all(self.root());
    }
}

#[expect(clippy::print_stderr, reason = "libtest shows it beside the failure")]
fn eprint_log(log: &str) {
    // Of a chatty daemon the end tells most, and of a log of many failures only the end is kept.
    let lines: Vec<&str> = log.lines().collect();
    let from = lines.len().saturating_sub(LOG_SHOWN);
    eprintln!("--- daemon log ---\n{}\n---", lines[from..].join("\n"));
    if let Some(why) = failure::last() {
        eprintln!("{why}");
    }
}
