//! What waits goes where its project is moved to, and is started there: unlike what runs, it has nothing
//! open in the old place.

use std::io;
use std::path::{Path, PathBuf};

use steroids_shim::paths::InvDir;
use steroids_shim::spec::Spec;
use tracing::{info, warn};

use super::address::Address;
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
    /// Whether one that runs is a project's: it is its folder's, and not of what has the path by now. Where that
    /// folder is nowhere, it goes on in what was made anew in its place.
    pub(super) async fn is_of(&self, project: &Project, its: Address<'_>) -> bool {
        let folder = match its.folder {
            // By an older daemon.
            None if *its.path != project.root => self.projects.folder_of(its.path).await,
            folder => folder,
        };
        match folder {
            Some(folder) if folder == project.folder() => true,
            _ if *its.path != project.root => false,
            Some(folder) => {
                let elsewhere = self
                    .projects
                    .seen_elsewhere(folder, its.path, its.was_there_ms);
                elsewhere.await.unwrap_or_default().is_empty()
            }
            None => true,
        }
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
