//! Who waits for one path: each has a flag that a hint raises, and is woken by it.
//!
//! One task at a time polls a [`Waiter`]: only the last waker is kept, beyond the wait in which it was given.
//! A channel that keeps the newest value (`tokio::sync::watch`) would do the same; but each wait is then
//! another future, which enters a list and leaves it, and each hint looks through eight of these.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

/// All who wait for one path.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    // Another list for each who comes or goes, so that nobody is woken under the lock. That costs as much as
    // there are others, so a thousand who come at once take some milliseconds, all in all; a line waits for one
    // of them at most.
    all: Mutex<Arc<[Arc<Waiter>]>>,
}

/// One of them.
#[derive(Debug, Default)]
pub(super) struct Waiter {
    is_hinted: AtomicBool,
    waker: AtomicWaker,
}

impl Waiters {
    /// One more, who has no hint yet.
    pub(super) fn enter(&self) -> Arc<Waiter> {
        let waiter = Arc::<Waiter>::default();
        let mut all = self.all();
        *all = all.iter().chain([&waiter]).cloned().collect();
        waiter
    }

    /// One less. A hint that is being given may still reach it.
    pub(super) fn leave(&self, waiter: &Arc<Waiter>) {
        let mut all = self.all();
        let others = all.iter().filter(|it| !Arc::ptr_eq(it, waiter));
        *all = others.cloned().collect();
    }

    /// Hints to all of them.
    pub(super) fn hint(&self) {
        let all = Arc::clone(&self.all());
        for waiter in &*all {
            // Who finds it raised leaves the waking to who has raised it.
            if !waiter.is_hinted.swap(true, Ordering::AcqRel) {
                waiter.waker.wake();
            }
        }
    }

    fn all(&self) -> MutexGuard<'_, Arc<[Arc<Waiter>]>> {
        // Each change is one assignment, so a panic elsewhere leaves nothing half done.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter {
    /// Takes the hint if there is one.
    pub(super) fn take(&self) -> bool {
        self.is_hinted.swap(false, Ordering::AcqRel)
    }

    /// Ready while there is a hint, which is left to be taken.
    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        // In this order: of one that comes in between, one of the two tells.
        self.waker.register(cx.waker());
        if self.is_hinted.load(Ordering::Acquire) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::{Wake, Waker};

    use super::*;

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_hint_wakes_who_was_polled_once_and_stays_until_it_is_taken() {
        let (waiters, woken) = (Waiters::default(), Arc::<Woken>::default());
        let waker = Waker::from(Arc::clone(&woken));
        let cx = Context::from_waker(&waker);
        let times = || woken.0.load(Ordering::Relaxed);
        let waiter = waiters.enter();
        for round in 1..=2 {
            assert!(waiter.poll(&cx).is_pending());
            waiters.hint();
            waiters.hint();
            assert_eq!(times(), round);
            assert!(waiter.poll(&cx).is_ready() && waiter.poll(&cx).is_ready());
            assert!(waiter.take() && !waiter.take());
        }
        // One that comes before anybody waits.
        waiters.hint();
        assert!(waiter.poll(&cx).is_ready());
    }

    /// A hint at each moment of the poll, as far as two threads meet: seen by the poll, or a wake-up.
    #[test]
    fn no_hint_is_lost_to_one_who_is_about_to_wait() {
        const ROUNDS: usize = 20_000;
        let (waiters, begun, done) = (Waiters::default(), AtomicUsize::new(0), AtomicUsize::new(0));
        let (waiter, mut lost) = (waiters.enter(), 0);
        // Side by side where there are processors for both, and getting on where there are not.
        let reach = |count: &AtomicUsize, round| {
            let mut tries = 0_u64;
            while count.load(Ordering::Acquire) != round {
                tries += 1;
                match tries % 1_000 {
                    0 => std::thread::yield_now(),
                    _ => std::hint::spin_loop(),
                }
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 1..=ROUNDS {
                    reach(&begun, round);
                    waiters.hint();
                    done.store(round, Ordering::Release);
                }
            });
            for round in 1..=ROUNDS {
                let woken = Arc::<Woken>::default();
                let waker = Waker::from(Arc::clone(&woken));
                begun.store(round, Ordering::Release);
                // The other learns of it a little later.
                for step in 0..round % 256 {
                    std::hint::black_box(step);
                }
                let polled = waiter.poll(&Context::from_waker(&waker));
                reach(&done, round);
                lost += usize::from(polled.is_pending() && woken.0.load(Ordering::Relaxed) == 0);
                waiter.take();
            }
        });
        assert_eq!(lost, 0);
    }

    #[test]
    fn who_has_left_is_hinted_no_more_and_the_others_are() {
        let waiters = Waiters::default();
        let [first, second, third] = [(); 3].map(|()| waiters.enter());
        waiters.leave(&second);
        waiters.hint();
        assert_eq!(
            [&first, &second, &third].map(|it| it.take()),
            [true, false, true]
        );
        waiters.leave(&first);
        waiters.leave(&third);
        assert!(waiters.all().is_empty());
    }
}
