//! Whether a daemon runs that nobody reaches: it holds the lock of the state folder for its whole life,
//! with a line in it that names it.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use steroids_client::paths::Paths;

use crate::starting;

/// What to do where nobody answers at the socket.
pub(crate) fn how_to_reach(paths: &Paths) -> String {
    let Some(holder) = holder(&paths.state_dir) else {
        return starting::of_daemon(paths);
    };
    let pid = holder.strip_prefix("pid ");
    let pid = pid.and_then(|rest| rest.split(' ').next()).unwrap_or("PID");
    format!(
        "a daemon runs all the same ({holder}): it is just starting, or somebody removed its socket.\n\
         Have it make that anew: kill -HUP {pid}. Where its socket is another one: --socket PATH"
    )
}

/// What the one who holds the lock says of itself.
fn holder(state_dir: &Path) -> Option<String> {
    let file = held(&state_dir.join("steroidsd.lock"))?;
    let mut line = String::new();
    // Enough for a pid and a path.
    file.take(8 * 1024).read_to_string(&mut line).ok()?;
    Some(line.trim().to_owned())
}

/// A lock's file, if somebody holds it.
pub(crate) fn held(path: &Path) -> Option<File> {
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
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_runs_is_named_and_one_that_has_gone_is_to_be_started() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths {
            socket: dir.path().join("d.sock"),
            state_dir: dir.path().to_owned(),
        };
        let how_to_start = starting::of_daemon(&paths);
        assert_eq!(how_to_reach(&paths), how_to_start);
        let path = dir.path().join("steroidsd.lock");
        std::fs::write(&path, "pid 7 with socket /x/s\n").unwrap();
        assert_eq!(how_to_reach(&paths), how_to_start);
        let file = File::options().write(true).open(&path).unwrap();
        let lock = libc::flock {
            l_type: libc::F_WRLCK as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: 0,
            l_len: 0,
            l_pid: 0,
        };
        fcntl(&file, FcntlArg::F_OFD_SETLK(&lock)).unwrap();
        let said = how_to_reach(&paths);
        assert!(
            said.contains("kill -HUP 7") && said.contains("/x/s"),
            "{said}"
        );
    }
}
