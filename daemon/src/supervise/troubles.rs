//! What does not work as it should just now, for `status`: where, what, since when, and what a
//! person can do about it. Everything in it is tried again until it works.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use steroids_shim::spec::Spec;
use tracing::warn;

use super::job::Job;
use super::supervisor::{Inner, chain};
use crate::domain::{InvocationId, shell_word};
use crate::store::StoreError;

/// What a person does about a full disk; the rest is done here.
const FREE_SPACE: &str = "free some space, and it goes on by itself";

/// What a person does about a project that is not at its path.
pub fn put_back(path: &Path) -> String {
    let path = shell_word(path);
    format!(
        "put the folder back (a copy, as on another file system, is another one), or make it anew and run \
         `steroidsctl init` in it: log and row are then made from its transcript; \
         if it is gone for good: `steroidsctl projects forget {path}`"
    )
}

/// Under what stands that nothing can be started.
pub(super) const LACK: &str = "lack";

/// Every trouble there is, each under whoever has it.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    // Held for a look-up or a change, never across an await.
    known: Mutex<BTreeMap<String, Trouble>>,
}

#[derive(Debug)]
struct Trouble {
    what: String,
    /// The same for who knows whose it is.
    alarm: Option<String>,
    /// It has ended, and only that is not written down: in this project.
    is_over_in: Option<PathBuf>,
    todo: Cow<'static, str>,
    since: Timestamp,
}

