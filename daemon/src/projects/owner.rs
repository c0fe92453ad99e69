//! `.steroids/steroidsd.lock`: which daemon serves the project.
//!
//! Two daemons with state folders of their own would each take the other's running invocations for
//! lost. The lock is held while the project is open; the file keeps the owner's id (its state
//! folder) afterwards, so that a project with unfinished invocations is not taken from a daemon
//! that is only stopped.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::path::Path;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::error::ProjectError;
use super::folder::{Folder, io_error};

const NAME: &str = "steroidsd.lock";

/// An owner's id is a path: no longer than the kernel takes.
const MAX_OWNER: u64 = 4096;

/// The lock of one project; held until it is dropped.
#[derive(Debug)]
pub(super) struct Ownership {
    file: File,
    /// Who held it last, if that was somebody else.
    previous: Option<String>,
}

impl Ownership {
    /// Takes the lock, or names who has it.
    pub(super) fn take(
        steroids: &Folder,
        project: &Path,
        owner: &str,
    ) -> Result<Ownership, ProjectError> {
        let path = steroids.path().join(NAME);
        let failed = |error: io::Error| io_error(path.clone(), error);
        let mut file = open(steroids).map_err(failed)?;
        let locked = lock(&file).map_err(failed)?;
        let holder = read(&mut file).map_err(failed)?;
        let other = (!holder.is_empty() && holder != owner).then_some(holder);
        match (locked, other) {
            // Our state folder has one daemon only: the holder is an older handle of our own.
            (true, previous) => Ok(Ownership { file, previous }),
            (false, None) => Ok(Ownership {
                file,
                previous: None,
            }),
            (false, Some(owner)) => Err(ProjectError::OwnedByOtherDaemon {
                path: project.to_owned(),
                owner,
            }),
        }
    }

    /// Who held it last, if that was somebody else.
    pub(super) fn previous(&self) -> Option<&str> {
        self.previous.as_deref()
    }

    /// Writes our name into the file.
    pub(super) fn sign(&mut self, owner: &str) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(format!("{owner}\n").as_bytes())
    }
}

fn open(steroids: &Folder) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let mode = Mode::RUSR | Mode::WUSR;
    let file = File::from(rustix::fs::openat2(
        steroids.fd(),
        NAME,
        flags,
        mode,
        resolve,
    )?);
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("not a regular file"))
    }
}

/// True if the lock is ours now, false if another open file has it.
fn lock(file: &File) -> io::Result<bool> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "constants of the kernel, small enough for the fields they are made for"
    )]
    let whole = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    match fcntl(file.as_fd(), FcntlArg::F_OFD_SETLK(&whole)) {
        Ok(_) => Ok(true),
        Err(nix::Error::EAGAIN | nix::Error::EACCES) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

fn read(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.take(MAX_OWNER).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}
