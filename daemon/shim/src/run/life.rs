//! Signs of life of a provider that says nothing: whether its processes work.
//!
//! It is looked for only where a silence is about to be warned of, or to end it, so looking costs
//! nothing while all is well: two looks in a stretch, each compared with the one before it.
//!
//! The thresholds lie between who waits and who works. Measured with Node 20 over three minutes: an
//! idle event loop uses 0.02 % of a processor, one with a connection and a timer ten times a second
//! 0.16 %; neither moved more than 140 bytes a second. A compiler uses a processor or more.

use steroids_shim::spec::Life;
use steroids_shim::tree::{Tree, Usage, Used};

use super::limits::Course;
use super::said::about;

/// Of one processor's time, who works uses at least so much…
const CPU_PERCENT: u64 = 5;

/// …and in any case so much: less is what starting a program takes.
const CPU_LEAST_MS: u64 = 50;

/// Of a disk, who works moves at least so much in a second…
const DISK_BYTES_A_SECOND: u64 = 16 * 1024;

/// …and in any case so much: less is what reading a few files takes.
const DISK_LEAST_BYTES: u64 = 256 * 1024;

/// The last look at a silent provider's processes.
#[derive(Debug, Default)]
pub(super) struct Watch(Option<Look>);

#[derive(Debug)]
struct Look {
    usage: Usage,
    /// Monotonic.
    at: u64,
    /// The output that was the last one then: a look of another silence says nothing of this one.
    last_output: u64,
}

impl Watch {
    /// Looks, and tells what was done since the look before it in the same silence, if that is work.
    pub(super) fn look(
        &mut self,
        tree: &Tree<'_>,
        life: Life,
        course: &Course,
        now: u64,
    ) -> Option<String> {
        if !life.cpu && !life.disk {
            return None;
        }
        let look = Look {
            usage: tree.usage(life.disk),
            at: now,
            last_output: course.last_output,
        };
        let before = self.0.replace(look)?;
        let look = self.0.as_ref()?;
        if before.last_output != look.last_output {
            return None;
        }
        let passed = look.at.saturating_sub(before.at);
        work(look.usage.since(&before.usage), passed, life)
    }
}

/// What was used, in words, if it takes work to use that much in so long.
fn work(used: Used, passed: u64, life: Life) -> Option<String> {
    let cpu = CPU_LEAST_MS.max(passed.saturating_mul(CPU_PERCENT) / 100);
    if life.cpu && used.cpu_ms >= cpu {
        let (cpu, passed) = (about(used.cpu_ms), about(passed));
        return Some(format!("used {cpu} of CPU time in {passed}"));
    }
    let disk = DISK_LEAST_BYTES.max(passed.saturating_mul(DISK_BYTES_A_SECOND) / 1000);
    (life.disk && used.disk_bytes >= disk).then(|| {
        let bytes = match used.disk_bytes / 1024 {
            kib @ 0..1024 => format!("{kib} KiB"),
            kib => format!("{} MiB", kib / 1024),
        };
        format!("moved {bytes} on disk in {}", about(passed))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE_MINUTES: u64 = 180_000;

    fn used(cpu_ms: u64, disk_bytes: u64) -> Used {
        Used { cpu_ms, disk_bytes }
    }

    #[test]
    fn who_works_is_told_from_who_waits() {
        let life = Life::ALL;
        // Node with a connection and a timer, as measured.
        assert_eq!(work(used(290, 24_576), THREE_MINUTES, life), None);
        assert_eq!(
            work(used(42_000, 0), THREE_MINUTES, life).unwrap(),
            "used 42s of CPU time in 3m"
        );
        // A slow download.
        assert_eq!(
            work(used(900, 9 << 20), THREE_MINUTES, life).unwrap(),
            "moved 9 MiB on disk in 3m"
        );
    }

    #[test]
    fn in_a_short_time_a_little_is_no_work() {
        let life = Life::ALL;
        assert_eq!(work(used(40, 200 << 10), 100, life), None);
        assert!(work(used(50, 0), 100, life).is_some());
        assert!(work(used(0, 256 << 10), 100, life).is_some());
    }

    #[test]
    fn what_is_no_sign_of_life_is_not_looked_for() {
        let none = Life::default();
        assert_eq!(work(used(99_000, 1 << 30), 1000, none), None);
        let disk = Life { disk: true, ..none };
        assert_eq!(work(used(99_000, 0), 1000, disk), None);
        let cpu = Life { cpu: true, ..none };
        assert_eq!(work(used(0, 1 << 30), 1000, cpu), None);
    }

    #[test]
    fn a_look_of_another_silence_says_nothing_of_this_one() {
        let tree = Tree {
            uuid: "",
            below: Some(std::process::id() as i32),
            session: None,
            cgroup: None,
        };
        let mut watch = Watch::default();
        let mut course = Course::begun(0);
        // What this process's own children use here is others' affair; a look has nothing before it.
        assert_eq!(watch.look(&tree, Life::ALL, &course, 80), None);
        course.last_output = 90;
        assert_eq!(watch.look(&tree, Life::ALL, &course, 170), None);
        let kept = watch.0.as_ref().map(|look| (look.at, look.last_output));
        assert_eq!(kept, Some((170, 90)));
    }
}
