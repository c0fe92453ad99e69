//! The streams that are open: how many, and when one that gave much rests, so that memory can be
//! given back.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// A stream that has given so much has used memory worth giving back once it rests.
pub(super) const EBB: usize = 1 << 20;

/// Counts the streams that are open now. Clones count together.
#[derive(Debug, Clone, Default)]
pub(super) struct Subscribers(Arc<Counted>);

#[derive(Debug, Default)]
struct Counted {
    open: AtomicI64,
    ebb: Notify,
}

impl Subscribers {
    /// How many there are.
    pub(super) fn count(&self) -> i64 {
        self.0.open.load(Ordering::Relaxed)
    }

    /// Waits until a stream that had much to give rests, or one has ended. One waiter.
    pub(super) async fn ebb(&self) {
        self.0.ebb.notified().await;
    }

    /// One more, until it is dropped.
    pub(super) fn enter(&self) -> Subscriber {
        self.0.open.fetch_add(1, Ordering::Relaxed);
        Subscriber {
            all: self.clone(),
            given: AtomicUsize::new(0),
        }
    }
}

/// One open stream.
pub(super) struct Subscriber {
    all: Subscribers,
    /// Bytes given since it last rested.
    given: AtomicUsize,
}

impl Subscriber {
    /// It gave so many bytes.
    pub(super) fn gave(&self, bytes: usize) {
        self.given.fetch_add(bytes, Ordering::Relaxed);
    }

    /// It has nothing to give just now.
    pub(super) fn rests(&self) {
        if self.given.load(Ordering::Relaxed) >= EBB {
            self.given.store(0, Ordering::Relaxed);
            self.all.0.ebb.notify_one();
        }
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.all.0.open.fetch_sub(1, Ordering::Relaxed);
        self.all.0.ebb.notify_one();
    }
}
