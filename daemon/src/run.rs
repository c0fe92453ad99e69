//! Builds the rooms bottom up, serves until somebody says stop, and takes them down in order.
//!
//! ```text
//! locks ──> projects ──> supervisor ──> reconcile ──> socket ──> listening
//!                                                                    │ TERM, or Shutdown
//! locks <── projects <── connections <── streams told <── jobs let go┘
//! ```
//!
//! Invocations are not ours to end: they live on in their shims, and the next daemon takes them up.

mod activation;
mod first;
mod launcher;
mod notify;
mod place;
mod reload;
mod rest;
mod rooms;
mod state;
mod sys;
#[cfg(test)]
mod tests;
mod watchdog;

use std::io::IsTerminal as _;
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::config::Config;
use crate::service::listen::{self, Claim, ListenError};
use crate::service::lock::{DaemonLock, LockError};
use crate::service::reload::{Reload, Reloads};
pub use activation::{PassedError, passed_socket};
pub use first::as_first_process;
use notify::{Told, tell};
use rooms::{NoShim, Rooms};
use state::StateFolder;
pub use sys::{take_signals, tune_allocator};

/// A process that was killed lets go of its locks within this, or it was not killed.
const HELD_FOR: Duration = Duration::from_secs(2);
/// The kernel tells nobody when a lock is free, but one who waits for it without a bound.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The exit code for an error of [`run`]: 4 refused, 78 configuration, 1 anything else.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    let is_setting = matches!(error.downcast_ref(), Some(ListenError::TooLong { .. }));
    if is_setting
        || error.is::<NoShim>()
        || error.is::<FewDescriptors>()
        || error.is::<PassedError>()
    {
        78
    } else if error.is::<RootRefused>() || error.is::<ListenError>() || error.is::<LockError>() {
        4
    } else {
        1
    }
}

/// What a daemon is given besides its configuration.
struct Given {
    /// The socket to serve, where the service manager has made it.
    passed: Option<UnixListener>,
    /// Who may ask for another configuration, and who is asked.
    reload: (Reload, Reloads),
}

/// Runs a daemon until TERM or INT; HUP reloads its configuration, or ends it where it is the terminal
/// that has hung up. USR1 and USR2, which some tools send to have a log opened anew, change nothing. `passed` is
/// what it serves by, where the service manager has made that.
///
/// # Errors
/// As [`run`].
pub async fn until_signal(config: Config, passed: Option<UnixListener>) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let mut signals = Vec::new();
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        signals.push(signal(kind).context("cannot wait for signals")?);
    }
    let hangups = signal(SignalKind::hangup()).context("cannot wait for signals")?;
    let unused = pass_over()?;
    let (reload, reloads) = Reload::new();
    let on_hangup = on_hangup(hangups, reload.clone(), stop.clone());
    let given = Given {
        passed,
        reload: (reload, reloads),
    };
    let told = stop.clone();
    let tell = async move {
        let arrivals = signals.iter_mut().map(|signal| Box::pin(signal.recv()));
        futures_util::future::select_all(arrivals).await;
        told.cancel();
        // The end of the run is what is waited for; a second signal makes it no faster.
        std::future::pending().await
    };
    tokio::select! {
        ended = run_with(config, stop, given) => ended,
        () = tell => Ok(()),
        () = on_hangup => Ok(()),
        () = unused => Ok(()),
    }
}

/// Never ends, and keeps these from ending the daemon.
fn pass_over() -> anyhow::Result<impl Future<Output = ()>> {
    let listen = |kind| signal(kind).context("cannot wait for signals");
    let mut usr1 = listen(SignalKind::user_defined1())?;
    let mut usr2 = listen(SignalKind::user_defined2())?;
    Ok(async move {
        loop {
            let name = tokio::select! {
                _ = usr1.recv() => "SIGUSR1",
                _ = usr2.recv() => "SIGUSR2",
            };
            info!("{name} means nothing to it");
        }
    })
}

/// Never ends.
async fn on_hangup(mut hangups: Signal, reload: Reload, stop: CancellationToken) {
    // The kernel opens it without waiting for anything; not in a session of its own, as `setsid` makes one.
    let is_in_session = std::fs::File::open("/dev/tty").is_ok();
    let had_terminal = is_in_session && has_terminal();
    while hangups.recv().await.is_some() {
        if had_terminal && !has_terminal() {
            warn!("its terminal has gone; one that `setsid -f steroidsd` starts has none to lose");
            stop.cancel();
            break;
        }
        // What came of it is told in the log and by the status.
        let _ = reload.ask().await;
    }
    std::future::pending().await
}

/// False also of a terminal that has hung up.
fn has_terminal() -> bool {
    std::io::stdin().is_terminal()
        || std::io::stdout().is_terminal()
        || std::io::stderr().is_terminal()
}

/// Runs a daemon until `stop`, or until a client asks for its end.
///
/// # Errors
/// Where it cannot start, or the server fails; [`exit_code`] says what that is to the caller.
pub async fn run(config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    let given = Given {
        passed: None,
        reload: Reload::new(),
    };
    run_with(config, stop, given).await
}

