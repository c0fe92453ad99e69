//! What becomes of projects while they are open: a database that was replaced, deleted or damaged
//! is noticed, given up, and opened again once it can be.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::ask::ANSWER_WITHIN;
use super::error::ProjectError;
use super::project::{Project, Site};
use super::refills::Refill;
use super::registry::Seen;
use super::{Projects, Shared, Standing, folder, locked};
use crate::store::{Stamp, StoreError};

/// Why projects are not served that somebody has to look at.
#[derive(Default)]
pub(super) struct Troubles {
    // Held for a look-up or an insertion.
    by_path: Mutex<BTreeMap<PathBuf, Trouble>>,
}

struct Trouble {
    said: String,
    /// Damage, and the files it was found in. A look through a large file takes seconds, and tells
    /// nothing new while nobody has touched it.
    damage: Option<(StoreError, [Stamp; 2])>,
}

impl Projects {
    /// Looks at every registered project: one whose database was replaced, deleted or damaged is
    /// given up, and each that can be is opened.
    ///
    /// A disk that does not answer keeps it waiting as long as that may take, and holds up no other.
    pub async fn look(&self) {
        // What is wrong with one is noted where it is found.
        self.each(Shared::look_at, |_path, _error| ()).await;
    }

    /// Looks at one project as [`Projects::look`] does, and gives it.
    pub async fn look_at(&self, path: &Path) -> Result<Arc<Project>, ProjectError> {
        self.at(path, Some(ANSWER_WITHIN), Shared::look_at).await
    }

    /// A registered project; if its database was deleted, with a new one, which holds nothing yet.
    /// Tells whether it was made: until that is dropped, its rows are not all back. For a project in
    /// which something of ours runs.
    pub async fn revive(
        &self,
        path: &Path,
    ) -> Result<(Arc<Project>, Option<Refill>), ProjectError> {
        let revive = |shared: &Shared, path: &Path| shared.revive(path, |_| true);
        self.at(path, Some(ANSWER_WITHIN), revive).await
    }

    /// As [`Projects::revive`], but that a database is made only in a folder that is one of these, by device and
    /// number.
    pub async fn revive_in(
        &self,
        path: &Path,
        is_it: impl Fn((u64, u64)) -> bool + Send + 'static,
    ) -> Result<(Arc<Project>, Option<Refill>), ProjectError> {
        let revive = move |shared: &Shared, path: &Path| shared.revive(path, is_it);
        self.at(path, Some(ANSWER_WITHIN), revive).await
    }

    /// The project that was at a path where there is none now, registered under another one. Known by its
    /// folder, and by one of these invocations: the number of a folder that was deleted is given to another,
    /// and the rows of a project are in its copy, too.
    pub async fn moved(&self, path: &Path, uuids: &[&str]) -> Option<Arc<Project>> {
        let folder = self.folder_of(path).await?;
        self.holding(folder, path, None, uuids).await.ok()?
    }

    /// The project in a folder, which is not at this path any more, if it has the row of one of these invocations, or
    /// its rows are being put back.
    ///
    /// # Errors
    /// Where a project that may be it is away, or does not say.
    pub async fn holding(
        &self,
        folder: (u64, u64),
        path: &Path,
        was_there_ms: Option<i64>,
        uuids: &[&str],
    ) -> Result<Option<Arc<Project>>, ProjectError> {
        let (mut found, mut away) = (self.in_folder(folder).await, None);
        if found.is_none() {
            // It may not have been opened yet, or not be mounted.
            for other in self.seen_elsewhere(folder, path, was_there_ms).await? {
                match self.get(&other).await {
                    Ok(project) if project.folder() == folder => found = Some(project),
                    Ok(_) => {}
                    Err(error) if error.is_gone() => away = Some(error),
                    Err(error) => return Err(error),
                }
            }
        }
        let Some(project) = found else {
            return away.map_or(Ok(None), Err);
        };
        for uuid in uuids {
            if project.store.by_uuid(uuid).await?.is_some() {
                return Ok(Some(project));
            }
        }
        // Its database was deleted: the row is about to be put back, and nothing else tells.
        let (is_refilled, _) = self.refills(&project.root);
        Ok(is_refilled.then_some(project))
    }

    /// The project in a folder of this number that has the row of one of these invocations: its device may have
    /// another number since the host started. Snapshots have their numbers from it; it is the one in which such an
    /// invocation is not over, if there is one.
    ///
    /// # Errors
    /// Where one that may be it does not say.
    pub async fn renumbered(
        &self,
        number: u64,
        uuids: &[&str],
    ) -> Result<Option<Arc<Project>>, ProjectError> {
        let mut found = None;
        for project in self.all() {
            if project.folder().1 != number {
                continue;
            }
            let Some(project) = self.in_folder(project.folder()).await else {
                continue;
            };
            for uuid in uuids {
                match project.store.by_uuid(uuid).await? {
                    Some(row) if !row.phase.is_ended() => return Ok(Some(project)),
                    Some(_) => found = found.or_else(|| Some(Arc::clone(&project))),
                    None => {}
                }
            }
        }
        Ok(found)
    }

