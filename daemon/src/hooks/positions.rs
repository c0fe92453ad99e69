//! `hooks.json` in the state folder: since when each hook is known, and the last event of each project
//! that it is done with, by number and time. Written durably after a delivery, not before: after a crash
//! the last ones are made once more, with the ids they had.
//!
//! Deliveries that end while the file is written share the next writing of it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use steroids_shim::durable;
use tokio::sync::Notify;

const NAME: &str = "hooks.json";

/// What is known of every hook. Clones share it.
#[derive(Clone)]
pub(super) struct Positions {
    shared: Arc<Shared>,
}

struct Shared {
    file: PathBuf,
    // Held for a look-up or a change, never across an await.
    contents: Mutex<Kept>,
    /// Held from the look at what there is to write until that is written: what is older is never
    /// written over what is newer, and whoever has asked finds it on disk.
    writing: Mutex<()>,
    changed: Notify,
}

#[derive(Default)]
struct Kept {
    contents: Contents,
    is_dirty: bool,
    /// Why it could not be written last time.
    trouble: Option<String>,
}

impl Kept {
    /// Notes why it cannot be read or written. Said once until it goes well: it is tried with each delivery.
    fn troubled(&mut self, file: &Path, error: &io::Error) {
        let path = file.display();
        let said = format!(
            "what hooks have delivered cannot be kept, and may come twice: {path}: {error}"
        );
        if self.trouble.replace(said).is_none() {
            tracing::warn!(file = %path, %error, "what hooks have delivered cannot be kept");
        }
    }
}

#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Contents {
    hooks: BTreeMap<String, Known>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Known {
    since_ms: i64,
    #[serde(default)]
    done: BTreeMap<PathBuf, i64>,
    /// When those happened, as far as known.
    #[serde(default)]
    done_ms: BTreeMap<PathBuf, i64>,
}

/// An event that a hook is done with. By the time it is told from that of the same number in another
/// database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) number: i64,
    /// `None` where nobody knows: no such event is kept any more, or an earlier release noted it.
    pub(super) ts_ms: Option<i64>,
}

