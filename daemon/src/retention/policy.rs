//! What may be deleted: pure functions of what there is, what is still needed, and the time.
//!
//! Days are 24 hours. A clock that was set back makes files seem new, and they stay; files from
//! the future stay too.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use crate::activity_log::LogFile;
use crate::domain::InvocationId;

/// What is to become of the logs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Logs {
    /// To be removed, oldest first.
    pub expired: Vec<LogFile>,
    /// Old enough, but of invocations that are not over.
    pub kept_running: u64,
}

/// Sorts out the logs last written more than `days` ago; none with `None`, all with zero.
pub fn logs(
    files: &[LogFile],
    open: &BTreeSet<InvocationId>,
    now: SystemTime,
    days: Option<u32>,
) -> Logs {
    let Some(days) = days else {
        return Logs::default();
    };
    let old = |file: &&LogFile| days == 0 || is_older(file.modified, now, days);
    let (running, mut expired): (Vec<LogFile>, Vec<LogFile>) = files
        .iter()
        .filter(old)
        .partition(|file| open.contains(&file.id));
    expired.sort_by_key(|file| (file.modified, file.id));
    Logs {
        expired,
        kept_running: running.len() as u64,
    }
}

/// The state folder of an invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spool {
    /// Its name.
    pub uuid: String,
    /// Bytes it takes on the disk.
    pub bytes: u64,
    /// When its invocation ended, by its final row; `None` as long as there is none.
    pub ended: Option<SystemTime>,
}

/// How long state folders are kept, and how much room they may take; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SpoolLimits {
    /// Since the end of the invocation.
    pub days: Option<u32>,
    /// All folders together.
    pub max_bytes: Option<u64>,
}

/// Picks the state folders to be removed, oldest end first: those that ended more than `days` ago,
/// and then as many as it takes to come below `max_bytes`. Those without an end count, and stay.
pub fn spools(mut all: Vec<Spool>, now: SystemTime, limits: SpoolLimits) -> Vec<Spool> {
    let mut left: u64 = all.iter().map(|spool| spool.bytes).sum();
    all.sort_by(|a, b| (a.ended, &a.uuid).cmp(&(b.ended, &b.uuid)));
    let goes = |spool: &Spool| {
        let Some(ended) = spool.ended else {
            return false;
        };
        let old = limits.days.is_some_and(|days| is_older(ended, now, days));
        let too_much = limits.max_bytes.is_some_and(|max| left > max);
        if old || too_much {
            left = left.saturating_sub(spool.bytes);
        }
        old || too_much
    };
    let mut goes = goes;
    all.retain(|spool| goes(spool));
    all
}

fn is_older(then: SystemTime, now: SystemTime, days: u32) -> bool {
    let age = now.duration_since(then).unwrap_or_default();
    age > Duration::from_secs(u64::from(days) * 24 * 60 * 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 60 * 60;

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1000 * DAY)
    }

    fn ago(seconds: u64) -> SystemTime {
        now() - Duration::from_secs(seconds)
    }

    fn log(id: i64, age: u64) -> LogFile {
        LogFile {
            id: InvocationId::new(id).unwrap(),
            len: 10,
            modified: ago(age),
        }
    }

    fn removed(files: &[LogFile], open: &[i64], days: Option<u32>) -> (Vec<i64>, u64) {
        let open = open.iter().copied().filter_map(InvocationId::new).collect();
        let sorted = logs(files, &open, now(), days);
        let ids = sorted.expired.iter().map(|file| file.id.get()).collect();
        (ids, sorted.kept_running)
    }

    #[test]
    fn logs_go_by_age_and_never_those_of_open_invocations() {
        let files = [
            log(1, 8 * DAY),
            log(2, 9 * DAY),
            log(3, 7 * DAY),
            log(4, 99 * DAY),
        ];
        assert_eq!(removed(&files, &[4], Some(7)), (vec![2, 1], 1));
        assert_eq!(removed(&files, &[4], None), (vec![], 0));
        assert_eq!(removed(&files, &[4], Some(0)), (vec![2, 1, 3], 1));
    }

    #[test]
    fn zero_days_takes_a_log_written_just_now_or_in_the_future() {
        let mut future = log(1, 0);
        future.modified = now() + Duration::from_secs(5);
        assert_eq!(removed(&[future, log(2, 0)], &[], Some(0)).0, [2, 1]);
        assert_eq!(removed(&[future, log(2, 0)], &[], Some(1)).0, [0; 0]);
    }

    fn spool(uuid: &str, bytes: u64, ended: Option<u64>) -> Spool {
        Spool {
            uuid: uuid.to_owned(),
            bytes,
            ended: ended.map(ago),
        }
    }

    fn going(days: Option<u32>, max_bytes: Option<u64>) -> Vec<String> {
        let all = vec![
            spool("new", 100, Some(DAY)),
            spool("running", 1000, None),
            spool("old", 10, Some(9 * DAY)),
            spool("middle", 50, Some(3 * DAY)),
        ];
        let limits = SpoolLimits { days, max_bytes };
        spools(all, now(), limits)
            .into_iter()
            .map(|spool| spool.uuid)
            .collect()
    }

    #[test]
    fn spools_go_by_age_then_oldest_first_until_the_rest_fits() {
        assert_eq!(going(None, None), [""; 0]);
        assert_eq!(going(Some(7), None), ["old"]);
        assert_eq!(going(Some(7), Some(1150)), ["old"]);
        assert_eq!(going(Some(7), Some(1149)), ["old", "middle"]);
        assert_eq!(going(None, Some(1159)), ["old"]);
        assert_eq!(going(None, Some(0)), ["old", "middle", "new"]);
        assert_eq!(going(Some(0), None), ["old", "middle", "new"]);
    }
}