    /// Other paths whose project was in a folder when it was seen last, and has been seen there since this path was
    /// registered, or since it was there: those to which it may have been moved from here. Asks no disk of a project.
    pub async fn seen_elsewhere(
        &self,
        folder: (u64, u64),
        path: &Path,
        was_there_ms: Option<i64>,
    ) -> Result<Vec<PathBuf>, ProjectError> {
        let path = path.to_owned();
        let look = move |shared: &Shared| {
            Ok(locked(&shared.registry).elsewhere(folder, &path, was_there_ms))
        };
        self.blocking(look).await
    }

    /// Where each project was seen last. Asks no disk of a project.
    pub async fn seen(&self) -> Result<Seen, ProjectError> {
        self.blocking(|shared| Ok(locked(&shared.registry).seen()))
            .await
    }

    /// Device and number of the folder that a project was in when it was seen last at this path. Asks no disk
    /// of a project.
    pub async fn folder_of(&self, path: &Path) -> Option<(u64, u64)> {
        let path = path.to_owned();
        let look = move |shared: &Shared| {
            let seen = locked(&shared.last_seen).get(&path).copied();
            Ok(seen.or_else(|| locked(&shared.registry).folder(&path)))
        };
        self.blocking(look).await.ok()?
    }

    /// Whether an invocation may be one of a project that was in a folder, and is at another path than this one by
    /// now: where that does not say whether it has its row.
    pub async fn may_be_elsewhere(
        &self,
        folder: (u64, u64),
        path: &Path,
        was_there_ms: Option<i64>,
        uuid: &str,
    ) -> bool {
        let paths = self
            .seen_elsewhere(folder, path, was_there_ms)
            .await
            .unwrap_or_default();
        for other in &paths {
            let may_have = match self.get(other).await {
                Ok(project) if project.folder() == folder => {
                    let row = project.store.promptly(project.store.by_uuid(uuid)).await;
                    !matches!(row, Ok(None))
                }
                Ok(_) => false,
                Err(error) => !error.is_gone(),
            };
            if may_have {
                return true;
            }
        }
        false
    }

    /// The project in a folder, whatever its path is now.
    pub async fn in_folder(&self, folder: (u64, u64)) -> Option<Arc<Project>> {
        let all = self.all().into_iter();
        let there = all.filter(|project| project.folder() == folder);
        for project in there {
            let project = self.get(&project.root).await.ok();
            let is_it = |it: &Arc<Project>| it.folder() == folder && !it.store.is_read_only();
            if let Some(project) = project.filter(is_it) {
                return Some(project);
            }
        }
        None
    }

    /// Projects that cannot be served and that somebody has to look at, one line each, as far as
    /// known.
    pub fn degraded(&self) -> Vec<String> {
        let said = |path: &PathBuf, what: &str| format!("project {}: {what}", path.display());
        let mute = locked(&self.shared.mute);
        let mute = mute
            .iter()
            .map(|path| said(path, "its disk does not answer"));
        let troubles = locked(&self.shared.troubles.by_path);
        let troubles = troubles
            .iter()
            .map(|(path, trouble)| said(path, &trouble.said));
        mute.chain(troubles).collect()
    }
}

impl Shared {
    fn look_at(&self, path: &Path) -> Result<Arc<Project>, ProjectError> {
        if let Some(project) = self.opened(path)
            && let Err(error) = project.store.examine()
        {
            tracing::warn!(project = %path.display(), %error, "database cannot be used any more");
        }
        self.get(path)
    }

    fn revive(
        &self,
        path: &Path,
        is_it: impl Fn((u64, u64)) -> bool,
    ) -> Result<(Arc<Project>, Option<Refill>), ProjectError> {
        if !self.is_registered(path) {
            return Err(ProjectError::NotRegistered {
                path: path.to_owned(),
            });
        }
        match self.open_project(path) {
            Err(ProjectError::NotAProject { .. }) => {}
            opened => return opened.map(|project| (project, None)),
        }
        // Another folder that has taken its place is none of ours to put something into. Of what this daemon
        // has not had open the register knows; its device may have another number since the host started.
        let not_ours = || ProjectError::NotAProject {
            path: path.to_owned(),
        };
        let here = folder::Folder::open(path)?;
        let known = locked(&self.last_seen).get(path).copied();
        let is_known = match (known, locked(&self.registry).folder(path)) {
            (Some(known), _) => known == here.id(),
            (None, Some((_device, number))) => number == here.id().1,
            (None, None) => true,
        };
        if !is_known || !is_it(here.id()) {
            return Err(not_ours());
        }
        here.make(folder::STEROIDS)?;
        let site = Site::open(path)?;
        if site.id() != here.id() {
            return Err(not_ours());
        }
        let refill = self.refill(path);
        site.migrate(&self.owner)?;
        let project = self.open_project(path)?;
        tracing::warn!(project = %path.display(), "database was deleted; a new one was made");
        Ok((project, Some(refill)))
    }
}

