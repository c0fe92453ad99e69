//! Names the file in which a log is: of what has ended, it may be compressed, or have been cleaned up.

use std::sync::Arc;

use futures_util::future::join_all;
use steroids_proto::v1;

use super::{Service, convert};
use crate::domain::InvocationId;
use crate::projects::Project;

impl Service {
    /// Puts right the names of logs. One look at each project's folder; where its disk does not answer
    /// the usual names stay.
    pub(super) async fn name_log_files(
        &self,
        projects: &[Arc<Project>],
        shown: &mut [v1::Invocation],
    ) {
        let looks = projects.iter().filter_map(|project| {
            let root = convert::text(&project.root);
            let ended = |it: &&v1::Invocation| it.completed_at_ms.is_some() && it.project == root;
            let ids = shown.iter().filter(ended).map(|it| it.id);
            let ids: Vec<_> = ids.filter_map(InvocationId::new).collect();
            (!ids.is_empty()).then_some(async move {
                let files = self.projects.log_files(project, ids.clone()).await;
                (root, ids, files)
            })
        });
        // Together: one that does not answer takes a second.
        for (root, ids, files) in join_all(looks).await {
            for (id, file) in ids.into_iter().zip(files) {
                let named = |it: &&mut v1::Invocation| it.project == root && it.id == id.get();
                if let Some(it) = shown.iter_mut().find(named) {
                    it.log_path = file.as_deref().map(convert::text).unwrap_or_default();
                }
            }
        }
    }
}
