//! How long to wait before trying again: twice as long each time up to a ceiling, and never the
//! same for two clients, so that fifty of them do not return to a restarted daemon in one instant.

use std::time::Duration;

/// Short enough that a daemon restarted by its service manager is found within a blink.
const FIRST: Duration = Duration::from_millis(100);
/// Long enough to cost nothing, short enough that a person who starts the daemon is not kept waiting.
const CEILING: Duration = Duration::from_secs(5);

/// The next waiting time; starts over with [`Backoff::reset`].
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff { next: FIRST }
    }
}

impl Backoff {
    /// Begins with the shortest wait.
    pub fn new() -> Self {
        Backoff::default()
    }

    /// The wait before the attempt that comes now: between half of the step and all of it.
    pub fn wait(&mut self) -> Duration {
        let step = self.next;
        self.next = (step * 2).min(CEILING);
        step.mul_f64(rand::random_range(0.5..=1.0))
    }

    /// Forgets earlier failures.
    pub fn reset(&mut self) {
        self.next = FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_ceiling_and_stay_there() {
        let mut backoff = Backoff::new();
        let waits: Vec<Duration> = (0..20).map(|_| backoff.wait()).collect();
        assert!(waits[0] >= FIRST / 2 && waits[0] <= FIRST);
        assert!(
            waits[8..]
                .iter()
                .all(|wait| *wait >= CEILING / 2 && *wait <= CEILING)
        );
    }

    #[test]
    fn a_reset_begins_again() {
        let mut backoff = Backoff::new();
        for _ in 0..10 {
            backoff.wait();
        }
        backoff.reset();
        assert!(backoff.wait() <= FIRST);
    }
}
