//! A disk that does not answer, as a mount does whose server is gone: a FUSE mount that nobody
//! serves, in a mount namespace of the test's own.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::small_disk::is_alone;

/// The right to mount one over a folder. Everything that is to see it must be started later, by the
/// same thread.
#[derive(Debug)]
pub struct HungDisk(());

/// One that is mounted. Dropping it takes it away, and ends all that waits for it.
#[derive(Debug)]
pub struct Hung {
    /// The server's end, which nobody reads.
    server: Option<File>,
    path: PathBuf,
}

impl HungDisk {
    /// `None`, with a word on stderr, where the caller is not root.
    pub fn prepare() -> Option<HungDisk> {
        is_alone().then_some(HungDisk(()))
    }

    /// From now on whoever asks for anything at this path waits.
    pub fn mount(&self, path: &Path) -> Hung {
        let server = OpenOptions::new().read(true).write(true).open("/dev/fuse");
        let server = server.expect("root may serve file systems");
        // As fuse(4) has it; the kernel takes the owner's ids and asks the server for the rest.
        let options = format!(
            "fd={},rootmode=40700,user_id=0,group_id=0",
            server.as_raw_fd()
        );
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(
            Some("hung"),
            path,
            Some("fuse"),
            flags,
            Some(options.as_str()),
        )
        .expect("root mounts a fuse");
        Hung {
            server: Some(server),
            path: path.to_owned(),
        }
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        // The kernel gives up whatever waits when the server's end is closed.
        drop(self.server.take());
        let _ = umount2(&self.path, MntFlags::MNT_DETACH);
    }
}
