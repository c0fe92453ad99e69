//! The socket's name in its folder. Whoever ends the last session of a user removes the folder with all
//! that is in it; a socket whose name is gone is reached by nobody, and is bound anew.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use super::listen::{self, ListenError};
use super::lock::DaemonLock;

/// Which file has a name. Nobody else is given the number while the file is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    number: u64,
}

impl Identity {
    /// Of what stands at `path`, be it a link.
    pub(super) fn of(path: &Path) -> io::Result<Identity> {
        fs::symlink_metadata(path).map(|found| Identity::from(&found))
    }
}

impl From<&fs::Metadata> for Identity {
    fn from(found: &fs::Metadata) -> Identity {
        Identity {
            device: found.dev(),
            number: found.ino(),
        }
    }
}

/// Where the socket is. Dropped, its name is removed if it is still that of the one we made, and
/// another daemon may take the place.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
    /// `None` where it is another's to remove, and to make.
    identity: Option<Identity>,
    lock: DaemonLock,
}

impl Place {
    pub(super) fn new(path: PathBuf, identity: Option<Identity>, lock: DaemonLock) -> Place {
        Place {
            path,
            identity,
            lock,
        }
    }

    /// True if its name does not lead to our socket any more.
    pub fn is_lost(&self) -> bool {
        let found = Identity::of(&self.path).ok();
        self.identity.is_some() && self.identity != found
    }

    /// Takes the place anew, folder and lock with it, and gives what listens there now.
    ///
    /// # Errors
    /// As at the start: somebody else has the place, or it cannot be made.
    pub fn take_again(&mut self) -> Result<UnixListener, ListenError> {
        if let Some(folder) = self.path.parent() {
            listen::own_folder(folder)?;
        }
        self.lock.renew()?;
        let (listener, identity) = listen::open(&self.path)?;
        self.identity = Some(identity);
        Ok(listener)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.identity.is_some() && !self.is_lost() {
            // Should it stay, the next daemon finds that nobody answers there and replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::service::listen::{claim, claim_passed};

    #[test]
    fn a_place_that_was_lost_is_taken_again_with_its_folder_and_its_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/s");
        let mut listening = claim(&path, "us").unwrap().bind().unwrap();
        assert!(!listening.place.is_lost());
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
        assert!(listening.place.is_lost());
        let _listener = listening.place.take_again().unwrap();
        assert!(!listening.place.is_lost());
        UnixStream::connect(&path).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert!(claim_passed(&path, "them").unwrap_err().is_held());
        // The name alone: the lock is still there, and ours.
        fs::remove_file(&path).unwrap();
        let _listener = listening.place.take_again().unwrap();
        assert!(claim_passed(&path, "them").unwrap_err().is_held());
        drop(listening);
        assert!(!path.exists());
        claim(&path, "them").unwrap();
    }

    #[test]
    fn a_place_that_another_has_taken_meanwhile_is_left_to_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/s");
        let mut listening = claim(&path, "us").unwrap().bind().unwrap();
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
        let theirs = claim(&path, "them").unwrap().bind().unwrap();
        assert!(listening.place.is_lost());
        let error = listening.place.take_again().unwrap_err();
        assert!(
            error.is_held() && error.to_string().contains("them"),
            "{error}"
        );
        drop(listening);
        assert!(!theirs.place.is_lost());
    }

    #[test]
    fn one_that_was_passed_on_is_never_lost() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let passed = UnixListener::bind(&path).unwrap();
        let listening = claim_passed(&path, "us").unwrap().take(passed);
        fs::remove_file(&path).unwrap();
        assert!(!listening.place.is_lost());
    }
}
