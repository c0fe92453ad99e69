//! A command as a hook: run by a guard (`steroids-shim --guard`), which ends it with all that it has
//! started as soon as nobody reads its output any more. So an attempt that is dropped, times out, or
//! belongs to a daemon that was killed leaves nothing behind.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use steroids_shim::tree::guard_marker;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::attempt::{Attempt, Failed, line, too_slow};
use super::pattern::Patterns;
use super::payload::Delivery;
use super::settings::HookSettings;

/// As much of what it prints is kept for the log; the rest is read, and dropped.
const KEPT: usize = 4096;
/// The guard gives half a second, and kills. At the daemon's end, which has five seconds, jobs have
/// one and a half.
const GONE_WITHIN: Duration = Duration::from_secs(5);
const STOPPED_WITHIN: Duration = Duration::from_millis(1000);

/// Of the daemon's variables, what every program needs, and one that speaks to a desktop.
const ALWAYS: [&str; 17] = [
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "PATH",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TZ",
    "TMPDIR",
    "XDG_*",
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// Runs commands.
pub(super) struct Runner {
    /// The shim's program.
    pub(super) guard: PathBuf,
    /// The daemon's own variables.
    pub(super) environment: BTreeMap<OsString, OsString>,
    /// Folders in which programs are looked for.
    pub(super) search_path: Vec<PathBuf>,
}

impl Runner {
    /// The environment of a command: an allow-list of the daemon's, and what the delivery is about.
    pub(super) fn variables(
        &self,
        further: &[String],
        hook: &HookSettings,
        delivery: &Delivery,
    ) -> Vec<(OsString, OsString)> {
        let always = Patterns::new(&ALWAYS.map(str::to_owned));
        let further = (!further.is_empty()).then(|| Patterns::new(further));
        let named = |name: &str| {
            let is_named = further.as_ref().is_some_and(|further| further.pass(name));
            is_named && !steroids_provider::env::is_withheld(name)
        };
        let passes = |name: &str| always.pass(name) || named(name);
        let ours = self.environment.iter();
        let ours = ours.filter(|(name, _)| name.to_str().is_some_and(passes));
        let mut variables: Vec<_> = ours
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let id = delivery.invocation.map(|id| id.to_string());
        for (name, value) in [
            ("STEROIDS_HOOK", hook.name.as_str()),
            ("STEROIDS_EVENT", &delivery.event),
            ("STEROIDS_DELIVERY", &delivery.id),
            ("STEROIDS_PROJECT", &delivery.project),
            ("STEROIDS_INVOCATION_ID", id.as_deref().unwrap_or_default()),
            ("STEROIDS_TASK", &delivery.task),
            ("STEROIDS_OUTCOME", delivery.outcome),
        ] {
            // The older tool's texts may hold anything; a variable cannot.
            variables.push((name.into(), value.replace('\0', "").into()));
        }
        variables
    }

    /// Runs one to its end, within its time.
    pub(super) async fn run(
        &self,
        argv: &[String],
        variables: Vec<(OsString, OsString)>,
        input: Bytes,
        limit: Duration,
        stop: &CancellationToken,
    ) -> Attempt {
        let spawned = Command::new(&self.guard)
            .arg("--guard")
            .args(argv)
            .env_clear()
            .envs(variables)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = spawned.map_err(|error| {
            let guard = self.guard.display();
            Failed::later(format!("could not run {guard}: {error}"))
        })?;
        let guard = child.id();
        let attended = attended(&mut child, input);
        let ended = tokio::select! {
            () = stop.cancelled() => {
                let gone = timeout(STOPPED_WITHIN, child.wait()).await;
                clean_up(guard, gone).await;
                return Err(Failed::Stopped);
            }
            ended = timeout(limit, attended) => ended,
        };
        match ended {
            Ok(Ok((status, said))) => {
                clean_up(guard, Ok(Ok(status))).await;
                verdict(status, &said)
            }
            Ok(Err(error)) => Err(Failed::later(format!("could not wait for it: {error}"))),
            Err(_) => {
                // Its pipes are closed by now; what does not go even so is left to the guard.
                let gone = tokio::select! {
                    () = stop.cancelled() => timeout(STOPPED_WITHIN, child.wait()).await,
                    gone = timeout(GONE_WITHIN, child.wait()) => gone,
                };
                clean_up(guard, gone).await;
                Err(Failed::later(too_slow(limit)))
            }
        }
    }
}

/// Ends what a guard leaves behind that was killed itself: it takes no other signal.
async fn clean_up(guard: Option<u32>, gone: Result<io::Result<ExitStatus>, Elapsed>) {
    let (Some(guard), Ok(Ok(status))) = (guard, gone) else {
        return;
    };
    if status.signal().is_some() {
        // Only a panic, or the runtime's end.
        let _ = tokio::task::spawn_blocking(move || {
            steroids_shim::tree::kill_marked(&guard_marker(guard))
        })
        .await;
    }
}

/// Feeds it, keeps the beginning of what it prints, and waits for it. The pipes go with the future.
fn attended(
    child: &mut Child,
    input: Bytes,
) -> impl Future<Output = io::Result<(ExitStatus, Vec<u8>)>> + use<'_> {
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    async move {
        let (stdin, stdout, stderr) = pipes;
        let feed = async move {
            if let Some(mut stdin) = stdin {
                // It need not read any of it.
                let _ = stdin.write_all(&input).await;
            }
        };
        let read = async { tokio::join!(feed, beginning(stdout), beginning(stderr)) };
        let mut read = std::pin::pin!(read);
        let (((), printed, mut said), status) = tokio::select! {
            read = &mut read => (read, child.wait().await?),
            ended = child.wait() => {
                let status = ended?;
                if status.signal().is_some() {
                    // A guard that was killed leaves its command, which holds the pipes.
                    return Ok((status, Vec::new()));
                }
                (read.await, status)
            }
        };
        // What went wrong stands on standard error, where anything does.
        if said.is_empty() {
            said = printed;
        }
        Ok((status, said))
    }
}

