//! Keeps the socket where clients look for it: its name goes with the last session of its user, or by
//! anybody's hand, and then nobody reaches a daemon that is well. The kernel tells of it; behind that it
//! is looked at in every periodic pass, and when somebody sends HUP.

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tracing::warn;

use crate::service::listen::ListenError;
use crate::service::place::Place;
use crate::service::reload::Reload;
use crate::service::{Service, Wakeups};
use crate::watch::{Hint, Hints, Pace};

/// Who removes a folder removes one name after the other, and is not to find new ones.
const SETTLES: Duration = Duration::from_millis(500);

/// Between attempts, while the place cannot be had: nobody reaches this daemon meanwhile.
const RETRY: Pace = Pace::new(Duration::from_secs(1), Duration::from_secs(60));

/// What a look at the socket follows.
pub(super) struct Occasions {
    pub(super) hints: Hints,
    pub(super) wakeups: Wakeups,
    pub(super) reload: Reload,
}

/// The place, to be kept until the daemon has let go of everything else.
pub(super) type Kept = Arc<Mutex<Place>>;

/// Binds the socket anew whenever its name is lost; never ends.
pub(super) async fn keep(kept: &Kept, path: &Path, occasions: Occasions, service: &Service) {
    let Occasions {
        hints,
        wakeups,
        mut reload,
    } = occasions;
    let name = path.to_owned();
    let watching = move || (hints.name(&name), Ok(None));
    let mut looked = tokio::task::spawn_blocking(watching).await;
    // Before its folder was watched it may have been lost.
    let mut is_new = true;
    let mut trouble: Option<(Pace, String)> = None;
    loop {
        // Only a panic, or the runtime's end, gives nothing.
        let Ok((mut hint, found)) = looked else {
            return std::future::pending().await;
        };
        match serve(found, service).await {
            Ok(is_moved) => {
                is_new |= is_moved;
                trouble = None;
            }
            Err(error) => trouble = Some(told(trouble, &error)),
        }
        let due = trouble.as_ref().map(|(pace, _)| pace.due(Instant::now()));
        tokio::select! {
            () = hint.changed() => sleep(SETTLES).await,
            () = sleep(SETTLES), if is_new => {}
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            () = wakeups.begun() => {}
            () = reload.over() => {}
        }
        is_new = false;
        let kept = Arc::clone(kept);
        let looking = move || {
            let found = look(&kept, &hint);
            (hint, found)
        };
        looked = tokio::task::spawn_blocking(looking).await;
    }
}

/// Takes the place again if it was lost, and gives what listens there then. Blocks.
fn look(kept: &Kept, hint: &Hint) -> Result<Option<UnixListener>, ListenError> {
    let mut place = kept.lock().unwrap_or_else(PoisonError::into_inner);
    let taken = match place.is_lost() {
        true => Some(place.take_again()),
        false => None,
    };
    hint.verify();
    taken.transpose()
}

/// True if clients are let in at a new socket.
async fn serve(
    found: Result<Option<UnixListener>, ListenError>,
    service: &Service,
) -> anyhow::Result<bool> {
    let Some(listener) = found? else {
        return Ok(false);
    };
    service.move_to(listener).await?;
    warn!("the socket was gone, and is bound anew");
    Ok(true)
}

/// Says what is in the way, once; it is tried again ever more rarely.
fn told(before: Option<(Pace, String)>, error: &anyhow::Error) -> (Pace, String) {
    let why = format!("{error:#}");
    match before {
        Some((mut pace, said)) if said == why => {
            pace.slow_down();
            (pace, said)
        }
        _ => {
            warn!(error = %why, "the socket is gone, and cannot be bound anew yet");
            (RETRY, why)
        }
    }
}
