//! Hints: "there may be more", carrying no data and harmless to lose.
//!
//! Whoever writes a log in this process says so with [`Hints::poke`]; files that others write are
//! watched with inotify. A [`Hint`] is one waiter's view of one path: any number of hints before
//! it looks again are one. Knows paths, not meanings.
//!
//! There are three kinds. Most hints come with everything that happens to a file; those of
//! [`Hints::name`] only when the file is made, replaced, moved or removed, so that a log which this
//! process appends to all the time wakes nobody who only wants to know that it is still the log; those of
//! [`Hints::itself`] only when a folder is moved or removed.
//!
//! A watch can fail (too many of them, folder gone) and events can be lost (queue overflow, which
//! pokes everybody, and after which nothing counts as watched before its waiter watches it again).
//! So a waiter always has a safety poll behind the hint, where it [watches](Hint::arming) again what is
//! not watched; [`Hint::is_watched`] says whether that may be a slow one.
//!
//! Paths are told apart by their bytes: who waits and who pokes make them from the same root in the same
//! way.

mod folders;
mod pace;
mod waiters;
mod watcher;

use std::ffi::OsStr;
use std::future::poll_fn;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};

use foldhash::HashMap;
use tokio::task::coop;

use folders::Folders;
pub use pace::Pace;
use waiters::{Waiter, Waiters};
pub use watcher::Watcher;

/// Gives and takes hints; a cheap handle.
#[derive(Debug, Clone)]
pub struct Hints {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    // Held for a look-up at a time, never while waiting.
    entries: Mutex<Entries>,
    folders: Folders,
}

/// What somebody waits for, by kind.
#[derive(Debug, Default)]
struct Entries {
    all: ByPath,
    names: ByPath,
}

type ByPath = HashMap<Arc<OsStr>, Weak<Entry>>;

/// What a waiter wants to hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    /// Whatever happens.
    All,
    /// What happens to names, not to what the files hold.
    Names,
    /// That the folder itself goes, or is moved.
    Itself,
}

/// One path that somebody waits for.
#[derive(Debug)]
struct Entry {
    path: Arc<OsStr>,
    kind: Kind,
    waiters: Waiters,
    shared: Weak<Shared>,
}

/// Watches a hint's folder, on a thread that may block.
#[derive(Debug)]
pub struct Arming(Option<Arc<folders::Folder>>);

/// One waiter's view of one path. Dropping the last one of a path frees what it took.
#[derive(Debug)]
pub struct Hint {
    waiter: Arc<Waiter>,
    folder: Option<Arc<folders::Folder>>,
    entry: Arc<Entry>,
}

impl Hints {
    /// Makes the pair: the handle, and the task's work, which ends when it is dropped. Without
    /// inotify (too many instances) everything is as if no watch could be added.
    pub fn new() -> (Hints, Watcher) {
        let (folders, inotify) = Folders::new();
        let shared = Arc::new(Shared {
            entries: Mutex::default(),
            folders,
        });
        (
            Hints {
                shared: Arc::clone(&shared),
            },
            Watcher::new(shared, inotify),
        )
    }

    /// A hint that only [`poke`](Hints::poke) gives.
    pub fn local(&self, path: &Path) -> Hint {
        self.hint(path, Kind::All, None)
    }

    /// A hint for a file that others write, make, replace or remove; it need not exist, its
    /// folder should. Pokes count too.
    pub fn file(&self, path: &Path) -> Hint {
        let folder = self.parent(path, Kind::All);
        self.hint(path, Kind::All, folder)
    }

    /// A hint for a file being made, replaced, moved or removed; what is written to it is none, and
    /// a poke neither. [`Hint::doubt`] counts.
    pub fn name(&self, path: &Path) -> Hint {
        let folder = self.parent(path, Kind::Names);
        self.hint(path, Kind::Names, folder)
    }

    /// As [`Hints::file`], but pokes are all that comes before it is [armed](Hint::arming); asks no disk.
    pub fn file_unarmed(&self, path: &Path) -> Hint {
        let folder = self.parent_unarmed(path, Kind::All);
        self.hint(path, Kind::All, folder)
    }

    /// As [`Hints::name`], but nothing comes before it is [armed](Hint::arming); asks no disk.
    pub fn name_unarmed(&self, path: &Path) -> Hint {
        let folder = self.parent_unarmed(path, Kind::Names);
        self.hint(path, Kind::Names, folder)
    }

    /// A hint for whatever happens to the files of a folder (not below it).
    pub fn folder(&self, path: &Path) -> Hint {
        let folder = self.shared.folders.watch(path, Kind::All);
        self.hint(path, Kind::All, Some(folder))
    }

    /// A hint for a folder itself being moved or removed, whatever happens in it.
    pub fn itself(&self, path: &Path) -> Hint {
        let folder = self.shared.folders.watch(path, Kind::Itself);
        self.hint(path, Kind::Names, Some(folder))
    }

    /// Hints to all who wait for the path.
    pub fn poke(&self, path: &Path) {
        self.shared.poke(path);
    }

    /// Hints to everybody, as after events were lost.
    pub fn poke_all(&self) {
        self.shared.poke_all();
    }

