//! What can be seen without the daemon: the socket and its folder, the state folder, the gateway's
//! token, and free space.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::fs::{Access, StatVfsMountFlags, access, statvfs};
use steroids_client::Client;
use steroids_client::paths::Paths;

use super::Check;
use crate::command::config;
use crate::holder::how_to_reach;
use crate::session::{Session, quoted};
use crate::{format, parse};

/// With so little above what a start needs a busy day may reach that.
const LITTLE_SPACE: u64 = 824 * 1024 * 1024;
/// Less is none: nothing can be started, whatever `daemon.min_free` asks for.
const NOTHING: u64 = 1 << 20;
/// An invocation makes about ten files.
const FEW_FILES: u64 = 10_000;
/// Below this the daemon refuses new starts, whatever it was told.
const LEAST_FILES: u64 = 32;

/// Below this the daemon refuses new starts.
pub(super) struct Least {
    bytes: u64,
    /// As it was written.
    shown: String,
}

impl Default for Least {
    fn default() -> Self {
        Least {
            bytes: 200 * 1024 * 1024,
            shown: "200 MiB".to_owned(),
        }
    }
}

/// As the daemon that runs was told, or as one would be; as usual where that cannot be told.
pub(super) async fn least_space(client: Option<&Client>, session: &Session) -> Least {
    let value = config::value_of("daemon.min_free", client, session).await;
    let shown = value.and_then(|value| value.as_str().map(str::to_owned));
    let least = shown.and_then(|shown| {
        let bytes = match shown.trim() {
            "" => 0,
            text => parse::size(text).ok()?,
        };
        Some(Least { bytes, shown })
    });
    least.unwrap_or_default()
}

