//! Whether a daemon runs that nobody reaches: it holds the lock of the state folder for its whole life.

use steroids_client::holder::Holder;
use steroids_client::paths::Paths;

use crate::session::quoted;
use crate::starting;

/// What to do where nobody answers at the socket.
pub(crate) fn how_to_reach(paths: &Paths) -> String {
    let Some(holder) = Holder::of(&paths.state_dir) else {
        return starting::of_daemon(paths);
    };
    let (line, pid) = (holder.line(), holder.pid().unwrap_or("PID"));
    match holder.socket().filter(|other| *other != paths.socket) {
        Some(other) => format!(
            "a daemon runs all the same ({line}), at another socket than the one that was named.\n\
             Name that: --socket {}",
            quoted(&other.to_string_lossy())
        ),
        None => format!(
            "a daemon runs all the same ({line}): it is just starting, or somebody removed its socket.\n\
             Have it make that anew: kill -HUP {pid}"
        ),
    }
}

/// What to do where somebody serves the socket and answers nothing: with who that is, if its state folder tells.
pub(crate) fn of_hung(paths: &Paths) -> Option<String> {
    let holder = Holder::of(&paths.state_dir)?;
    let serves = holder.socket().is_some_and(|it| it == paths.socket);
    let pid = holder.pid().filter(|_| serves)?;
    Some(format!(
        "it hangs, or was stopped ({}). Where that lasts, end it with: kill -9 {pid}\n\
         and {}; agents go on meanwhile, and nothing of them is lost",
        holder.line(),
        starting::of_daemon(paths)
    ))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc;

    use super::*;

    #[test]
    fn a_daemon_that_runs_is_named_and_one_that_has_gone_is_to_be_started() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths {
            socket: dir.path().join("d.sock"),
            state_dir: dir.path().to_owned(),
            is_usual: true,
        };
        let how_to_start = starting::of_daemon(&paths);
        assert_eq!(how_to_reach(&paths), how_to_start);
        let path = dir.path().join("steroidsd.lock");
        let other = dir.path().join("other.sock");
        let line = format!("pid 7 with socket {}\n", other.display());
        std::fs::write(&path, &line).unwrap();
        assert_eq!(how_to_reach(&paths), how_to_start);
        let file = std::fs::File::options().write(true).open(&path).unwrap();
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
            said.contains("kill -HUP 7") && said.contains(line.trim()),
            "{said}"
        );
        // One that serves another socket is not the one that hangs.
        let _listener = UnixListener::bind(&other).unwrap();
        assert_eq!(of_hung(&paths), None);
        let there = Paths {
            socket: other.clone(),
            ..paths.clone()
        };
        let cure = of_hung(&there).unwrap();
        assert!(
            cure.contains("kill -9 7\n") && cure.contains("start it with: "),
            "{cure}"
        );
        let said = how_to_reach(&paths);
        let named = format!("--socket {}", other.display());
        assert!(said.ends_with(&named) && !said.contains("kill"), "{said}");
    }
}
