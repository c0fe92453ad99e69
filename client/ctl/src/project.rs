//! Which project is meant: the nearest folder upwards with a `.steroids/` in it.
//!
//! The one in the home folder does not count: the older tool keeps its own files there, and a
//! command typed anywhere under HOME must not land in it.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::exit::Exit;
use crate::failure::Failure;

/// What makes a folder a project.
const MARK: &str = ".steroids";

/// The project around the current folder.
pub(crate) fn discover() -> Result<PathBuf, Failure> {
    let here = here()?;
    nearest(&here, home().as_deref()).ok_or_else(|| {
        Failure::new(
            Exit::NotFound,
            "not_a_project",
            format!(
                "neither {} nor a folder above it is a project",
                here.display()
            ),
        )
        .with_hint("run `steroidsctl init` in the project's folder, or name one with --project DIR")
    })
}

/// The current folder.
pub(crate) fn here() -> Result<PathBuf, Failure> {
    std::env::current_dir().map_err(|error| {
        Failure::new(
            Exit::NotFound,
            "not_found",
            format!("the current folder cannot be read: {error}"),
        )
        .with_hint("change to another folder, or name the project with --project DIR")
    })
}

/// A path from the command line made absolute. Its last part stays as typed: that a project is a
/// symbolic link is for the daemon to see and to refuse.
pub(crate) fn named(path: &Path) -> Result<PathBuf, Failure> {
    let absolute = std::path::absolute(path)
        .map_err(|error| Failure::usage(format!("--project `{}`: {error}", path.display())))?;
    let canonical = match (absolute.parent(), absolute.file_name()) {
        (Some(parent), Some(name)) if name != OsStr::new("..") => {
            parent.canonicalize().map(|parent| parent.join(name))
        }
        _ => absolute.canonicalize(),
    };
    Ok(canonical.unwrap_or(absolute))
}

/// Whether this is the home folder, which counts only where it is named.
pub(crate) fn is_home(path: &Path) -> bool {
    home().is_some_and(|home| is_same(path, &home))
}

/// By the variable, else as the system knows the user.
fn home() -> Option<PathBuf> {
    std::env::home_dir().filter(|home| !home.as_os_str().is_empty())
}

/// Whether both lead to one folder: a home is often reached over a link.
fn is_same(one: &Path, other: &Path) -> bool {
    let folder = |path: &Path| {
        let found = path.metadata().ok()?;
        Some((found.dev(), found.ino()))
    };
    one == other || folder(one).is_some_and(|it| folder(other) == Some(it))
}

fn nearest(from: &Path, home: Option<&Path>) -> Option<PathBuf> {
    from.ancestors()
        .filter(|folder| folder.join(MARK).is_dir())
        .find(|folder| !home.is_some_and(|home| is_same(folder, home)))
        .map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_folder_wins_and_home_does_not_count() {
        let root = tempfile::tempdir().unwrap();
        let home = root.path();
        let outer = home.join("work");
        let inner = outer.join("lib");
        let deep = inner.join("src/a");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::create_dir(home.join(MARK)).unwrap();
        assert_eq!(nearest(&deep, Some(home)), None);
        std::fs::create_dir(outer.join(MARK)).unwrap();
        assert_eq!(nearest(&deep, Some(home)), Some(outer));
        std::fs::create_dir(inner.join(MARK)).unwrap();
        assert_eq!(nearest(&deep, Some(home)), Some(inner));
    }

    #[test]
    fn home_is_known_also_where_its_path_leads_over_a_link() {
        let root = tempfile::tempdir().unwrap();
        let (real, link) = (root.path().join("var/home"), root.path().join("home"));
        let work = real.join("me/work");
        std::fs::create_dir_all(&work).unwrap();
        std::fs::create_dir(real.join("me").join(MARK)).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert_eq!(nearest(&work, Some(&link.join("me"))), None);
    }

    #[test]
    fn a_file_of_that_name_is_no_project() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join(MARK), "").unwrap();
        assert_eq!(nearest(root.path(), Some(root.path())), None);
    }

    #[test]
    fn a_named_link_stays_a_link_and_dots_are_resolved() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::os::unix::fs::symlink(root.join("a"), root.join("link")).unwrap();
        assert_eq!(named(&root.join("link")).unwrap(), root.join("link"));
        assert_eq!(named(&root.join("link/b")).unwrap(), root.join("a/b"));
        assert_eq!(named(&root.join("a/b/..")).unwrap(), root.join("a"));
        assert_eq!(named(&root.join("gone/x")).unwrap(), root.join("gone/x"));
    }
}
