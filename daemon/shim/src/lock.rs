//! The lock file: an open-file-description write lock, held by a shim for its whole life, is the
//! only proof that it lives. The kernel drops it with the process, however that ends, and no
//! process id that was given again can be mistaken for it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

/// Why the lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody holds it.
    #[error("{} is held by another process", .0.display())]
    Held(PathBuf),
    /// The file system refused.
    #[error("cannot lock {}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

/// The lock, held until this is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

#[cfg(test)]
impl Lock {
    /// What holds it, for a process that is to hold it.
    pub(crate) fn into_file(self) -> File {
        self._file
    }
}

/// Takes the lock, making its file if need be; never waits.
pub fn acquire(path: &Path) -> Result<Lock, LockError> {
    let refused = |source: io::Error| LockError::Io {
        path: path.to_owned(),
        source,
    };
    let file = open(path).map_err(refused)?;
    match fcntl(&file, FcntlArg::F_OFD_SETLK(&whole_file())) {
        Ok(_) => Ok(Lock { _file: file }),
        Err(Errno::EAGAIN | Errno::EACCES) => Err(LockError::Held(path.to_owned())),
        Err(errno) => Err(refused(errno.into())),
    }
}

/// Makes its file, for whoever will take the lock.
pub fn provide(path: &Path) -> io::Result<()> {
    open(path).map(drop)
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
}

/// Asks whether somebody holds it, without taking it. No file, nobody.
pub fn is_held(path: &Path) -> io::Result<bool> {
    let file = match OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)
    {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        opened => opened?,
    };
    let mut lock = whole_file();
    fcntl(&file, FcntlArg::F_OFD_GETLK(&mut lock))?;
    Ok(i32::from(lock.l_type) != libc::F_UNLCK)
}

fn whole_file() -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        // Must be 0 for locks of an open file description.
        l_pid: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time_and_asking_takes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        assert!(!is_held(&path).unwrap());
        provide(&path).unwrap();
        assert!(!is_held(&path).unwrap());
        let lock = acquire(&path).unwrap();
        assert!(is_held(&path).unwrap());
        assert!(matches!(acquire(&path), Err(LockError::Held(_))));
        drop(lock);
        assert!(!is_held(&path).unwrap());
        acquire(&path).unwrap();
    }

    #[test]
    fn opening_and_closing_the_file_beside_the_holder_frees_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let _lock = acquire(&path).unwrap();
        drop(File::open(&path).unwrap());
        assert!(is_held(&path).unwrap());
    }
}
