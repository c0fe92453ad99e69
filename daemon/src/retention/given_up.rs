//! Work on a thread that nobody may wait for any more: it learns of that, and begins no further step.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Held by whoever waits; dropped, what is at work is given up.
#[derive(Debug, Default)]
pub(super) struct Waits(Arc<AtomicBool>);

impl Waits {
    /// For the thread: whether nobody waits any more.
    pub(super) fn over(&self) -> impl Fn() -> bool + Send + 'static {
        let over = Arc::clone(&self.0);
        move || over.load(Ordering::Acquire)
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
