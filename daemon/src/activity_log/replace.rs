//! A log written anew beside a damaged one, which it replaces in one step.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{FileType, OFlags};

use super::paths::{Folder, Place, failed, file_name, packed_name};
use super::{LogError, LogWriter};
use crate::domain::{InvocationId, Offset};

/// The new log, under another name until it is committed. Dropped before that, it is removed and
/// the old log stays as it was.
#[derive(Debug)]
pub struct Replacement {
    place: Arc<Place>,
    id: InvocationId,
    path: PathBuf,
    file: Option<File>,
    len: u64,
}

impl Replacement {
    pub(super) fn begin(place: &Arc<Place>, id: InvocationId) -> Result<Replacement, LogError> {
        let folder = place.create()?;
        let name = new_name(id);
        put_folder_aside(&folder, &name, id)?;
        // Left by a crash in the middle of the last attempt.
        folder.unlink(&name)?;
        let file = folder.open(
            &name,
            OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL,
        )?;
        let path = place.path().join(&name);
        Ok(Replacement {
            place: Arc::clone(place),
            id,
            path,
            file: Some(file),
            len: 0,
        })
    }

    /// Appends bytes of the new log. After an error it is good for nothing but being dropped.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), LogError> {
        let mut file = self.file.as_ref().ok_or_else(|| self.committed())?;
        file.write_all(bytes)
            .map_err(|error| failed("append to", &self.path, error))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// The new log's length.
    pub fn len(&self) -> Offset {
        Offset::new(self.len)
    }

    /// True if nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Makes the new log durable, gives it the log's name and goes on as its writer. Whatever had
    /// the name loses it; what it led to is not touched.
    pub fn commit(mut self) -> Result<LogWriter, LogError> {
        let place = Arc::clone(&self.place);
        let file = self.file.as_ref().ok_or_else(|| self.committed())?;
        steroids_failpoint::check("activity_log.replace")
            .and_then(|()| file.sync_all())
            .map_err(|error| failed("sync", &self.path, error))?;
        let _hand = place.hand();
        let folder = place.open()?;
        put_folder_aside(&folder, &file_name(self.id), self.id)?;
        folder.rename(&new_name(self.id), &file_name(self.id))?;
        // The plain log counts, whatever else there is; what was compressed is of the old one.
        if let Err(error) = folder.unlink(&packed_name(self.id)) {
            tracing::warn!(invocation.id = %self.id, %error, "what has the name of a compressed log stays");
        }
        let file = self.file.take().ok_or_else(|| self.committed())?;
        folder.sync()?;
        LogWriter::adopt(&place, self.id, file, Some(self.len))
    }

    fn committed(&self) -> LogError {
        LogError::Missing {
            path: self.path.clone(),
        }
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if self.file.is_some()
            && let Ok(folder) = self.place.open()
            && let Err(error) = folder.unlink(&new_name(self.id))
        {
            tracing::debug!(%error, "unfinished replacement left behind");
        }
    }
}

/// A folder of this name goes aside, with whatever is in it: nothing else is in a rename's way.
fn put_folder_aside(folder: &Folder<'_>, name: &str, id: InvocationId) -> Result<(), LogError> {
    let is_folder = folder
        .stat(name)?
        .is_some_and(|it| FileType::from_raw_mode(it.st_mode) == FileType::Directory);
    if is_folder {
        folder.rename(name, &aside_name(id))?;
    }
    Ok(())
}

/// Where a folder goes that stood in the log's place, with whatever is in it.
fn aside_name(id: InvocationId) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let ms = now.map_or(0, |since| since.as_millis());
    format!("{id}.log.folder-{ms}")
}

/// What the name of a log that is being made has after the log's own.
pub(super) const NEW_SUFFIX: &str = ".new";

/// Name of a log that is being compressed.
pub(super) fn packing_name(id: InvocationId) -> String {
    format!("{}{NEW_SUFFIX}", packed_name(id))
}

pub(super) fn new_name(id: InvocationId) -> String {
    format!("{}{NEW_SUFFIX}", file_name(id))
}
