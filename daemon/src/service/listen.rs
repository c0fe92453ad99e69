//! The socket: where it may be, who may have made what is there already, and who may reach it.
//!
//! [`claim`] checks the folder and takes the lock beside the socket, early, so that a second daemon
//! ends before it touches anything. [`Claim::bind`] comes last, once there is something to serve:
//! until then clients find no socket, or one that refuses them, and never one that hangs.
//!
//! Where the service manager listens for us ([`claim_passed`], [`Claim::take`]) the socket is its own:
//! clients wait in it until we serve, also while no daemon runs, and we never remove it.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::lock::{DaemonLock, LockError};
use super::place::{Identity, Place};

/// `sun_path` has 108 bytes, the last of them a NUL.
const PATH_MAX: usize = 107;
/// Clients that wait to be accepted while we are busy; the kernel's own default bound is 4096.
const BACKLOG: i32 = 128;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The kernel takes no such path.
    #[error(
        "socket path {} has {bytes} bytes and the kernel takes {PATH_MAX} at most; give a shorter one with --socket",
        path.display()
    )]
    TooLong {
        /// The path.
        path: PathBuf,
        /// Its length.
        bytes: usize,
    },
    /// The folder is not safe to put a socket or our state into.
    #[error("folder {} cannot be used: {reason}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// Something else stands where the socket should be.
    #[error("{} is there and is no socket; move it away, or give another path with --socket", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// Somebody answers there.
    #[error("another process listens on {}; end it, or give another path with --socket", path.display())]
    InUse {
        /// The path.
        path: PathBuf,
    },
    /// Somebody holds the lock.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The verb.
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl ListenError {
    /// True if another daemon has the place, who may let go of it.
    pub fn is_held(&self) -> bool {
        matches!(self, ListenError::Lock(lock) if lock.is_held())
    }
}

/// A folder that is ours and that others cannot even enter: made so, found so, or refused.
pub fn closed_folder(path: &Path) -> Result<(), ListenError> {
    folder(path, 0o077, "others may enter it", "chmod 700")
}

/// A folder that is ours and in which others change nothing: made closed, found so, or refused.
pub fn own_folder(path: &Path) -> Result<(), ListenError> {
    folder(path, 0o022, "others may write to it", "chmod go-w")
}

fn folder(path: &Path, forbidden: u32, wrong: &str, remedy: &str) -> Result<(), ListenError> {
    let refuse = |reason: String| {
        Err(ListenError::Folder {
            path: path.to_owned(),
            reason,
        })
    };
    let fault = |action, source| ListenError::Io {
        action,
        path: path.to_owned(),
        source,
    };
    match DirBuilder::new().recursive(true).mode(0o700).create(path) {
        Ok(()) => {}
        // What is there instead is told below.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(source) => return Err(fault("create", source)),
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let stat = match rustix::fs::open(path, flags, Mode::empty()).and_then(rustix::fs::fstat) {
        Ok(stat) => stat,
        Err(rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP) => {
            return refuse("it is a symlink or no folder at all".to_owned());
        }
        Err(errno) => return Err(fault("open", errno.into())),
    };
    let own = rustix::process::geteuid().as_raw();
    if stat.st_uid != own {
        return refuse(format!("it belongs to user {}, not to {own}", stat.st_uid));
    }
    if stat.st_mode & forbidden != 0 {
        let mode = stat.st_mode & 0o777;
        return refuse(format!("{wrong} (mode {mode:03o}); run {remedy} on it"));
    }
    Ok(())
}

/// A place for the socket that no other daemon can take while this lives.
#[derive(Debug)]
pub struct Claim {
    path: PathBuf,
    lock: DaemonLock,
}

/// Checks that a socket may be at `path`, and keeps other daemons from it. `holder` is what they
/// are told about us.
pub fn claim(path: &Path, holder: &str) -> Result<Claim, ListenError> {
    let claim = claim_passed(path, holder)?;
    vacant(path)?;
    Ok(claim)
}

/// As [`claim`], where a socket is at `path` that was made for us, and passed on.
pub fn claim_passed(path: &Path, holder: &str) -> Result<Claim, ListenError> {
    let bytes = path.as_os_str().len();
    if bytes > PATH_MAX {
        return Err(ListenError::TooLong {
            path: path.to_owned(),
            bytes,
        });
    }
    if let Some(folder) = path.parent() {
        // The socket itself is closed to others; that nobody can replace it is the folder's part.
        own_folder(folder)?;
    }
    // Two state folders may have been given one socket, so their locks do not keep them apart here.
    let mut lock = path.as_os_str().to_owned();
    lock.push(".lock");
    let lock = DaemonLock::acquire(Path::new(&lock), holder)?;
    Ok(Claim {
        path: path.to_owned(),
        lock,
    })
}

impl Claim {
    /// Opens the socket, in place of one that a daemon before us left behind.
    pub fn bind(self) -> Result<Listening, ListenError> {
        let (listener, identity) = open(&self.path)?;
        Ok(Listening {
            listener,
            place: Place::new(self.path, Some(identity), self.lock),
        })
    }

    /// Serves by the socket that was passed on to us, whoever made it.
    pub fn take(self, passed: UnixListener) -> Listening {
        Listening {
            listener: passed,
            place: Place::new(self.path, None, self.lock),
        }
    }
}

/// An open socket.
#[derive(Debug)]
pub struct Listening {
    /// Listens, without blocking.
    pub listener: UnixListener,
    /// To be kept until the daemon has let go of everything else.
    pub place: Place,
}

/// Listens at `path`, in place of a socket that nobody listens on. The caller holds the lock beside it.
pub(super) fn open(path: &Path) -> Result<(UnixListener, Identity), ListenError> {
    vacant(path)?;
    let fault = |action| {
        move |source: io::Error| ListenError::Io {
            action,
            path: path.to_owned(),
            source,
        }
    };
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(fault("remove")(error));
        }
        _ => {}
    }
    let socket = open_socket().map_err(|errno| fault("open a socket for")(errno.into()))?;
    SocketAddrUnix::new(path)
        .and_then(|address| rustix::net::bind(&socket, &address))
        .map_err(|errno| fault("bind")(errno.into()))?;
    // Nobody can connect before listen, and nobody else can write to the folder anyway.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(fault("chmod"))?;
    let identity = Identity::of(path).map_err(fault("examine"))?;
    rustix::net::listen(&socket, BACKLOG).map_err(|errno| fault("listen on")(errno.into()))?;
    Ok((UnixListener::from(socket), identity))
}

