//! Projects of which a log is still being read, long after nobody waits for it: their disks do not answer.
//! One thread is out for each, and no second.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;

/// The threads that are out, by project.
#[derive(Debug, Default)]
pub(super) struct Hung(Mutex<HashMap<PathBuf, AbortHandle>>);

impl Hung {
    /// Whether a thread is out for a project.
    pub(super) fn holds(&self, project: &Path) -> bool {
        let mut threads = self.threads();
        threads.retain(|_, thread| !thread.is_finished());
        threads.contains_key(project)
    }

    /// Nobody waits for this one any more.
    pub(super) fn note(&self, project: &Path, thread: AbortHandle) {
        self.threads().insert(project.to_owned(), thread);
    }

    fn threads(&self) -> MutexGuard<'_, HashMap<PathBuf, AbortHandle>> {
        // Each change is one call, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_project_is_held_while_its_thread_is_out_and_no_longer() {
        let hung = Hung::default();
        let (answer, disk) = std::sync::mpsc::channel::<()>();
        let thread = tokio::task::spawn_blocking(move || disk.recv());
        let project = Path::new("/home/ada/api");
        hung.note(project, thread.abort_handle());
        assert!(hung.holds(project) && !hung.holds(Path::new("/home/ada/web")));
        drop(answer);
        assert!(thread.await.unwrap().is_err());
        assert!(!hung.holds(project));
    }
}
