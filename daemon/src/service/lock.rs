//! A file that one daemon at a time holds, for its whole life, with a line in it that names the
//! holder. The kernel lets go of the lock with the last copy of the open file, whatever becomes of
//! the process; the file stays, since removing it would let two daemons hold two files of one name.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;

use super::place::Identity;

/// Why a lock could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody has it.
    #[error(
        "another steroidsd is running here: {holder} holds {}; if nobody answers there, its socket was removed: SIGHUP has it make that anew",
        path.display()
    )]
    Held {
        /// The lock file.
        path: PathBuf,
        /// What it says of itself.
        holder: String,
    },
    /// The file cannot be opened or written.
    #[error("cannot lock {}", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl LockError {
    /// True if somebody has it, who may let go of it.
    pub fn is_held(&self) -> bool {
        matches!(self, LockError::Held { .. })
    }
}

/// A held lock; let go when dropped.
#[derive(Debug)]
pub struct DaemonLock {
    /// Open for as long as the lock is held.
    file: File,
    path: PathBuf,
    holder: String,
}

impl DaemonLock {
    /// Takes the lock, or names who has it. `holder` is what the next one is told about us.
    pub fn acquire(path: &Path, holder: &str) -> Result<DaemonLock, LockError> {
        let fault = |source| LockError::Io {
            path: path.to_owned(),
            source,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
            .open(path)
            .map_err(fault)?;
        match fcntl(&file, FcntlArg::F_OFD_SETLK(&whole_file())) {
            Ok(_) => {}
            Err(Errno::EAGAIN | Errno::EACCES) => {
                return Err(LockError::Held {
                    path: path.to_owned(),
                    holder: read_holder(&file),
                });
            }
            Err(errno) => return Err(fault(errno.into())),
        }
        file.set_len(0)
            .and_then(|()| writeln!(file, "{holder}"))
            .map_err(fault)?;
        Ok(DaemonLock {
            file,
            path: path.to_owned(),
            holder: holder.to_owned(),
        })
    }

    /// True if its file has lost its name, and with it all that it kept out.
    pub fn is_lost(&self) -> bool {
        let ours = self.file.metadata().map(|found| Identity::from(&found));
        !ours.is_ok_and(|ours| Identity::of(&self.path).is_ok_and(|it| it == ours))
    }

    /// Takes it anew where it [is lost](DaemonLock::is_lost); its folder is there.
    ///
    /// # Errors
    /// As at the start.
    pub fn renew(&mut self) -> Result<(), LockError> {
        if self.is_lost() {
            *self = DaemonLock::acquire(&self.path, &self.holder)?;
        }
        Ok(())
    }
}

fn whole_file() -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        // An OFD lock belongs to the open file, and the kernel wants no pid here.
        l_pid: 0,
    }
}

/// What the holder wrote; it may not have come to that yet.
fn read_holder(file: &File) -> String {
    let mut text = String::new();
    // Enough for a pid and a path; the file is of our own making, but anybody may have written it.
    let read = file.take(8 * 1024).read_to_string(&mut text);
    match (read, text.trim()) {
        (Ok(_), line) if !line.is_empty() => line.to_owned(),
        _ => "a process that does not say which".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_refused_and_told_who_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = DaemonLock::acquire(&path, "pid 7 on /x.sock").unwrap();
        let error = DaemonLock::acquire(&path, "pid 8 on /y.sock").unwrap_err();
        assert!(
            matches!(&error, LockError::Held { holder, .. } if holder == "pid 7 on /x.sock"),
            "{error}"
        );
        drop(first);
        DaemonLock::acquire(&path, "pid 8 on /y.sock").unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "pid 8 on /y.sock\n"
        );
    }

    #[test]
    fn a_symlink_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("precious");
        std::fs::write(&target, "text").unwrap();
        let path = dir.path().join("lock");
        std::os::unix::fs::symlink(&target, &path).unwrap();
        assert!(matches!(
            DaemonLock::acquire(&path, "x"),
            Err(LockError::Io { .. })
        ));
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "text");
    }
}
