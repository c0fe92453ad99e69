//! Starts with the same request id go one after the other as far as the row: the second one then
//! finds it, and needs no place among the running.

use std::path::{Path, PathBuf};

use tokio::sync::OwnedMutexGuard;

use crate::projects;

/// The request ids (or tasks) whose starts are on their way, or the ids of rows that are ended, and who waits for them.
#[derive(Debug, Default)]
pub(super) struct Turns(projects::Turns<(PathBuf, String)>);

impl Turns {
    /// Waits until no other one of this request is on its way; that lasts while the guard lives.
    pub(super) async fn take(&self, project: &Path, request_id: &str) -> OwnedMutexGuard<()> {
        let key = (project.to_path_buf(), request_id.to_owned());
        self.0.take(key).await
    }
}
