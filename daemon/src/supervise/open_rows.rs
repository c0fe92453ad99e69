//! Rows of ours that say queued or running though nobody will end them: their folders are gone, they were copied
//! along with their project, or their database was replaced by an older one.

use std::path::Path;
use std::sync::Arc;

use steroids_shim::exit::{End, ExitRecord};
use steroids_shim::paths::InvDir;
use steroids_shim::spec::{PROTOCOL, Spec};
use tracing::{info, warn};

use super::address::Address;
use super::finish::was_final;
use super::reconcile::{Reconciled, is_lost};
use super::stop::is_open;
use super::supervisor::Inner;
use super::unreadable::end_by_record;
use super::{folderless, lost, moved};
use crate::domain::{Invocation, InvocationId};
use crate::projects::Project;

/// What the folder of one whose row is open says.
enum Folder {
    Gone,
    /// Whoever takes folders up takes this one up, too.
    Open,
    /// Its row and its log were final once.
    Over,
}

impl Inner {
    /// Ends those of a project, or has them ended. Rows of what waits that are gone are put back first.
    pub(super) async fn settle_open_rows(
        self: &Arc<Self>,
        project: &Arc<Project>,
        found: &mut Reconciled,
    ) {
        let open = match project.store.unfinished().await {
            Ok(open) => open,
            Err(error) => {
                warn!(project = %project.root.display(), %error, "rows cannot be read");
                return;
            }
        };
        self.put_back_what_waits(project, &open).await;
        for row in open {
            self.settle(project, row, found).await;
        }
    }

    async fn settle(
        self: &Arc<Self>,
        project: &Arc<Project>,
        row: Invocation,
        found: &mut Reconciled,
    ) {
        let Some(managed) = &row.managed else {
            return;
        };
        let uuid = managed.uuid.as_str();
        if self.end_if_copied(project, row.id, uuid).await {
            found.lost += 1;
            return;
        }
        let dir = InvDir::new(&self.settings().state_dir, uuid);
        // Held until the row has ended: nobody else ends it meanwhile.
        let Some(entry) = self.enter(uuid) else {
            return;
        };
        if let Some(waits) = self.line.candidate(uuid)
            && waits.folder == Some(project.folder())
            && *waits.project != *project.root
            && !self.is_in(&waits.project, project.folder()).await
        {
            return self.wait_here(project, row.id, uuid, &dir).await;
        }
        let looked = {
            let dir = dir.clone();
            tokio::task::spawn_blocking(move || look(&dir)).await
        };
        match looked {
            Ok(Folder::Gone) => {
                let end = folderless::end(project, &row, uuid).await;
                end_without_folder(self, project, row.id.get(), end).await;
                found.lost += 1;
            }
            // The row is of an older state than its folder, which nobody else looks at.
            Ok(Folder::Over) => {
                drop(entry);
                self.take_up(dir, found).await;
            }
            // Only a panic, or the runtime's end, gives no answer.
            Ok(Folder::Open) | Err(_) => {}
        }
    }

    /// Whether a path still leads to a folder, which may be registered under two.
    async fn is_in(&self, path: &Path, folder: (u64, u64)) -> bool {
        let at_path = self.projects.get(path).await;
        at_path.is_ok_and(|it| it.folder() == folder)
    }

    /// One waits in this project, and under a path that it had before; where that cannot be written down now, it
    /// is when its turn has come.
    async fn wait_here(&self, project: &Project, id: InvocationId, uuid: &str, dir: &InvDir) {
        let queued = dir.clone();
        let loaded = tokio::task::spawn_blocking(move || Spec::load_queued(&queued)).await;
        let Ok(Ok(spec)) = loaded else {
            return;
        };
        match moved::follow(project, id, spec, dir).await {
            Ok(spec) => self.line.waits_elsewhere(uuid, &spec),
            Err(error) => {
                warn!(invocation.id = %id, %error, "not known to wait where its project was moved to");
            }
        }
    }

