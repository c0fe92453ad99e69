//! Appending to a log, in whole lines.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

use super::LogError;
use super::paths::{Place, failed, file_name};
use super::written::Written;
use crate::domain::{InvocationId, Offset};

/// The one writer of one log.
#[derive(Debug)]
pub struct LogWriter {
    // First to go: what it says is of the file that is open.
    written: Arc<Written>,
    place: Arc<Place>,
    id: InvocationId,
    path: PathBuf,
    file: File,
    len: u64,
    // The file's name in its folder may not be durable yet.
    new: bool,
}

impl LogWriter {
    pub(super) fn open(place: &Arc<Place>, id: InvocationId) -> Result<LogWriter, LogError> {
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE;
        let file = place.create()?.open(&file_name(id), flags)?;
        LogWriter::adopt(place, id, file, None)
    }

    // The file was opened beneath the place, for appending; of one that was made here it is known how much
    // was written to it.
    pub(super) fn adopt(
        place: &Arc<Place>,
        id: InvocationId,
        file: File,
        len: Option<u64>,
    ) -> Result<LogWriter, LogError> {
        let path = place.log_path(id);
        let stat = rustix::fs::fstat(&file).map_err(|errno| failed("look at", &path, errno))?;
        let wanted = Mode::RUSR | Mode::WUSR;
        if Mode::from_raw_mode(stat.st_mode) != wanted {
            rustix::fs::fchmod(&file, wanted).map_err(|errno| failed("chmod", &path, errno))?;
        }
        let len = len.unwrap_or_else(|| u64::try_from(stat.st_size).unwrap_or(0));
        Ok(LogWriter {
            written: Written::enter((stat.st_dev, stat.st_ino), len),
            place: Arc::clone(place),
            id,
            path,
            file,
            len,
            new: len == 0,
        })
    }

    /// Appends whole lines, with one write where the system takes them in one. Who reads the log gets them
    /// from then on.
    ///
    /// After an error the file ends with a whole line, and [`len`](LogWriter::len) tells how many
    /// of the bytes stand: a full disk may have taken the first lines and not the others.
    pub fn append(&mut self, lines: &[u8]) -> Result<(), LogError> {
        if lines.last().is_some_and(|&last| last != b'\n') {
            return Err(LogError::NotLines {
                path: self.path.clone(),
            });
        }
        if let Err(error) = steroids_failpoint::check("activity_log.append") {
            return Err(failed("append to", &self.path, error));
        }
        let mut written = 0;
        while written < lines.len() {
            match self.file.write(&lines[written..]) {
                Ok(0) => {
                    return Err(self.cut_back(&lines[..written], io::ErrorKind::WriteZero.into()));
                }
                Ok(n) => written += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.cut_back(&lines[..written], error)),
            }
        }
        self.len += lines.len() as u64;
        self.tell();
        Ok(())
    }

    /// Has readers given all that was written; they are after each append. False where somebody else wrote to
    /// it, too: nobody knows which bytes are whose before it is made anew.
    pub fn tell(&self) -> bool {
        if self.written.len() == self.len {
            return true;
        }
        let stat = rustix::fs::fstat(&self.file);
        let is_ours = stat.is_ok_and(|stat| u64::try_from(stat.st_size) == Ok(self.len));
        if is_ours {
            self.written.reach(self.len);
        }
        is_ours
    }

    // Readers never see a part of a line; a later append must not go on behind one either.
    fn cut_back(&mut self, written: &[u8], error: io::Error) -> LogError {
        let whole = memchr::memrchr(b'\n', written).map_or(0, |at| at + 1);
        if whole < written.len()
            && let Err(errno) = rustix::fs::ftruncate(&self.file, self.len + whole as u64)
        {
            tracing::error!(path = %self.path.display(), error = %errno, "torn line not cut");
        }
        self.len += whole as u64;
        self.tell();
        failed("append to", &self.path, error)
    }

    /// Makes what was appended durable, and the file's name with it.
    pub fn sync(&mut self) -> Result<(), LogError> {
        steroids_failpoint::check("activity_log.sync")
            .and_then(|()| self.file.sync_data())
            .map_err(|error| failed("sync", &self.path, error))?;
        if self.new {
            self.place.open()?.sync()?;
            self.new = false;
        }
        Ok(())
    }

    /// True while the log's name leads to the file that is written here, and nobody else changed
    /// its length. False after `git clean -xdf`, a replacement, a truncation: the log is to be
    /// rebuilt.
    pub fn is_current(&self) -> Result<bool, LogError> {
        let ours = rustix::fs::fstat(self.file.as_fd())
            .map_err(|errno| failed("look at", &self.path, errno))?;
        if ours.st_nlink != 1 || u64::try_from(ours.st_size) != Ok(self.len) {
            return Ok(false);
        }
        let named = match self.place.open() {
            Ok(folder) => folder.stat(&file_name(self.id))?,
            Err(LogError::Missing { .. } | LogError::Refused { .. }) => None,
            Err(error) => return Err(error),
        };
        Ok(named.is_some_and(|it| (it.st_dev, it.st_ino) == (ours.st_dev, ours.st_ino)))
    }

    /// Where the next append begins: the file's length.
    pub fn len(&self) -> Offset {
        Offset::new(self.len)
    }

    /// True if nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}
