//! How rarely something is looked at while nothing happens there.

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
    static FIRST: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    let since = at.saturating_duration_since(*FIRST);
    let over = since.as_nanos() % GRID.as_nanos();
    let over = Duration::from_nanos(u64::try_from(over).unwrap_or(0));
    if over.is_zero() {
        at
    } else {
        at + (GRID - over)
    }
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
}
