//! `projects.json` in the state folder: which projects this daemon serves, and in which folder each was
//! when it was opened last, by which one that was moved is known again.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use steroids_shim::durable;

use super::error::ProjectError;
use super::folder::io_error;

const NAME: &str = "projects.json";

/// The registered projects, as they stand in the file.
#[derive(Debug)]
pub(super) struct Registry {
    file: PathBuf,
    projects: BTreeMap<PathBuf, Known>,
}

/// What is known of a project.
#[derive(Debug, Clone, Copy)]
struct Known {
    registered_at_ms: i64,
    folder: Option<(u64, u64)>,
    /// Since when it is known to be in that.
    noted_at_ms: i64,
    /// When it came back from another path, last.
    back_at_ms: Option<i64>,
}

/// Where each project was seen last, as of some moment.
#[derive(Debug)]
pub struct Seen(BTreeMap<PathBuf, Known>);

impl Seen {
    /// The path at which a project that was in a folder, under this path, was seen last; this one, if nobody has seen
    /// it elsewhere.
    pub fn at<'a>(
        &'a self,
        folder: Option<(u64, u64)>,
        path: &'a Path,
        was_there_ms: Option<i64>,
    ) -> &'a Path {
        let since = since(&self.0, path, was_there_ms);
        let there = self.0.iter().filter(|(other, known)| {
            folder.is_some()
                && known.folder == folder
                && (*other == path || Some(known.noted_at_ms) >= since)
        });
        let last = there.max_by_key(|(_, known)| known.noted_at_ms);
        last.map_or(path, |(other, _)| other)
    }
}

/// When a project was under this path for certain. It may have been forgotten, and registered anew for another one.
fn since(
    projects: &BTreeMap<PathBuf, Known>,
    path: &Path,
    was_there_ms: Option<i64>,
) -> Option<i64> {
    let registered = projects.get(path).map(|known| known.registered_at_ms);
    match (registered, was_there_ms) {
        (Some(registered), Some(was_there)) => Some(registered.min(was_there)),
        (registered, was_there) => registered.or(was_there),
    }
}

#[derive(Serialize, Deserialize)]
struct Contents {
    projects: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    path: PathBuf,
    registered_at_ms: i64,
    /// Device and number. Not in what an older steroidsd has written, nor of one that was never opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    folder: Option<(u64, u64)>,
    /// Not in what an older steroidsd has written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    noted_at_ms: Option<i64>,
    /// Not of one that was never moved away and back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    back_at_ms: Option<i64>,
}

