//! The launcher that needs nothing: the shim daemonizes itself and tells by its exit status, and
//! one line on stderr, whether it took over.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, Command};

use super::manager::Manager;
use super::{LaunchError, Launcher, Launching, Order, runnable};

/// A shim takes over within milliseconds; ten seconds is a machine in trouble, not a slow start.
const TAKEOVER: Duration = Duration::from_secs(10);

/// As much of a shim's last words as an error message can use.
const MESSAGE_BYTES: u64 = 4096;

/// A shim that was started and waits to be told to begin. Dropped, it ends, and has touched nothing; so
/// it does when the daemon ends, however that comes.
#[derive(Debug)]
pub struct Standby {
    child: Child,
    call: ChildStdin,
}

/// Runs `steroids-shim --daemonize DIR`, with `--standby` where it is to wait.
#[derive(Debug, Clone)]
pub struct ForkLauncher {
    program: PathBuf,
    manager: Manager,
    why: String,
}

impl ForkLauncher {
    /// A launcher that runs this program; and why it is this one. The manager, where there is one, is
    /// only asked whether the session ends.
    pub fn new(program: PathBuf, manager: Manager, why: String) -> Self {
        ForkLauncher {
            program,
            manager,
            why,
        }
    }

    fn begin(&self, flags: &[&str], dir: &Path, stdin: Stdio) -> Result<Child, LaunchError> {
        Command::new(&self.program)
            .args(flags)
            .arg(dir)
            // The provider's environment stands in the spec; the shim itself needs none.
            .env_clear()
            .envs(steroids_failpoint::environment())
            .stdin(stdin)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| self.spawn_error(source))
    }

    async fn run(&self, dir: &Path, standby: Option<Standby>) -> Result<(), LaunchError> {
        let mut child = match standby {
            Some(Standby { child, mut call }) => {
                // One that has ended says below why.
                let _ = call.write_all(b"\n").await;
                child
            }
            None => self.begin(&["--daemonize"], dir, Stdio::null())?,
        };
        let mut message = Vec::new();
        let stderr = child.stderr.take();
        let waiting = async {
            if let Some(stderr) = stderr {
                // Unreadable last words leave the exit status, which is what counts.
                let _ = stderr.take(MESSAGE_BYTES).read_to_end(&mut message).await;
            }
            child.wait().await
        };
        let status = tokio::time::timeout(TAKEOVER, waiting)
            .await
            .map_err(|_| LaunchError::Silent {
                program: self.program.clone(),
                within: TAKEOVER,
            })?
            .map_err(|source| self.spawn_error(source))?;
        if status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&message).trim().to_owned();
        Err(LaunchError::Refused {
            program: self.program.clone(),
            message: if said.is_empty() {
                status.to_string()
            } else {
                said
            },
        })
    }

    fn spawn_error(&self, source: std::io::Error) -> LaunchError {
        LaunchError::Spawn {
            program: self.program.clone(),
            source,
        }
    }
}

