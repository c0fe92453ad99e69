//! What waits goes where its project is moved to, and is started there: unlike what runs, it has nothing
//! open in the old place.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use steroids_shim::paths::InvDir;
use steroids_shim::spec::Spec;
use tracing::{info, warn};

use super::supervisor::Inner;
use super::waiting;
use crate::domain::InvocationId;
use crate::projects::Project;

/// Writes one that waits down as one of the project that it was moved with. Its working directory goes along
/// if it is one of that.
pub(super) async fn follow(
    project: &Project,
    id: InvocationId,
    spec: Spec,
    dir: &InvDir,
) -> io::Result<Spec> {
    let spec = Spec {
        invocation: id.get(),
        cwd: along(&spec.cwd, &spec.project, &project.root),
        project: project.root.clone(),
        project_folder: Some(project.folder()),
        ..spec
    };
    waiting::store(&spec, dir).await?;
    info!(invocation.id = %id, project = %project.root.display(), "waits where its project was moved to");
    // The row only tells of it.
    let told = project
        .store
        .moved(id, spec.uuid.clone(), spec.cwd.clone())
        .await;
    if let Err(error) = told {
        warn!(invocation.id = %id, %error, "its row has the old working directory");
    }
    Ok(spec)
}

/// Where a path is after what is above it was moved; itself, if that is not above it.
pub(super) fn along(path: &Path, from: &Path, to: &Path) -> PathBuf {
    match path.strip_prefix(from) {
        // Joined with nothing it would end in a slash.
        Ok(rest) if rest.as_os_str().is_empty() => to.to_owned(),
        Ok(rest) => to.join(rest),
        Err(_) => path.to_owned(),
    }
}

impl Inner {
    /// Other paths under which an agent of this task was started in this project: it was moved since.
    pub(super) async fn former_paths(&self, project: &Project, task: &str) -> Vec<Arc<Path>> {
        let mut found = Vec::new();
        for (uuid, path) in self.line.placed_elsewhere(&project.root, task) {
            if found.contains(&path) {
                continue;
            }
            // Its path may be another project's by now; without a job nothing else tells.
            let home = self.job(&uuid).and_then(|job| job.home());
            let folder = match home {
                Some(folder) => Some(folder),
                None => self.projects.folder_of(&path).await,
            };
            if folder == Some(project.folder()) {
                found.push(path);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_working_directory_goes_along_with_its_project_and_no_other() {
        let moved = |path: &str| along(path.as_ref(), "/a/app".as_ref(), "/b".as_ref());
        assert_eq!(moved("/a/app").as_os_str(), "/b");
        assert_eq!(moved("/a/app/web"), PathBuf::from("/b/web"));
        assert_eq!(moved("/a/apple"), PathBuf::from("/a/apple"));
        assert_eq!(moved("/srv"), PathBuf::from("/srv"));
    }
}
