//! What can be seen without the daemon: the socket and its folder, the state folder, free space,
//! and whether the user's services outlive the last login.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::process::{Command, Stdio};

use super::Check;
use crate::failure::HOW_TO_START;
use crate::format;

/// Below this the daemon refuses new starts.
const LEAST_SPACE: u64 = 200 * 1024 * 1024;
/// Below this a busy day may reach the other bound.
const LITTLE_SPACE: u64 = 1024 * 1024 * 1024;

/// The socket, and the folder it lies in.
pub(super) fn socket(socket: &Path) -> Vec<Check> {
    let shown = socket.display();
    let found = match fs::symlink_metadata(socket) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return vec![Check::fail(
                "socket",
                format!("there is none at {shown}"),
                HOW_TO_START,
            )];
        }
        Err(error) => {
            let hint = "name the right one with --socket PATH";
            return vec![Check::fail("socket", format!("{shown}: {error}"), hint)];
        }
    };
    let mut checks = vec![if !found.file_type().is_socket() {
        let hint = "move it away, or name another path with --socket PATH";
        Check::fail("socket", format!("{shown} is no socket"), hint)
    } else {
        private("socket", socket, &found)
    }];
    if let Some(folder) = socket.parent() {
        checks.extend(folder_check("runtime", folder));
    }
    checks
}

/// The state folder, if there is one yet.
pub(super) fn state_dir(folder: &Path) -> Option<Check> {
    folder_check("state", folder)
}

fn folder_check(name: &'static str, folder: &Path) -> Option<Check> {
    if folder.as_os_str().is_empty() {
        return None;
    }
    match fs::symlink_metadata(folder) {
        Ok(found) if found.is_dir() => Some(private(name, folder, &found)),
        Ok(_) => Some(Check::fail(
            name,
            format!("{} is no folder", folder.display()),
            "move it away; the daemon makes a folder there",
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(Check::ok(
            name,
            format!("{} (not there yet)", folder.display()),
        )),
        Err(error) => Some(Check::fail(
            name,
            format!("{}: {error}", folder.display()),
            "make it readable for your user",
        )),
    }
}

/// Ours, and closed to everybody else.
fn private(name: &'static str, path: &Path, found: &fs::Metadata) -> Check {
    let shown = path.display();
    let us = rustix::process::geteuid().as_raw();
    let mode = found.mode() & 0o777;
    if found.uid() != us {
        let text = format!("{shown} belongs to user {}, not to {us}", found.uid());
        return Check::fail(name, text, "use your own daemon, or become that user");
    }
    if mode & 0o077 != 0 {
        let closed = if found.is_dir() { "700" } else { "600" };
        let text = format!("{shown} is open to others (mode {mode:03o})");
        return Check::fail(name, text, format!("chmod {closed} {shown}"));
    }
    Check::ok(name, shown.to_string())
}

/// Free space where the transcripts go.
pub(super) fn space(folder: &Path) -> Check {
    let existing = folder
        .ancestors()
        .find(|folder| folder.exists())
        .unwrap_or(Path::new("/"));
    let free = match rustix::fs::statvfs(existing) {
        Ok(found) => found.f_bavail.saturating_mul(found.f_frsize),
        Err(error) => {
            let text = format!(
                "cannot tell how much is free at {}: {error}",
                existing.display()
            );
            return Check::warn("disk", text, "see with: df");
        }
    };
    let amount = format::bytes(i64::try_from(free).unwrap_or(i64::MAX));
    let text = format!("{amount} free at {}", existing.display());
    let hint = "make room: steroidsctl cleanup logs --dry-run";
    match free {
        0..LEAST_SPACE => Check::fail("disk", text, hint),
        LEAST_SPACE..LITTLE_SPACE => Check::warn("disk", text, hint),
        _ => Check::ok("disk", text),
    }
}

/// Without lingering a user's services end with the last login. No word where there is no logind.
pub(super) fn linger() -> Option<Check> {
    let user = rustix::process::geteuid().as_raw().to_string();
    let answer = Command::new("loginctl")
        .args(["show-user", &user, "--property=Linger", "--value"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    match String::from_utf8_lossy(&answer.stdout).trim() {
        "yes" => Some(Check::ok("linger", "services go on after logout")),
        "no" => Some(Check::warn(
            "linger",
            "your services, the daemon and its agents among them, end when you log out",
            "loginctl enable-linger",
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::doctor::Verdict;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_folder_open_to_others_fails_with_the_cure() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let check = state_dir(folder.path()).unwrap();
        assert_eq!(check.status, Verdict::Fail);
        assert!(check.hint.unwrap().starts_with("chmod 700"));
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(state_dir(folder.path()).unwrap().status, Verdict::Ok);
    }

    #[test]
    fn what_lies_at_the_sockets_place_must_be_a_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        assert_eq!(socket(&path)[0].status, Verdict::Fail);
        fs::write(&path, "").unwrap();
        assert!(socket(&path)[0].message.contains("no socket"));
    }

    #[test]
    fn space_is_told_for_a_folder_that_is_still_to_be_made() {
        assert_ne!(
            space(Path::new("/steroids/none/such")).status,
            Verdict::Fail
        );
    }
}
