//! The two clocks: the wall clock for people, the monotonic one for durations and limits.

use std::time::UNIX_EPOCH;

use rustix::time::{ClockId, clock_gettime};

/// A moment, on both clocks, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Since the epoch.
    pub(crate) wall_ms: u64,
    /// Since boot, without the time the host was suspended.
    pub(crate) mono_ms: u64,
}

impl Moment {
    /// Now.
    pub(crate) fn now() -> Moment {
        let wall_ms = steroids_failpoint::wall_clock()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as u64);
        Moment {
            wall_ms,
            mono_ms: mono_ms(),
        }
    }
}

/// Now, on the monotonic clock alone.
pub(crate) fn mono_ms() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    // The kernel's monotonic clock starts at 0 and its nanoseconds stay under a second.
    now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000
}
