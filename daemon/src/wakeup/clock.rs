//! Looks at the clocks, and remembers what was seen from one pass, and one daemon, to the next.

use std::fs;
use std::io;
use std::path::Path;
use std::time::UNIX_EPOCH;

use rustix::time::{ClockId, clock_gettime};
use steroids_shim::state;
use tracing::warn;

use crate::retention::clock::{Clock, Look};

/// In the state folder.
const FILE: &str = "clock.json";

/// Whether something may be removed for its age now. To be asked once at the start: what is seen
/// later is compared with that. One of two that ask at once may overwrite what the other saw, which
/// is the same.
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
    // A file that is missing or makes no sense is that of a clock never seen.
    let known = fs::read(path).ok();
    let known = known.and_then(|bytes| serde_json::from_slice::<Clock>(&bytes).ok());
    let clock = match known {
        Some(mut clock) => {
            if clock.look(now) {
                warn!("the wall clock has jumped; nothing is removed for its age for a day");
            }
            clock
        }
        None => Clock::new(now),
    };
    let new = path.with_extension("new");
    fs::write(&new, serde_json::to_vec(&clock)?)?;
    fs::rename(&new, path)?;
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
