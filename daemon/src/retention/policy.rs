//! What may be deleted: pure functions of what there is, what is still needed, and the time.
//!
//! Days are 24 hours. A clock that was set back makes files seem new, and they stay; files from
//! the future stay too.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use crate::activity_log::LogFile;

/// Why something goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// It is old enough.
    Age,
    /// Its project has more than it may.
    ProjectCount,
    /// Those of its project take more than they may.
    ProjectBytes,
    /// There are more than there may be.
    Count,
    /// All together take more than they may.
    Bytes,
}

impl Why {
    /// The word for it in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Why::Age => "age",
            Why::ProjectCount => "project_count",
            Why::ProjectBytes => "project_bytes",
            Why::Count => "count",
            Why::Bytes => "bytes",
        }
    }
}

/// A log of one of several projects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// Which project, as its caller counts them.
    pub project: usize,
    /// The file.
    pub file: LogFile,
    /// Its invocation is not over, or its end is not in it yet.
    pub is_open: bool,
}

/// How long logs are kept, and how much there may be of them; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogLimits {
    /// Since it was last written.
    pub days: Option<u32>,
    /// Of each project, in bytes.
    pub project_max_bytes: Option<u64>,
    /// Of each project.
    pub project_max_count: Option<u64>,
    /// Of all projects, in bytes.
    pub max_bytes: Option<u64>,
    /// Of all projects.
    pub max_count: Option<u64>,
}

/// What is to become of the logs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Logs {
    /// To be removed.
    pub going: Vec<(Log, Why)>,
    /// Old enough, but of invocations that are not over.
    pub kept_running: u64,
}

/// Picks the logs to be removed: those last written more than `days` ago (with zero, all); then in
/// each project, then in all, the oldest until the rest is within the limits. Open ones count, and
/// stay: a limit may be missed for them.
pub fn logs(mut all: Vec<Log>, now: SystemTime, limits: &LogLimits) -> Logs {
    let old = |log: &Log| {
        limits
            .days
            .is_some_and(|days| days == 0 || is_older(log.file.modified, now, days))
    };
    // One from the future is as new as can be, and no newer: whoever dates files puts none of others' in
    // front of them.
    all.sort_by_key(|log| (log.file.modified.min(now), log.project, log.file.id));
    let mut sorted = Logs {
        kept_running: all.iter().filter(|log| log.is_open && old(log)).count() as u64,
        ..Logs::default()
    };
    take(&mut all, &mut sorted, |log| old(log).then_some(Why::Age));
    let projects: BTreeSet<usize> = all.iter().map(|log| log.project).collect();
    for project in projects {
        let mut left = Room::of(all.iter().filter(|log| log.project == project));
        take(&mut all, &mut sorted, |log| {
            let is_its = log.project == project;
            let (count, bytes) = (limits.project_max_count, limits.project_max_bytes);
            let over = left.is_over(count, Why::ProjectCount, bytes, Why::ProjectBytes);
            over.filter(|_| is_its && left.give_up(log))
        });
    }
    let mut left = Room::of(&all);
    take(&mut all, &mut sorted, |log| {
        let over = left.is_over(limits.max_count, Why::Count, limits.max_bytes, Why::Bytes);
        over.filter(|_| left.give_up(log))
    });
    sorted
}

/// Moves what goes; what is open is not asked about.
fn take(all: &mut Vec<Log>, sorted: &mut Logs, mut why: impl FnMut(&Log) -> Option<Why>) {
    all.retain(|log| match why(log).filter(|_| !log.is_open) {
        Some(why) => {
            sorted.going.push((*log, why));
            false
        }
        None => true,
    });
}

/// What some logs come to.
struct Room {
    count: u64,
    bytes: u64,
}

impl Room {
    fn of<'a>(logs: impl IntoIterator<Item = &'a Log>) -> Room {
        let mut room = Room { count: 0, bytes: 0 };
        for log in logs {
            room.count += 1;
            room.bytes = room.bytes.saturating_add(log.file.len);
        }
        room
    }

    fn is_over(
        &self,
        count: Option<u64>,
        too_many: Why,
        bytes: Option<u64>,
        too_much: Why,
    ) -> Option<Why> {
        match (count, bytes) {
            (Some(most), _) if self.count > most => Some(too_many),
            (_, Some(most)) if self.bytes > most => Some(too_much),
            _ => None,
        }
    }

    /// Counts a log no more, if it may go.
    fn give_up(&mut self, log: &Log) -> bool {
        if !log.is_open {
            self.count -= 1;
            self.bytes = self.bytes.saturating_sub(log.file.len);
        }
        !log.is_open
    }
}

/// The state folder of an invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spool {
    /// Its name.
    pub uuid: String,
    /// Bytes it takes on the disk.
    pub bytes: u64,
    /// When its invocation ended, by its final row, or by its own record where its project is away;
    /// `None` as long as that is not known.
    pub ended: Option<SystemTime>,
    /// No open project has its row.
    pub is_away: bool,
}

/// How long state folders are kept, and how much room they may take; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SpoolLimits {
    /// Since the end of the invocation.
    pub days: Option<u32>,
    /// All folders together, but those of projects that are away.
    pub max_bytes: Option<u64>,
}

/// Picks the state folders to be removed, oldest end first: those that ended more than `days` ago,
/// and then as many as it takes to come below `max_bytes`. Those without an end count, and stay. Those of
/// projects that are away go by their age alone, and take no room from others.
pub fn spools(mut all: Vec<Spool>, now: SystemTime, limits: SpoolLimits) -> Vec<(Spool, Why)> {
    let there = all.iter().filter(|spool| !spool.is_away);
    let mut left: u64 = there.map(|spool| spool.bytes).sum();
    all.sort_by(|a, b| (a.ended, &a.uuid).cmp(&(b.ended, &b.uuid)));
    let why = |spool: Spool| {
        let ended = spool.ended?;
        let old = limits.days.is_some_and(|days| is_older(ended, now, days));
        let too_much = !spool.is_away && limits.max_bytes.is_some_and(|max| left > max);
        let why = match (old, too_much) {
            (true, _) => Why::Age,
            (false, true) => Why::Bytes,
            (false, false) => return None,
        };
        if !spool.is_away {
            left = left.saturating_sub(spool.bytes);
        }
        Some((spool, why))
    };
    all.into_iter().filter_map(why).collect()
}

/// The logs of some that were last written more than this time ago.
pub fn rested(logs: Vec<Log>, now: SystemTime, after: Duration) -> Vec<Log> {
    let rests = |log: &Log| {
        let age = now.duration_since(log.file.modified).unwrap_or_default();
        !log.is_open && age > after
    };
    logs.into_iter().filter(rests).collect()
}

fn is_older(then: SystemTime, now: SystemTime, days: u32) -> bool {
    let age = now.duration_since(then).unwrap_or_default();
    age > Duration::from_secs(u64::from(days) * 24 * 60 * 60)
}

#[cfg(test)]
mod tests;
