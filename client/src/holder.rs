//! Who serves: a daemon holds the lock of its state folder, and the one beside its socket, for its whole
//! life, with a line in it that names it. The kernel lets go of both with the daemon, however that ends.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::unistd::geteuid;

/// Who holds the lock of a state folder, as it says itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    line: String,
    /// Nobody but this user, and root, can have written the line.
    is_ours: bool,
}

impl Holder {
    /// Of this state folder; `None` where no daemon runs with it.
    pub fn of(state_dir: &Path) -> Option<Holder> {
        let file = held(&state_dir.join("steroidsd.lock"))?;
        let found = file.metadata().ok()?;
        let is_ours =
            found.is_file() && found.uid() == geteuid().as_raw() && found.mode() & 0o022 == 0;
        let mut line = String::new();
        // Enough for a pid and a path.
        file.take(8 * 1024).read_to_string(&mut line).ok()?;
        let line = line.trim().to_owned();
        Some(Holder { line, is_ours })
    }

    /// All that it says of itself.
    pub fn line(&self) -> &str {
        &self.line
    }

    /// Its process id, as text.
    pub fn pid(&self) -> Option<&str> {
        let (pid, _) = self.parts()?;
        Some(pid)
    }

    /// The socket that it serves, if that is there and it is this user's own daemon who says so.
    pub fn socket(&self) -> Option<PathBuf> {
        let (_, socket) = self.parts().filter(|_| self.is_ours)?;
        let socket = Path::new(socket);
        let is_socket = |path: &Path| {
            path.symlink_metadata()
                .is_ok_and(|found| found.file_type().is_socket())
        };
        (socket.is_absolute() && is_socket(socket)).then(|| socket.to_owned())
    }

    fn parts(&self) -> Option<(&str, &str)> {
        let said = self.line.strip_prefix("pid ")?;
        said.split_once(" with socket ")
    }
}

/// Whether a daemon serves this socket. Connecting would tell, too, but where systemd holds the
/// socket it would start one.
pub fn is_served(socket: &Path) -> bool {
    let mut lock = socket.as_os_str().to_owned();
    lock.push(".lock");
    held(Path::new(&lock)).is_some()
}

/// A lock's file, if somebody holds it.
fn held(path: &Path) -> Option<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
        .open(path)
        .ok()?;
    is_locked(&file).then_some(file)
}

/// Takes nothing.
fn is_locked(file: &File) -> bool {
    let mut lock = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        // Must be 0 for locks of an open file description.
        l_pid: 0,
    };
    let asked = fcntl(file, FcntlArg::F_OFD_GETLK(&mut lock));
    asked.is_ok() && i32::from(lock.l_type) != libc::F_UNLCK
}

#[cfg(test)]
pub(crate) mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::UnixListener;

    use super::*;

    /// Holds a lock as a daemon does, until it is dropped.
    pub(crate) fn hold(path: &Path, line: &str) -> File {
        let file = File::create(path).unwrap();
        file.set_permissions(std::fs::Permissions::from_mode(0o600))
            .unwrap();
        std::fs::write(path, line).unwrap();
        let lock = libc::flock {
            l_type: libc::F_WRLCK as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: 0,
            l_len: 0,
            l_pid: 0,
        };
        fcntl(&file, FcntlArg::F_OFD_SETLK(&lock)).unwrap();
        file
    }

    #[test]
    fn only_a_held_lock_is_a_daemon_that_runs() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("d.sock");
        assert!(!is_served(&socket));
        let lock = folder.path().join("d.sock.lock");
        std::fs::write(&lock, "").unwrap();
        assert!(!is_served(&socket));
        let held = hold(&lock, "");
        assert!(is_served(&socket));
        drop(held);
        assert!(!is_served(&socket));
    }

    #[test]
    fn a_socket_is_taken_from_a_lock_only_where_nobody_else_can_have_written_it() {
        let folder = tempfile::tempdir().unwrap();
        let lock = folder.path().join("steroidsd.lock");
        let socket = folder.path().join("with socket here");
        let line = format!("pid 7 with socket {}\n", socket.display());
        let held = hold(&lock, &line);
        let holder = || Holder::of(folder.path()).unwrap();
        assert_eq!(holder().pid(), Some("7"));
        assert_eq!(holder().socket(), None, "there is none");
        let listener = UnixListener::bind(&socket).unwrap();
        assert_eq!(holder().socket(), Some(socket));
        held.set_permissions(std::fs::Permissions::from_mode(0o620))
            .unwrap();
        assert_eq!(holder().socket(), None, "others may write it");
        held.set_permissions(std::fs::Permissions::from_mode(0o600))
            .unwrap();
        if geteuid().is_root() {
            std::os::unix::fs::fchown(&held, Some(12_345), None).unwrap();
            assert_eq!(holder().socket(), None, "it is another user's");
            assert_eq!(holder().line(), line.trim());
        }
        drop((held, listener));
        assert_eq!(Holder::of(folder.path()), None);
    }

    #[test]
    fn what_names_no_absolute_path_names_no_socket() {
        let folder = tempfile::tempdir().unwrap();
        for line in ["", "pid 7", "with socket /", "pid 7 with socket d.sock"] {
            let held = hold(&folder.path().join("steroidsd.lock"), line);
            let holder = Holder::of(folder.path()).unwrap();
            assert_eq!((holder.socket(), holder.line()), (None, line));
            drop(held);
        }
    }
}
