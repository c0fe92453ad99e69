//! A machine whose first process is a real systemd, booted in namespaces of its own in about a
//! second: `tests/systemd-lab.sh`, which see for what it is made of.
//!
//! Its root is the host's with every write kept in memory, and the programs under test stand
//! read-only at [`PROGRAMS`]. It is killed as a whole when it is dropped, and also when the test's
//! process ends without dropping anything. Where there is no root or no systemd a case is skipped,
//! visibly and counted; with `CI=true` that is a failure.

mod user;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::ctl::Output;
use crate::wait::{eventually, within};
use crate::{Puppet, binaries, skip};

pub use user::User;

/// Where the built programs are found inside.
pub const PROGRAMS: &str = "/opt/steroids";

/// So many are up at a time: each is a machine's worth of processes, on few cores.
const AT_ONCE: usize = 2;

/// A lab that nobody ends, not even by dying, is gone after so many seconds.
const LIFE_SECONDS: &str = "600";

/// The machine. Dropping it is pulling its plug.
#[derive(Debug)]
pub struct Lab {
    /// Ends it when its stdin is closed, whoever closes it.
    keeper: Child,
    folder: TempDir,
    /// Its first process, as the host counts.
    init: i32,
    _turn: SemaphorePermit<'static>,
}

impl Lab {
    /// Boots one; `None`, said and counted, where that cannot be done.
    pub async fn boot() -> Option<Lab> {
        static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);
        if let Some(why) = missing() {
            skip::skip(&why);
            return None;
        }
        let turn = TURNS.acquire().await.expect("it is never closed");
        let folder = tempfile::Builder::new().prefix("st-lab-").tempdir();
        let folder = folder.expect("the temporary folder takes a folder");
        let mut keeper = Command::new(script())
            .arg("keep")
            .arg(folder.path())
            .env("SYSTEMD_LAB_LIFE", LIFE_SECONDS)
            .env("SYSTEMD_LAB_PROGRAMS", binaries::folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the script is there");
        let stdout = keeper.stdout.take().expect("it was asked for");
        let mut said = BufReader::new(stdout).lines();
        let line = within("a lab to boot", said.next_line()).await;
        if line.expect("its pipe is ours").as_deref() != Some("up") {
            let output = keeper.wait_with_output().await;
            panic!("the lab does not boot: {output:?}");
        }
        let pid = std::fs::read_to_string(folder.path().join("pid1"));
        let init = pid.ok().and_then(|pid| pid.trim().parse().ok());
        Some(Lab {
            keeper,
            folder,
            init: init.expect("the script writes a number"),
            _turn: turn,
        })
    }

