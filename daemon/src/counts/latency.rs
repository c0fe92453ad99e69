//! How long something takes: a histogram for a scrape, the last and the worst for a person.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Upper bounds of the buckets, in microseconds: a commit takes a fraction of a millisecond on a good
/// disk, some 10 ms on a turning one, and seconds where another program holds the lock.
const BOUNDS: [u64; 14] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    5_000_000, 25_000_000,
];

/// The worst is told of so many minutes: long enough to be seen by who looks now and then.
const MINUTES: usize = 5;

/// Collects durations.
#[derive(Debug)]
pub struct Latency {
    began: Instant,
    buckets: [AtomicU64; BOUNDS.len() + 1],
    sum_us: AtomicU64,
    last_us: AtomicU64,
    // Held for a comparison.
    worst: Mutex<[Minute; MINUTES]>,
}

/// The worst of one minute, counted from the beginning.
#[derive(Debug, Clone, Copy, Default)]
struct Minute {
    number: u64,
    worst_us: u64,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// All of them together.
    pub sum: Duration,
    /// The last one.
    pub last: Duration,
    /// The worst one of the window.
    pub worst: Duration,
    /// How far back that looks.
    pub window: Duration,
    /// From the shortest to the longest; each counts alone.
    pub buckets: Vec<Bucket>,
}

/// Those of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// The longest of the range; `None`: any.
    pub up_to: Option<Duration>,
    /// How many there were.
    pub count: u64,
}

impl Measured {
    /// How many there were.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.count).sum()
    }
}

impl Default for Latency {
    fn default() -> Latency {
        Latency {
            began: Instant::now(),
            buckets: Default::default(),
            sum_us: AtomicU64::new(0),
            last_us: AtomicU64::new(0),
            worst: Mutex::default(),
        }
    }
}

impl Latency {
    /// Something took so long.
    pub fn took(&self, time: Duration) {
        self.took_at(time, self.minute(Instant::now()));
    }

    fn took_at(&self, time: Duration, minute: u64) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < us);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
        self.last_us.store(us, Ordering::Relaxed);
        let mut minutes = self.worst.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = &mut minutes[slot(minute)];
        if slot.number != minute {
            *slot = Minute {
                number: minute,
                worst_us: 0,
            };
        }
        slot.worst_us = slot.worst_us.max(us);
    }

    /// What was measured so far.
    pub fn measured(&self) -> Measured {
        self.measured_at(self.minute(Instant::now()))
    }

    fn measured_at(&self, minute: u64) -> Measured {
        let minutes = *self.worst.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = minutes
            .iter()
            .filter(|it| it.number + MINUTES as u64 > minute);
        let worst_us = recent.map(|it| it.worst_us).max().unwrap_or(0);
        let bounds = BOUNDS.iter().map(|us| Some(Duration::from_micros(*us)));
        let bounds = bounds.chain([None]);
        let buckets = bounds.zip(&self.buckets).map(|(up_to, count)| Bucket {
            up_to,
            count: count.load(Ordering::Relaxed),
        });
        Measured {
            sum: Duration::from_micros(self.sum_us.load(Ordering::Relaxed)),
            last: Duration::from_micros(self.last_us.load(Ordering::Relaxed)),
            worst: Duration::from_micros(worst_us),
            window: Duration::from_secs(60 * MINUTES as u64),
            buckets: buckets.collect(),
        }
    }

    fn minute(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.began).as_secs() / 60
    }
}

fn slot(minute: u64) -> usize {
    // The remainder is below MINUTES.
    usize::try_from(minute % MINUTES as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn what_took_long_is_counted_once_in_its_bucket() {
        let latency = Latency::default();
        for time in [ms(1), ms(2), ms(3), ms(100_000)] {
            latency.took_at(time, 0);
        }
        let measured = latency.measured_at(0);
        assert_eq!(measured.count(), 4);
        assert_eq!((measured.last, measured.worst), (ms(100_000), ms(100_000)));
        assert_eq!(measured.sum, ms(100_006));
        let of = |up_to: Option<Duration>| {
            let bucket = measured.buckets.iter().find(|it| it.up_to == up_to);
            bucket.unwrap().count
        };
        assert_eq!(of(Some(ms(1))), 1, "a bound belongs to its bucket");
        assert_eq!(of(Some(Duration::from_micros(2500))), 1);
        assert_eq!(of(Some(ms(5))), 1);
        assert_eq!(of(None), 1);
    }

    #[test]
    fn the_worst_is_forgotten_after_the_window_and_the_last_is_not() {
        let latency = Latency::default();
        latency.took_at(ms(900), 0);
        latency.took_at(ms(5), 3);
        assert_eq!(latency.measured_at(4).worst, ms(900));
        assert_eq!(latency.measured_at(5).worst, ms(5));
        assert_eq!(latency.measured_at(90).worst, Duration::ZERO);
        latency.took_at(ms(7), 90);
        let measured = latency.measured_at(90);
        assert_eq!((measured.worst, measured.last), (ms(7), ms(7)));
    }
}
