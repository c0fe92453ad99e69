//! The user's service manager, asked through its own programs: whether it answers, what it can bound,
//! and that it ends a unit. Every question has a bound in time; who gives up on it ends the program asked.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use steroids_shim::cgroup;
use tokio::process::Command;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// The oldest that is known to do what is wanted of it.
pub const OLDEST: u32 = 252;

/// It answers within milliseconds; on a machine in trouble nobody waits for longer.
const ANSWER: Duration = Duration::from_secs(5);

/// When the daemon itself is told to end, it has not long to ask why.
const LAST_ANSWER: Duration = Duration::from_secs(1);

/// Of the daemon's own variables, what a client of the manager needs.
const NEEDED: [&str; 5] = [
    "PATH",
    "HOME",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
    "DBUS_SYSTEM_BUS_ADDRESS",
];

/// Where lingering users are noted.
const LINGER: &str = "/var/lib/systemd/linger";

/// When it was asked, and what it said.
type Told = (Instant, Option<bool>);

/// How it is asked.
#[derive(Debug, Clone)]
pub struct Manager {
    environment: Vec<(OsString, OsString)>,
    /// What it last said of the host's going down, and when. Held while it is asked.
    told: Arc<Mutex<Option<Told>>>,
}

/// What it said of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Of systemd.
    pub version: u32,
    /// What it can bound: of `memory`, `cpu`, `pids` and more, those that it was given itself.
    pub controllers: Vec<String>,
}

/// Why it is not to be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoManager {
    /// There is none for this user.
    #[error("no user service manager: {0}")]
    None(String),
    /// It said no.
    #[error("the user service manager does not answer: {0}")]
    Refused(String),
    /// It is not new enough.
    #[error("the user service manager is systemd {0}; at least {OLDEST} is needed")]
    Old(u32),
}

impl Manager {
    /// The one of the user with these variables.
    pub fn new(environment: &[(OsString, OsString)]) -> Manager {
        let is_needed = |name: &OsString| NEEDED.iter().any(|needed| name == needed);
        let needed = environment.iter().filter(|(name, _)| is_needed(name));
        Manager {
            environment: needed.cloned().collect(),
            told: Arc::default(),
        }
    }

    /// Asks whether it is there, and what it can do.
    ///
    /// # Errors
    /// Why there is none that can be used.
    pub async fn find(&self) -> Result<Found, NoManager> {
        let socket = self.socket()?;
        // Without it there is no need to run a program that says so.
        if !socket.exists() {
            let socket = socket.display();
            return Err(NoManager::None(format!("{socket} is not there")));
        }
        let question = ["show", "--property=Version", "--property=ControlGroup"];
        let said = self.systemctl(&question, ANSWER).await?;
        let found = parse(&said).ok_or_else(|| NoManager::Refused(one_line(&said)))?;
        let (version, group) = found;
        if version < OLDEST {
            return Err(NoManager::Old(version));
        }
        let group = group.and_then(cgroup::folder);
        Ok(Found {
            version,
            controllers: group.map_or_else(Vec::new, |group| cgroup::controllers(&group)),
        })
    }

    fn socket(&self) -> Result<PathBuf, NoManager> {
        let runtime = self.variable("XDG_RUNTIME_DIR");
        let runtime = runtime.filter(|folder| !folder.is_empty());
        let runtime =
            runtime.ok_or_else(|| NoManager::None("XDG_RUNTIME_DIR is not set".to_owned()))?;
        Ok(Path::new(runtime).join("systemd/private"))
    }

    fn variable(&self, name: &str) -> Option<&OsString> {
        let mut variables = self.environment.iter();
        variables.find(|(it, _)| it == name).map(|(_, value)| value)
    }

    /// Kills all that is in a unit, and waits until it is over. That there is no such unit is no error.
    pub async fn end(&self, unit: &str) {
        for words in [
            &["kill", "--signal=SIGKILL", "--", unit][..],
            &["stop", "--", unit],
        ] {
            if let Err(error) = self.systemctl(words, ANSWER).await {
                tracing::debug!(unit, %error, "the unit was not ended by the service manager");
            }
        }
    }

    /// Whether the host goes down, or the user's session ends; `None` if that could not be told. Many may
    /// want to know it at once, at a moment when the host is busy: they are told the same.
    pub async fn is_stopping(&self) -> Option<bool> {
        let mut told = self.told.lock().await;
        if let Some((at, answer)) = *told
            && at.elapsed() < LAST_ANSWER
        {
            return answer;
        }
        let answer = self.ask_whether_stopping().await;
        *told = Some((Instant::now(), answer));
        answer
    }