impl Positions {
    /// Reads the file, enters hooks that are new as known from `now_ms` on, forgets those that are no
    /// more, and writes it; blocks. A file that makes no sense is set aside: hooks then begin anew, as
    /// they do where it cannot be read.
    pub(super) fn open<'a>(
        state_dir: &Path,
        names: impl Iterator<Item = &'a str>,
        now_ms: i64,
    ) -> Positions {
        let file = state_dir.join(NAME);
        let mut kept = Kept::default();
        let mut known = match read(&file) {
            Ok(contents) => contents.hooks,
            Err(error) => {
                kept.troubled(&file, &error);
                BTreeMap::new()
            }
        };
        let was_empty = known.is_empty();
        let hooks = names.map(|name| {
            let is_new = || Known {
                since_ms: now_ms,
                done: BTreeMap::new(),
                done_ms: BTreeMap::new(),
            };
            (name.to_owned(), known.remove(name).unwrap_or_else(is_new))
        });
        let contents = Contents {
            hooks: hooks.collect(),
        };
        let kept = Kept {
            is_dirty: !(was_empty && contents.hooks.is_empty()),
            contents,
            ..kept
        };
        let positions = Positions {
            shared: Arc::new(Shared {
                file,
                contents: Mutex::new(kept),
                writing: Mutex::default(),
                changed: Notify::new(),
            }),
        };
        positions.save_now();
        positions
    }

    /// The last event of a project that a hook is done with.
    pub(super) fn done(&self, hook: &str, project: &Path) -> Option<Done> {
        let kept = self.lock();
        let known = kept.contents.hooks.get(hook)?;
        Some(Done {
            number: *known.done.get(project)?,
            ts_ms: known.done_ms.get(project).copied(),
        })
    }

    /// Since when a hook is known, in epoch milliseconds.
    pub(super) fn since_ms(&self, hook: &str) -> i64 {
        let kept = self.lock();
        kept.contents
            .hooks
            .get(hook)
            .map_or(0, |known| known.since_ms)
    }

    /// Notes that a hook is done with an event. With `is_settled` soon on disk; otherwise nothing was
    /// done for it, and it may be looked at again.
    pub(super) fn note(&self, hook: &str, project: &Path, done: Done, is_settled: bool) {
        let mut kept = self.lock();
        if let Some(known) = kept.contents.hooks.get_mut(hook) {
            known.done.insert(project.to_owned(), done.number);
            match done.ts_ms {
                Some(ts_ms) => known.done_ms.insert(project.to_owned(), ts_ms),
                None => known.done_ms.remove(project),
            };
            kept.is_dirty = true;
        }
        drop(kept);
        if is_settled {
            self.shared.changed.notify_one();
        }
    }

    /// Writes whenever something was settled. Has no end of its own, and may be dropped: see
    /// [`Positions::save`].
    pub(super) async fn keep(&self) {
        loop {
            self.shared.changed.notified().await;
            self.save().await;
        }
    }

    /// Writes what was noted.
    pub(super) async fn save(&self) {
        let positions = self.clone();
        // One that panics has written nothing, as the next will see.
        let _ = tokio::task::spawn_blocking(move || positions.save_now()).await;
    }

    /// Why the file could not be written last time.
    pub(super) fn trouble(&self) -> Option<String> {
        self.lock().trouble.clone()
    }

    fn save_now(&self) {
        // It holds nothing that a panic could leave half done.
        let writing = self.shared.writing.lock();
        let _writing = writing.unwrap_or_else(PoisonError::into_inner);
        let contents = {
            let mut kept = self.lock();
            if !std::mem::take(&mut kept.is_dirty) {
                return;
            }
            kept.contents.clone()
        };
        let written = write(&self.shared.file, &contents);
        let mut kept = self.lock();
        match written {
            Ok(()) => kept.trouble = None,
            Err(error) => {
                kept.troubled(&self.shared.file, &error);
                // Tried again with the next delivery, and at the end.
                kept.is_dirty = true;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Every change is one call, so it is whole whatever panicked meanwhile.
        let contents = &self.shared.contents;
        contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(file: &Path) -> io::Result<Contents> {
    let bytes = match durable::read(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Contents::default()),
        read => read?,
    };
    match serde_json::from_slice(&bytes) {
        Ok(contents) => Ok(contents),
        Err(error) => {
            let aside = file.with_extension("json.bad");
            fs::rename(file, &aside)?;
            let (file, aside) = (file.display(), aside.display());
            tracing::warn!(%file, %aside, %error, "set aside; every hook begins anew");
            Ok(Contents::default())
        }
    }
}

fn write(file: &Path, contents: &Contents) -> io::Result<()> {
    durable::store(file, contents).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path, names: &[&str], now_ms: i64) -> Positions {
        Positions::open(dir, names.iter().copied(), now_ms)
    }

    fn event(number: i64) -> Done {
        Done {
            number,
            ts_ms: Some(1000 + number),
        }
    }

    #[tokio::test]
    async fn what_was_noted_is_there_again_and_a_new_hook_begins_now() {
        let dir = tempfile::tempdir().unwrap();
        let project = Path::new("/home/ada/api");
        let positions = open(dir.path(), &["a"], 100);
        assert_eq!(positions.done("a", project), None);
        positions.note("a", project, event(7), true);
        positions.note("nobody", project, event(8), true);
        positions.save().await;
        let positions = open(dir.path(), &["a", "b"], 200);
        assert_eq!(positions.done("a", project), Some(event(7)));
        let untimed = Done {
            ts_ms: None,
            ..event(9)
        };
        positions.note("a", project, untimed, true);
        assert_eq!(positions.done("a", project), Some(untimed));
        assert_eq!(positions.done("b", project), None);
        assert_eq!(
            (positions.since_ms("a"), positions.since_ms("b")),
            (100, 200)
        );
        // One that was away begins anew.
        drop(open(dir.path(), &["b"], 300));
        assert_eq!(open(dir.path(), &["a"], 400).since_ms("a"), 400);
    }

    #[test]
    fn a_file_that_makes_no_sense_is_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(NAME), "{\"hooks\":[").unwrap();
        assert_eq!(open(dir.path(), &["a"], 5).since_ms("a"), 5);
        let aside = fs::read_to_string(dir.path().join("hooks.json.bad")).unwrap();
        assert_eq!(aside, "{\"hooks\":[");
    }

    #[test]
    fn of_several_that_write_at_once_the_newest_stands() {
        let dir = tempfile::tempdir().unwrap();
        let positions = open(dir.path(), &["a"], 1);
        let project = |n: usize| PathBuf::from(format!("/p{n}"));
        for round in 1..=20 {
            std::thread::scope(|scope| {
                for n in 0..4 {
                    let positions = &positions;
                    scope.spawn(move || {
                        positions.note("a", &project(n), event(round), true);
                        positions.save_now();
                        // Whoever comes back from it finds what it has noted.
                        let file = read(&positions.shared.file).unwrap();
                        assert_eq!(file.hooks["a"].done[&project(n)], round);
                    });
                }
            });
        }
    }

    #[test]
    fn a_disk_that_takes_nothing_is_logged_once_until_it_does() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, log) = (dir.path().join("state"), dir.path().join("log"));
        fs::create_dir(&folder).unwrap();
        let positions = open(&folder, &["a"], 1);
        let delivered = |number: i64| {
            positions.note("a", Path::new("/p"), event(number), true);
            positions.save_now();
        };
        let written = Arc::new(fs::File::create(&log).unwrap());
        let subscriber = tracing_subscriber::fmt().with_writer(written).finish();
        tracing::subscriber::with_default(subscriber, || {
            for round in 0..2 {
                fs::remove_dir_all(&folder).unwrap();
                (1..=3).for_each(|n| delivered(10 * round + n));
                fs::create_dir(&folder).unwrap();
                delivered(10 * round + 4);
            }
        });
        let said = fs::read_to_string(&log).unwrap();
        assert_eq!(said.matches("cannot be kept").count(), 2, "{said}");
    }

    #[tokio::test]
    async fn a_disk_that_takes_nothing_is_told_until_it_does() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("state");
        fs::create_dir(&folder).unwrap();
        let positions = open(&folder, &["a"], 1);
        fs::remove_dir_all(&folder).unwrap();
        positions.note("a", Path::new("/p"), event(1), true);
        positions.save().await;
        assert!(positions.trouble().is_some());
        fs::create_dir(&folder).unwrap();
        positions.save().await;
        assert_eq!(positions.trouble(), None);
        let done = open(&folder, &["a"], 2).done("a", Path::new("/p"));
        assert_eq!(done, Some(event(1)));
    }
}
