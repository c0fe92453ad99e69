//! One project, open: its folder, its database, its logs.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

use super::error::ProjectError;
use super::folder::{DATABASE, Folder, STEROIDS, io_error};
use super::owner::{Owner, Ownership};
use crate::activity_log::ActivityLogs;
use crate::store::{Migrated, Origin, Schema, Store};

/// A folder that is served, and what is in it.
pub struct Project {
    /// Its absolute path.
    pub root: PathBuf,
    /// Its database.
    pub store: Store,
    logs: ActivityLogs,
    folder: Folder,
    steroids: Folder,
    /// None where nothing may be written: a newer daemon's project. Also once it is given up.
    ownership: Mutex<Option<Ownership>>,
    is_given_up: AtomicBool,
    opened: Instant,
}

impl Project {
    /// The folder with the database of a project, by the project's path.
    pub fn database_folder(root: &Path) -> PathBuf {
        root.join(STEROIDS)
    }

    /// Its activity logs.
    pub fn logs(&self) -> &ActivityLogs {
        &self.logs
    }

    /// Grows when a row or an event was added or changed, by us or by the older tool (that within
    /// a second).
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.store.changes()
    }

    /// Wakes everybody who waits for changes.
    pub fn touch(&self) {
        self.store.touch();
    }

    /// Device and number of its folder, by which one made anew under the same path is told from it.
    pub fn folder(&self) -> (u64, u64) {
        self.folder.id()
    }

    /// By what its database is told from another one under the same path.
    pub fn origin(&self) -> Origin {
        self.store.origin()
    }

    /// Since when it is open: rows that its database has lost are put back from then on.
    pub fn opened(&self) -> Instant {
        self.opened
    }

    /// True once its path leads elsewhere, or its database was replaced: another is opened in its place,
    /// if there is one.
    pub fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Acquire)
    }

    /// Closes its database and lets go of its lock, for whoever opens the folder anew; those who
    /// still hold this are told that it is closed. Blocks.
    ///
    /// SQLite keeps one view of a -shm for all connections of a process to one database: a new
    /// connection beside an old one would read a new -wal by the old one's index.
    pub(super) fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Release);
        self.store.shut();
        let mut ownership = self
            .ownership
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        drop(ownership.take());
    }

    /// True while its path still leads to what was opened.
    pub(super) fn is_in_place(&self) -> bool {
        self.folder.is_in_place() && self.steroids.is_in_place() && self.store.is_in_place()
    }
}

/// A project's folders, opened, before its database is.
pub(super) struct Site {
    pub(super) folder: Folder,
    pub(super) steroids: Folder,
}

impl Site {
    /// Opens the folders of an existing project.
    pub(super) fn open(path: &Path) -> Result<Site, ProjectError> {
        let folder = Folder::open(path)?;
        let steroids = match folder.enter(STEROIDS) {
            Err(ProjectError::Missing { .. }) => {
                let path = folder.path().to_owned();
                return Err(ProjectError::NotAProject { path });
            }
            steroids => steroids?,
        };
        Ok(Site { folder, steroids })
    }

    /// Opens them, making `.steroids` where there is none.
    pub(super) fn init(path: &Path) -> Result<Site, ProjectError> {
        Folder::open(path)?.make(STEROIDS)?;
        Site::open(path)
    }

    /// Which folder it is.
    pub(super) fn id(&self) -> (u64, u64) {
        self.folder.id()
    }

    pub(super) fn has_database(&self) -> bool {
        self.steroids.has(DATABASE)
    }

    /// Brings the database to the schema needed, creating it where there is none.
    pub(super) fn migrate(&self, owner: &Owner) -> Result<Migrated, ProjectError> {
        let ownership = owner.take(&self.steroids, self.folder.path())?;
        self.sign(&ownership, owner)?;
        self.steroids.make_file(DATABASE)?;
        let backups = self.steroids.path().join("backup");
        Ok(Store::migrate(&self.database(), &backups)?)
    }

    /// Opens the database and the logs.
    pub(super) fn into_project(self, owner: &Owner) -> Result<Project, ProjectError> {
        if !self.has_database() {
            let path = self.folder.path().to_owned();
            return Err(ProjectError::NotAProject { path });
        }
        let ownership = match Store::inspect(&self.database())? {
            schema if schema.newer().is_some() => None,
            schema => Some(self.own(schema, owner)?),
        };
        let store = Store::open(&self.database())?;
        let root = self.folder.path().to_owned();
        let held = self
            .folder
            .fd()
            .try_clone_to_owned()
            .map_err(|error| io_error(root.clone(), error))?;
        let logs = ActivityLogs::open(held, &root);
        if ownership.is_some() {
            logs.create_folder()?;
        }
        let project = Project {
            root,
            store,
            logs,
            folder: self.folder,
            steroids: self.steroids,
            ownership: Mutex::new(ownership),
            is_given_up: AtomicBool::new(false),
            opened: Instant::now(),
        };
        if project.is_in_place() {
            return Ok(project);
        }
        // Swapped for another while it was opened; what was opened may be anything.
        Err(ProjectError::Missing { path: project.root })
    }

    fn own(&self, schema: Schema, owner: &Owner) -> Result<Ownership, ProjectError> {
        let ownership = owner.take(&self.steroids, self.folder.path())?;
        // An older schema is refused by the store, in its own words.
        if !schema.needs_migration() {
            self.sign(&ownership, owner)?;
        }
        Ok(ownership)
    }

    /// Makes us the owner, unless the one before has invocations here that it has not finished.
    fn sign(&self, ownership: &Ownership, owner: &Owner) -> Result<(), ProjectError> {
        let open = match ownership.previous() {
            Some(_) if self.has_database() => Store::unfinished_uuids(&self.database())?,
            _ => Vec::new(),
        };
        if let Some(previous) = ownership.previous() {
            let folders = Path::new(previous).join("inv");
            if open.iter().any(|uuid| folders.join(uuid).is_dir()) {
                return Err(ProjectError::OwnedByOtherDaemon {
                    path: self.folder.path().to_owned(),
                    owner: previous.to_owned(),
                });
            }
        }
        owner
            .sign(ownership)
            .map_err(|error| io_error(self.steroids.path().to_owned(), error))
    }

    fn database(&self) -> PathBuf {
        self.steroids.path().join(DATABASE)
    }
}
