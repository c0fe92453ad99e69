//! What is known of projects without asking their disks.

use std::path::{Path, PathBuf};

use super::{ProjectError, Projects, locked};

/// Since when a project is at its path, in epoch milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Since {
    /// When that was entered into the list.
    pub registered_ms: i64,
    /// When its folder came back from another path, last.
    pub back_ms: Option<i64>,
}

impl Projects {
    /// True while what was asked of a project's disk is not answered, and has taken too long.
    pub fn is_mute(&self, path: &Path) -> bool {
        locked(&self.shared.mute).contains(path)
    }

    /// All that are registered, be they open, away or gone.
    pub async fn registered(&self) -> Result<Vec<PathBuf>, ProjectError> {
        let entries = self.entries().await?;
        Ok(entries.into_iter().map(|(path, _)| path).collect())
    }

    /// Since when a project is registered: what was done in it before was done under another path, or by another
    /// daemon. `None` if it is not, also while it is being registered.
    pub async fn registered_since(&self, path: &Path) -> Option<Since> {
        let path = path.to_owned();
        let since = self.blocking(move |shared| {
            let registry = locked(&shared.registry);
            let registered_ms = registry.registered_at(&path);
            Ok(registered_ms.map(|registered_ms| Since {
                registered_ms,
                back_ms: registry.back_at(&path),
            }))
        });
        since.await.ok()?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_registered_is_told_be_it_there_or_not_until_it_is_forgotten() {
        let room = tempfile::tempdir().unwrap();
        let folders = ["gone", "here"].map(|name| room.path().join(name));
        let projects = Projects::open(room.path(), "us".to_owned()).await.unwrap();
        for folder in &folders {
            std::fs::create_dir(folder).unwrap();
            projects.register(folder, true).await.unwrap();
        }
        std::fs::remove_dir_all(&folders[0]).unwrap();
        assert_eq!(projects.registered().await.unwrap(), folders);
        projects.forget(&folders[0]).await.unwrap();
        assert_eq!(projects.registered().await.unwrap(), folders[1..]);
        projects.close().await;
    }
}
