//! A control group of its own for the provider, where the service manager has delegated one: then
//! its processes can be killed all at once, and none can leave.

use std::fs::{self, File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::libc;
use rustix::fs::getxattr;

/// By these the service manager marks what it has delegated: for users, and for root.
const MARKS: [&str; 2] = ["user.delegate", "trusted.delegate"];

/// The group.
#[derive(Debug)]
pub(crate) struct Group(PathBuf);

impl Group {
    /// Makes it below the nearest delegated group that this process is in. `None` where there is
    /// none; never in a place that was not given to us, also as root.
    pub(crate) fn make(uuid: &str) -> Option<Group> {
        let base = delegated()?;
        let path = base.join(format!("inv-{uuid}"));
        fs::create_dir(&path).ok()?;
        let group = Group(path);
        // Kernels before 5.14 have no way to kill a group at once.
        let kills = group.0.join("cgroup.kill").exists();
        if !kills {
            group.remove();
            return None;
        }
        Some(group)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// What a process writes `0` to in order to move in.
    pub(crate) fn entrance(&self) -> Option<OwnedFd> {
        OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_CLOEXEC)
            .open(self.0.join("cgroup.procs"))
            .map(File::into)
            .ok()
    }

    /// Removes it, if it is empty.
    pub(crate) fn remove(&self) {
        // What was left in the background on request still lives there.
        let _ = fs::remove_dir(&self.0);
    }
}

fn delegated() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let (mount, own) = own_group(&mounts, &groups)?;
    own.ancestors()
        .take_while(|group| group.starts_with(&mount))
        .find(|group| is_delegated(group))
        .map(Path::to_owned)
}

/// The mount of the unified hierarchy, and this process's group below it.
fn own_group(mounts: &str, groups: &str) -> Option<(PathBuf, PathBuf)> {
    let mount = mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let path = fields.next()?;
        (fields.next()? == "cgroup2").then(|| PathBuf::from(path))
    })?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let own = mount.join(group);
    Some((mount, own))
}

fn is_delegated(group: &Path) -> bool {
    MARKS.iter().any(|mark| {
        let mut value = [0; 8];
        getxattr(group, *mark, &mut value).is_ok_and(|length| value[..length] == *b"1")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_group_is_found_also_on_a_hybrid_host() {
        let mounts = "cgroup /sys/fs/cgroup/pids cgroup rw 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        let groups = "3:pids:/x\n0::/user.slice/a.service\n";
        assert_eq!(
            own_group(mounts, groups),
            Some((
                PathBuf::from("/sys/fs/cgroup/unified"),
                PathBuf::from("/sys/fs/cgroup/unified/user.slice/a.service")
            ))
        );
        assert_eq!(own_group(mounts, "3:pids:/x\n"), None);
        assert_eq!(own_group("", groups), None);
    }
}
