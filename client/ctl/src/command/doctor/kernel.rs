//! What the kernel gives: watches for files, a group for processes, kinds of file systems.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::Check;

/// Of a limit, from which on it is told.
const MUCH: u64 = 80;
/// Processes of ours that are counted; beyond them the number is a lower bound.
const PROCESSES: usize = 5_000;

/// How many of the user's inotify instances and watches are used. Without them the daemon looks
/// by itself every second.
pub(super) fn inotify() -> Check {
    let limit = |name: &str| {
        let text = fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).ok()?;
        text.trim().parse::<u64>().ok()
    };
    let (Some(instances), Some(watches)) = (limit("max_user_instances"), limit("max_user_watches"))
    else {
        let text = "the kernel does not tell its limits of inotify";
        return Check::warn(
            "inotify",
            text,
            "changes of files may be seen a second late",
        );
    };
    let used = used_inotify(Path::new("/proc"));
    inotify_check(used, (instances, watches))
}

fn inotify_check(used: (u64, u64), limit: (u64, u64)) -> Check {
    let text = format!(
        "{} of {} instances, {} of {} watches used",
        used.0, limit.0, used.1, limit.1
    );
    let is_much = |used: u64, limit: u64| used.saturating_mul(100) >= limit.saturating_mul(MUCH);
    let mut settings = Vec::new();
    if is_much(used.0, limit.0) {
        settings.push("fs.inotify.max_user_instances=1024");
    }
    if is_much(used.1, limit.1) {
        settings.push("fs.inotify.max_user_watches=524288");
    }
    if settings.is_empty() {
        return Check::ok("inotify", text);
    }
    let hint = format!("sudo sysctl {}", settings.join(" "));
    Check::warn("inotify", text, hint)
}

/// Instances and watches of this user's processes: each instance lists its watches.
fn used_inotify(proc: &Path) -> (u64, u64) {
    let us = rustix::process::geteuid().as_raw();
    let (mut instances, mut watches) = (0, 0);
    let processes = fs::read_dir(proc).into_iter().flatten().flatten();
    let ours = processes.filter(|entry| {
        let is_process = entry
            .file_name()
            .as_encoded_bytes()
            .iter()
            .all(u8::is_ascii_digit);
        is_process && entry.metadata().is_ok_and(|found| found.uid() == us)
    });
    for process in ours.take(PROCESSES) {
        let descriptors = fs::read_dir(process.path().join("fd"));
        for descriptor in descriptors.into_iter().flatten().flatten() {
            let target = fs::read_link(descriptor.path()).unwrap_or_default();
            if target.as_os_str() != "anon_inode:inotify" {
                continue;
            }
            instances += 1;
            let facts = process.path().join("fdinfo").join(descriptor.file_name());
            let text = fs::read_to_string(facts).unwrap_or_default();
            let lines = text.lines().filter(|line| line.starts_with("inotify "));
            watches += u64::try_from(lines.count()).unwrap_or(0);
        }
    }
    (instances, watches)
}

/// Whether the daemon (or else this program) has a control group in which it may make groups of
/// its own, and what limits it could set there. A daemon that has systemd start its shims needs
/// none: what matters is what the user's service manager was given.
pub(super) fn cgroup(pid: Option<i64>, by_systemd: bool) -> Check {
    let root = Path::new("/sys/fs/cgroup");
    let whose = pid.map_or_else(|| "self".to_owned(), |pid| pid.to_string());
    let text = fs::read_to_string(format!("/proc/{whose}/cgroup")).unwrap_or_default();
    let path = text.lines().find_map(|line| line.strip_prefix("0::"));
    let Some(path) = path.filter(|_| root.join("cgroup.controllers").exists()) else {
        return Check::warn(
            "cgroup",
            "there is no cgroup v2 here",
            "processes that an agent leaves behind are found by their marks instead, and it has no limits of memory or CPU",
        );
    };
    if by_systemd {
        let us = rustix::process::geteuid().as_raw();
        let manager = format!("user.slice/user-{us}.slice/user@{us}.service");
        return controllers(&root.join(manager));
    }
    cgroup_check(&root.join(path.trim_start_matches('/')))
}

fn cgroup_check(folder: &Path) -> Check {
    let may_write = |path: PathBuf| rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok();
    if may_write(folder.to_owned()) && may_write(folder.join("cgroup.procs")) {
        return controllers(folder);
    }
    Check::warn(
        "cgroup",
        format!("{} is not ours to write", folder.display()),
        "processes that an agent leaves behind are found by their marks instead; run the daemon as a unit with Delegate=yes",
    )
}

/// Which limits can be set in a group.
fn controllers(folder: &Path) -> Check {
    let shown = folder.display();
    let controllers = fs::read_to_string(folder.join("cgroup.controllers")).unwrap_or_default();
    let controllers = controllers.trim();
    let missing: Vec<_> = ["cpu", "memory", "pids"]
        .into_iter()
        .filter(|name| !controllers.split(' ').any(|there| there == *name))
        .collect();
    if missing.is_empty() {
        return Check::ok("cgroup", format!("{shown}, with {controllers}"));
    }
    let missing = missing.join(", ");
    Check::warn(
        "cgroup",
        format!("{shown}, without {missing}"),
        format!(
            "limits of {missing} per agent are not enforced: systemd delegates them with Delegate= on user@.service"
        ),
    )
}

