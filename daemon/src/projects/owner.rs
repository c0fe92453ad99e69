//! `.steroids/steroidsd.lock`: which daemon serves the project.
//!
//! Two daemons with state folders of their own would each take the other's running invocations for
//! lost. The lock is held while the project is open; the file keeps the owner's id (its state
//! folder) afterwards, so that a project with unfinished invocations is not taken from a daemon
//! that is only stopped.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, Weak};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::error::ProjectError;
use super::folder::{Folder, io_error};
use super::locked;

const NAME: &str = "steroidsd.lock";

/// An owner's id is a path: no longer than the kernel takes.
const MAX_OWNER: u64 = 4096;

/// A daemon before us with our state folder lets go of its projects a moment later than of that folder, where it was killed.
const HELD_FOR: Duration = Duration::from_secs(2);
/// The kernel tells nobody when a lock is free, but one who waits for it without a bound.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// This daemon, as the owner of projects.
#[derive(Debug)]
pub(super) struct Owner {
    /// The absolute path of its state folder.
    id: String,
    /// The locks that are held, by device and number of their files. A project that was moved, or is reached by two
    /// paths, is open twice for a while: both hold the one lock, which is free when neither needs it.
    // Held for a look-up or an insertion.
    held: Mutex<BTreeMap<(u64, u64), Weak<File>>>,
    /// Until then one before us may be about to be gone.
    expected_until: Instant,
}

/// The lock of one project; held until it is dropped.
#[derive(Debug)]
pub(super) struct Ownership {
    file: Arc<File>,
    /// Who held it last, if that was somebody else.
    previous: Option<String>,
}

impl Owner {
    /// Holds nothing yet.
    pub(super) fn new(id: String) -> Owner {
        Owner {
            id,
            held: Mutex::default(),
            expected_until: Instant::now() + HELD_FOR,
        }
    }

    /// Takes the lock of a project, or names who has it. Blocks.
    pub(super) fn take(
        &self,
        steroids: &Folder,
        project: &Path,
    ) -> Result<Ownership, ProjectError> {
        let path = steroids.path().join(NAME);
        let failed = |error: io::Error| io_error(path.clone(), error);
        let file = Arc::new(open(steroids).map_err(failed)?);
        let taken = loop {
            if let Some(taken) = self.try_take(&file).map_err(failed)? {
                break taken;
            }
            let owner = read(&file).map_err(failed)?;
            // Of another state folder is one that does not go.
            if owner != self.id && !owner.is_empty() || Instant::now() >= self.expected_until {
                let path = project.to_owned();
                return Err(match owner.is_empty() {
                    true => ProjectError::Busy { path },
                    false => ProjectError::OwnedByOtherDaemon { path, owner },
                });
            }
            sleep(LOOK_AGAIN);
        };
        let holder = read(&taken).map_err(failed)?;
        Ok(Ownership {
            file: taken,
            previous: (!holder.is_empty() && holder != self.id).then_some(holder),
        })
    }

    /// Gives the open file that holds the lock now, this one or an earlier one of ours; `None` if another daemon has it.
    fn try_take(&self, file: &Arc<File>) -> io::Result<Option<Arc<File>>> {
        let found = file.metadata()?;
        let id = (found.dev(), found.ino());
        let ours = || locked(&self.held).get(&id).and_then(Weak::upgrade);
        if let Some(ours) = ours() {
            return Ok(Some(ours));
        }
        if !lock(file)? {
            return Ok(ours());
        }
        let mut held = locked(&self.held);
        held.retain(|_, file| file.strong_count() > 0);
        held.insert(id, Arc::downgrade(file));
        Ok(Some(Arc::clone(file)))
    }

    /// Writes our name into the file.
    pub(super) fn sign(&self, ownership: &Ownership) -> io::Result<()> {
        let mut file = &*ownership.file;
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(format!("{}\n", self.id).as_bytes())
    }
}

impl Ownership {
    /// Who held it last, if that was somebody else.
    pub(super) fn previous(&self) -> Option<&str> {
        self.previous.as_deref()
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

fn read(mut file: &File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(MAX_OWNER).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_shared_by_all_of_one_daemon_and_with_no_other_of_its_state_folder() {
        let room = tempfile::tempdir().unwrap();
        let folder = Folder::open(&room.path().canonicalize().unwrap()).unwrap();
        let [first, mut second] = [(); 2].map(|()| Owner::new("/state".to_owned()));
        second.expected_until = Instant::now();
        let take = |owner: &Owner| owner.take(&folder, room.path());
        let older = take(&first).unwrap();
        first.sign(&older).unwrap();
        let newer = take(&first).unwrap();
        drop(older);
        let refused = take(&second).unwrap_err();
        assert!(
            matches!(&refused, ProjectError::OwnedByOtherDaemon { owner, .. } if owner == "/state"),
            "{refused}"
        );
        drop(newer);
        assert_eq!(take(&second).unwrap().previous(), None);
    }
}