/// What troubles an invocation.
#[derive(Debug, Clone, Copy)]
pub(super) enum Why<'a> {
    /// Something the daemon tried failed.
    Failed(&'a (dyn Error + 'static)),
    /// The same, of one that has ended: what fails is to write that down.
    Unrecorded(&'a (dyn Error + 'static)),
    /// Its shim says that it cannot write.
    Shim(&'a str),
    /// Its shim says nothing.
    Mute,
    /// It says nothing, as this process of its was stopped.
    Stopped(i32),
    /// Nobody listens at its shim's socket.
    Absent(&'a str),
    /// This path of its leads to no project; and why not.
    Homeless(&'a Path, &'a str),
}

impl Troubles {
    /// Notes what is wrong; true if that is news.
    pub(super) fn note(&self, key: &str, project: &Path, id: InvocationId, why: Why<'_>) -> bool {
        let said = match why {
            Why::Failed(error) => chain(error),
            Why::Unrecorded(error) => {
                format!(
                    "it has ended, which cannot be written down: {}",
                    chain(error)
                )
            }
            Why::Shim(trouble) => format!("its transcript cannot be written: {trouble}"),
            Why::Mute => "its shim does not answer".to_owned(),
            Why::Stopped(pid) => {
                format!("its shim does not answer, as process {pid} was stopped (SIGSTOP)")
            }
            Why::Absent(why) => format!("its shim's socket is gone: {why}"),
            Why::Homeless(_, why) => {
                format!("it goes on, but its log and row cannot be kept: {why}")
            }
        };
        let what = format!("{}: invocation {id}: {said}", project.display());
        let todo: Cow<'static, str> = match why {
            Why::Failed(error) | Why::Unrecorded(error) => todo(error).into(),
            Why::Shim("disk full") => FREE_SPACE.into(),
            Why::Mute => "if somebody stopped it (SIGSTOP), continue it; its agent goes on".into(),
            Why::Stopped(_) => {
                "continue it (kill -CONT), or stop the invocation; its agent goes on".into()
            }
            Why::Absent(_) => "it is tried again every 10 s, and its agent goes on".into(),
            Why::Homeless(path, _) => put_back(path).into(),
            Why::Shim(_) => "make its state folder writable, and it goes on by itself".into(),
        };
        let alarm = match why {
            Why::Failed(_) | Why::Unrecorded(_) | Why::Homeless(..) => {
                Some(format!("{said}; {todo}"))
            }
            // The shim's own word is its alarm.
            Why::Shim(_) | Why::Mute | Why::Stopped(_) | Why::Absent(_) => None,
        };
        let trouble = Trouble {
            alarm,
            is_over_in: matches!(why, Why::Unrecorded(_)).then(|| project.to_owned()),
            ..Trouble::now(what, todo)
        };
        self.put(key, trouble)
    }

    /// Notes what of the daemon's own cannot be written; true if that is news.
    pub(super) fn note_unkept(&self, key: &str, what: &str, error: &(dyn Error + 'static)) -> bool {
        let what = format!(
            "{what} cannot be written, and would be forgotten: {}",
            chain(error)
        );
        self.put(key, Trouble::now(what, todo(error)))
    }

    fn put(&self, key: &str, trouble: Trouble) -> bool {
        let mut known = self.known();
        // Tried each second: it is one trouble from its first time on, however its words change.
        let before = known.get(key);
        let is_news = before.is_none_or(|before| before.what != trouble.what);
        let since = before.map_or(trouble.since, |before| before.since);
        known.insert(key.to_owned(), Trouble { since, ..trouble });
        is_news
    }

    /// What is wrong with an invocation, for who looks at it.
    pub(super) fn alarm(&self, uuid: &str) -> Option<String> {
        self.known().get(uuid)?.alarm.clone()
    }

    /// Why it cannot be written down that an invocation has ended.
    pub(super) fn unrecorded(&self, uuid: &str) -> Option<String> {
        let known = self.known();
        let trouble = known.get(uuid).filter(|it| it.is_over_in.is_some())?;
        trouble.alarm.clone()
    }

    /// Why it cannot be written down that something has ended in a project: nobody knows yet what that used, and
    /// whether it has met a limit.
    pub(super) fn unrecorded_in(&self, project: &Path) -> Option<String> {
        let known = self.known();
        let mut there = known
            .values()
            .filter(|it| it.is_over_in.as_deref() == Some(project));
        there.next().map(|it| it.what.clone())
    }

    /// What nothing could be started for the lack of, when that was tried last.
    pub(super) fn lack(&self) -> Option<String> {
        self.known().get(LACK)?.alarm.clone()
    }

    /// Notes what nothing can be started for the lack of.
    pub(super) fn note_lack(&self, why: &str) {
        let what = format!("what waits cannot be started: {why}");
        let trouble = Trouble {
            alarm: Some(why.to_owned()),
            ..Trouble::now(what, "it is tried again every 30 s")
        };
        self.put(LACK, trouble);
    }

    /// What was wrong is over.
    pub(super) fn well(&self, key: &str) {
        self.known().remove(key);
    }

    /// Whether something is wrong there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.known().contains_key(key)
    }

    /// One line each.
    pub(super) fn lines(&self) -> Vec<String> {
        let known = self.known();
        let mut lines: Vec<_> = known.values().map(Trouble::line).collect();
        lines.sort();
        lines
    }

    /// A map is valid whatever panicked while it was held: every change to it is one call.
    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Trouble>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Notes what went wrong; logs it when it is new.
    pub(super) fn trouble(&self, key: &str, project: &Path, id: InvocationId, why: Why<'_>) {
        if self.troubles.note(key, project, id, why)
            && let Why::Failed(error) | Why::Unrecorded(error) = why
        {
            warn!(invocation.id = %id, error = %chain(error), "tried again until it works");
        }
    }

    /// Notes that the project is not there of one that goes on; logs it when it is new.
    pub(super) fn homeless(&self, spec: &Spec, id: InvocationId, path: &Path, why: &str) {
        let why = Why::Homeless(path, why);
        if self.troubles.note(&spec.uuid, &spec.project, id, why) {
            warn!(invocation.id = %id, "its project is gone; it goes on, and is not logged");
        }
    }

    /// Notes whether a shim answers; logs it when it no longer does.
    pub(super) fn mute(&self, uuid: &str, project: &Path, id: InvocationId, why: Option<Why<'_>>) {
        let key = mute_key(uuid);
        let Some(why) = why else {
            return self.troubles.well(&key);
        };
        if self.troubles.note(&key, project, id, why) {
            warn!(invocation.id = %id, ?why, "its shim does not answer");
        }
    }

    /// What went wrong is over.
    pub(super) fn well(&self, key: &str) {
        self.troubles.well(key);
    }

    /// What a shim says it cannot do, beside what we cannot.
    pub(super) fn shim_trouble(&self, uuid: &str, trouble: Option<(&Path, InvocationId, &str)>) {
        let key = format!("{uuid} shim");
        match trouble {
            None => self.troubles.well(&key),
            Some((project, id, what)) => {
                if self.troubles.note(&key, project, id, Why::Shim(what)) {
                    warn!(invocation.id = %id, what, "a shim cannot write; it keeps what comes");
                }
            }
        }
    }
}