    /// Ends a row that came here with a copy of the project that it is of: what it tells of is looked after, and
    /// can be stopped, there. False if it is none.
    pub(super) async fn end_if_copied(
        &self,
        here: &Arc<Project>,
        id: InvocationId,
        uuid: &str,
    ) -> bool {
        // Where that is gone, nobody can say.
        let Some(there) = self.home_now(here, id, uuid).await else {
            return false;
        };
        if there.root == here.root || there.folder() == here.folder() {
            return false;
        }
        let row = there.store.promptly(there.store.by_uuid(uuid)).await;
        let Ok(Some(row)) = row else {
            return false;
        };
        // Where it was lost there and is not over, it goes on here.
        let dir = InvDir::new(&self.settings().state_dir, uuid);
        if is_lost(&row) && !was_final(&dir).await {
            return false;
        }
        let (path, project) = (there.root.display(), here.root.display());
        info!(invocation.id = %id, %project, from = %path, "a row that was copied is ended");
        let error = format!("copied from {path} while it was not over: see there");
        end_without_folder(self, here, id.get(), End::Lost { error }).await;
        true
    }

    /// The project that one is looked after in: where its job is, or whoever takes it up will have it.
    pub(super) async fn home_now(
        &self,
        here: &Arc<Project>,
        id: InvocationId,
        uuid: &str,
    ) -> Option<Arc<Project>> {
        let job = self.job(uuid).filter(|job| job.whose.get().is_some());
        if let Some(folder) = job.and_then(|job| job.home()) {
            return match folder == here.folder() {
                true => Some(Arc::clone(here)),
                false => self.projects.in_folder(folder).await,
            };
        }
        let (waits, spec);
        let address = match self.line.candidate(uuid) {
            Some(candidate) => {
                waits = candidate;
                Address::from(&waits)
            }
            None => {
                let dir = InvDir::new(&self.settings().state_dir, uuid);
                let load = move || Spec::load(&dir).or_else(|_| Spec::load_queued(&dir));
                // Only a panic, or the runtime's end.
                spec = tokio::task::spawn_blocking(load).await.ok()?.ok()?;
                Address::from(&spec)
            }
        };
        if *address.path == *here.root && address.is_in(here.folder()) {
            return Some(Arc::clone(here));
        }
        self.home(address, Some(id), uuid).await.ok()
    }

    /// The row of one that lives, in another project than this one, that is not over.
    pub(super) async fn open_elsewhere(
        &self,
        here: &Project,
        uuid: &str,
    ) -> Option<(Arc<Project>, Invocation)> {
        for project in self.projects.answering().await {
            let row = project.store.promptly(project.store.by_uuid(uuid)).await;
            if let Ok(Some(row)) = row
                && is_open(&row)
                && !project.store.is_read_only()
                && project.folder() != here.folder()
            {
                return Some((project, row));
            }
        }
        None
    }
}

fn look(dir: &InvDir) -> Folder {
    match (is_there(dir), dir.projected().exists()) {
        (false, _) => Folder::Gone,
        (true, true) => Folder::Over,
        (true, false) => Folder::Open,
    }
}

/// Whether there is a folder that says what is to become of it. Where the disk does not say, there is.
fn is_there(dir: &InvDir) -> bool {
    let files = [dir.spec(), dir.queued()];
    files.iter().any(|file| file.try_exists().unwrap_or(true))
}

/// Ends a row that has no folder to take the facts from: its two lines, then the row.
pub(super) async fn end_without_folder(inner: &Inner, project: &Arc<Project>, id: i64, end: End) {
    let Some(id) = InvocationId::new(id) else {
        return;
    };
    let exit = ExitRecord {
        proto: PROTOCOL,
        end,
        ended_ms: lost::now_ms(),
        spool_length: 0,
        rusage: None,
    };
    end_by_record(inner, project, id, exit).await;
}
