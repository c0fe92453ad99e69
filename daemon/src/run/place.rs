//! Keeps the socket where clients look for it: its name goes with the last session of its user, or by
//! anybody's hand, and then nobody reaches a daemon that is well. The kernel tells of it; behind that it
//! is looked at in every periodic pass, and when somebody sends HUP.

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::warn;

use crate::service::Service;
use crate::service::listen::ListenError;
use crate::service::place::Place;
use crate::service::reload::Reload;
use crate::watch::{Hints, Pace};

/// Who removes a folder removes one name after the other, and is not to find new ones.
const SETTLES: Duration = Duration::from_millis(500);

/// Between attempts, while a name cannot be had: this daemon is not reached meanwhile, or not alone.
const RETRY: Pace = Pace::new(Duration::from_secs(1), Duration::from_secs(60));

/// What a look at a name follows.
pub(super) struct Occasions {
    pub(super) hints: Hints,
    /// Changes when a periodic pass begins.
    pub(super) passes: watch::Receiver<()>,
    pub(super) reload: Reload,
}

/// The place, to be kept until the daemon has let go of everything else.
pub(super) type Kept = Arc<Mutex<Place>>;

/// Binds the socket anew whenever its name is lost; never ends.
pub(super) async fn keep(
    kept: &Kept,
    path: &Path,
    occasions: Occasions,
    service: &Service,
) -> Infallible {
    let look = || {
        let kept = Arc::clone(kept);
        let looking = tokio::task::spawn_blocking(move || look(&kept));
        async move {
            let found = looking.await.context("a look at the socket panicked");
            let served = match found.and_then(|found| Ok(found?)) {
                Ok(found) => serve(found, service).await,
                Err(error) => Err(error),
            };
            ControlFlow::Continue(served)
        }
    };
    let lost = "the socket is gone, and cannot be bound anew yet";
    keep_name(path, occasions, lost, look).await
}

/// Looks at a name at each occasion, until the look breaks off. Each look tells whether it had to be made anew; `lost`
/// is said of one that could not be.
pub(super) async fn keep_name<B, F>(
    path: &Path,
    occasions: Occasions,
    lost: &'static str,
    look: impl Fn() -> F,
) -> B
where
    F: Future<Output = ControlFlow<B, anyhow::Result<bool>>>,
{
    let Occasions {
        hints,
        mut passes,
        mut reload,
    } = occasions;
    let name = path.to_owned();
    let mut watched = tokio::task::spawn_blocking(move || hints.name(&name)).await;
    // Before its folder was watched it may have been lost.
    let mut is_new = true;
    let mut trouble: Option<(Pace, String)> = None;
    loop {
        // Only a panic, or the runtime's end, gives nothing.
        let Ok(mut hint) = watched else {
            return std::future::pending().await;
        };
        let due = trouble.as_ref().map(|(pace, _)| pace.due(Instant::now()));
        tokio::select! {
            () = hint.changed() => sleep(SETTLES).await,
            () = sleep(SETTLES), if is_new => {}
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            Ok(()) = passes.changed() => {}
            () = reload.over() => {}
        }
        match look().await {
            ControlFlow::Continue(Ok(is_moved)) => {
                is_new = is_moved;
                trouble = None;
            }
            ControlFlow::Continue(Err(error)) => {
                is_new = false;
                trouble = Some(told(trouble, &error, lost));
            }
            ControlFlow::Break(end) => return end,
        }
        let verifying = move || {
            hint.verify();
            hint
        };
        watched = tokio::task::spawn_blocking(verifying).await;
    }
}

/// Takes the place again if it was lost, and gives what listens there then. Blocks.
fn look(kept: &Kept) -> Result<Option<UnixListener>, ListenError> {
    let mut place = kept.lock().unwrap_or_else(PoisonError::into_inner);
    match place.is_lost() {
        true => place.take_again().map(Some),
        false => Ok(None),
    }
}

/// True if clients are let in at a new socket.
async fn serve(found: Option<UnixListener>, service: &Service) -> anyhow::Result<bool> {
    let Some(listener) = found else {
        return Ok(false);
    };
    service.move_to(listener).await?;
    warn!("the socket was gone, and is bound anew");
    Ok(true)
}

/// Says what is in the way, once; it is tried again ever more rarely.
fn told(
    before: Option<(Pace, String)>,
    error: &anyhow::Error,
    lost: &'static str,
) -> (Pace, String) {
    let why = format!("{error:#}");
    match before {
        Some((mut pace, said)) if said == why => {
            pace.slow_down();
            (pace, said)
        }
        _ => {
            warn!(error = %why, "{lost}");
            (RETRY, why)
        }
    }
}