    /// What stands at `inside`, as seen from here.
    pub fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{inside}", self.init))
    }

    /// Writes a file as its root, readable by all, and its folders.
    pub fn write(&self, inside: &str, text: &str) {
        let path = self.path(inside);
        let folder = path.parent().expect("a file is in a folder");
        std::fs::create_dir_all(folder).expect("all of it is writable");
        std::fs::write(&path, text).unwrap_or_else(|e| panic!("{inside}: {e}"));
    }

    /// Reads a file; empty if there is none.
    pub fn read(&self, inside: &str) -> String {
        let bytes = std::fs::read(self.path(inside)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Runs a program there to its end, as root.
    pub async fn run(&self, words: &[&str]) -> Output {
        self.enter(&[("HOME", "/root")], words).await
    }

    /// Waits until these words are in the journal of the users' managers, which takes what it is told in its
    /// own time.
    pub async fn until_logged(&self, words: &str) {
        let journal = ["journalctl", "-q", "-o", "cat", "-u", "user@*.service"];
        eventually(&format!("`{words}` in the journal"), async || {
            let journal = self.run(&journal).await.ok();
            journal.contains(words).then_some(())
        })
        .await;
    }

    /// A user who lingers: the manager runs, with nobody logged in.
    pub async fn user(&self, name: &str) -> User<'_> {
        User::lingering(self, name).await
    }

    /// A user with one session and no lingering: [`User::log_out`] takes the manager along.
    pub async fn user_logged_in(&self, name: &str) -> User<'_> {
        User::logged_in(self, name).await
    }

    /// A user whom nobody has ever logged in as, with no manager, for the system's own units.
    pub async fn user_of_a_server(&self, name: &str) -> User<'_> {
        User::without_manager(self, name).await
    }

    /// One property of one of the system's units.
    pub async fn property(&self, unit: &str, name: &str) -> String {
        let value = self
            .run(&["systemctl", "show", "--value", "-p", name, unit])
            .await;
        value.ok().trim().to_owned()
    }

    /// Puts the units of this workspace where a package would, for the programs of this build.
    pub fn install_units(&self) {
        let folder = binaries::workspace().join("systemd");
        for entry in std::fs::read_dir(&folder).expect("there are units") {
            let path = entry.expect("it is ours").path();
            let name = path.file_name().and_then(|name| name.to_str());
            let name = name.expect("units have ASCII names");
            let unit = name.strip_suffix(".in").unwrap_or(name);
            if unit
                .rsplit('.')
                .next()
                .is_none_or(|kind| !matches!(kind, "service" | "socket" | "slice"))
            {
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("it is text");
            let text = text.replace("@bindir@", PROGRAMS);
            let whose = if unit.contains('@') { "system" } else { "user" };
            self.write(&format!("/etc/systemd/{whose}/{unit}"), &text);
        }
    }

    /// Powers it off in order, as `systemctl poweroff` does, and waits until all of it is gone. Its
    /// files are gone with it, but for those in [`Lab::shared`].
    pub async fn power_off(&self) {
        let mut stop = Command::new(script());
        let stop = stop.arg("stop").arg(self.folder.path()).output();
        let output = within("a lab to power off", stop).await;
        assert!(
            output.as_ref().is_ok_and(|output| output.status.success()),
            "{output:?}"
        );
    }

    /// A folder of the host's that is `/lab` inside, and that anybody there may write.
    pub fn shared(&self) -> PathBuf {
        self.folder.path().join("share")
    }

    /// Runs a program in its namespaces with these variables and no other.
    async fn enter(&self, variables: &[(&str, &str)], words: &[&str]) -> Output {
        let call = words.join(" ");
        let output = within(&call, self.command(variables, words).output()).await;
        let output = output.expect("nsenter is there");
        Output::of(call, &output)
    }

    fn command(&self, variables: &[(&str, &str)], words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.arg("--target").arg(self.init.to_string());
        command.args(["--mount", "--pid", "--ipc", "--uts", "--net", "--cgroup"]);
        command.args(["--root", "--wdns=/", "--"]).args(words);
        command.env_clear();
        command.env("PATH", format!("{PROGRAMS}:/usr/local/bin:/usr/bin:/bin"));
        command.env("LANG", "C.UTF-8");
        command.envs(variables.iter().copied());
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// A provider's strings, in the folder that both sides see.
    pub fn puppet(&self, name: &str) -> Puppet {
        Puppet::in_lab(&self.shared(), name)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // What the keeper waits for.
        drop(self.keeper.stdin.take());
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while !matches!(self.keeper.try_wait(), Ok(Some(_)) | Err(_)) {
            if std::time::Instant::now() > deadline {
                return;
            }
            // A drop cannot await it.
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

fn script() -> PathBuf {
    binaries::workspace().join("tests/systemd-lab.sh")
}

/// What of it this machine has not; `tests/systemd.sh` installs it.
fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("booting a systemd needs root".to_owned());
    }
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    if !mounts.contains(" cgroup2 ") {
        return Some("no cgroup v2 is mounted".to_owned());
    }
    let systemd = Path::new("/lib/systemd/systemd");
    let has_bus = ["/lib", "/usr/lib"]
        .map(|lib| Path::new(lib).join("systemd/user/dbus.socket").exists())
        .contains(&true);
    (!systemd.exists() || !has_bus).then(|| "no systemd: run tests/systemd.sh".to_owned())
}
