//! Looks at the clocks, and remembers what was seen from one pass, and one daemon, to the next.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use rustix::time::{ClockId, clock_gettime};
use steroids_shim::{durable, state};
use tracing::warn;

use crate::retention::clock::{Clock, Look};

/// In the state folder.
const FILE: &str = "clock.json";

/// Held while the file is read and written.
static TURN: Mutex<()> = Mutex::new(());

/// Whether something may be removed for its age now. To be asked once at the start: what is seen
/// later is compared with that.
pub async fn ages_are_known(state_dir: &Path) -> bool {
    let path = state_dir.join(FILE);
    let looked = tokio::task::spawn_blocking(move || look_again(&path)).await;
    match looked {
        Ok(Ok(is_believed)) => is_believed,
        Ok(Err(error)) => {
            warn!(%error, "the clocks cannot be compared; nothing is removed for its age");
            false
        }
        // Only a panic, or the runtime's end.
        Err(_) => false,
    }
}

fn look_again(path: &Path) -> io::Result<bool> {
    let now = Look {
        boot_id: state::boot_id()?,
        since_boot_ms: since_boot_ms(),
        wall_ms: wall_ms(),
    };
    // One at a time: what one saw the other compares with. A panic leaves nothing half done.
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let clock = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Clock::new(now),
        read => match serde_json::from_slice::<Clock>(&read?) {
            Ok(mut clock) => {
                if clock.look(now) {
                    warn!("the wall clock has jumped; nothing is removed for its age for a day");
                }
                clock
            }
            Err(error) => {
                warn!(%error, "what was seen of the clocks is lost; nothing is removed for its age for a day");
                Clock::doubted(now)
            }
        },
    };
    durable::store(path, &clock).map_err(io::Error::other)?;
    Ok(clock.is_believed())
}

fn since_boot_ms() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    // It starts at 0, and its nanoseconds stay under a second.
    now.tv_sec.unsigned_abs() * 1000 + now.tv_nsec.unsigned_abs() / 1_000_000
}

fn wall_ms() -> i64 {
    let now = steroids_failpoint::wall_clock();
    match now.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_first_seen_is_believed_and_one_whose_past_is_lost_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        assert!(look_again(&path).unwrap());
        assert!(look_again(&path).unwrap());
        fs::write(&path, "{").unwrap();
        assert!(!look_again(&path).unwrap());
        assert!(!look_again(&path).unwrap(), "what was written is read");
    }
}
