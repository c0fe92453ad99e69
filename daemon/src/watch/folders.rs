//! The folders inotify watches: one watch a folder, however many wait for files in it.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use inotify::{Inotify, WatchDescriptor, WatchMask, Watches};

/// All watched folders; a cheap handle.
#[derive(Debug, Clone)]
pub(super) struct Folders {
    table: Arc<Mutex<Table>>,
}

#[derive(Default)]
struct Table {
    // None where there is no inotify to be had.
    watches: Option<Watches>,
    folders: HashMap<PathBuf, Weak<Folder>>,
    // Two paths may lead to one folder, which has one descriptor.
    watched: HashMap<WatchDescriptor, Vec<PathBuf>>,
    // The same the other way round: whoever waits asks each time.
    descriptors: HashMap<PathBuf, WatchDescriptor>,
}

/// One folder somebody waits for; the watch goes when the last of them does.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
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
    pub(super) fn watch(&self, path: &Path) -> Arc<Folder> {
        let mut table = self.table();
        if let Some(folder) = table.folders.get(path).and_then(Weak::upgrade) {
            return folder;
        }
        let folder = Arc::new(Folder {
            path: path.to_owned(),
            folders: self.clone(),
        });
        table
            .folders
            .insert(path.to_owned(), Arc::downgrade(&folder));
        table.add(path);
        folder
    }

    /// The paths under which a descriptor's folder is known.
    pub(super) fn paths(&self, watch: &WatchDescriptor) -> Vec<PathBuf> {
        self.table().watched.get(watch).cloned().unwrap_or_default()
    }

    /// The folder is gone, or no longer where it was: what its descriptor tells is of no use.
    pub(super) fn forget(&self, watch: &WatchDescriptor) {
        let mut table = self.table();
        if let Some(paths) = table.watched.remove(watch) {
            for path in paths {
                // Another folder may stand there, and be watched, by now.
                if table.descriptors.get(&path) == Some(watch) {
                    table.descriptors.remove(&path);
                }
            }
            table.unwatch(watch.clone());
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Folder ===

impl Folder {
    pub(super) fn is_watched(&self) -> bool {
        self.folders.table().has(&self.path)
    }

    pub(super) fn rearm(&self) {
        let mut table = self.folders.table();
        if !table.has(&self.path) {
            table.add(&self.path);
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let mut table = self.folders.table();
        if table
            .folders
            .get(&self.path)
            .is_some_and(|folder| folder.strong_count() == 0)
        {
            table.folders.remove(&self.path);
            table.remove(&self.path);
        }
    }
}

// === impl Table ===

impl Table {
    fn has(&self, path: &Path) -> bool {
        self.descriptors.contains_key(path)
    }

    fn add(&mut self, path: &Path) {
        let Some(watches) = &mut self.watches else {
            return;
        };
        let mask = WatchMask::MODIFY
            | WatchMask::CREATE
            | WatchMask::DELETE
            | WatchMask::MOVED_TO
            | WatchMask::MOVED_FROM
            | WatchMask::DELETE_SELF
            | WatchMask::MOVE_SELF
            | WatchMask::ONLYDIR
            | WatchMask::DONT_FOLLOW
            | WatchMask::EXCL_UNLINK;
        match watches.add(path, mask) {
            Ok(watch) => {
                self.descriptors.insert(path.to_owned(), watch.clone());
                self.watched.entry(watch).or_default().push(path.to_owned());
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::debug!(path = %path.display(), %error, "folder not watched, but polled");
            }
        }
    }

    fn remove(&mut self, path: &Path) {
        let Some(watch) = self.descriptors.remove(path) else {
            return;
        };
        let Some(paths) = self.watched.get_mut(&watch) else {
            return;
        };
        paths.retain(|known| known != path);
        if !paths.is_empty() {
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
