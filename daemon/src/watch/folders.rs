//! The folders inotify watches: one watch a folder, however many wait for files in it.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use foldhash::HashMap;
use inotify::{Inotify, WatchDescriptor, WatchMask, Watches};

use super::Kind;

/// A folder, and what of it somebody waits for.
type Key = (Arc<OsStr>, Kind);

/// All watched folders; a cheap handle.
#[derive(Debug, Clone)]
pub(super) struct Folders {
    table: Arc<Mutex<Table>>,
}

#[derive(Default)]
struct Table {
    // None where there is no inotify to be had.
    watches: Option<Watches>,
    folders: HashMap<Key, Weak<Folder>>,
    // Two paths may lead to one folder, which has one descriptor, and so have all kinds.
    watched: HashMap<WatchDescriptor, Vec<Key>>,
    // The same the other way round: whoever waits asks each time.
    descriptors: HashMap<Key, WatchDescriptor>,
}

/// One folder somebody waits for; the watch goes when the last of them does.
#[derive(Debug)]
pub(super) struct Folder {
    key: Key,
    folders: Folders,
}

impl Folders {
    /// Also gives the event source, where there is one.
    pub(super) fn new() -> (Folders, Option<Inotify>) {
        let inotify = Inotify::init()
            .inspect_err(|error| tracing::warn!(%error, "no inotify; foreign files are polled"))
            .ok();
        let watches = inotify.as_ref().map(Inotify::watches);
        let table = Table {
            watches,
            ..Table::default()
        };
        (
            Folders {
                table: Arc::new(Mutex::new(table)),
            },
            inotify,
        )
    }

    /// Watches a folder, if that can be done.
    pub(super) fn watch(&self, path: &Path, kind: Kind) -> Arc<Folder> {
        let folder = self.enter(path, kind);
        folder.rearm();
        folder
    }

    /// A folder that is to be watched. Asks no disk.
    pub(super) fn enter(&self, path: &Path, kind: Kind) -> Arc<Folder> {
        let key = (Arc::from(path.as_os_str()), kind);
        let mut table = self.table();
        if let Some(folder) = table.folders.get(&key).and_then(Weak::upgrade) {
            return folder;
        }
        let folder = Arc::new(Folder {
            key: key.clone(),
            folders: self.clone(),
        });
        table.folders.insert(key, Arc::downgrade(&folder));
        folder
    }

    /// The paths under which a descriptor's folder is known.
    pub(super) fn paths(&self, watch: &WatchDescriptor) -> Vec<Arc<OsStr>> {
        let table = self.table();
        let keys = table.watched.get(watch).into_iter().flatten();
        let mut paths: Vec<_> = keys.map(|(path, _)| Arc::clone(path)).collect();
        paths.sort_unstable();
        paths.dedup();
        paths
    }

    /// The folder is gone, or no longer where it was: what its descriptor tells is of no use.
    pub(super) fn forget(&self, watch: &WatchDescriptor) {
        let mut table = self.table();
        if let Some(keys) = table.watched.remove(watch) {
            for key in keys {
                // Another folder may stand there, and be watched, by now.
                if table.descriptors.get(&key) == Some(watch) {
                    table.descriptors.remove(&key);
                }
            }
            table.unwatch(watch.clone());
        }
    }

    /// Nothing counts as watched until it is watched again: events were lost, and another folder may stand
    /// where one was. Asks no disk.
    pub(super) fn forget_all(&self) {
        let mut table = self.table();
        table.descriptors.clear();
        for watch in std::mem::take(&mut table.watched).into_keys() {
            table.unwatch(watch);
        }
    }

    /// Nobody reads events any more: nothing is watched, nor will be.
    pub(super) fn give_up(&self) {
        self.forget_all();
        self.table().watches = None;
    }

    /// What was watched below a path is there no more, whatever stands in its place.
    pub(super) fn forget_below(&self, path: &Path) {
        let table = self.table();
        let below = table.descriptors.iter();
        let below = below.filter(|((folder, _), _)| Path::new(folder).starts_with(path));
        let below: Vec<_> = below.map(|(_, watch)| watch.clone()).collect();
        drop(table);
        for watch in below {
            self.forget(&watch);
        }
    }

    // Asks the folder's disk, which may hang: so never under the lock, for which others wait.
    fn add(&self, key: &Key) {
        let Some(mut watches) = self.table().watches.clone() else {
            return;
        };
        let names = WatchMask::CREATE
            | WatchMask::DELETE
            | WatchMask::MOVED_TO
            | WatchMask::MOVED_FROM
            | WatchMask::DELETE_SELF
            | WatchMask::MOVE_SELF;
        let wanted = match key.1 {
            Kind::All => names | WatchMask::MODIFY,
            Kind::Names => names,
            Kind::Itself => WatchMask::DELETE_SELF | WatchMask::MOVE_SELF,
        };
        // Beside what the other kinds want. What one wanted stays wanted until all are gone.
        let how = WatchMask::MASK_ADD
            | WatchMask::ONLYDIR
            | WatchMask::DONT_FOLLOW
            | WatchMask::EXCL_UNLINK;
        let added = watches.add(Path::new(&key.0), wanted | how);
        self.table().noted(key, added);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Folder ===

impl Folder {
    pub(super) fn is_watched(&self) -> bool {
        self.folders.table().has(&self.key)
    }

    pub(super) fn rearm(&self) {
        if !self.is_watched() {
            self.folders.add(&self.key);
        }
    }

    pub(super) fn verify(&self) {
        self.folders.add(&self.key);
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let mut table = self.folders.table();
        if table
            .folders
            .get(&self.key)
            .is_some_and(|folder| folder.strong_count() == 0)
        {
            table.folders.remove(&self.key);
            table.remove(&self.key);
        }
    }
}

// === impl Table ===

impl Table {
    fn has(&self, key: &Key) -> bool {
        self.descriptors.contains_key(key)
    }

    fn noted(&mut self, key: &Key, added: io::Result<WatchDescriptor>) {
        let folder = self.folders.get(key);
        let is_wanted = folder.is_some_and(|folder| folder.strong_count() > 0);
        match added {
            Ok(watch) if self.descriptors.get(key) == Some(&watch) => {}
            // Its last waiter has left meanwhile.
            Ok(watch) if !is_wanted => {
                if !self.watched.contains_key(&watch) {
                    self.unwatch(watch);
                }
            }
            Ok(watch) => {
                self.remove(key);
                self.descriptors.insert(key.clone(), watch.clone());
                self.watched.entry(watch).or_default().push(key.clone());
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    let path = Path::new(&key.0).display();
                    tracing::debug!(%path, %error, "folder not watched, but polled");
                }
                self.remove(key);
            }
        }
    }

    fn remove(&mut self, key: &Key) {
        let Some(watch) = self.descriptors.remove(key) else {
            return;
        };
        let Some(keys) = self.watched.get_mut(&watch) else {
            return;
        };
        keys.retain(|known| known != key);
        if !keys.is_empty() {
            return;
        }
        self.watched.remove(&watch);
        self.unwatch(watch);
    }

    fn unwatch(&mut self, watch: WatchDescriptor) {
        if let Some(watches) = &mut self.watches
            && let Err(error) = watches.remove(watch)
        {
            // The kernel had dropped it with the folder.
            tracing::trace!(%error, "watch already gone");
        }
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table")
            .field("folders", &self.folders.len())
            .finish_non_exhaustive()
    }
}
