//! Whether the wall clock may be believed when something is to be removed for its age.
//!
//! A wall clock is off by years when somebody sets it, when a machine wakes up without a battery,
//! when a virtual one is restored. The time since boot, suspends included, cannot be set: a wall
//! clock that moved against it has jumped. Then nothing is old until it has gone steadily for a
//! day. From one boot to the next only so much can be told: the clock does not go back, and a
//! machine that was off for over a month can wait a day as well.
//!
//! A virtual machine that is paused knows nothing of that time: its wall clock is set forward when it
//! goes on, and is right. One that is paused each night would never have gone steadily for a day. So a
//! step forward of no more than a weekend asks for an hour, in which a clock that was set wrong for a
//! moment is set right again, and lets a doubt that stands go on falling. Where it was wrong all the
//! same, what is kept for seven days, as by default, goes after four, and nothing that is new.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A correction may be so large; no age of a day or more depends on it.
const TOLERATED_MS: i64 = 60 * 60 * 1000;

const HOUR_MS: u64 = 60 * 60 * 1000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// For so long may a machine be paused, which does not know of it: from Friday to Monday.
const PAUSED_MS: i64 = 3 * DAY_MS as i64;

/// A machine may be off for so long.
const OFF_MS: i64 = 31 * DAY_MS as i64;

/// Both clocks at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// Names the boot.
    pub boot_id: String,
    /// Since that, in milliseconds.
    pub since_boot_ms: u64,
    /// Since the epoch, in milliseconds.
    pub wall_ms: i64,
}

/// The clock, by what was seen of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    last: Look,
    /// How long it has to go steadily until it is believed again.
    doubt_ms: u64,
}

impl Clock {
    /// A clock seen for the first time, and believed.
    pub fn new(first: Look) -> Clock {
        Clock {
            last: first,
            doubt_ms: 0,
        }
    }

    /// A clock of which what was seen before is lost: to be believed after a day.
    pub fn doubted(first: Look) -> Clock {
        Clock {
            last: first,
            doubt_ms: DAY_MS,
        }
    }

    /// Looks again; true if it has jumped since the look before, by however much.
    pub fn look(&mut self, now: Look) -> bool {
        let moved = now.wall_ms.saturating_sub(self.last.wall_ms);
        let (passed_ms, most_off_ms) = match now.boot_id == self.last.boot_id {
            true => {
                let passed = now.since_boot_ms.saturating_sub(self.last.since_boot_ms);
                (passed, 0)
            }
            false => (now.since_boot_ms, OFF_MS),
        };
        let passed = i64::try_from(passed_ms).unwrap_or(i64::MAX);
        let least = passed.saturating_sub(TOLERATED_MS);
        let most = passed.saturating_add(TOLERATED_MS + most_off_ms);
        let jumped = !(least..=most).contains(&moved);
        let is_pause = (most..=passed.saturating_add(PAUSED_MS)).contains(&moved);
        let left = self.doubt_ms.saturating_sub(passed_ms);
        self.doubt_ms = match (jumped, is_pause) {
            (false, _) => left,
            (true, true) => left.max(HOUR_MS),
            (true, false) => DAY_MS,
        };
        self.last = now;
        jumped
    }

    /// How long it has to go steadily until it is believed.
    pub fn doubt(&self) -> Duration {
        Duration::from_millis(self.doubt_ms)
    }

    /// Whether an age by this clock is one.
    pub fn is_believed(&self) -> bool {
        self.doubt_ms == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 60 * 60 * 1000;

    fn look(boot: &str, hours_since_boot: i64, wall_hours: i64) -> Look {
        Look {
            boot_id: boot.to_owned(),
            since_boot_ms: (hours_since_boot * HOUR).unsigned_abs(),
            wall_ms: 1_700_000_000_000 + wall_hours * HOUR,
        }
    }

    #[test]
    fn a_clock_that_goes_is_believed_through_suspends_and_boots() {
        let mut clock = Clock::new(look("a", 5, 0));
        for (now, what) in [
            (look("a", 6, 1), "an hour later"),
            (look("a", 806, 801), "a month suspended"),
            (look("a", 806, 802), "set an hour forward"),
            (look("b", 1, 804), "an hour after another boot"),
            (look("c", 2, 1400), "some weeks off"),
        ] {
            assert!(!clock.look(now), "{what}");
            assert!(clock.is_believed(), "{what}");
        }
    }

    #[test]
    fn a_clock_that_jumped_is_believed_after_a_steady_day() {
        let years = 10 * 365 * 24;
        for wall in [years, -2, -400_000] {
            let mut clock = Clock::new(look("a", 0, 0));
            assert!(clock.look(look("a", 0, wall)), "{wall}");
            assert!(!clock.look(look("a", 23, wall + 23)));
            assert!(!clock.is_believed(), "{wall}");
            // The boot in between says nothing of the time before it.
            assert!(!clock.look(look("b", 1, wall + 24)));
            assert!(clock.is_believed(), "{wall}");
            assert!(clock.look(look("b", 1, 24)), "back from {wall}");
            assert!(!clock.is_believed(), "back from {wall}");
        }
    }

    #[test]
    fn a_boot_into_another_time_is_no_age() {
        for wall in [-2, 5 * 365 * 24] {
            let mut clock = Clock::new(look("a", 100, 0));
            assert!(clock.look(look("b", 0, wall)), "{wall}");
            assert!(!clock.is_believed());
        }
    }

    #[test]
    fn a_step_of_a_weekend_forward_takes_an_hour_and_any_other_a_day() {
        let hour = Duration::from_secs(60 * 60);
        for (ahead, doubt) in [
            (1, Duration::ZERO),
            (2, hour),
            (63, hour),
            (72, hour),
            (73, 24 * hour),
            (10 * 365 * 24, 24 * hour),
            (-2, 24 * hour),
        ] {
            let mut clock = Clock::new(look("a", 5, 0));
            assert_eq!(clock.look(look("a", 6, 1 + ahead)), ahead != 1, "{ahead}");
            assert_eq!(clock.doubt(), doubt, "{ahead}");
        }
    }

    #[test]
    fn a_machine_that_is_paused_each_night_is_believed_each_day() {
        let mut clock = Clock::new(look("a", 0, 0));
        // Somebody has set it, and a day of doubt stands.
        assert!(clock.look(look("a", 0, 1000)));
        let mut believed = Vec::new();
        for day in 0..6 {
            for hour in 0..10 {
                let jumped = clock.look(look("a", day * 10 + hour, 1000 + day * 24 + hour));
                assert_eq!(jumped, day > 0 && hour == 0, "{day} {hour}");
                if clock.is_believed() {
                    believed.push((day, hour));
                }
            }
        }
        let from_then_on = (2..6).flat_map(|day| (0..10).map(move |hour| (day, hour)));
        let expected: Vec<_> = from_then_on
            .filter(|at| *at >= (2, 4) && at.1 > 0)
            .collect();
        assert_eq!(believed, expected);
    }
}