    async fn ask_whether_stopping(&self) -> Option<bool> {
        let has_own = self.socket().is_ok_and(|socket| socket.exists());
        let has_system = Path::new("/run/systemd/system").exists();
        let ask = async |is_there: bool, which: &[&str]| match is_there {
            true => self.says_stopping(which).await,
            false => Some(false),
        };
        match tokio::join!(ask(has_own, &["--user"]), ask(has_system, &[])) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (None, _) | (_, None) => None,
            (Some(false), Some(false)) => Some(false),
        }
    }

    async fn says_stopping(&self, which: &[&str]) -> Option<bool> {
        let mut command = self.command("systemctl");
        command.args(which).arg("is-system-running");
        // Its exit status is not 0 for any other word than `running`.
        let said = run(command, LAST_ANSWER).await.ok()?;
        Some(said.stdout.trim_ascii() == b"stopping")
    }

    async fn systemctl(&self, words: &[&str], within: Duration) -> Result<String, NoManager> {
        let mut command = self.command("systemctl");
        command.arg("--user").args(words);
        let output = run(command, within).await.map_err(NoManager::Refused)?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(NoManager::Refused(one_line(&String::from_utf8_lossy(
                &output.stderr,
            )))),
        }
    }

    /// One of its programs, with no more of the environment than it needs.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .envs(self.environment.iter().cloned())
            .env("PATH", self.search_path())
            .env("LC_ALL", "C")
            .env("SYSTEMD_COLORS", "0")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// The daemon's own, and where the programs are in any case: a service may have been given another.
    fn search_path(&self) -> OsString {
        let mut path = self.variable("PATH").cloned().unwrap_or_default();
        if !path.is_empty() {
            path.push(":");
        }
        path.push("/usr/bin:/bin");
        path
    }

    /// Whether the user's services go on when nobody is logged in; `None` where that is not to be known.
    pub fn lingers(&self) -> Option<bool> {
        let uid = rustix::process::getuid().as_raw();
        let users = fs::read_to_string("/etc/passwd").ok();
        let name = users.and_then(|users| name_of(&users, uid))?;
        Path::new(LINGER)
            .is_dir()
            .then(|| Path::new(LINGER).join(name).exists())
    }
}

/// Runs a program to its end; what it says is short.
pub(super) async fn run(mut command: Command, within: Duration) -> Result<Output, String> {
    let program = command
        .as_std()
        .get_program()
        .to_string_lossy()
        .into_owned();
    match timeout(within, command.output()).await {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(error)) => Err(format!("{program}: {error}")),
        Err(_) => Err(format!("{program} did not end within {within:?}")),
    }
}

/// A program's words as one line of a message.
pub(super) fn one_line(said: &str) -> String {
    let lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut line = lines.collect::<Vec<_>>().join("; ");
    line.truncate(line.floor_char_boundary(512));
    line
}

/// The version, and the manager's own control group.
fn parse(properties: &str) -> Option<(u32, Option<&str>)> {
    let value = |name: &str| {
        let mut lines = properties.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    };
    // 252.39-1~deb12u1, v255.
    let version = value("Version")?.trim_start_matches('v');
    let digits = version.bytes().take_while(u8::is_ascii_digit).count();
    let group = value("ControlGroup").filter(|group| !group.is_empty());
    Some((version[..digits].parse().ok()?, group))
}

fn name_of(users: &str, uid: u32) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_says_of_itself_is_read_whatever_the_packager_has_added() {
        let said = "Version=252.39-1~deb12u1\nControlGroup=/user.slice/u\n";
        assert_eq!(parse(said), Some((252, Some("/user.slice/u"))));
        assert_eq!(parse("Version=v255\nControlGroup=\n"), Some((255, None)));
        assert_eq!(parse("Version=\n"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn a_user_is_found_by_number() {
        let users = "root:x:0:0::/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\n";
        assert_eq!(name_of(users, 1000).as_deref(), Some("ada"));
        assert_eq!(name_of(users, 1), None);
        assert_eq!(name_of("broken\n", 0), None);
    }

    #[tokio::test]
    async fn without_a_session_there_is_none_and_a_socket_that_is_missing_is_named() {
        let none = Manager::new(&[]).find().await.unwrap_err();
        assert!(none.to_string().contains("XDG_RUNTIME_DIR"), "{none}");
        let folder = tempfile::tempdir().unwrap();
        let runtime = (OsString::from("XDG_RUNTIME_DIR"), folder.path().into());
        let none = Manager::new(&[runtime]).find().await.unwrap_err();
        assert!(
            none.to_string().ends_with("systemd/private is not there"),
            "{none}"
        );
        assert_eq!(Manager::new(&[]).is_stopping().await, Some(false));
    }
}