/// Passes if nothing is at `path`, or a socket that nobody listens on.
fn vacant(path: &Path) -> Result<(), ListenError> {
    let fault = |action, source| ListenError::Io {
        action,
        path: path.to_owned(),
        source,
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(fault("examine", error)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(ListenError::NotASocket {
                path: path.to_owned(),
            });
        }
        Ok(_) => {}
    }
    let address = SocketAddrUnix::new(path).map_err(|errno| fault("name", errno.into()))?;
    let probe = open_socket().map_err(|errno| fault("open a socket for", errno.into()))?;
    match rustix::net::connect(&probe, &address) {
        Err(rustix::io::Errno::CONNREFUSED | rustix::io::Errno::NOENT) => Ok(()),
        // A full backlog is somebody's, too.
        Ok(()) | Err(rustix::io::Errno::AGAIN) => Err(ListenError::InUse {
            path: path.to_owned(),
        }),
        Err(errno) => Err(fault("connect to", errno.into())),
    }
}

fn open_socket() -> rustix::io::Result<rustix::fd::OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_socket_and_its_folder_are_closed_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/steroidsd.sock");
        let listening = claim(&path, "us").unwrap().bind().unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        UnixStream::connect(&path).unwrap();
        drop(listening);
        assert!(!path.exists());
    }

    #[test]
    fn nothing_is_at_the_path_before_bind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/steroidsd.sock");
        let _claim = claim(&path, "us").unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_socket_left_behind_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let _listening = claim(&path, "us").unwrap().bind().unwrap();
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn a_socket_that_answers_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let _other = UnixListener::bind(&path).unwrap();
        assert!(matches!(claim(&path, "us"), Err(ListenError::InUse { .. })));
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn a_second_claim_names_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let _first = claim(&path, "pid 7 with state in /a").unwrap();
        let error = claim(&path, "pid 8").unwrap_err().to_string();
        assert!(error.contains("pid 7 with state in /a"), "{error}");
    }

    #[test]
    fn a_file_at_the_path_is_refused_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        fs::write(&path, "notes").unwrap();
        assert!(matches!(
            claim(&path, "us"),
            Err(ListenError::NotASocket { .. })
        ));
        assert_eq!(fs::read_to_string(&path).unwrap(), "notes");
    }

    #[test]
    fn a_file_that_took_the_place_is_not_removed_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listening = claim(&path, "us").unwrap().bind().unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "notes").unwrap();
        drop(listening);
        assert_eq!(fs::read_to_string(&path).unwrap(), "notes");
    }

    #[test]
    fn a_socket_that_was_passed_on_is_served_and_left_where_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let passed = UnixListener::bind(&path).unwrap();
        let listening = claim_passed(&path, "us").unwrap().take(passed);
        UnixStream::connect(&path).unwrap();
        let error = claim_passed(&path, "them").unwrap_err();
        assert!(error.is_held(), "{error}");
        drop(listening);
        assert!(path.exists());
    }

    #[test]
    fn an_open_folder_is_refused_and_so_is_a_symlink_to_a_closed_one() {
        let dir = tempfile::tempdir().unwrap();
        let open = dir.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        let error = claim(&open.join("s"), "us").unwrap_err().to_string();
        assert!(
            error.contains("mode 777") && error.contains("chmod go-w"),
            "{error}"
        );
        fs::set_permissions(&open, fs::Permissions::from_mode(0o750)).unwrap();
        claim(&open.join("s"), "us").unwrap();
        let error = closed_folder(&open).unwrap_err().to_string();
        assert!(
            error.contains("mode 750") && error.contains("chmod 700"),
            "{error}"
        );

        let closed = dir.path().join("closed");
        fs::DirBuilder::new().mode(0o700).create(&closed).unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&closed, &link).unwrap();
        let error = claim(&link.join("s"), "us").unwrap_err().to_string();
        assert!(error.contains("symlink"), "{error}");
    }

    #[test]
    fn a_folder_of_another_user_is_refused() {
        if !rustix::process::geteuid().is_root() {
            return; // Only root can give a folder away.
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("theirs");
        fs::DirBuilder::new().mode(0o700).create(&path).unwrap();
        std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
        let error = claim(&path.join("s"), "us").unwrap_err().to_string();
        assert!(error.contains("belongs to user 65534"), "{error}");
    }

    #[test]
    fn a_path_too_long_for_the_kernel_is_told_in_bytes() {
        let path = Path::new("/tmp").join("x".repeat(103));
        assert_eq!(path.as_os_str().len(), 108);
        let error = claim(&path, "us").unwrap_err().to_string();
        assert!(
            error.contains("has 108 bytes and the kernel takes 107"),
            "{error}"
        );
    }
}