impl Job {
    /// Something could not be written: said once, shown in `status`, tried again.
    pub(super) fn trouble(&self, error: &(dyn std::error::Error + 'static)) {
        self.trouble_is(Why::Failed(error));
    }

    fn trouble_is(&self, why: Why<'_>) {
        let project = &self.project.root;
        self.inner.trouble(&self.spec.uuid, project, self.id, why);
    }

    /// Something could not be written. Waits before another attempt; `None` once the daemon stops. One that has ended
    /// keeps no place meanwhile: others have another disk.
    pub(super) async fn endure(
        &mut self,
        error: &(dyn std::error::Error + Sync + 'static),
    ) -> Option<()> {
        if self.has_ended().await {
            let was_over = std::mem::replace(&mut self.is_over, true) || self.is_ending;
            if !was_over {
                // It was tried before that, and may go well by now.
                return Some(());
            }
            let is_known = self.inner.troubles.unrecorded(&self.spec.uuid).is_some();
            self.trouble_is(Why::Unrecorded(error));
            if !is_known {
                // Who waits for its end is told that it waits for more than that.
                self.entry.progress.send_modify(|_| ());
            }
            self.entry.give_place_back();
        } else {
            self.trouble(error);
        }
        self.pause().await
    }
}

/// Under what a silent shim stands among the troubles.
pub(super) fn mute_key(uuid: &str) -> String {
    format!("{uuid} mute")
}

impl Trouble {
    fn now(what: String, todo: impl Into<Cow<'static, str>>) -> Trouble {
        Trouble {
            what,
            alarm: None,
            is_over_in: None,
            todo: todo.into(),
            since: Timestamp::now(),
        }
    }

    fn line(&self) -> String {
        let Trouble {
            what, todo, since, ..
        } = self;
        format!("{what}; since {since:.0}; {todo}")
    }
}

/// Files that a disk has to have room for: a start makes ten, and a database one for each change.
const FEWEST_FILES: u64 = 32;

/// What a disk is short of.
pub(super) enum Low {
    /// Bytes; so many are free.
    Bytes(u64),
    /// Files; so many can be made.
    Files(u64),
}

/// Of a disk with too little room for a start; `None` while it has enough or cannot be asked.
pub(super) fn low_disk(path: &Path, needed: u64) -> Option<(Low, String)> {
    let stat = rustix::fs::statvfs(path).ok()?;
    // Some have no table of files that could be full, and say 0 of 0.
    if stat.f_files > 0 && stat.f_favail < FEWEST_FILES {
        let said = format!(
            "{}: no more than {} files can be made (no inodes are free); delete some",
            path.display(),
            stat.f_favail,
        );
        return Some((Low::Files(stat.f_favail), said));
    }
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    (free < needed).then(|| {
        let said = format!(
            "{}: {} MiB are free, and a start needs {} MiB (daemon.min_free); free some space",
            path.display(),
            free >> 20,
            needed.div_ceil(1 << 20),
        );
        (Low::Bytes(free), said)
    })
}

const TRIED_AGAIN: &str = "it is tried again each second";

fn todo(error: &(dyn Error + 'static)) -> &'static str {
    let mut cause = Some(error);
    while let Some(error) = cause {
        match error.downcast_ref() {
            Some(StoreError::Full { .. }) => return FREE_SPACE,
            Some(
                error @ (StoreError::Newer { .. }
                | StoreError::Corrupt { .. }
                | StoreError::NotADatabase { .. }),
            ) => return error.todo().unwrap_or(TRIED_AGAIN),
            _ => {}
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            match error.kind() {
                io::ErrorKind::StorageFull => return FREE_SPACE,
                io::ErrorKind::QuotaExceeded => {
                    return "free some space or have the quota raised, and it goes on by itself";
                }
                io::ErrorKind::ReadOnlyFilesystem => {
                    return "make the file system writable again, and it goes on by itself";
                }
                _ => {}
            }
        }
        cause = error.source();
    }
    TRIED_AGAIN
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(troubles: &Troubles, key: &str, error: &(dyn Error + 'static)) -> bool {
        let id = InvocationId::new(7).unwrap();
        troubles.note(key, Path::new("/p"), id, Why::Failed(error))
    }

    #[test]
    fn a_line_says_where_what_since_when_and_what_to_do() {
        let troubles = Troubles::default();
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert!(noted(&troubles, "a", &full));
        let lines = troubles.lines();
        let (what, rest) = lines[0].split_once("; since 2").unwrap();
        assert!(
            what.starts_with("/p: invocation 7: ") && what.contains("space"),
            "{what}"
        );
        assert!(rest.ends_with(FREE_SPACE), "{rest}");
        assert!(!noted(&troubles, "a", &full), "it was known");
        assert_eq!(troubles.lines(), lines, "it is the same since then");
        troubles.well("a");
        assert!(troubles.lines().is_empty());
    }

    #[test]
    fn what_to_do_depends_on_the_cause() {
        let path = std::path::PathBuf::from("/p");
        assert_eq!(todo(&StoreError::Full { path }), FREE_SPACE);
        let quota = io::Error::from(io::ErrorKind::QuotaExceeded);
        assert!(todo(&quota).contains("quota"));
        let read_only = io::Error::from(io::ErrorKind::ReadOnlyFilesystem);
        assert!(todo(&read_only).contains("writable"));
    }

    #[test]
    fn room_is_asked_of_the_file_system() {
        assert!(low_disk(Path::new("/"), 0).is_none());
        let (_, said) = low_disk(Path::new("/"), u64::MAX).unwrap();
        assert!(said.contains("daemon.min_free"), "{said}");
    }
}
