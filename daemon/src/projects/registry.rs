//! `projects.json` in the state folder: which projects this daemon serves, and in which folder each was
//! when it was opened last, by which one that was moved is known again.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

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
}

impl Registry {
    /// Reads the file; there need not be one yet.
    pub(super) fn load(state_dir: &Path) -> Result<Registry, ProjectError> {
        let file = state_dir.join(NAME);
        let contents = match fs::read(&file) {
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

    /// In which folder it was when it was opened last.
    pub(super) fn folder(&self, path: &Path) -> Option<(u64, u64)> {
        self.projects.get(path)?.folder
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
    pub(super) fn note(&mut self, path: &Path, folder: (u64, u64)) -> io::Result<()> {
        match self.projects.get_mut(path) {
            Some(known) if known.folder != Some(folder) => known.folder = Some(folder),
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
                })
                .collect(),
        };
        let mut text = serde_json::to_vec_pretty(&contents)?;
        text.push(b'\n');
        let partial = self.file.with_extension("json.new");
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&partial)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&partial, &self.file)?;
        let folder = self.file.parent().unwrap_or(Path::new("."));
        fs::File::open(folder)?.sync_all()
    }
}