impl Troubles {
    /// Says again that the database is damaged, if it was and nobody has touched it since.
    pub(super) fn still(&self, path: &Path) -> Result<(), ProjectError> {
        let now = stamps(path);
        let troubles = locked(&self.by_path);
        let Some((error, found)) = troubles.get(path).and_then(|it| it.damage.as_ref()) else {
            return Ok(());
        };
        match same(error) {
            Some(error) if *found == now => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Remembers nothing of a path.
    pub(super) fn forget(&self, path: &Path) {
        locked(&self.by_path).remove(path);
    }

    /// Remembers how an attempt to open it went. `before` are its files as they were before that.
    pub(super) fn note<T>(
        &self,
        path: &Path,
        before: [Stamp; 2],
        opened: &Result<T, ProjectError>,
    ) {
        let mut troubles = locked(&self.by_path);
        let trouble = match opened {
            Err(error) if Standing::of(error) == Standing::Unusable => error,
            // What is only missing, or only to be migrated, is told to whoever asks for it.
            _ => {
                if troubles.remove(path).is_some() && opened.is_ok() {
                    tracing::info!(project = %path.display(), "project is served again");
                }
                return;
            }
        };
        let damage = match trouble {
            ProjectError::Store(error) => same(error).map(|error| (error, before)),
            _ => None,
        };
        let said = trouble.told();
        let is_news = troubles.get(path).is_none_or(|known| known.said != said);
        if is_news {
            tracing::warn!(project = %path.display(), error = %said, "project not served");
        }
        troubles.insert(path.to_owned(), Trouble { said, damage });
    }
}

/// The same damage once more.
fn same(error: &StoreError) -> Option<StoreError> {
    match error {
        StoreError::Corrupt { path, what } => Some(StoreError::Corrupt {
            path: path.clone(),
            what: what.clone(),
        }),
        StoreError::NotADatabase { path } => Some(StoreError::NotADatabase { path: path.clone() }),
        _ => None,
    }
}

/// Of the database and its -wal: putting a good copy in place changes one or the other.
pub(super) fn stamps(project: &Path) -> [Stamp; 2] {
    let db = project.join(folder::STEROIDS).join(folder::DATABASE);
    let mut wal = db.clone().into_os_string();
    wal.push("-wal");
    // SQLite makes and removes an empty one whenever it looks.
    [Stamp::of(&db), Stamp::of_content(Path::new(&wal))]
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::store::NewInvocation;

    #[tokio::test]
    async fn one_that_was_moved_is_known_after_a_restart_by_its_folder_and_what_ran_in_it() {
        let room = tempfile::tempdir().unwrap();
        let (old, new, copy) = (
            room.path().join("old"),
            room.path().join("new"),
            room.path().join("copy"),
        );
        let open = || Projects::open(room.path(), "us".to_owned());
        fs::create_dir_all(&old).unwrap();
        let projects = open().await.unwrap();
        let (project, _) = projects.register(&old, true).await.unwrap();
        let run = NewInvocation {
            task: "T".to_owned(),
            uuid: "u".to_owned(),
            ..NewInvocation::default()
        };
        project.store.begin(run, None).await.unwrap();
        projects.close().await;
        drop((project, projects));
        // A copy has all of its rows, and is in another folder.
        fs::create_dir_all(copy.join(folder::STEROIDS)).unwrap();
        let database = |of: &Path| of.join(folder::STEROIDS).join(folder::DATABASE);
        fs::copy(database(&old), database(&copy)).unwrap();
        fs::rename(&old, &new).unwrap();

        let projects = open().await.unwrap();
        projects.register(&copy, false).await.unwrap();
        assert!(projects.moved(&old, &["u"]).await.is_none());
        projects.register(&new, false).await.unwrap();
        let moved = projects.moved(&old, &["other", "u"]).await;
        assert_eq!(moved.map(|it| it.root.clone()), Some(new));
        // Its number alone may be another's by now.
        assert!(projects.moved(&old, &["other"]).await.is_none());
        projects.close().await;
    }
}