async fn run_with(config: Config, stop: CancellationToken, given: Given) -> anyhow::Result<()> {
    check_user(&config)?;
    let started = SystemTime::now();
    let pid = std::process::id();
    let holder = format!("pid {pid} with socket {}", config.socket.display());
    listen::own_folder(&config.state_dir)?;
    let lock = StateFolder::lock_of(&config.state_dir);
    let lock = when_free(|| DaemonLock::acquire(&lock, &holder), LockError::is_held).await?;
    let state = StateFolder::new(&config.state_dir, lock);
    listen::closed_folder(&config.runtime_dir)?;
    let claim = || match &given.passed {
        Some(_) => listen::claim_passed(&config.socket, &holder),
        None => listen::claim(&config.socket, &holder),
    };
    let claim = when_free(claim, ListenError::is_held).await?;
    let rooms = Rooms::build(&config, started, stop.clone(), given.reload).await?;
    let claim = (claim, given.passed);
    let ended = serve(&rooms, claim, &config, (&stop, &state)).await;
    if ended.is_ok() {
        // What was deleted just now: the next daemon goes by the list.
        rooms.look_at_state(&state).await;
    }
    rooms.take_down().await;
    info!("stopped");
    ended
}

/// Takes what a daemon before us may be about to let go of: one that was killed just now is gone
/// a moment later.
async fn when_free<T, E>(
    take: impl Fn() -> Result<T, E>,
    is_held: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let deadline = Instant::now() + HELD_FOR;
    let mut told = false;
    loop {
        match take() {
            Err(error) if is_held(&error) && Instant::now() < deadline => {
                if !std::mem::replace(&mut told, true) {
                    info!("waiting for another steroidsd to go");
                }
                sleep(LOOK_AGAIN).await;
            }
            taken => return taken,
        }
    }
}

/// Fewer descriptors than a daemon needs that serves one project and a few clients.
#[derive(Debug, thiserror::Error)]
#[error(
    "no more than {limit} files may be open, and steroidsd needs {DESCRIPTORS_LEAST}; raise the limit (ulimit -n, LimitNOFILE=)"
)]
pub struct FewDescriptors {
    limit: u64,
}

/// Itself about 20, 5 for each project, 1 for each client, a few for each start.
const DESCRIPTORS_LEAST: u64 = 64;

/// Refuses to begin with less than is needed. Asked before there is a runtime, which would panic.
///
/// # Errors
/// Where there are too few.
pub fn check_descriptors() -> Result<(), FewDescriptors> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    match limit.current {
        Some(limit) if limit < DESCRIPTORS_LEAST => Err(FewDescriptors { limit }),
        _ => Ok(()),
    }
}

/// Root, and nobody said that this is meant.
#[derive(Debug, thiserror::Error)]
#[error(
    "running as root, and so would every agent; run steroidsd as the user it works for, or say that it is meant: --allow-root, STEROIDS_ALLOW_ROOT=1, or daemon.allow_root = true"
)]
struct RootRefused;

/// Before anything is made: a state folder of root's would be in the user's own way later.
fn check_user(config: &Config) -> Result<(), RootRefused> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    if !config.allow_root {
        return Err(RootRefused);
    }
    // In a container there may be no other user.
    warn!("running as root, and so will every agent");
    Ok(())
}

/// Takes up what runs already, then opens the socket, and serves until `stop`.
async fn serve(
    rooms: &Rooms,
    (claim, passed): (Claim, Option<UnixListener>),
    config: &Config,
    (stop, state): (&CancellationToken, &StateFolder),
) -> anyhow::Result<()> {
    tell(Told::Line, "Taking up what runs".to_owned()).await;
    tokio::select! {
        biased;
        () = stop.cancelled() => return Ok(()),
        () = rooms.reconcile() => {}
    }
    let is_passed = passed.is_some();
    let listening = match passed {
        Some(passed) => claim.take(passed),
        None => claim.bind()?,
    };
    let server = rooms.serve(listening.listener, config);
    let kept = Arc::new(Mutex::new(listening.place));
    info!(
        socket = %config.socket.display(),
        state_dir = %config.state_dir.display(),
        is_passed,
        "listening"
    );
    tell(Told::Ready, rooms.line()).await;
    let ended = {
        let until_stopped = rooms.until_stopped(server, stop);
        tokio::pin!(until_stopped);
        tokio::select! {
            ended = &mut until_stopped => ended,
            never = rooms.keep_place(&kept, &config.socket), if !is_passed => match never {},
            taken = rooms.keep_state(state) => {
                // Agents are harmed by two that look after them, and not by none.
                error!(error = %taken, "another daemon has taken the state folder; ending");
                stop.cancel();
                until_stopped.await.and(Err(taken.into()))
            }
            () = watchdog::feed(rooms, stop) => {
                let line = "Stopping; invocations go on".to_owned();
                tokio::join!(until_stopped, tell(Told::Stopping, line)).0
            }
        }
    };
    // The socket's place is kept until its connections are closed.
    drop(kept);
    ended
}
