//! Rows of what waits in a project whose database was deleted, or replaced by an older one. They are put back as those
//! of what runs are, and not only when their turn has come: until then nobody could ask for them, or stop them.

use std::collections::HashSet;
use std::sync::Arc;

use steroids_shim::paths::InvDir;
use steroids_shim::spec::Spec;
use tracing::warn;

use super::supervisor::{Inner, chain};
use crate::domain::{Invocation, InvocationId};
use crate::projects::Project;
use crate::store::StoreError;

impl Inner {
    /// Puts back those that a project has not; `open` are the rows of it that are not over.
    pub(super) async fn put_back_what_waits(
        self: &Arc<Self>,
        project: &Arc<Project>,
        open: &[Invocation],
    ) {
        if project.store.is_read_only() {
            return;
        }
        let managed = open.iter().filter_map(|row| row.managed.as_ref());
        let there: HashSet<_> = managed.map(|managed| managed.uuid.as_str()).collect();
        let waiting = self.line.waiting().into_iter();
        let here = waiting.filter(|(_, path, _)| **path == *project.root);
        for (uuid, _, id) in here.filter(|(uuid, ..)| !there.contains(uuid.as_str())) {
            if let Err(error) = self.put_back_one(project, id, &uuid).await {
                warn!(invocation.id = %id, error = %chain(&error), "the row of one that waits is not put back");
            }
        }
    }

    async fn put_back_one(
        self: &Arc<Self>,
        project: &Arc<Project>,
        id: InvocationId,
        uuid: &str,
    ) -> Result<(), StoreError> {
        // Who starts it or ends it meanwhile puts it back.
        let Some(_entry) = self.enter(uuid) else {
            return Ok(());
        };
        let home = self.home_now(project, id, uuid).await;
        let is_here = home.is_some_and(|home| home.folder() == project.folder());
        if !is_here || self.line.candidate(uuid).is_none() {
            return Ok(());
        }
        let dir = InvDir::new(&self.settings().state_dir, uuid);
        let loaded = tokio::task::spawn_blocking(move || Spec::load_queued(&dir)).await;
        // What is wrong with it is told when its turn comes.
        let Ok(Ok(spec)) = loaded else {
            return Ok(());
        };
        match self.row_of_waiting(project, &spec).await {
            // Its project is another one.
            Err(StoreError::IdTaken { .. }) => return Ok(()),
            restored => restored?,
        };
        project.touch();
        Ok(())
    }
}
