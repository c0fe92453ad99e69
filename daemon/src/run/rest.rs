//! When memory is given back: what the allocator keeps free once readers have gone, and the code as
//! well once nothing happens any more.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::{Instant, sleep, timeout_at};

use crate::service::Service;
use crate::watch::Pace;

/// Streams that rest do so together; at most once in this time is memory given back for them.
const EBB_SETTLES: Duration = Duration::from_millis(500);

/// Between looks at how much is done: at first soon, as a start takes more than what follows.
const FIRST_LOOK: Duration = Duration::from_secs(5);
const LAST_LOOK: Duration = Duration::from_secs(60);

/// A daemon that uses less than such a part of a processor is at rest.
const AT_REST: u32 = 50;

/// What has run since code was given back last, for it to be worth doing again.
const WORTH: Duration = Duration::from_millis(20);

/// Gives memory back whenever there is some; without an end.
pub(super) async fn give_back(service: Service) {
    let mut rest = Rest::new(used());
    let mut due = rest.pace.due(Instant::now());
    loop {
        match timeout_at(due, service.ebb()).await {
            Ok(()) => {
                sleep(EBB_SETTLES).await;
                off_the_runtime(super::sys::give_back_memory).await;
            }
            Err(_) => {
                if rest.is_time(used()) {
                    off_the_runtime(super::sys::give_back_memory).await;
                    off_the_runtime(steroids_shim::code::give_back).await;
                    rest.given(used());
                }
                due = rest.pace.due(Instant::now());
            }
        }
    }
}

async fn off_the_runtime(give: fn()) {
    // Nothing depends on it.
    let _ = tokio::task::spawn_blocking(give).await;
}

/// The processor time of this process so far.
fn used() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.try_into().unwrap_or_default()
}

/// How much was done when.
struct Rest {
    pace: Pace,
    looked: Duration,
    given: Duration,
}

impl Rest {
    /// `used` is what starting has taken, of which nothing was given back.
    fn new(used: Duration) -> Rest {
        Rest {
            pace: Pace::new(FIRST_LOOK, LAST_LOOK),
            looked: used,
            given: Duration::ZERO,
        }
    }

    /// Whether it is at rest, since the last look, with something to give back.
    fn is_time(&mut self, used: Duration) -> bool {
        let since = used.saturating_sub(std::mem::replace(&mut self.looked, used));
        if since > self.pace.wait() / AT_REST {
            self.pace.reset();
            return false;
        }
        self.pace.slow_down();
        used.saturating_sub(self.given) >= WORTH
    }

    fn given(&mut self, used: Duration) {
        (self.looked, self.given) = (used, used);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn it_is_time_after_a_start_and_again_only_once_much_has_run_and_is_over() {
        let mut rest = Rest::new(ms(30));
        assert!(rest.is_time(ms(60)), "5 s later");
        rest.given(ms(62));
        assert!(!rest.is_time(ms(63)), "nothing has run");
        assert!(!rest.is_time(ms(5_000)), "busy");
        assert!(rest.is_time(ms(5_010)), "busy no more");
        rest.given(ms(5_012));
        let idle = [5_013, 5_014, 5_015].map(|used| rest.is_time(ms(used)));
        assert_eq!(idle, [false; 3]);
        assert_eq!(rest.pace.wait(), LAST_LOOK);
    }
}
