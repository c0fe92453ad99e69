//! What a follower waits for besides files: word of changed rows, and the time of the next look. Both are kept
//! from one line to the next, and made anew only once there was word, or it has rung.
//!
//! What was waited for once may wake the follower's task later, while it does something else or has nothing
//! to wait for: it finds nothing then, and waits on.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};

/// Word that something changed.
pub(super) struct Changes {
    seen: watch::Receiver<u64>,
    // Waits by another receiver, which it owns: a wait that lasts cannot borrow its neighbour.
    next: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
}

/// Rings when it is time to look.
#[derive(Default)]
pub(super) struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Changes {
    /// What the receiver has not seen is word.
    pub(super) fn new(seen: watch::Receiver<u64>) -> Changes {
        let next = Box::pin(next(seen.clone()));
        Changes { seen, next }
    }

    /// Takes the word if there is one.
    pub(super) fn take(&mut self) -> bool {
        let has_changed = self.seen.has_changed().unwrap_or(false);
        // Only then: it may have changed since it was asked.
        if has_changed {
            self.seen.mark_unchanged();
        }
        has_changed
    }

    /// Ready while there is word, which is left to be taken.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match self.seen.has_changed() {
                Ok(true) => return Poll::Ready(()),
                Ok(false) => ready!(self.next.as_mut().poll(cx)),
                // Whoever told of changes is going down, and will end the stream.
                Err(_) => return Poll::Pending,
            }
            // Of what has been taken since, or will be seen at once.
            self.next = Box::pin(next(self.seen.clone()));
        }
    }
}

/// Ends when there is something to ask for, be it that nobody tells any more.
async fn next(mut changes: watch::Receiver<u64>) {
    let _ = changes.changed().await;
}

impl Alarm {
    /// Rings no more until it is set again.
    pub(super) fn clear(&mut self) {
        self.sleep = None;
    }

    /// Ready at `at` or later. Where it is set to ring earlier it stays so, and is set anew when it has
    /// rung: the time of the next look mostly moves on.
    pub(super) fn poll(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(at)));
        loop {
            if sleep.is_elapsed() || sleep.deadline() > at {
                sleep.as_mut().reset(at);
            }
            ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() >= at || Instant::now() >= at {
                return Poll::Ready(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use futures_util::FutureExt as _;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn word_that_was_taken_is_waited_for_anew() {
        let changed = watch::Sender::new(0);
        let mut changes = Changes::new(changed.subscribe());
        for _ in 0..2 {
            assert!(poll_fn(|cx| changes.poll(cx)).now_or_never().is_none());
            changed.send_modify(|it| *it += 1);
            poll_fn(|cx| changes.poll(cx)).await;
            assert!(changes.take() && !changes.take());
        }
        // Taken by who did not wait.
        changed.send_modify(|it| *it += 1);
        assert!(changes.take());
        assert!(poll_fn(|cx| changes.poll(cx)).now_or_never().is_none());
        // Nor is anything told of who told of it and went.
        changed.send_modify(|it| *it += 1);
        drop(changed);
        assert!(!changes.take());
        assert!(poll_fn(|cx| changes.poll(cx)).now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn an_alarm_rings_at_its_time_whatever_it_was_set_to_before() {
        let begun = Instant::now();
        let mut alarm = Alarm::default();
        for (other, at) in
            [(3, 1), (2, 5), (9, 7)].map(|(a, b)| (begun + a * SECOND, begun + b * SECOND))
        {
            assert!(poll_fn(|cx| alarm.poll(other, cx)).now_or_never().is_none());
            poll_fn(|cx| alarm.poll(at, cx)).await;
            let late = Instant::now().checked_duration_since(at);
            assert!(late.unwrap() < SECOND / 100);
        }
    }
}
