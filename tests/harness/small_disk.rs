//! A disk that a test can fill: a tmpfs of a given size, in a mount namespace of the test's own.
//!
//! The thread that runs the test leaves the host's namespace for a private copy, and whatever it
//! starts from then on lives in that copy too. So the disk is seen by the test and its programs
//! alone, and is gone with the last of them, however the test ends.

use std::cell::Cell;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use crate::Home;

/// What [`SmallDisk::fill`] leaves.
const BALLAST: &str = "ballast";

/// The disk. Dropping it takes it away.
#[derive(Debug)]
pub struct SmallDisk {
    path: PathBuf,
    size: String,
}

impl SmallDisk {
    /// Mounts one of `size` (as in `8m`) at a folder below the home, which is made. `None`, with a
    /// word on stderr, where the caller is not root. Everything that is to see it must be started
    /// later, by the same thread.
    pub fn mount(home: &Home, below: &str, size: &str) -> Option<SmallDisk> {
        let path = home.path(below);
        fs::create_dir_all(&path).expect("the home takes folders");
        SmallDisk::mount_at(path, size)
    }

    fn mount_at(path: PathBuf, size: &str) -> Option<SmallDisk> {
        if !is_alone() {
            return None;
        }
        let disk = SmallDisk {
            path,
            size: size.to_owned(),
        };
        disk.change(MsFlags::empty()).expect("root mounts a tmpfs");
        Some(disk)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Fills it to the last page.
    pub fn fill(&self) {
        let mut ballast = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path.join(BALLAST))
            .expect("a new disk takes a file");
        let page = [b'.'; 4096];
        loop {
            match ballast.write(&page) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::StorageFull => return,
                Err(error) => panic!("{}: {error}", self.path.display()),
            }
        }
    }

    /// Frees what [`SmallDisk::fill`] took.
    pub fn free(&self) {
        fs::remove_file(self.path.join(BALLAST)).expect("it was filled");
    }

    /// Makes it larger, or as much smaller as there is room left.
    pub fn resize(&self, size: &str) {
        let options = format!("size={size}");
        let kind = Some("tmpfs");
        let flags = MsFlags::MS_REMOUNT;
        mount(kind, &self.path, kind, flags, Some(options.as_str())).expect("root remounts");
    }

    /// Refuses every write from now on, or takes them again. Nobody may have a file on it open for
    /// writing.
    pub fn set_read_only(&self, yes: bool) {
        let flags = if yes {
            MsFlags::MS_RDONLY
        } else {
            MsFlags::empty()
        };
        self.change(flags | MsFlags::MS_REMOUNT)
            .expect("nobody writes to it");
    }

    fn change(&self, flags: MsFlags) -> nix::Result<()> {
        let options = format!("size={},mode=0700", self.size);
        let kind = Some("tmpfs");
        mount(kind, &self.path, kind, flags, Some(options.as_str()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Whoever still has a file open keeps what is behind it.
        let _ = umount2(&self.path, MntFlags::MNT_DETACH);
    }
}

thread_local! {
    static IS_ALONE: Cell<bool> = const { Cell::new(false) };
}

/// Gives the calling thread mounts of its own, unless it has them.
pub(crate) fn is_alone() -> bool {
    if IS_ALONE.get() {
        return true;
    }
    let private = || {
        unshare(CloneFlags::CLONE_NEWNS)?;
        let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, flags, None::<&str>)
    };
    match private() {
        Ok(()) => {
            IS_ALONE.set(true);
            true
        }
        Err(error) => {
            explain(error);
            false
        }
    }
}

#[expect(clippy::print_stderr, reason = "libtest shows it beside the test")]
fn explain(error: nix::Error) {
    eprintln!("no mounts of its own ({error}): this needs root, and is NOT shown");
}
