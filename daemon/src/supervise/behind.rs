//! How far the logs of what runs are behind their spools: what an agent has printed, and no reader
//! can see yet.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use steroids_shim::paths::InvDir;
use steroids_shim::spool;

use super::Supervisor;
use super::lost::now_ms;
use super::vitals::Vitals;
use crate::domain::InvocationId;
use crate::domain::queue::Reason;

/// All together, and the one that is furthest behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Behind {
    /// How many are behind.
    pub invocations: u64,
    /// Bytes of all of them.
    pub bytes: u64,
    /// Which is furthest behind, and by how many bytes.
    pub worst: Option<(Arc<Path>, InvocationId, u64)>,
    /// For how long the oldest of these bytes have waited.
    pub worst_age: Duration,
}

/// What waits although there may be room, and of what runs, what somebody may want to look at: one that is ending, or has
/// given its result, is none of these, any other at most one, the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standings {
    /// Waiting, as their provider is held.
    pub held: usize,
    /// Running, with a limit near.
    pub stalled: usize,
    /// Running, with an alarm.
    pub alarmed: usize,
    /// Running, and waiting for a person.
    pub asking: usize,
}

impl Standings {
    fn count(&mut self, vitals: &Vitals) {
        let waits = vitals.waits.as_ref().map(|waits| &waits.reason);
        self.held += usize::from(matches!(waits, Some(Reason::Held(_))));
        let live = vitals.live.as_deref();
        let waits_for = live.map_or("", |live| live.waits_for);
        // The shim's word comes before the log's.
        let waits_for = vitals.held.map_or(waits_for, |held| held.why);
        if matches!(waits_for, "ending" | "result_sent") {
            return;
        }
        let is_of_shim = vitals.held.is_some();
        let live = live.filter(|_| !is_of_shim);
        if live.is_some_and(|live| !live.limit.is_empty()) {
            self.stalled += 1;
        } else if vitals.alarm.is_some() {
            self.alarmed += 1;
        } else if live.is_some_and(|live| live.waits_raw.is_some()) {
            self.asking += 1;
        }
    }
}

impl Supervisor {
    /// Looks at the spools of what runs: a length each, and a record where one is behind. Blocks.
    pub fn behind(&self) -> Behind {
        let mut all = Behind::default();
        for (uuid, job) in self.inner.handles() {
            let Some(whose) = job.whose.get() else {
                continue;
            };
            // One that has ended has been read to its end.
            if job.vitals().is_none() {
                continue;
            }
            let dir = InvDir::new(self.state_dir(), &uuid);
            let Some((bytes, age)) = lag(&dir, &job.reach) else {
                continue;
            };
            all.invocations += 1;
            all.bytes += bytes;
            all.worst_age = all.worst_age.max(age);
            if all
                .worst
                .as_ref()
                .is_none_or(|(_, _, worst)| bytes > *worst)
            {
                all.worst = Some((Arc::clone(&whose.project), whose.id, bytes));
            }
        }
        all
    }

    /// Counts those that somebody may want to look after.
    pub fn standings(&self) -> Standings {
        let mut standings = Standings::default();
        for beat in self.beats() {
            standings.count(&beat.vitals);
        }
        standings
    }
}

/// Bytes that are in no log, and for how long the first of them have been there; `None` if there
/// are none.
fn lag(dir: &InvDir, reach: &AtomicU64) -> Option<(u64, Duration)> {
    let reach = reach.load(Ordering::Relaxed);
    let path = dir.spool();
    let bytes = path.metadata().ok()?.len().checked_sub(reach)?;
    if bytes == 0 {
        return None;
    }
    let mut spool = spool::Reader::open_at(&path, reach).ok()?;
    // A record that is being written has no time yet.
    let since = spool.next().ok().flatten().map(|record| record.at.wall_ms);
    let age = since.map_or(0, |since| now_ms().saturating_sub(since));
    Some((bytes, Duration::from_millis(age)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Live;
    use crate::supervise::vitals::Held;
    use steroids_provider::activity::Stream;
    use steroids_shim::spool::Writer;

    #[test]
    fn each_that_somebody_may_want_to_look_at_is_counted_once() {
        let mut standings = Standings::default();
        let live = |waits_for, limit, waits_raw| Live {
            waits_for,
            limit,
            waits_raw,
            ..Live::default()
        };
        let mut count = |alarm: Option<&str>, held: Option<&'static str>, live: Live| {
            standings.count(&Vitals {
                alarm: alarm.map(str::to_owned),
                held: held.map(|why| Held {
                    why,
                    since_ms: None,
                }),
                live: Some(Arc::new(live)),
                ..Vitals::default()
            });
            (standings.stalled, standings.alarmed, standings.asking)
        };
        let asks = || live("unfinished_line", "", Some(9));
        assert_eq!(count(None, None, live("model", "", None)), (0, 0, 0));
        assert_eq!(count(None, None, asks()), (0, 0, 1));
        assert_eq!(count(Some("no shim"), None, asks()), (0, 1, 1));
        let near = count(Some("no shim"), None, live("", "wall", Some(9)));
        assert_eq!(near, (1, 1, 1));
        assert_eq!(count(None, Some("ending"), asks()), (1, 1, 1));
        let sent = count(Some("no shim"), None, live("result_sent", "wall", None));
        assert_eq!(sent, (1, 1, 1));
        let full = count(Some("its disk is full"), Some("output_blocked"), asks());
        assert_eq!(full, (1, 2, 1));
    }

    #[test]
    fn what_was_not_decoded_is_behind_since_its_first_byte_came() {
        let home = tempfile::tempdir().unwrap();
        let dir = InvDir::new(home.path(), "one");
        let reach = AtomicU64::new(0);
        assert_eq!(lag(&dir, &reach), None, "there is no spool");
        std::fs::create_dir_all(dir.path()).unwrap();
        let mut spool = Writer::create(&dir.spool()).unwrap();
        let hour_ago = now_ms() - 3_600_000;
        spool.output(hour_ago, 0, Stream::Stdout, b"one\n").unwrap();
        let first = dir.spool().metadata().unwrap().len();
        spool.output(now_ms(), 0, Stream::Stdout, b"two\n").unwrap();
        let (bytes, age) = lag(&dir, &reach).unwrap();
        assert_eq!(bytes, 2 * first);
        assert!(age >= Duration::from_secs(3600), "{age:?}");
        reach.store(first, Ordering::Relaxed);
        let (bytes, age) = lag(&dir, &reach).unwrap();
        assert_eq!(bytes, first);
        assert!(age < Duration::from_secs(3600), "{age:?}");
        reach.store(2 * first, Ordering::Relaxed);
        assert_eq!(lag(&dir, &reach), None);
    }
}
