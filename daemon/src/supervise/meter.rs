//! What an invocation uses of the machine, from one answer of its shim to the next.

use std::sync::{Arc, LazyLock};

use rustix::thread::sched_getaffinity;
use steroids_shim::protocol::Message;
use steroids_shim::tree::Load;
use tokio::time::Instant;

use super::vitals::Place;

/// Two looks that are closer say nothing of a share: clocks tick a hundred times a second.
const APART_MS: u128 = 1000;

/// The last look, and what is shown of it.
#[derive(Debug)]
pub(super) struct Meter {
    pub(super) place: Place,
    /// What the processors make that this daemon may run on, and with it whom it starts, in tenths of
    /// a percent of one.
    most_tenths: u128,
    /// From which the share is counted.
    since: Option<(Load, Instant)>,
}

impl Default for Meter {
    fn default() -> Meter {
        // Where that cannot be asked, there is no most.
        static CORES: LazyLock<u32> =
            LazyLock::new(|| sched_getaffinity(None).map_or(u32::MAX, |cores| cores.count()));
        Meter {
            place: Place::default(),
            most_tenths: u128::from(*CORES) * 1000,
            since: None,
        }
    }
}

impl Meter {
    /// Reads an answer that tells of it.
    pub(super) fn read(&mut self, message: &Message, at: Instant) {
        let Message::Stat(stat) = message else {
            return;
        };
        if stat.unit.as_deref() != self.place.unit.as_deref() {
            self.place.unit = stat.unit.as_deref().map(Arc::from);
        }
        let Some(load) = stat.load else {
            return;
        };
        self.place.load = Some(load);
        let Some((before, then)) = self.since else {
            self.since = Some((load, at));
            return;
        };
        let passed = at.saturating_duration_since(then).as_millis();
        if passed < APART_MS {
            return;
        }
        // What ended without being waited for is in no sum any more.
        let used = load.cpu_ms.saturating_sub(before.cpu_ms);
        // Nor one that a look has missed; the next has it again, with all that it ever used.
        let tenths = (u128::from(used) * 1000 / passed).min(self.most_tenths);
        self.place.cpu_percent = Some(f64::from(u32::try_from(tenths).unwrap_or(u32::MAX)) / 10.0);
        self.since = Some((load, at));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use steroids_shim::protocol::Stat;

    use super::*;

    fn stat(cpu_ms: Option<u64>) -> Message {
        Message::Stat(Stat {
            phase: "running".to_owned(),
            spool: 0,
            waiting: 0,
            paused: false,
            trouble: None,
            quiet_ms: 0,
            since_ms: None,
            unit: Some("a.service".to_owned()),
            load: cpu_ms.map(|cpu_ms| Load {
                cpu_ms,
                memory_bytes: 1 << 20,
                processes: 2,
            }),
        })
    }

    #[test]
    fn a_share_is_counted_between_two_looks_that_are_far_enough_apart() {
        let begun = Instant::now();
        let mut meter = Meter {
            most_tenths: 2000,
            ..Meter::default()
        };
        meter.read(&stat(Some(100)), begun);
        assert_eq!(meter.place.cpu_percent, None);
        assert_eq!(meter.place.unit.as_deref(), Some("a.service"));
        meter.read(&stat(Some(900)), begun + Duration::from_millis(400));
        assert_eq!(meter.place.cpu_percent, None);
        meter.read(&stat(Some(3100)), begun + Duration::from_secs(2));
        assert_eq!(meter.place.cpu_percent, Some(150.0));
        // One that was only pushed tells nothing of it.
        meter.read(&stat(None), begun + Duration::from_secs(9));
        assert_eq!(meter.place.load.unwrap().cpu_ms, 3100);
        meter.read(&stat(Some(3000)), begun + Duration::from_secs(10));
        assert_eq!(meter.place.cpu_percent, Some(0.0));
        // It was missed once, and is back with all it ever used.
        meter.read(&stat(Some(99_000)), begun + Duration::from_secs(12));
        assert_eq!(meter.place.cpu_percent, Some(200.0));
    }
}