impl Registry {
    /// Reads the file; there need not be one yet.
    pub(super) fn load(state_dir: &Path) -> Result<Registry, ProjectError> {
        let file = state_dir.join(NAME);
        let contents = match durable::read(&file) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map_err(|error| ProjectError::Registry {
                    path: file.clone(),
                    what: format!("{error}; correct or delete it"),
                })?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Contents {
                projects: Vec::new(),
            },
            Err(error) => return Err(io_error(file, error)),
        };
        let projects = contents
            .projects
            .into_iter()
            .map(|entry| {
                let known = Known {
                    registered_at_ms: entry.registered_at_ms,
                    folder: entry.folder,
                    noted_at_ms: entry.noted_at_ms.unwrap_or(entry.registered_at_ms),
                    back_at_ms: entry.back_at_ms,
                };
                (entry.path, known)
            })
            .collect();
        Ok(Registry { file, projects })
    }

    /// Paths and times, by path.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&Path, i64)> {
        let entries = self.projects.iter();
        entries.map(|(path, known)| (path.as_path(), known.registered_at_ms))
    }

    /// When it was registered; `None` if it is not.
    pub(super) fn registered_at(&self, path: &Path) -> Option<i64> {
        self.projects.get(path).map(|known| known.registered_at_ms)
    }

    /// When its folder was found there again that had been at another path since; `None` if it never was.
    pub(super) fn back_at(&self, path: &Path) -> Option<i64> {
        self.projects.get(path)?.back_at_ms
    }

    /// In which folder it was when it was opened last.
    pub(super) fn folder(&self, path: &Path) -> Option<(u64, u64)> {
        self.projects.get(path)?.folder
    }

    /// Other paths whose project has been in a folder since this one was registered, or since it was there: to those
    /// it may have been moved from here. What was in it before was deleted, and the number given again.
    pub(super) fn elsewhere(
        &self,
        folder: (u64, u64),
        path: &Path,
        was_there_ms: Option<i64>,
    ) -> Vec<PathBuf> {
        let since = since(&self.projects, path, was_there_ms);
        let there = self.projects.iter().filter(|(other, known)| {
            *other != path && known.folder == Some(folder) && Some(known.noted_at_ms) >= since
        });
        there.map(|(other, _)| other.clone()).collect()
    }

    /// As it is now.
    pub(super) fn seen(&self) -> Seen {
        Seen(self.projects.clone())
    }

    pub(super) fn contains(&self, path: &Path) -> bool {
        self.projects.contains_key(path)
    }

    /// Adds a project, durably; false if it was there.
    pub(super) fn add(
        &mut self,
        path: &Path,
        now_ms: i64,
        folder: Option<(u64, u64)>,
    ) -> Result<bool, ProjectError> {
        if self.contains(path) {
            return Ok(false);
        }
        let known = Known {
            registered_at_ms: now_ms,
            folder,
            noted_at_ms: now_ms,
            back_at_ms: None,
        };
        self.projects.insert(path.to_owned(), known);
        if let Err(error) = self.store() {
            self.projects.remove(path);
            return Err(io_error(self.file.clone(), error));
        }
        Ok(true)
    }

    /// Notes, durably, in which folder a project of the list is. What cannot be written is known until the
    /// daemon ends.
    pub(super) fn note(&mut self, path: &Path, folder: (u64, u64), now_ms: i64) -> io::Result<()> {
        let others = self.projects.iter().filter(|(other, _)| *other != path);
        let others = others.filter(|(_, known)| known.folder == Some(folder));
        // It was there meanwhile, and is back.
        let was_elsewhere = others.map(|(_, known)| known.noted_at_ms).max();
        match self.projects.get_mut(path) {
            Some(known)
                if known.folder != Some(folder) || Some(known.noted_at_ms) < was_elsewhere =>
            {
                if Some(known.noted_at_ms) < was_elsewhere {
                    known.back_at_ms = Some(now_ms);
                }
                known.folder = Some(folder);
                known.noted_at_ms = now_ms;
            }
            _ => return Ok(()),
        }
        self.store()
    }

    /// Takes a project out, durably; false if it was not there.
    pub(super) fn remove(&mut self, path: &Path) -> Result<bool, ProjectError> {
        let Some(known) = self.projects.remove(path) else {
            return Ok(false);
        };
        if let Err(error) = self.store() {
            self.projects.insert(path.to_owned(), known);
            return Err(io_error(self.file.clone(), error));
        }
        Ok(true)
    }

    /// Writes the file anew where it is gone, and there is something to write; tells whether it was.
    pub(super) fn keep(&self) -> Result<bool, ProjectError> {
        let failed = |error| io_error(self.file.clone(), error);
        if self.projects.is_empty() || self.file.try_exists().map_err(failed)? {
            return Ok(false);
        }
        self.store().map_err(failed)?;
        Ok(true)
    }

    /// Replaces the file whole: a crash leaves the old one or the new one.
    fn store(&self) -> io::Result<()> {
        let contents = Contents {
            projects: self
                .projects
                .iter()
                .map(|(path, known)| Entry {
                    path: path.clone(),
                    registered_at_ms: known.registered_at_ms,
                    folder: known.folder,
                    noted_at_ms: Some(known.noted_at_ms),
                    back_at_ms: known.back_at_ms,
                })
                .collect(),
        };
        let mut text = serde_json::to_vec_pretty(&contents)?;
        text.push(b'\n');
        let partial = self.file.with_extension("json.new");
        // One that a crash left behind may be anything.
        match fs::remove_file(&partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&partial)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&partial, &self.file)?;
        let folder = self.file.parent().unwrap_or(Path::new("."));
        fs::File::open(folder)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_to_a_path_that_was_known_before_is_elsewhere_and_what_went_before_is_not() {
        let room = tempfile::tempdir().unwrap();
        let (a, b, folder) = (Path::new("/a"), Path::new("/b"), (1, 2));
        let mut registry = Registry::load(room.path()).unwrap();
        registry.add(a, 10, Some(folder)).unwrap();
        registry.add(b, 20, Some(folder)).unwrap();
        // It was moved from there, or was deleted, and its number is this one's by now.
        assert_eq!(registry.elsewhere(folder, a, None), [b]);
        assert_eq!(registry.elsewhere(folder, b, None), [a; 0]);
        // Unless it was there before this path was registered anew.
        assert_eq!(registry.elsewhere(folder, b, Some(5)), [a]);
        let seen = registry.seen();
        assert_eq!(seen.at(Some(folder), a, None), b);
        assert_eq!(seen.at(Some(folder), b, Some(5)), b);
        // And back.
        registry.note(a, folder, 30).unwrap();
        registry.note(a, folder, 40).unwrap();
        for registry in [registry, Registry::load(room.path()).unwrap()] {
            assert_eq!(registry.elsewhere(folder, b, None), [a]);
            assert_eq!(registry.projects[a].noted_at_ms, 30);
            assert_eq!((registry.back_at(a), registry.back_at(b)), (Some(30), None));
            let forgotten = Path::new("/c");
            assert_eq!(registry.elsewhere(folder, forgotten, Some(25)), [a]);
            assert_eq!(registry.elsewhere(folder, forgotten, Some(31)), [a; 0]);
            let seen = registry.seen();
            let at = |folder, path| seen.at(folder, path, None);
            assert_eq!((at(Some(folder), a), at(Some(folder), b)), (a, a));
            assert_eq!((at(Some((1, 3)), b), at(None, b)), (b, b));
        }
    }

    #[test]
    fn a_folder_that_has_another_number_after_a_restart_did_not_come_back() {
        let room = tempfile::tempdir().unwrap();
        let (a, b) = (Path::new("/a"), Path::new("/b"));
        let mut registry = Registry::load(room.path()).unwrap();
        registry.add(a, 10, None).unwrap();
        registry.add(b, 15, Some((1, 3))).unwrap();
        registry.note(a, (1, 2), 20).unwrap();
        registry.note(a, (7, 2), 30).unwrap();
        assert_eq!(registry.projects[a].noted_at_ms, 30);
        assert_eq!(registry.back_at(a), None);
    }

    #[test]
    fn a_list_whose_file_is_gone_is_written_anew_and_an_empty_one_is_not() {
        let room = tempfile::tempdir().unwrap();
        let mut registry = Registry::load(room.path()).unwrap();
        assert!(!registry.keep().unwrap());
        registry.add(Path::new("/a"), 10, None).unwrap();
        assert!(!registry.keep().unwrap());
        fs::remove_file(room.path().join(NAME)).unwrap();
        assert!(registry.keep().unwrap());
        let kept = Registry::load(room.path()).unwrap();
        assert!(kept.entries().eq([(Path::new("/a"), 10)]));
    }

    #[test]
    fn where_an_older_daemon_has_seen_a_project_counts_since_it_was_registered() {
        let room = tempfile::tempdir().unwrap();
        let entry =
            |path, at| format!(r#"{{"path":"{path}","registeredAtMs":{at},"folder":[1,2]}}"#);
        let list = format!(
            r#"{{"projects":[{},{}]}}"#,
            entry("/a", 10),
            entry("/b", 20)
        );
        fs::write(room.path().join(NAME), list).unwrap();
        let registry = Registry::load(room.path()).unwrap();
        assert_eq!(
            registry.elsewhere((1, 2), Path::new("/a"), None),
            [Path::new("/b")]
        );
        assert!(registry.elsewhere((1, 2), Path::new("/b"), None).is_empty());
    }
}