async fn beginning(pipe: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let Some(mut pipe) = pipe else {
        return Vec::new();
    };
    let mut kept = Vec::new();
    let mut buffer = [0; KEPT];
    // One that cannot be read has no more to say.
    while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
        let room = KEPT - kept.len();
        kept.extend_from_slice(&buffer[..count.min(room)]);
    }
    kept
}

fn verdict(status: ExitStatus, said: &[u8]) -> Attempt {
    let said = line(said);
    match status.code() {
        Some(0) => Ok(said),
        _ if said.is_empty() => Err(Failed::later(status.to_string())),
        _ => Err(Failed::later(format!("{status}: {said}"))),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use tokio::time::Instant;

    use super::*;

    /// Time is paused: only who waits for it, and nothing else, makes it go on.
    #[tokio::test(start_paused = true)]
    async fn the_wait_behind_a_timeout_ends_with_the_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let guard = folder.path().join("guard");
        // It does not go when nobody reads any more, for as long as this test needs.
        fs::write(&guard, "#!/bin/sh\nexec sleep 5\n").unwrap();
        fs::set_permissions(&guard, fs::Permissions::from_mode(0o700)).unwrap();
        let runner = Runner {
            guard,
            environment: BTreeMap::new(),
            search_path: Vec::new(),
        };
        let limit = Duration::from_secs(1);
        let stop = CancellationToken::new();
        let began = Instant::now();
        let argv = ["true".to_owned()];
        let running = runner.run(&argv, Vec::new(), Bytes::new(), limit, &stop);
        let stopping = async {
            tokio::time::sleep(limit + Duration::from_millis(1)).await;
            stop.cancel();
        };
        let (attempt, ()) = tokio::join!(running, stopping);
        assert!(attempt.is_err());
        assert!(
            began.elapsed() < limit + GONE_WITHIN,
            "{:?}",
            began.elapsed()
        );
    }
}
