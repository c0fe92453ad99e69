//! How rarely something is looked at while nothing happens there.

use std::sync::LazyLock;
use std::time::Duration;

use tokio::time::Instant;

/// What waits in silence is looked at on whole seconds, so that a process in which all is silent wakes
/// once for all of it.
const GRID: Duration = Duration::from_secs(1);

/// The time until the next look that nobody has hinted to: short after something has happened, and
/// longer after each look that found nothing, up to a longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    shortest: Duration,
    longest: Duration,
    now: Duration,
}

impl Pace {
    /// At its shortest.
    pub const fn new(shortest: Duration, longest: Duration) -> Pace {
        Pace {
            shortest,
            longest,
            now: shortest,
        }
    }

    /// The time from one look to the next.
    pub fn wait(&self) -> Duration {
        self.now
    }

    /// When the next look is due, where `last` is when the last one was, or when something has happened:
    /// up to a second later than that.
    pub fn due(&self, last: Instant) -> Instant {
        next_on_grid(last + self.now)
    }

    /// A look has found nothing: four times as long until the next.
    pub fn slow_down(&mut self) {
        self.now = (self.now * 4).min(self.longest);
    }

    /// Something has happened.
    pub fn reset(&mut self) {
        self.now = self.shortest;
    }
}

fn next_on_grid(at: Instant) -> Instant {
    static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);
    on_grid_of(*FIRST, at)
}

/// The first moment at or after `at` that is whole seconds from `first`, before it or after it.
fn on_grid_of(first: Instant, at: Instant) -> Instant {
    let Some(since) = at.checked_duration_since(first) else {
        // A clock that tests have set.
        return at + over(first.duration_since(at));
    };
    match over(since) {
        Duration::ZERO => at,
        over => at + (GRID - over),
    }
}

/// What is over whole seconds.
fn over(time: Duration) -> Duration {
    Duration::from_nanos(u64::from(time.subsec_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn looks_get_rarer_while_they_find_nothing_and_no_rarer_than_the_longest() {
        let mut pace = Pace::new(5 * SECOND, 60 * SECOND);
        let waits = [(); 4].map(|()| {
            let wait = pace.wait();
            pace.slow_down();
            wait.as_secs()
        });
        assert_eq!(waits, [5, 20, 60, 60]);
        pace.reset();
        assert_eq!(pace.wait(), 5 * SECOND);
    }

    #[test]
    fn what_began_within_a_second_is_looked_at_together_and_none_too_early() {
        let pace = Pace::new(5 * SECOND, 60 * SECOND);
        let first = next_on_grid(Instant::now());
        let dues = [1, 400, 1000].map(|ms| pace.due(first + Duration::from_millis(ms)));
        assert_eq!(dues, [first + 6 * SECOND; 3]);
        assert_eq!(pace.due(first), first + 5 * SECOND);
    }

    #[test]
    fn the_grid_has_no_beginning() {
        let first = Instant::now() + 10 * SECOND;
        for at in [-2500, -2000, -1, 0, 1, 2000, 2500] {
            let ms = Duration::from_millis(u64::from(i32::unsigned_abs(at)));
            let at = if at < 0 { first - ms } else { first + ms };
            let next = on_grid_of(first, at);
            assert!(next >= at && next - at < SECOND);
            let from_first = next.max(first) - next.min(first);
            assert_eq!(from_first.subsec_nanos(), 0);
        }
    }
}
