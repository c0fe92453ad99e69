//! The streams that are open: how many, how far behind, and when one that gave much rests, so that
//! memory can be given back.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;

/// A stream that has given so much has used memory worth giving back once it rests.
pub(super) const EBB: usize = 1 << 20;

/// Counts the streams that are open now. Clones count together.
#[derive(Clone, Default)]
pub(super) struct Subscribers(Arc<Counted>);

#[derive(Default)]
struct Counted {
    // Held for a change or a copy.
    open: Mutex<Open>,
    events: AtomicU64,
    bytes: AtomicU64,
    ebb: Notify,
}

#[derive(Default)]
struct Open {
    streams: BTreeMap<u64, Weak<dyn Standing>>,
    next: u64,
}

/// A stream, as far as one can ask where it stands.
pub(super) trait Standing: Send + Sync {
    /// Paths of the logs that it has yet to read on in, and the offset of what comes next. None while
    /// it reads, or waits for more.
    fn places(&self) -> Vec<(PathBuf, u64)>;
}

/// How far streams are behind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Lag {
    /// Those that are.
    pub(super) streams: u64,
    /// Bytes of all of them.
    pub(super) bytes: u64,
    /// Of the one that is furthest behind.
    pub(super) worst: u64,
}

impl Subscribers {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.open().streams.len()
    }

    /// Events that all of them gave so far, and their bytes.
    pub(super) fn given(&self) -> (u64, u64) {
        let Counted { events, bytes, .. } = &*self.0;
        (
            events.load(Ordering::Relaxed),
            bytes.load(Ordering::Relaxed),
        )
    }

    /// How far behind the logs they are. Asks the length of each log once; blocks.
    pub(super) fn lag(&self) -> Lag {
        let streams: Vec<_> = self.open().streams.values().cloned().collect();
        let (mut lag, mut lengths) = (Lag::default(), HashMap::new());
        for stream in streams.iter().filter_map(Weak::upgrade) {
            let mut behind = 0;
            for (path, at) in stream.places() {
                let length = lengths.entry(path).or_insert_with_key(|path| {
                    path.symlink_metadata().map_or(0, |found| found.len())
                });
                behind += length.saturating_sub(at);
            }
            lag.streams += u64::from(behind > 0);
            lag.bytes += behind;
            lag.worst = lag.worst.max(behind);
        }
        lag
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // A map is valid whatever panicked beside it: each change is one call.
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a stream that had much to give rests, or one has ended. One waiter.
    pub(super) async fn ebb(&self) {
        self.0.ebb.notified().await;
    }

    /// One more, until it is dropped.
    pub(super) fn enter(&self, standing: Weak<dyn Standing>) -> Subscriber {
        let mut open = self.open();
        let number = open.next;
        open.next += 1;
        open.streams.insert(number, standing);
        Subscriber {
            all: self.clone(),
            number,
            given: AtomicUsize::new(0),
        }
    }
}

/// One open stream.
pub(super) struct Subscriber {
    all: Subscribers,
    number: u64,
    /// Bytes given since it last rested.
    given: AtomicUsize,
}

impl Subscriber {
    /// It gave so many bytes, of so many events.
    pub(super) fn gave(&self, bytes: usize, events: usize) {
        self.given.fetch_add(bytes, Ordering::Relaxed);
        if events > 0 {
            let all = &self.all.0;
            all.events.fetch_add(events as u64, Ordering::Relaxed);
            all.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        }
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
        self.all.open().streams.remove(&self.number);
        self.all.0.ebb.notify_one();
    }
}
