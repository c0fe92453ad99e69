//! Looks at the clocks, and remembers what was seen from one pass, and one daemon, to the next.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use steroids_shim::{durable, state};
use tracing::warn;

use crate::retention::clock::{Clock, Look};

/// In the state folder.
const FILE: &str = "clock.json";

/// What was seen and could not be written down, by file. Held while the file is read and written.
static UNWRITTEN: Mutex<BTreeMap<PathBuf, Clock>> = Mutex::new(BTreeMap::new());

/// Whether something may be removed for its age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ages {
    /// It may.
    Known,
    /// The wall clock has to go steadily first, for so long.
    Doubted(Duration),
    /// What the clocks say now, or said before, cannot be read.
    NotCompared,
}

impl Ages {
    /// Whether it may.
    pub fn are_known(self) -> bool {
        self == Ages::Known
    }

    /// Why it may not.
    pub fn trouble(self) -> Option<String> {
        let why = match self {
            Ages::Known => return None,
            Ages::Doubted(left) => {
                let minutes = left.as_secs().div_ceil(60);
                let left = humantime::format_duration(Duration::from_secs(minutes * 60));
                format!(
                    "the wall clock has jumped, or what was seen of it before is lost: nothing is removed for its age until it has gone steadily for {left}"
                )
            }
            Ages::NotCompared => {
                "the clocks cannot be compared with what was seen of them before: nothing is removed for its age until they can; the daemon's log says why".to_owned()
            }
        };
        Some(why)
    }
}

/// Looks at the clocks. To be asked once at the start: what is seen later is compared with that.
pub async fn ages(state_dir: &Path) -> Ages {
    let path = state_dir.join(FILE);
    let looked = tokio::task::spawn_blocking(move || look_again(&path)).await;
    match looked {
        Ok(Ok(ages)) => ages,
        Ok(Err(error)) => {
            warn!(%error, "the clocks cannot be compared; nothing is removed for its age");
            Ages::NotCompared
        }
        // Only a panic, or the runtime's end.
        Err(_) => Ages::NotCompared,
    }
}

fn look_again(path: &Path) -> io::Result<Ages> {
    let now = Look {
        boot_id: state::boot_id()?,
        since_boot_ms: since_boot_ms(),
        wall_ms: wall_ms(),
    };
    look_at(path, now)
}

fn look_at(path: &Path, now: Look) -> io::Result<Ages> {
    // One at a time: what one saw the other compares with. A panic leaves nothing half done.
    let mut unwritten = UNWRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
    let seen = match unwritten.get(path) {
        Some(clock) => Some(clock.clone()),
        None => read(path, &now)?,
    };
    let clock = match seen {
        None => Clock::new(now),
        Some(mut clock) => {
            if clock.look(now) {
                let doubt = humantime::format_duration(clock.doubt());
                warn!(%doubt, "the wall clock has jumped; nothing is removed for its age until it has gone steadily for a while");
            }
            clock
        }
    };
    let ages = match clock.is_believed() {
        true => Ages::Known,
        false => Ages::Doubted(clock.doubt()),
    };
    // A disk that is full is when most is to be removed. The next daemon compares with an older look:
    // it finds a jump again, and doubts no shorter.
    match durable::store(path, &clock) {
        Ok(()) => drop(unwritten.remove(path)),
        Err(error) => {
            let cause = error.source().map(ToString::to_string);
            warn!(%error, cause, "what was seen of the clocks cannot be written down; going by it all the same");
            unwritten.insert(path.to_owned(), clock);
        }
    }
    Ok(ages)
}

/// What was seen before; `None` if nothing was.
fn read(path: &Path, now: &Look) -> io::Result<Option<Clock>> {
    let bytes = match durable::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read?,
    };
    let clock = serde_json::from_slice(&bytes).unwrap_or_else(|error| {
        warn!(%error, "what was seen of the clocks is lost; nothing is removed for its age for a day");
        Clock::doubted(now.clone())
    });
    Ok(Some(clock))
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
    use std::fs;

    use super::*;

    #[test]
    fn a_clock_first_seen_is_believed_and_one_whose_past_is_lost_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        assert_eq!(look_again(&path).unwrap(), Ages::Known);
        assert_eq!(look_again(&path).unwrap(), Ages::Known);
        fs::write(&path, "{").unwrap();
        assert!(!look_again(&path).unwrap().are_known());
        let again = look_again(&path).unwrap();
        assert!(!again.are_known(), "what was written is read");
    }

    #[test]
    fn what_cannot_be_written_down_is_gone_by_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        let draft = dir.path().join(format!("{FILE}.tmp"));
        let hour = 60 * 60 * 1000;
        let doubted = |hours: u64| Ages::Doubted(Duration::from_millis(hours * hour));
        let look = |hours: u64, ahead: i64| Look {
            boot_id: "a".to_owned(),
            since_boot_ms: hours * hour,
            wall_ms: (hours * hour).cast_signed() + ahead,
        };
        let ages = |now| look_at(&path, now).unwrap();
        let years = 10 * 365 * 24 * hour.cast_signed();
        // Nothing can be made where it would be drafted, as on a disk that is full.
        fs::create_dir(&draft).unwrap();
        assert_eq!(ages(look(1, 0)), Ages::Known, "the first one");
        fs::remove_dir(&draft).unwrap();
        assert_eq!(ages(look(2, 0)), Ages::Known);
        fs::create_dir(&draft).unwrap();
        assert_eq!(ages(look(3, 0)), Ages::Known, "its disk is full");
        assert_eq!(ages(look(4, years)), doubted(24), "it has jumped");
        assert_eq!(ages(look(20, years)), doubted(8));
        // The next daemon knows what was written: it doubts anew.
        UNWRITTEN.lock().unwrap().remove(&path);
        assert_eq!(ages(look(27, years)), doubted(24));
        assert_eq!(ages(look(28, years)), doubted(23));
        fs::remove_dir(&draft).unwrap();
        assert_eq!(ages(look(51, years)), Ages::Known, "a day later");
        assert!(!UNWRITTEN.lock().unwrap().contains_key(&path));
        assert_eq!(ages(look(52, years)), Ages::Known, "from its file");
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_no_jump() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(FILE)).unwrap();
        let ages = ages(dir.path()).await;
        assert_eq!(ages, Ages::NotCompared);
        let said = ages.trouble().unwrap();
        assert!(!said.contains("jumped"), "{said}");
    }
}
