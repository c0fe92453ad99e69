//! Opening a project, in its turn.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::error::ProjectError;
use super::folder::io_error;
use super::project::{Project, Site};
use super::{Shared, care, locked, now_ms};
use crate::store::Migrated;

impl Shared {
    pub(super) fn opened(&self, path: &Path) -> Option<Arc<Project>> {
        let project = locked(&self.open).get(path).cloned();
        project.filter(|project| project.is_in_place())
    }

    pub(super) fn get(&self, path: &Path) -> Result<Arc<Project>, ProjectError> {
        if self.is_registered(path) {
            return self.open_project(path);
        }
        // Says what is wrong with the path, if something is.
        let has_database = Site::open(path)?.has_database();
        let path = path.to_owned();
        Err(if has_database {
            ProjectError::NotRegistered { path }
        } else {
            ProjectError::NotAProject { path }
        })
    }

    pub(super) fn is_registered(&self, path: &Path) -> bool {
        locked(&self.registry).contains(path)
    }

    /// Enters a project into the list, as one since then: before it was opened, so that all that is done
    /// in it from here is later.
    pub(super) fn enlist(&self, path: &Path, since_ms: i64) -> Result<(), ProjectError> {
        let folder = locked(&self.last_seen).get(path).copied();
        if locked(&self.registry).add(path, since_ms, folder)? {
            self.bump();
        }
        Ok(())
    }

    pub(super) fn register(
        &self,
        path: &Path,
        init: bool,
    ) -> Result<(Arc<Project>, bool), ProjectError> {
        let since_ms = now_ms();
        let mut created = false;
        if init {
            let site = Site::init(path)?;
            created = !site.has_database();
            if self.opened(path).is_none() {
                site.migrate(&self.owner)?;
            }
        }
        let project = self.open_given(path)?;
        self.enlist(path, since_ms)?;
        Ok((project, created))
    }

    pub(super) fn migrate(&self, path: &Path) -> Result<Migrated, ProjectError> {
        let since_ms = now_ms();
        let site = Site::open(path)?;
        if !site.has_database() {
            let path = path.to_owned();
            return Err(ProjectError::NotAProject { path });
        }
        let migrated = site.migrate(&self.owner)?;
        self.open_given(path)?;
        self.enlist(path, since_ms)?;
        Ok(migrated)
    }

    /// First out of the list, durably: what was closed before that would be opened by the next who asks.
    pub(super) fn forget(&self, path: &Path) -> Result<bool, ProjectError> {
        if !locked(&self.registry).remove(path)? {
            return Ok(false);
        }
        let open = locked(&self.open).remove(path);
        if let Some(open) = open {
            open.give_up();
        }
        locked(&self.last_seen).remove(path);
        self.troubles.forget(path);
        self.bump();
        Ok(true)
    }

    /// Opens what may not be registered yet. Of a path that comes to nothing, nothing is remembered:
    /// nobody would ever look at it again.
    pub(super) fn open_given(&self, path: &Path) -> Result<Arc<Project>, ProjectError> {
        let opened = self.open_project(path);
        if opened.is_err() && !self.is_registered(path) {
            self.troubles.forget(path);
        }
        opened
    }

    /// In the project's turn: one at a time.
    pub(super) fn open_project(&self, path: &Path) -> Result<Arc<Project>, ProjectError> {
        if let Some(project) = self.opened(path) {
            return Ok(project);
        }
        if self.closed.load(Ordering::Relaxed) {
            return Err(ProjectError::Closed);
        }
        let old = locked(&self.open).remove(path);
        if let Some(old) = old {
            tracing::warn!(project = %path.display(), "project replaced, damaged or gone");
            old.give_up();
            self.bump();
        }
        self.troubles.still(path)?;
        let before = care::stamps(path);
        let site = Site::open(path);
        let id = site.as_ref().ok().map(Site::id);
        let opened = site.and_then(|site| site.into_project(&self.owner));
        self.troubles.note(path, before, &opened);
        let project = Arc::new(opened?);
        if let Some(id) = id {
            self.saw(path, id);
        }
        {
            let mut open = locked(&self.open);
            // Said before the others were taken away to be closed.
            if self.closed.load(Ordering::Relaxed) {
                project.give_up();
                return Err(ProjectError::Closed);
            }
            open.insert(path.to_owned(), Arc::clone(&project));
        }
        self.bump();
        Ok(project)
    }

    /// Notes in which folder a project is.
    fn saw(&self, path: &Path, folder: (u64, u64)) {
        locked(&self.last_seen).insert(path.to_owned(), folder);
        if let Err(error) = locked(&self.registry).note(path, folder, now_ms()) {
            let error = io_error(path.to_owned(), error);
            tracing::warn!(%error, "where the project is cannot be written down; moved, it is not known again after a restart");
        }
    }

    pub(super) fn bump(&self) {
        self.changed
            .send_modify(|count| *count = count.wrapping_add(1));
    }
}
