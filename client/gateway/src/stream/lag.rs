//! How far behind the viewers of an upstream are, told also of those that take nothing and so
//! cannot say it. A viewer is in here for as long as it is in the ring.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::metrics::StreamGuard;

/// How often the lag of all of them is told, at most.
const EVERY: Duration = Duration::from_secs(1);

/// The lags of all viewers of an upstream.
#[derive(Debug)]
pub(super) struct Lags(Mutex<All>);

#[derive(Debug)]
struct All {
    viewers: HashMap<u64, Arc<Place>>,
    next: u64,
    told: Instant,
}

/// One viewer's, to be given back to [`Lags::leave`].
#[derive(Debug)]
pub(super) struct Lag {
    number: u64,
    place: Arc<Place>,
}

/// Where a viewer is in the ring.
#[derive(Debug)]
struct Place {
    at: AtomicU64,
    stream: Arc<StreamGuard>,
}

// === impl Lags ===

impl Lags {
    pub(super) fn new() -> Lags {
        Lags(Mutex::new(All {
            viewers: HashMap::new(),
            next: 0,
            told: Instant::now(),
        }))
    }

    /// Has the stream's lag told from now on.
    pub(super) fn join(&self, stream: &Arc<StreamGuard>, at: u64) -> Lag {
        let place = Arc::new(Place {
            at: AtomicU64::new(at),
            stream: Arc::clone(stream),
        });
        let mut all = self.all();
        let number = all.next;
        all.next += 1;
        all.viewers.insert(number, Arc::clone(&place));
        Lag { number, place }
    }

    pub(super) fn leave(&self, lag: &Lag) {
        self.all().viewers.remove(&lag.number);
    }

    /// Tells all of them, where that was not done just now; `next` is the number of the ring's next
    /// frame.
    pub(super) fn tell(&self, next: impl FnOnce() -> u64) {
        let mut all = self.all();
        if all.told.elapsed() < EVERY {
            return;
        }
        all.told = Instant::now();
        let next = next();
        all.viewers.values().for_each(|place| place.tell(next));
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.all().viewers.len()
    }

    fn all(&self) -> MutexGuard<'_, All> {
        // Each change is one call, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Lag ===

impl Lag {
    /// The viewer is there now.
    pub(super) fn moved(&self, at: u64, next: u64) {
        self.place.at.store(at, Ordering::Relaxed);
        self.place.tell(next);
    }
}

impl Place {
    fn tell(&self, next: u64) {
        let at = self.at.load(Ordering::Relaxed);
        self.stream.lag(next.saturating_sub(at));
    }
}
