//! Names and doors: where a log lies, and how files below a project are opened.
//!
//! An agent can put anything under its project: a symlink to another file of the user, a hard
//! link, a FIFO that blocks whoever opens it. Hence every file is reached from the project's own
//! descriptor, step by step, beneath it, through no symlink, without blocking; and what was opened
//! is looked at before it is used. The folder is opened anew each time: agents run
//! `git clean -xdf`, after which an old descriptor would lead to a folder nobody sees.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::LogError;
use crate::domain::InvocationId;

const STEROIDS: &str = ".steroids";
const INVOCATIONS: &str = "invocations";
const README: &str = "README.txt";
const README_TEXT: &str =
    "Activity logs of steroidsd, one JSON object a line; <id>.log belongs to invocation <id>.\n";

const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);
const FOLDER_MODE: Mode = Mode::RWXU;
/// A rename going on beside makes openat2 say EAGAIN; it is over at once.
const OPEN_ATTEMPTS: usize = 8;

/// File name of an invocation's log.
pub(super) fn file_name(id: InvocationId) -> String {
    format!("{id}.log")
}

/// File name of an invocation's log that is compressed.
pub(super) fn packed_name(id: InvocationId) -> String {
    format!("{id}.log{PACKED_SUFFIX}")
}

/// What the name of a compressed log has after the log's own.
const PACKED_SUFFIX: &str = ".zst";

/// The invocation that a compressed log of this name belongs to.
pub(super) fn parse_packed_name(name: &str) -> Option<InvocationId> {
    parse_file_name(name.strip_suffix(PACKED_SUFFIX)?)
}

/// The invocation a file name belongs to, if it is exactly a name [`file_name`] gives.
pub(super) fn parse_file_name(name: &str) -> Option<InvocationId> {
    let digits = name.strip_suffix(".log")?;
    let plain = !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok().and_then(InvocationId::new))?
}

/// The folder of a project's logs, found anew at each [`Place::open`].
#[derive(Debug)]
pub(super) struct Place {
    root: OwnedFd,
    path: PathBuf,
    /// Had by whoever takes a log of an ended invocation away, or puts one in its place.
    hand: Mutex<()>,
}

impl Place {
    pub(super) fn new(root: OwnedFd, project: &Path) -> Place {
        Place {
            root,
            path: project.join(STEROIDS).join(INVOCATIONS),
            hand: Mutex::default(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until nobody else changes which files there are of ended invocations. On a disk that hangs
    /// one was given up in the middle of that; who comes after it waits for the same disk.
    pub(super) fn hand(&self) -> MutexGuard<'_, ()> {
        // It guards no data.
        self.hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn log_path(&self, id: InvocationId) -> PathBuf {
        self.path.join(file_name(id))
    }

    /// Opens the folder as it is now; [`LogError::Missing`] if there is none.
    pub(super) fn open(&self) -> Result<Folder<'_>, LogError> {
        let steroids = self.enter(&self.root, STEROIDS)?;
        let dir = self.enter(&steroids, INVOCATIONS)?;
        Ok(Folder {
            dir,
            path: &self.path,
        })
    }

    /// Opens the folder, making it (and its README.txt) where it is not there.
    pub(super) fn create(&self) -> Result<Folder<'_>, LogError> {
        match self.open() {
            Err(LogError::Missing { .. }) => {}
            other => return other,
        }
        self.make(&self.root, STEROIDS)?;
        let steroids = self.enter(&self.root, STEROIDS)?;
        self.make(&steroids, INVOCATIONS)?;
        let folder = self.open()?;
        folder.write_readme();
        Ok(folder)
    }

    fn enter(&self, dir: &OwnedFd, name: &str) -> Result<OwnedFd, LogError> {
        let fd = open_beneath(dir, name, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
            .map_err(|errno| opening("open", &self.path, errno))?;
        let stat = rustix::fs::fstat(&fd).map_err(|errno| failed("look at", &self.path, errno))?;
        check_owner(&stat, &self.path)?;
        Ok(fd)
    }

    fn make(&self, dir: &OwnedFd, name: &str) -> Result<(), LogError> {
        match rustix::fs::mkdirat(dir, name, FOLDER_MODE) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(failed("create", &self.path, errno)),
        }
    }
}

/// The opened folder of a project's logs.
#[derive(Debug)]
pub(super) struct Folder<'a> {
    dir: OwnedFd,
    path: &'a Path,
}

