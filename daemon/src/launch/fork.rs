//! The launcher that needs nothing: the shim daemonizes itself and tells by its exit status, and
//! one line on stderr, whether it took over.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::Command;

use super::manager::Manager;
use super::{LaunchError, Launcher, Launching, Order};

/// A shim takes over within milliseconds; ten seconds is a machine in trouble, not a slow start.
const TAKEOVER: Duration = Duration::from_secs(10);

/// As much of a shim's last words as an error message can use.
const MESSAGE_BYTES: u64 = 4096;

/// Runs `steroids-shim --daemonize DIR`.
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

    async fn run(&self, dir: &Path) -> Result<(), LaunchError> {
        let mut child = Command::new(&self.program)
            .arg("--daemonize")
            .arg(dir)
            // The provider's environment stands in the spec; the shim itself needs none.
            .env_clear()
            .envs(steroids_failpoint::environment())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| self.spawn_error(source))?;
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

    fn launch<'a>(&'a self, order: &'a Order) -> Launching<'a> {
        Box::pin(self.run(&order.dir))
    }

    fn is_stopping(&self) -> Pin<Box<dyn Future<Output = Option<bool>> + Send + '_>> {
        Box::pin(self.manager.is_stopping())
    }

    /// Those that the group hands on in which a shim makes one for its provider. In a service's own group
    /// nobody may switch them on: the service manager could start nothing in it any more.
    fn controllers(&self) -> Vec<String> {
        let group = steroids_shim::cgroup::delegated();
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
        let error = launcher.run(Path::new("/tmp")).await.unwrap_err();
        assert!(matches!(error, LaunchError::Spawn { .. }));
        assert!(error.to_string().contains("/nonexistent/steroids-shim"));
    }

    #[tokio::test]
    async fn a_shim_that_gives_up_is_quoted() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("shim");
        // Written by another process: of a file that this one had open for writing, a child that
        // another test forks meanwhile keeps a descriptor, and the text file is busy.
        let script =
            r#"printf '#!/bin/sh\necho no spec here >&2\nexit 3\n' > "$0" && chmod 700 "$0""#;
        let mut writer = std::process::Command::new("/bin/sh");
        let written = writer.arg("-c").arg(script).arg(&program).status();
        assert!(written.unwrap().success());
        let error = ForkLauncher::new(program, Manager::new(&[]), String::new())
            .run(dir.path())
            .await
            .unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("did not take over: no spec here")
        );
    }
}