/// What is known of a kind of file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Usual,
    /// Others may change files, and nobody tells.
    Network(&'static str),
    /// A program's: it may be anything.
    Fuse,
    /// Gone with the next start.
    Memory,
}

fn kind(magic: u64) -> Kind {
    match magic & 0xffff_ffff {
        0x6969 => Kind::Network("NFS"),
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => Kind::Network("SMB"),
        0x0102_1997 => Kind::Network("9p"),
        0x00c3_6400 => Kind::Network("Ceph"),
        0x5346_414f | 0x6b41_4653 => Kind::Network("AFS"),
        0x0bd0_0bd0 => Kind::Network("Lustre"),
        0x6573_5546 => Kind::Fuse,
        0x0102_1994 | 0x8584_58f6 => Kind::Memory,
        _ => Kind::Usual,
    }
}

/// The kind of file system below a folder; a word only where it matters. `keeps` is what lies there.
pub(super) fn file_system(folder: &Path, keeps: &str) -> Option<Check> {
    let existing = folder.ancestors().find(|folder| folder.exists())?;
    let found = rustix::fs::statfs(existing).ok()?;
    let magic = found.f_type as u64;
    kind_check(kind(magic), existing, keeps)
}

fn kind_check(kind: Kind, folder: &Path, keeps: &str) -> Option<Check> {
    let at = folder.display();
    match kind {
        Kind::Usual => None,
        Kind::Network(name) => Some(Check::warn(
            "filesystem",
            format!("{keeps} is on {name}, at {at}"),
            "a database's locks, and news of what others change there, are not reliable over a network: use a local disk",
        )),
        Kind::Fuse => Some(Check::warn(
            "filesystem",
            format!("{keeps} is on a FUSE file system, at {at}"),
            "a database's locks may not be reliable there: use a local disk",
        )),
        Kind::Memory if keeps == STATE => Some(Check::warn(
            "filesystem",
            format!("{keeps} is in memory, at {at}"),
            "it is gone when this machine starts anew: set daemon.state_dir to a folder on a disk",
        )),
        Kind::Memory => None,
    }
}

/// What is called so in these checks.
pub(super) const STATE: &str = "the state folder";
pub(super) const PROJECT: &str = "the project";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::doctor::Verdict;

    #[test]
    fn watches_that_run_out_are_told_with_the_setting() {
        assert_eq!(inotify_check((3, 100), (128, 65_536)).status, Verdict::Ok);
        let few = inotify_check((103, 60_000), (128, 65_536));
        assert_eq!(few.status, Verdict::Warn);
        assert_eq!(
            few.message,
            "103 of 128 instances, 60000 of 65536 watches used"
        );
        let hint = few.hint.unwrap();
        assert!(
            hint.contains("instances") && hint.contains("watches"),
            "{hint}"
        );
    }

    #[test]
    fn what_is_watched_by_this_user_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let descriptors = folder.path().join("77/fd");
        fs::create_dir_all(&descriptors).unwrap();
        fs::create_dir(folder.path().join("77/fdinfo")).unwrap();
        std::os::unix::fs::symlink("anon_inode:inotify", descriptors.join("5")).unwrap();
        std::os::unix::fs::symlink("/dev/null", descriptors.join("6")).unwrap();
        let facts = "pos:\t0\ninotify wd:2 ino:1\ninotify wd:1 ino:2\n";
        fs::write(folder.path().join("77/fdinfo/5"), facts).unwrap();
        fs::create_dir(folder.path().join("self")).unwrap();
        assert_eq!(used_inotify(folder.path()), (1, 2));
    }

    #[test]
    fn a_group_without_a_controller_says_which_limits_are_not_enforced() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("cgroup.procs"), "").unwrap();
        let controllers = folder.path().join("cgroup.controllers");
        fs::write(&controllers, "cpuset cpu io memory pids\n").unwrap();
        assert_eq!(cgroup_check(folder.path()).status, Verdict::Ok);
        fs::write(&controllers, "memory pids\n").unwrap();
        let check = cgroup_check(folder.path());
        assert_eq!(check.status, Verdict::Warn);
        assert!(check.message.ends_with("without cpu"), "{}", check.message);
    }

    #[test]
    fn only_kinds_that_matter_are_told() {
        let at = Path::new("/x");
        assert!(kind_check(kind(0xef53), at, STATE).is_none());
        assert!(kind_check(kind(0x0102_1994), at, PROJECT).is_none());
        for (magic, word) in [
            (0x6969, "NFS"),
            (0x6573_5546, "FUSE"),
            (0x0102_1994, "memory"),
        ] {
            let check = kind_check(kind(magic), at, STATE).unwrap();
            assert!(check.message.contains(word), "{}", check.message);
        }
    }
}
