//! A message to a running agent on its way from the daemon to the shim: a file of the state folder,
//! named by the message's own id. The socket only says that it is there.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::durable::{self, FileError};
use crate::paths::InvDir;

/// Bytes of a message at most, as JSON writes it: so it fits into one record of the spool.
pub const LONGEST_TEXT: usize = 60 * 1024;

/// Bytes of an id at most.
const LONGEST_ID: usize = 64;

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// What it says; empty: nothing, and only the end is meant.
    pub text: String,
    /// Nothing comes after it.
    pub end: bool,
    /// Why nothing does, where it is not that somebody asked for it: goes on from "no further message, as ". A shim of
    /// before does not read it, and says that somebody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Whether it can be the name of a message: a word that is no path.
pub fn is_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !id.is_empty() && id.len() <= LONGEST_ID && id.bytes().all(allowed)
}

impl Input {
    /// Whether it fits into one record.
    pub fn fits(&self) -> bool {
        let length = serde_json::to_string(&self.text).map_or(usize::MAX, |text| text.len());
        length <= LONGEST_TEXT
    }

    /// Writes it durably.
    ///
    /// # Errors
    /// When the folder or the file cannot be written.
    pub fn store(&self, dir: &InvDir, id: &str) -> Result<(), FileError> {
        let path = file(dir, id);
        if let Some(folder) = path.parent() {
            let made = fs::DirBuilder::new().mode(0o700).create(folder);
            match made {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(FileError::io("create", folder, error));
                }
                _ => {}
            }
        }
        durable::store(&path, self)
    }

    /// Reads it, and removes the file: what becomes of it is on record elsewhere.
    ///
    /// # Errors
    /// When there is none, or what is there cannot be read.
    pub fn take(dir: &InvDir, id: &str) -> Result<Input, FileError> {
        let path = file(dir, id);
        let input = durable::load(&path)?;
        // One that stays is read by nobody again.
        let _ = fs::remove_file(path);
        Ok(input)
    }
}

fn file(dir: &InvDir, id: &str) -> PathBuf {
    dir.path().join("input").join(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_once_and_its_name_is_no_path() {
        let folder = tempfile::tempdir().unwrap();
        let dir = InvDir::at(folder.path());
        let input = Input {
            text: "go on".to_owned(),
            end: false,
            why: None,
        };
        input.store(&dir, "m-1").unwrap();
        assert_eq!(Input::take(&dir, "m-1").unwrap(), input);
        assert!(Input::take(&dir, "m-1").unwrap_err().is_missing());
        assert!(is_id("m-1") && is_id("A_9"));
        for id in ["", "..", "a/b", "a b", "ä", &"x".repeat(65)] {
            assert!(!is_id(id), "{id}");
        }
    }
}
