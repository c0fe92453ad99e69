//! What comes next of one that was asked to end, and has not by the time for which somebody waits for that.

use std::fmt;
use std::time::{Duration, Instant};

use steroids_shim::exit::ExitRecord;
use steroids_shim::paths::InvDir;
use steroids_shim::spec::Spec;

use crate::supervise::Supervisor;
use crate::supervise::troubles::mute_key;

/// What comes next of one that is still ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StillEnding {
    /// It has so long to end by itself; then it is killed.
    Graced(Duration),
    /// That time is over, and it is killed.
    Killed,
    /// Its shim does not answer, and has not heard of it.
    Unheard,
    /// It has ended, and that is being written down.
    Over,
    /// Its state folder does not tell.
    Unknown,
}

impl fmt::Display for StillEnding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StillEnding::Graced(left) => {
                // Rounded up: it may end sooner, and not later.
                let left = match left.as_secs() + 1 {
                    seconds @ ..=120 => format!("{seconds} s"),
                    seconds => format!("{} min", seconds.div_ceil(60)),
                };
                write!(
                    f,
                    "it has {left} more to end by itself, then it is killed (SIGKILL) with all that it started"
                )
            }
            StillEnding::Killed => f.write_str(
                "its grace is over, after which it is killed (SIGKILL) with all that it started: what a disk or a \
                 network file system holds up is gone once that answers, and only then its row is final",
            ),
            StillEnding::Unheard => f.write_str(
                "its shim does not answer: once it does it hears of the stop, and kills it (SIGKILL) after its grace",
            ),
            StillEnding::Over => {
                f.write_str("its agent has ended, and its log and row are still being made")
            }
            StillEnding::Unknown => f.write_str("it goes on ending by itself"),
        }
    }
}

impl Supervisor {
    /// What comes next of one that was asked then to end, with this grace or its own.
    pub(in crate::supervise) async fn still_ending(
        &self,
        uuid: &str,
        asked: Instant,
        grace: Option<Duration>,
    ) -> StillEnding {
        if self.inner.troubles.has(&mute_key(uuid)) {
            return StillEnding::Unheard;
        }
        let dir = InvDir::new(self.state_dir(), uuid);
        let look = move || {
            if matches!(ExitRecord::load(&dir), Ok(Some(_))) {
                return StillEnding::Over;
            }
            let own = || {
                Some(Duration::from_millis(
                    Spec::load(&dir).ok()?.limits.grace_ms,
                ))
            };
            match grace.or_else(own) {
                None => StillEnding::Unknown,
                Some(grace) => match grace.checked_sub(asked.elapsed()) {
                    Some(left) if !left.is_zero() => StillEnding::Graced(left),
                    _ => StillEnding::Killed,
                },
            }
        };
        // Only a panic, or the runtime's end.
        let looked = tokio::task::spawn_blocking(look).await;
        looked.unwrap_or(StillEnding::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_is_left_is_never_told_too_short() {
        let said = |seconds| StillEnding::Graced(Duration::from_millis(seconds)).to_string();
        assert!(said(400).starts_with("it has 1 s more to end by itself, then it is killed"));
        assert!(said(119_500).starts_with("it has 120 s more "));
        assert!(said(225_000).starts_with("it has 4 min more "));
    }
}