impl Folder<'_> {
    /// Opens a regular file with one name, of our own; anything else is refused unread.
    pub(super) fn open(&self, name: &str, flags: OFlags) -> Result<File, LogError> {
        let path = self.path.join(name);
        let mode = if flags.contains(OFlags::CREATE) {
            FILE_MODE
        } else {
            Mode::empty()
        };
        let fd = open_beneath(&self.dir, name, flags, mode)
            .map_err(|errno| opening("open", &path, errno))?;
        let stat = rustix::fs::fstat(&fd).map_err(|errno| failed("look at", &path, errno))?;
        check_file(&stat, &path)?;
        Ok(File::from(fd))
    }

    /// The path of a name in it, for messages.
    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// What the name stands for now, not followed; `None` if nothing.
    pub(super) fn stat(&self, name: &str) -> Result<Option<Stat>, LogError> {
        match rustix::fs::statat(&self.dir, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(failed("look at", &self.path.join(name), errno)),
        }
    }

    /// Takes the name away; false if there was none.
    pub(super) fn unlink(&self, name: &str) -> Result<bool, LogError> {
        match rustix::fs::unlinkat(&self.dir, name, rustix::fs::AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(failed("remove", &self.path.join(name), errno)),
        }
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> Result<(), LogError> {
        rustix::fs::renameat(&self.dir, from, &self.dir, to)
            .map_err(|errno| failed("replace", &self.path.join(to), errno))
    }

    /// Makes the names in the folder durable.
    pub(super) fn sync(&self) -> Result<(), LogError> {
        rustix::fs::fsync(&self.dir).map_err(|errno| failed("sync", self.path, errno))
    }

    /// Calls `each` with every file name that is UTF-8.
    pub(super) fn names(&self, mut each: impl FnMut(&str)) -> Result<(), LogError> {
        let list = |errno| failed("list", self.path, errno);
        for entry in rustix::fs::Dir::read_from(self.dir.as_fd()).map_err(list)? {
            if let Ok(name) = entry.map_err(list)?.file_name().to_str() {
                each(name);
            }
        }
        Ok(())
    }

    // The folder serves without it, so what prevents it is not an error.
    fn write_readme(&self) {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        if let Ok(mut file) = self.open(README, flags)
            && let Err(error) = io::Write::write_all(&mut file, README_TEXT.as_bytes())
        {
            tracing::debug!(%error, "readme not written");
        }
    }
}

/// Wraps a system error with what was tried, and on what.
pub(super) fn failed(doing: &'static str, path: &Path, error: impl Into<io::Error>) -> LogError {
    LogError::Io {
        doing,
        path: path.to_owned(),
        source: error.into(),
    }
}

fn opening(doing: &'static str, path: &Path, errno: Errno) -> LogError {
    let refused = |what| LogError::Refused {
        path: path.to_owned(),
        what,
    };
    match errno {
        Errno::NOENT => LogError::Missing {
            path: path.to_owned(),
        },
        Errno::LOOP | Errno::XDEV => refused("a symlink"),
        Errno::NXIO => refused("a fifo or socket"),
        Errno::NOTDIR => refused("not a folder"),
        Errno::ISDIR => refused("a folder"),
        // Not for want of anything: see OPEN_ATTEMPTS.
        Errno::AGAIN | Errno::INTR => LogError::Busy {
            path: path.to_owned(),
        },
        errno => failed(doing, path, errno),
    }
}

fn open_beneath(dir: impl AsFd, name: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    // NONBLOCK: a FIFO put in the file's place must not stop us; a regular file ignores it.
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let mut last = Errno::AGAIN;
    for _ in 0..OPEN_ATTEMPTS {
        match rustix::fs::openat2(&dir, name, flags, mode, resolve) {
            Err(errno @ (Errno::AGAIN | Errno::INTR)) => last = errno,
            other => return other,
        }
    }
    Err(last)
}

pub(super) fn check_file(stat: &Stat, path: &Path) -> Result<(), LogError> {
    let refused = |what| {
        Err(LogError::Refused {
            path: path.to_owned(),
            what,
        })
    };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile if stat.st_nlink > 1 => refused("a file with a second name"),
        FileType::RegularFile => check_owner(stat, path),
        FileType::Directory => refused("a folder"),
        FileType::Fifo => refused("a fifo or socket"),
        _ => refused("not a regular file"),
    }
}

fn check_owner(stat: &Stat, path: &Path) -> Result<(), LogError> {
    if stat.st_uid == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    Err(LogError::Refused {
        path: path.to_owned(),
        what: "owned by somebody else",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_always_being_renamed_is_busy() {
        let error = opening("open", Path::new("/p"), Errno::AGAIN);
        assert!(matches!(error, LogError::Busy { .. }), "{error}");
        let error = opening("open", Path::new("/p"), Errno::MFILE);
        assert!(matches!(error, LogError::Io { .. }), "{error}");
    }

    #[test]
    fn only_names_we_would_give_are_logs() {
        let id = |n| InvocationId::new(n);
        assert_eq!(parse_file_name("7.log"), id(7));
        assert_eq!(parse_file_name(&file_name(id(123).unwrap())), id(123));
        assert_eq!(parse_packed_name("7.log.zst"), id(7));
        assert_eq!(parse_packed_name("7.log"), None);
        assert_eq!(parse_packed_name("7.zst"), None);
        for other in [
            "07.log",
            "0.log",
            "-1.log",
            "+1.log",
            "1.log.new",
            "1.log.zst",
            ".log",
            "1",
            "x.log",
            "99999999999999999999.log",
            "README.txt",
        ] {
            assert_eq!(parse_file_name(other), None, "{other}");
        }
    }
}
