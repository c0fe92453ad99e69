//! The socket that the service manager has opened for us (`steroidsd.socket`): exactly one, a Unix
//! socket that listens, where the configuration says that ours is. Anything else is a mistake in the
//! units, which serving somewhere else would hide.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::net::sockopt::{socket_acceptconn, socket_domain, socket_type};
use rustix::net::{AddressFamily, SocketType};

use super::sys;

/// What was passed on cannot be served by.
#[derive(Debug, thiserror::Error)]
pub enum PassedError {
    /// The variables that tell of it make no sense.
    #[error("cannot tell which sockets the service manager has passed on")]
    Variables(#[source] io::Error),
    /// More than one.
    #[error(
        "the service manager has passed on {count} sockets, and steroidsd serves one; leave one ListenStream= in steroidsd.socket"
    )]
    Several {
        /// How many.
        count: usize,
    },
    /// No Unix socket that listens.
    #[error(
        "what the service manager has passed on is no Unix socket that listens; steroidsd.socket takes ListenStream= with a path, and Accept=no"
    )]
    Unfit,
    /// One of another place.
    #[error(
        "the service manager listens on {}, and steroidsd is to serve {}; let ListenStream= of steroidsd.socket and daemon.socket agree",
        passed.display(), expected.display()
    )]
    Elsewhere {
        /// Where it is.
        passed: PathBuf,
        /// Where it should be.
        expected: PathBuf,
    },
}

/// Takes the socket that was passed on to this process, if one was. `expected` is where clients look
/// for it. Call it once, before anything is opened.
///
/// # Errors
/// Where something was passed on that we cannot serve by.
pub fn passed_socket(expected: &Path) -> Result<Option<UnixListener>, PassedError> {
    let numbers = sd_notify::listen_fds().map_err(PassedError::Variables)?;
    let mut passed = sys::own_passed(numbers);
    match passed.len() {
        0 => Ok(None),
        1 => passed.pop().map(|one| check(one, expected)).transpose(),
        count => Err(PassedError::Several { count }),
    }
}

fn check(passed: OwnedFd, expected: &Path) -> Result<UnixListener, PassedError> {
    let unfit = |_| PassedError::Unfit;
    let fd = passed.as_fd();
    // The family first: another one has another address.
    if socket_domain(fd).map_err(unfit)? != AddressFamily::UNIX
        || socket_type(fd).map_err(unfit)? != SocketType::STREAM
        || !socket_acceptconn(fd).map_err(unfit)?
    {
        return Err(PassedError::Unfit);
    }
    let listener = UnixListener::from(passed);
    let address = listener.local_addr().map_err(|_| PassedError::Unfit)?;
    let path = address.as_pathname().ok_or(PassedError::Unfit)?;
    if !is_same(path, expected) {
        return Err(PassedError::Elsewhere {
            passed: path.to_owned(),
            expected: expected.to_owned(),
        });
    }
    listener
        .set_nonblocking(true)
        .map_err(|_| PassedError::Unfit)?;
    Ok(listener)
}

/// Whether two names are of one socket; a runtime folder may have been named by way of a symlink.
fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| {
        let found = std::fs::symlink_metadata(path).ok()?;
        Some((found.dev(), found.ino()))
    };
    one == other || identity(one).is_some_and(|one| Some(one) == identity(other))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::net::{UnixDatagram, UnixStream};

    use super::*;

    #[test]
    fn a_socket_at_its_place_is_taken_also_by_another_name_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let copy = OwnedFd::from(listener.try_clone().unwrap());
        check(copy, &path).unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path(), &link).unwrap();
        check(listener.into(), &link.join("s")).unwrap();
    }

    #[test]
    fn a_socket_of_another_place_is_refused_with_both_names() {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("s")).unwrap();
        let error = check(listener.into(), Path::new("/run/t")).unwrap_err();
        let said = error.to_string();
        assert!(said.contains("/s,") && said.contains("/run/t;"), "{said}");
    }

    #[test]
    fn what_does_not_listen_or_is_no_unix_stream_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let _listener = UnixListener::bind(&path).unwrap();
        let datagrams = UnixDatagram::bind(dir.path().join("d")).unwrap();
        let unfit: [OwnedFd; 4] = [
            UnixStream::connect(&path).unwrap().into(),
            datagrams.into(),
            TcpListener::bind("127.0.0.1:0").unwrap().into(),
            std::fs::File::open("/dev/null").unwrap().into(),
        ];
        for each in unfit {
            assert!(matches!(check(each, &path), Err(PassedError::Unfit)));
        }
    }
}