    fn parent(&self, path: &Path, kind: Kind) -> Option<Arc<folders::Folder>> {
        path.parent()
            .map(|folder| self.shared.folders.watch(folder, kind))
    }

    fn parent_unarmed(&self, path: &Path, kind: Kind) -> Option<Arc<folders::Folder>> {
        path.parent()
            .map(|folder| self.shared.folders.enter(folder, kind))
    }

    fn hint(&self, path: &Path, kind: Kind, folder: Option<Arc<folders::Folder>>) -> Hint {
        let mut entries = self.shared.entries();
        let entries_of_kind = entries.of(kind);
        let entry = entries_of_kind
            .get(path.as_os_str())
            .and_then(Weak::upgrade)
            .unwrap_or_else(|| {
                let path = Arc::<OsStr>::from(path.as_os_str());
                let entry = Arc::new(Entry {
                    path: Arc::clone(&path),
                    kind,
                    waiters: Waiters::default(),
                    shared: Arc::downgrade(&self.shared),
                });
                entries_of_kind.insert(path, Arc::downgrade(&entry));
                entry
            });
        drop(entries);
        Hint {
            waiter: entry.waiters.enter(),
            folder,
            entry,
        }
    }
}

// === impl Hint ===

impl Hint {
    /// Waits for a hint given since the last one was taken. Cancel-safe.
    pub async fn changed(&mut self) {
        poll_fn(|cx| {
            // Who is hinted without pause gives way to others now and then.
            let budget = ready!(coop::poll_proceed(cx));
            ready!(self.poll_ready(cx));
            budget.made_progress();
            Poll::Ready(())
        })
        .await;
        self.take();
    }

    /// Ready while there is a hint, which is left to be taken.
    pub fn poll_ready(&mut self, cx: &Context<'_>) -> Poll<()> {
        self.waiter.poll(cx)
    }

    /// Takes the hint if there is one.
    pub fn take(&mut self) -> bool {
        self.waiter.take()
    }

    /// Hints to all others who wait for the same: what stands there is not what it was.
    pub fn doubt(&mut self) {
        self.entry.waiters.hint();
        self.take();
    }

    /// False if nothing but pokes can come: the waiter must poll.
    pub fn is_watched(&self) -> bool {
        self.folder
            .as_ref()
            .is_some_and(|folder| folder.is_watched())
    }

    /// Watches the folder again where that failed or the folder had gone; costs one system call
    /// then, which asks its disk and may block, and nothing otherwise.
    pub fn rearm(&self) {
        if let Some(folder) = &self.folder {
            folder.rearm();
        }
    }

    /// Has [`Hint::rearm`] done elsewhere.
    pub fn arming(&self) -> Arming {
        Arming(self.folder.clone())
    }

    /// Watches the folder that has the path now: of one that was deleted nothing is told while anybody
    /// has it open. Asks its disk, and so may block.
    pub fn verify(&self) {
        if let Some(folder) = &self.folder {
            folder.verify();
        }
    }
}

impl Arming {
    /// As [`Hint::rearm`]. Asks the folder's disk where it is not watched, and so may block.
    pub fn arm(&self) {
        if let Some(folder) = &self.0 {
            folder.rearm();
        }
    }
}

impl Drop for Hint {
    fn drop(&mut self) {
        self.entry.waiters.leave(&self.waiter);
    }
}

// === impl Shared ===

impl Shared {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poke(&self, path: &Path) {
        self.poke_one(path, Kind::All);
    }

    fn doubt(&self, path: &Path) {
        self.poke_one(path, Kind::Names);
    }

    fn poke_one(&self, path: &Path, kind: Kind) {
        let mut entries = self.entries();
        let entry = entries.of(kind).get(path.as_os_str());
        let entry = entry.and_then(Weak::upgrade);
        drop(entries);
        if let Some(entry) = entry {
            entry.waiters.hint();
        }
    }

    fn poke_all(&self) {
        self.poke_those(|_| true);
    }

    // The path, and whatever somebody waits for below it.
    fn poke_below(&self, folder: &Path) {
        self.poke_those(|path| path.starts_with(folder));
    }

    fn poke_those(&self, which: impl Fn(&Path) -> bool) {
        let entries = self.entries();
        let those = entries.names.iter().chain(&entries.all);
        let those = those.filter(|(path, _)| which(Path::new(path)));
        // Collected, as the last reference to an entry must not be dropped under the lock.
        let those: Vec<_> = those.filter_map(|(_, entry)| entry.upgrade()).collect();
        drop(entries);
        for entry in those {
            entry.waiters.hint();
        }
    }
}

// === impl Entries ===

impl Entries {
    fn of(&mut self, kind: Kind) -> &mut ByPath {
        match kind {
            Kind::All => &mut self.all,
            Kind::Names | Kind::Itself => &mut self.names,
        }
    }
}

// === impl Entry ===

impl Drop for Entry {
    fn drop(&mut self) {
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        let mut entries = shared.entries();
        let entries = entries.of(self.kind);
        // Another may have been made for the path since this one's last hint was dropped.
        if entries
            .get(&self.path)
            .is_some_and(|entry| entry.strong_count() == 0)
        {
            entries.remove(&self.path);
        }
    }
}

#[cfg(test)]
mod tests;
