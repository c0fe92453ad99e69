//! Names the file in which a log is: of what has ended, it may be compressed.

use std::sync::Arc;

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
        for project in projects {
            let root = convert::text(&project.root);
            let ended = |it: &v1::Invocation| it.completed_at_ms.is_some() && it.project == root;
            let of_it = shown.iter_mut().filter(|it| ended(it));
            let (ids, of_it): (Vec<_>, Vec<_>) = of_it
                .filter_map(|it| Some((InvocationId::new(it.id)?, it)))
                .unzip();
            if ids.is_empty() {
                continue;
            }
            let files = self.projects.log_files(project, ids).await;
            for (it, file) in of_it.into_iter().zip(files) {
                it.log_path = convert::text(&file);
            }
        }
    }
}