impl Launcher for ForkLauncher {
    fn name(&self) -> &'static str {
        "fork"
    }

    fn why(&self) -> String {
        self.why.clone()
    }

    fn runnable(&self) -> Result<(), LaunchError> {
        runnable(&self.program)
    }

    fn stand_by(&self, dir: &Path) -> Result<Option<Standby>, LaunchError> {
        let flags = ["--daemonize", "--standby"];
        let mut child = self.begin(&flags, dir, Stdio::piped())?;
        let call = child.stdin.take();
        Ok(call.map(|call| Standby { child, call }))
    }

    fn launch<'a>(&'a self, order: &'a Order, standby: Option<Standby>) -> Launching<'a> {
        Box::pin(self.run(&order.dir, standby))
    }

    fn is_stopping(&self) -> Pin<Box<dyn Future<Output = Option<bool>> + Send + '_>> {
        Box::pin(self.manager.is_stopping())
    }

    /// Those that the group hands on in which a shim makes one for its provider. In a service's own group
    /// nobody may switch them on: the service manager could start nothing in it any more.
    fn controllers(&self) -> Vec<String> {
        let group = steroids_shim::cgroup::Own::look().delegated();
        group.map_or_else(Vec::new, |group| steroids_shim::cgroup::handed_on(&group))
    }

    fn bounds_anyway(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_missing_shim_is_named() {
        let program = PathBuf::from("/nonexistent/steroids-shim");
        let launcher = ForkLauncher::new(program, Manager::new(&[]), String::new());
        let error = launcher.run(Path::new("/tmp"), None).await.unwrap_err();
        assert!(matches!(error, LaunchError::Spawn { .. }));
        assert!(error.to_string().contains("/nonexistent/steroids-shim"));
    }

    #[test]
    fn what_is_not_there_or_cannot_be_run_is_told_without_running_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("shim");
        std::fs::write(&file, "").unwrap();
        for (program, why) in [
            (dir.path().join("gone"), "No such file"),
            (file.join("below"), "Not a directory"),
            (file, "Permission denied"),
            (dir.path().to_path_buf(), "Permission denied"),
        ] {
            let launcher = ForkLauncher::new(program.clone(), Manager::new(&[]), String::new());
            let error = launcher.runnable().unwrap_err();
            assert!(error.is_no_program(), "{program:?}: {error:?}");
            let source = std::error::Error::source(&error).unwrap().to_string();
            assert!(source.contains(why), "{program:?}: {source}");
            // The kernel says the same to who tries.
            let tried = launcher.begin(&[], dir.path(), Stdio::null()).unwrap_err();
            let tried = std::error::Error::source(&tried).unwrap().to_string();
            assert_eq!(source, tried);
        }
        let shell = ForkLauncher::new("/bin/sh".into(), Manager::new(&[]), String::new());
        shell.runnable().unwrap();
    }

    /// A launcher of a script in this folder, which is told the shim's arguments.
    fn of_script(folder: &Path, script: &str) -> ForkLauncher {
        let program = folder.join("shim");
        // Written by another process: of a file that this one had open for writing, a child that
        // another test forks meanwhile keeps a descriptor, and the text file is busy.
        let write = r#"printf '#!/bin/sh\n%s\n' "$1" > "$0" && chmod 700 "$0""#;
        let mut writer = std::process::Command::new("/bin/sh");
        writer.arg("-c").arg(write).arg(&program).arg(script);
        assert!(writer.status().unwrap().success());
        ForkLauncher::new(program, Manager::new(&[]), String::new())
    }

    #[tokio::test]
    async fn a_shim_that_gives_up_is_quoted() {
        let dir = tempfile::tempdir().unwrap();
        let launcher = of_script(dir.path(), "echo no spec here >&2; exit 3");
        for standby in [None, launcher.stand_by(dir.path()).unwrap()] {
            let error = launcher.run(dir.path(), standby).await.unwrap_err();
            assert!(
                error
                    .to_string()
                    .ends_with("did not take over: no spec here")
            );
        }
    }

    #[tokio::test]
    async fn one_that_stands_by_is_told_once_it_is_launched_and_ends_if_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        // It says in a file that it was told, if it was to wait for that, and that it has ended.
        let script = r#"[ "$2" = --standby ] && shift && read line && echo told >> "$2/words"
            echo over >> "$2/words""#;
        let launcher = of_script(dir.path(), script);
        let words = || std::fs::read_to_string(dir.path().join("words")).unwrap_or_default();
        let standby = launcher.stand_by(dir.path()).unwrap().unwrap();
        launcher.run(dir.path(), Some(standby)).await.unwrap();
        assert_eq!(words(), "told\nover\n");
        let Standby { mut child, call } = launcher.stand_by(dir.path()).unwrap().unwrap();
        drop(call);
        child.wait().await.unwrap();
        assert_eq!(words(), "told\nover\nover\n");
        launcher.run(dir.path(), None).await.unwrap();
        assert_eq!(words(), "told\nover\nover\nover\n");
    }
}
