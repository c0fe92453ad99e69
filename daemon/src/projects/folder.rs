//! A project's folder, opened safely once.
//!
//! The path is not trusted: it must be absolute, lead over no symbolic link, and end at a folder
//! of ours that not every user may write to. What is below is reached from the opened descriptor
//! only, through no link. The descriptor stays, with device and inode, so that a folder that takes
//! the place of this one later is not taken for it.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::error::ProjectError;

/// The folder in a project that is ours and the older tool's.
pub(super) const STEROIDS: &str = ".steroids";

/// The database in it.
pub(super) const DATABASE: &str = "steroids.db";

/// A rename going on beside makes openat2 say EAGAIN; it is over at once, and mostly no other
/// follows.
const ATTEMPTS: usize = 8;

/// An opened folder.
#[derive(Debug)]
pub(super) struct Folder {
    fd: OwnedFd,
    path: PathBuf,
    id: (u64, u64),
}

impl Folder {
    /// Opens the project folder at `path`.
    pub(super) fn open(path: &Path) -> Result<Folder, ProjectError> {
        let path = plain(path)?;
        let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let fd = open_folder(CWD, &path, resolve).map_err(|errno| refusal(&path, errno))?;
        Folder::checked(fd, path)
    }

    /// Opens a folder in this one.
    pub(super) fn enter(&self, name: &str) -> Result<Folder, ProjectError> {
        let path = self.path.join(name);
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let fd = open_folder(&self.fd, Path::new(name), resolve)
            .map_err(|errno| refusal(&path, errno))?;
        Folder::checked(fd, path)
    }

    /// Makes a folder in this one that only we can enter; false if something of that name exists.
    pub(super) fn make(&self, name: &str) -> Result<bool, ProjectError> {
        match rustix::fs::mkdirat(&self.fd, name, Mode::RWXU) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(errno) => Err(io_error(self.path.join(name), errno)),
        }
    }

    /// Makes an empty file in this one that only we can read, if nothing of that name exists.
    ///
    /// Done here, since SQLite would follow whatever takes this folder's place meanwhile.
    pub(super) fn make_file(&self, name: &str) -> Result<(), ProjectError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR) {
            Ok(_) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(io_error(self.path.join(name), errno)),
        }
    }

    /// True if the name exists in this folder, whatever it stands for.
    pub(super) fn has(&self, name: &str) -> bool {
        let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::statat(&self.fd, name, flags).is_ok()
    }

    /// True while the path still leads to this very folder.
    pub(super) fn is_in_place(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|now| (now.dev(), now.ino()) == self.id)
    }

    /// Device and number of the folder, by which another in its place is told from it.
    pub(super) fn id(&self) -> (u64, u64) {
        self.id
    }

    /// Its absolute path, free of links when it was opened.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    fn checked(fd: OwnedFd, path: PathBuf) -> Result<Folder, ProjectError> {
        let stat = rustix::fs::fstat(&fd).map_err(|errno| io_error(path.clone(), errno))?;
        check(&stat, &path)?;
        let id = (stat.st_dev, stat.st_ino);
        Ok(Folder { fd, path, id })
    }
}

fn check(stat: &Stat, path: &Path) -> Result<(), ProjectError> {
    let path = || path.to_owned();
    if stat.st_uid != rustix::process::geteuid().as_raw() {
        let uid = stat.st_uid;
        return Err(ProjectError::ForeignOwner { path: path(), uid });
    }
    if Mode::from_raw_mode(stat.st_mode).contains(Mode::WOTH) {
        return Err(ProjectError::WorldWritable { path: path() });
    }
    Ok(())
}

/// The path without a slash too many; refuses what no project may be called.
pub(super) fn plain(path: &Path) -> Result<PathBuf, ProjectError> {
    let given = || path.to_owned();
    let known = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
    if !path.is_absolute() || !path.components().all(known) {
        return Err(ProjectError::Relative { path: given() });
    }
    match path.to_str() {
        Some(text) if !text.chars().any(char::is_control) => Ok(path.components().collect()),
        _ => Err(ProjectError::Unprintable { path: given() }),
    }
}

fn open_folder(at: impl AsFd, path: &Path, resolve: ResolveFlags) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut result = Err(Errno::AGAIN);
    for _ in 0..ATTEMPTS {
        result = rustix::fs::openat2(at.as_fd(), path, flags, Mode::empty(), resolve);
        if !matches!(result, Err(Errno::AGAIN | Errno::INTR)) {
            break;
        }
    }
    result
}

fn refusal(path: &Path, errno: Errno) -> ProjectError {
    let path = path.to_owned();
    match errno {
        Errno::NOENT => ProjectError::Missing { path },
        Errno::LOOP => ProjectError::Symlink {
            real: fs::canonicalize(&path).ok(),
            path,
        },
        // A link to a folder is no folder either, where links are not followed.
        Errno::NOTDIR if is_link(&path) => ProjectError::Symlink {
            real: fs::canonicalize(&path).ok(),
            path,
        },
        Errno::NOTDIR => ProjectError::NotAFolder { path },
        Errno::NAMETOOLONG => ProjectError::TooLong { path },
        // Not for want of anything: see ATTEMPTS.
        Errno::AGAIN | Errno::INTR => ProjectError::Busy { path },
        errno => io_error(path, errno),
    }
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|entry| entry.file_type().is_symlink())
}

pub(super) fn io_error(path: PathBuf, error: impl Into<io::Error>) -> ProjectError {
    ProjectError::Io {
        path,
        source: error.into(),
    }
}
