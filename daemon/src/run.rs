//! Builds the rooms bottom up, serves until somebody says stop, and takes them down in order.
//!
//! ```text
//! locks ──> projects ──> supervisor ──> reconcile ──> socket ──> listening
//!                                                                    │ TERM, or Shutdown
//! locks <── projects <── connections <── streams told <── jobs let go┘
//! ```
//!
//! Invocations are not ours to end: they live on in their shims, and the next daemon takes them up.

mod rooms;
mod sys;
#[cfg(test)]
mod tests;

use std::time::SystemTime;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::Config;
use crate::service::listen::{self, Claim, ListenError};
use crate::service::lock::{DaemonLock, LockError};
use rooms::{NoShim, Rooms};
pub use sys::tune_allocator;

/// The exit code for an error of [`run`]: 4 refused, 78 configuration, 1 anything else.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    let is_setting = matches!(error.downcast_ref(), Some(ListenError::TooLong { .. }));
    if is_setting || error.is::<NoShim>() {
        78
    } else if error.is::<ListenError>() || error.is::<LockError>() {
        4
    } else {
        1
    }
}

/// Runs a daemon until TERM, INT or HUP.
///
/// # Errors
/// As [`run`].
pub async fn until_signal(config: Config) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let mut signals = Vec::new();
    for kind in [
        SignalKind::terminate(),
        SignalKind::interrupt(),
        SignalKind::hangup(),
    ] {
        signals.push(signal(kind).context("cannot wait for signals")?);
    }
    let told = stop.clone();
    let tell = async move {
        let arrivals = signals.iter_mut().map(|signal| Box::pin(signal.recv()));
        futures_util::future::select_all(arrivals).await;
        told.cancel();
        // The end of the run is what is waited for; a second signal makes it no faster.
        std::future::pending().await
    };
    tokio::select! {
        ended = run(config, stop) => ended,
        () = tell => Ok(()),
    }
}

/// Runs a daemon until `stop`, or until a client asks for its end.
///
/// # Errors
/// Where it cannot start, or the server fails; [`exit_code`] says what that is to the caller.
pub async fn run(config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    let started = SystemTime::now();
    let pid = std::process::id();
    let holder = format!("pid {pid} with socket {}", config.socket.display());
    listen::own_folder(&config.state_dir)?;
    let _lock = DaemonLock::acquire(&config.state_dir.join("steroidsd.lock"), &holder)?;
    listen::closed_folder(&config.runtime_dir)?;
    let claim = listen::claim(&config.socket, &holder)?;
    if rustix::process::geteuid().is_root() {
        // Not refused: containers know no other user. Under systemd the unit names one.
        warn!("running as root, and so will every agent; run steroidsd as the user it works for");
    }
    let rooms = Rooms::build(&config, started, stop.clone()).await?;
    let ended = serve(&rooms, claim, &config, &stop).await;
    rooms.take_down().await;
    info!("stopped");
    ended
}

/// Takes up what runs already, then opens the socket, and serves until `stop`.
async fn serve(
    rooms: &Rooms,
    claim: Claim,
    config: &Config,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    tokio::select! {
        biased;
        () = stop.cancelled() => return Ok(()),
        () = rooms.reconcile() => {}
    }
    let listening = claim.bind()?;
    let server = rooms.serve(listening.listener, config);
    info!(
        socket = %config.socket.display(),
        state_dir = %config.state_dir.display(),
        "listening"
    );
    let ended = rooms.until_stopped(server, stop).await;
    // The socket's place is kept until its connections are closed.
    drop(listening.place);
    ended
}
