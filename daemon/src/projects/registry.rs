//! `projects.json` in the state folder: which projects this daemon serves.

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
    /// Path to epoch milliseconds of its registration.
    projects: BTreeMap<PathBuf, i64>,
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
            .map(|entry| (entry.path, entry.registered_at_ms))
            .collect();
        Ok(Registry { file, projects })
    }

    /// Paths and times, by path.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&Path, i64)> {
        self.projects.iter().map(|(path, at)| (path.as_path(), *at))
    }

    /// When it was registered; `None` if it is not.
    pub(super) fn registered_at(&self, path: &Path) -> Option<i64> {
        self.projects.get(path).copied()
    }

    pub(super) fn contains(&self, path: &Path) -> bool {
        self.projects.contains_key(path)
    }

    /// Adds a project, durably; false if it was there.
    pub(super) fn add(&mut self, path: &Path, now_ms: i64) -> Result<bool, ProjectError> {
        if self.contains(path) {
            return Ok(false);
        }
        self.projects.insert(path.to_owned(), now_ms);
        if let Err(error) = self.store() {
            self.projects.remove(path);
            return Err(io_error(self.file.clone(), error));
        }
        Ok(true)
    }

    /// Replaces the file whole: a crash leaves the old one or the new one.
    fn store(&self) -> io::Result<()> {
        let contents = Contents {
            projects: self
                .entries()
                .map(|(path, registered_at_ms)| Entry {
                    path: path.to_owned(),
                    registered_at_ms,
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