/// The socket, and the folder it lies in.
pub(super) fn socket(paths: &Paths) -> Vec<Check> {
    let socket = &*paths.socket;
    let shown = socket.display();
    let found = match fs::symlink_metadata(socket) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return vec![Check::fail(
                "socket",
                format!("there is none at {shown}"),
                how_to_reach(paths),
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

/// The gateway's token, if there is one: who reads it may do all that its owner may.
pub(super) fn token(state_dir: &Path) -> Option<Check> {
    let token = state_dir.join("gateway/token");
    let found = fs::symlink_metadata(&token).ok()?;
    Some(private("token", &token, &found))
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
        return Check::fail(
            name,
            text,
            format!("chmod {closed} {}", quoted(&path.to_string_lossy())),
        );
    }
    Check::ok(name, shown.to_string())
}

/// A folder that we can write and the daemon cannot, as its unit shows it another file system.
pub(super) fn read_only(pid: i64, folder: &Path) -> Option<Check> {
    let below = folder.strip_prefix("/").ok()?;
    let seen = Path::new("/proc").join(pid.to_string()).join("root");
    // Of another user's daemon nothing is to be seen.
    let can_only_read = |path: &Path| {
        let found = statvfs(path).ok()?;
        Some(found.f_flag.contains(StatVfsMountFlags::RDONLY))
    };
    let is_kept = can_only_read(&seen.join(below))? && !can_only_read(folder)?;
    (is_kept && access(folder, Access::WRITE_OK).is_ok()).then(|| {
        Check::fail(
            "project",
            format!("{}: steroidsd can only read there", folder.display()),
            "its unit keeps it from writing (ProtectSystem=): a drop-in with ReadWritePaths= grants it, projects.conf in docs/systemd.md",
        )
    })
}

/// Free space below a folder, in bytes and in files; `what` of `cleanup` is what makes room there.
pub(super) fn space(folder: &Path, least: &Least, what: &str) -> Check {
    let existing = folder
        .ancestors()
        .find(|folder| folder.exists())
        .unwrap_or(Path::new("/"));
    let found = match statvfs(existing) {
        Ok(found) => found,
        Err(error) => {
            let text = format!(
                "cannot tell how much is free at {}: {error}",
                existing.display()
            );
            return Check::warn("disk", text, "see with: df");
        }
    };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    // Some file systems count no files.
    let files = (found.f_files > 0).then_some(found.f_favail);
    space_check(existing, least, what, (free, files))
}

fn space_check(
    folder: &Path,
    least: &Least,
    what: &str,
    (free, files): (u64, Option<u64>),
) -> Check {
    let at = folder.display();
    let hint = format!("make room: steroidsctl cleanup {what}, of which --dry-run tells before");
    let amount = format::bytes(i64::try_from(free).unwrap_or(i64::MAX));
    let text = format!("{amount} free at {at}");
    if free < least.bytes {
        let needed = &least.shown;
        let text = format!("{text}, and a start needs {needed} (daemon.min_free)");
        return Check::fail("disk", text, format!("{hint}; or lower daemon.min_free"));
    }
    if free < NOTHING {
        return Check::fail("disk", text, hint);
    }
    if let Some(files) = files.filter(|files| *files < FEW_FILES) {
        let text = format!("no more than {files} files can be made at {at}");
        return match files {
            0..LEAST_FILES => Check::fail("disk", text, hint),
            _ => Check::warn("disk", text, hint),
        };
    }
    match free - least.bytes {
        0..LITTLE_SPACE => Check::warn("disk", text, hint),
        _ => Check::ok("disk", text),
    }
}

/// Whether two folders are on one file system.
pub(super) fn shares_disk(one: &Path, other: &Path) -> bool {
    let device = |path: &Path| {
        let existing = path.ancestors().find(|path| path.exists())?;
        Some(fs::metadata(existing).ok()?.dev())
    };
    device(one) == device(other)
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
        let spaced = folder.path().join("my state");
        fs::create_dir(&spaced).unwrap();
        fs::set_permissions(&spaced, fs::Permissions::from_mode(0o755)).unwrap();
        let cure = state_dir(&spaced).unwrap().hint.unwrap();
        assert_eq!(cure, format!("chmod 700 '{}'", spaced.display()));
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(state_dir(folder.path()).unwrap().status, Verdict::Ok);
    }

    #[test]
    fn what_lies_at_the_sockets_place_must_be_a_socket() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths {
            socket: folder.path().join("s"),
            state_dir: folder.path().to_owned(),
            is_usual: true,
        };
        assert_eq!(socket(&paths)[0].status, Verdict::Fail);
        fs::write(&paths.socket, "").unwrap();
        assert!(socket(&paths)[0].message.contains("no socket"));
    }

    #[test]
    fn a_disk_that_fills_up_warns_and_a_full_one_fails() {
        let (at, least) = (Path::new("/x"), Least::default());
        let status = |free, files| space_check(at, &least, "logs", (free, files)).status;
        assert_eq!(status(1 << 30, None), Verdict::Ok);
        assert_eq!(status((1 << 30) - 1, None), Verdict::Warn);
        assert_eq!(status(1 << 30, Some(FEW_FILES - 1)), Verdict::Warn);
        assert_eq!(status(1 << 30, Some(LEAST_FILES)), Verdict::Warn);
        assert_eq!(status(1 << 30, Some(LEAST_FILES - 1)), Verdict::Fail);
        assert_eq!(status((200 << 20) - 1, None), Verdict::Fail);
    }

    #[test]
    fn a_token_that_others_can_read_fails() {
        let folder = tempfile::tempdir().unwrap();
        assert!(token(folder.path()).is_none());
        fs::create_dir(folder.path().join("gateway")).unwrap();
        let path = folder.path().join("gateway/token");
        fs::write(&path, "secret").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let check = token(folder.path()).unwrap();
        assert_eq!(check.status, Verdict::Fail);
        assert!(check.hint.unwrap().starts_with("chmod 600"));
    }

    #[test]
    fn space_is_told_for_a_folder_that_is_still_to_be_made() {
        assert_ne!(
            space(
                Path::new("/steroids/none/such"),
                &Least::default(),
                "spools"
            )
            .status,
            Verdict::Fail
        );
    }

    #[test]
    fn a_disk_without_room_fails_where_no_least_is_asked_for_and_names_what_makes_room_there() {
        let least = Least {
            bytes: 0,
            shown: String::new(),
        };
        let full = space_check(Path::new("/x"), &least, "spools", (0, None));
        assert_eq!(full.status, Verdict::Fail);
        assert!(full.hint.unwrap().contains("cleanup spools, of which"));
    }
}
