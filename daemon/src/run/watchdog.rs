//! Tells the service manager that the daemon is alive, as long as it is: three times in the time after
//! which silence means that it is to be killed and started anew. Agents do not notice that.
//!
//! Alive is: the runtime runs tasks (this is one), connections are let in, the supervisor's locks are to
//! be had, and every database that is open has its threads. They are not asked for an answer: the daemon
//! has no database of its own, each is a project's, and whether a thread of it waits for a disk, for
//! another program's lock or for a long statement cannot be told from here. A database that does not
//! answer is degraded and not dead: the next daemon would come to stand at the same disk, and all other
//! projects with it.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::notify::{Told, tell};
use super::rooms::Rooms;

/// Feeds the watchdog until `stop`, if the service manager has one for us.
pub(super) async fn feed(rooms: &Rooms, stop: &CancellationToken) {
    let Some(patience) = sd_notify::watchdog_enabled() else {
        return stop.cancelled().await;
    };
    let mut ticks = interval((patience / 3).max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let fed = feed_once(rooms, patience / 6);
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = fed => {}
        }
    }
}

async fn feed_once(rooms: &Rooms, within: Duration) {
    match check(rooms, within).await {
        Ok(()) => tell(Told::Alive, rooms.line()).await,
        Err(what) => error!(what, "not well; left to the service manager's watchdog"),
    }
}

async fn check(rooms: &Rooms, within: Duration) -> Result<(), String> {
    if !matches!(timeout(within, rooms.lets_in()).await, Ok(true)) {
        return Err("no connection is let in".to_owned());
    }
    match rooms.lost_database() {
        None => Ok(()),
        Some(path) => Err(format!("a thread of {} has ended", path.display())),
    }
}
