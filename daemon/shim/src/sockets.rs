//! The sockets of shims: one that ends removes its own, and one that was killed leaves it behind. A shim
//! binds while it holds its lock, and takes over no folder that has an exit record: so where the lock is
//! free and the record is there, nobody listens, or ever will.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use crate::lock;
use crate::paths::InvDir;

/// Where the sockets are, below the runtime folder.
const FOLDER: &str = "s";

/// Characters of a name: a path has 107 bytes at most.
const LENGTH: usize = 12;

/// One without a state folder here may be another daemon's, whose shim binds just now.
const OLD: Duration = Duration::from_secs(3600);

/// The socket of an invocation's shim.
pub fn path(runtime_dir: &Path, uuid: &str) -> PathBuf {
    runtime_dir.join(FOLDER).join(name(uuid))
}

fn name(uuid: &str) -> String {
    uuid.chars().filter(|c| *c != '-').take(LENGTH).collect()
}

/// Removes the socket of a shim that is gone, if that is one and has its name. Its caller holds the
/// shim's lock, or knows that nobody takes it again. Blocks.
pub fn remove(socket: &Path, uuid: &str) -> bool {
    let has_its_name = socket.file_name().is_some_and(|it| *it == *name(uuid));
    // What cannot be removed is looked at again with all others.
    has_its_name && made(socket).is_some() && fs::remove_file(socket).is_ok()
}

/// Removes what killed shims have left below a runtime folder, and counts it. Blocks.
pub fn sweep(runtime_dir: &Path, state_dir: &Path, now: SystemTime) -> usize {
    let folders = names(&InvDir::all(state_dir));
    let folders: HashMap<String, String> = folders.map(|uuid| (name(&uuid), uuid)).collect();
    let folder = runtime_dir.join(FOLDER);
    names(&folder)
        .filter(|socket| {
            let path = folder.join(socket);
            match folders.get(socket) {
                Some(uuid) => is_over(&InvDir::new(state_dir, uuid)) && remove(&path, uuid),
                None => is_left(&path, now) && fs::remove_file(&path).is_ok(),
            }
        })
        .count()
}

fn names(folder: &Path) -> impl Iterator<Item = String> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

/// When a socket of this user's was made; `None` for anything else. No link is followed.
fn made(path: &Path) -> Option<SystemTime> {
    let about = fs::symlink_metadata(path).ok()?;
    let is_ours = about.uid() == rustix::process::geteuid().as_raw();
    (about.file_type().is_socket() && is_ours).then(|| about.modified().ok())?
}

/// Whether nobody listens at it, or will.
fn is_over(dir: &InvDir) -> bool {
    // A lock that is gone by its name may be held all the same.
    let is_free = || dir.lock().exists() && lock::is_held(&dir.lock()).is_ok_and(|held| !held);
    dir.exit().exists() && is_free()
}

/// Whether nobody has listened for long at one of which nothing else is known.
fn is_left(path: &Path, now: SystemTime) -> bool {
    let age = made(path).and_then(|made| now.duration_since(made).ok());
    age.is_some_and(|age| age >= OLD) && matches!(knock(path), Err(Errno::CONNREFUSED))
}

/// One that listens and does not answer waits for nobody here.
fn knock(path: &Path) -> Result<(), Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(path)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    /// A runtime folder and a state folder.
    struct Scene(tempfile::TempDir);

    impl Scene {
        fn new() -> Scene {
            let scene = Scene(tempfile::tempdir().unwrap());
            fs::create_dir_all(scene.runtime().join(FOLDER)).unwrap();
            scene
        }

        fn runtime(&self) -> PathBuf {
            self.0.path().join("run")
        }

        fn state(&self) -> PathBuf {
            self.0.path().join("state")
        }

        fn bound(&self, uuid: &str) -> UnixListener {
            UnixListener::bind(path(&self.runtime(), uuid)).unwrap()
        }

        /// The state folder of one that has ended or has not.
        fn folder(&self, uuid: &str, has_ended: bool) -> InvDir {
            let dir = InvDir::new(&self.state(), uuid);
            fs::create_dir_all(dir.path()).unwrap();
            if has_ended {
                fs::write(dir.exit(), "{}").unwrap();
            }
            dir
        }

        fn swept(&self, after: Duration) -> Vec<String> {
            let count = || names(&self.runtime().join(FOLDER)).count();
            let before = count();
            let swept = sweep(&self.runtime(), &self.state(), SystemTime::now() + after);
            assert_eq!(before - count(), swept);
            let mut left: Vec<String> = names(&self.runtime().join(FOLDER)).collect();
            left.sort();
            left
        }
    }

    const A: &str = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa";
    const B: &str = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb";
    const C: &str = "cccccccc-cccc-4ccc-8ccc-cccccccccccc";

    #[test]
    fn what_ended_ones_left_goes_and_nobodys_who_lives_or_may_begin() {
        let scene = Scene::new();
        for uuid in [A, B, C] {
            drop(scene.bound(uuid));
        }
        let ended = scene.folder(A, true);
        let lives = scene.folder(B, true);
        let lock = lock::acquire(&lives.lock()).unwrap();
        scene.folder(C, false);
        // A lock that has lost its name may be held.
        assert_eq!(scene.swept(OLD * 2), [name(A), name(B), name(C)]);
        lock::provide(&ended.lock()).unwrap();
        assert_eq!(scene.swept(OLD * 2), [name(B), name(C)]);
        drop(lock);
        assert_eq!(scene.swept(OLD * 2), [name(C)]);
    }

    #[test]
    fn one_without_a_folder_goes_once_nobody_has_listened_for_long() {
        let scene = Scene::new();
        let _listens = scene.bound(A);
        drop(scene.bound(B));
        assert_eq!(scene.swept(Duration::ZERO), [name(A), name(B)]);
        assert_eq!(scene.swept(OLD * 2), [name(A)]);
    }

    #[test]
    fn nothing_but_a_socket_of_its_own_name_is_removed() {
        let scene = Scene::new();
        let folder = scene.runtime().join(FOLDER);
        let target = scene.0.path().join("else");
        let _listens = UnixListener::bind(&target).unwrap();
        std::os::unix::fs::symlink(&target, folder.join(name(A))).unwrap();
        fs::write(folder.join(name(B)), "").unwrap();
        for uuid in [A, B] {
            scene.folder(uuid, true);
            assert!(!remove(&path(&scene.runtime(), uuid), uuid));
        }
        drop(scene.bound(C));
        assert!(!remove(&path(&scene.runtime(), C), A));
        assert!(remove(&path(&scene.runtime(), C), C));
        assert_eq!(scene.swept(OLD * 2), [name(A), name(B)]);
    }
}
