//! Where in the tree of control groups a process is, what the service manager has delegated to it
//! there, and which bounds can be held.

use std::path::{Path, PathBuf};

use rustix::fs::getxattr;

use crate::procfs::text;

/// By these the service manager marks what it has delegated: for users, and for root.
const MARKS: [&str; 2] = ["user.delegate", "trusted.delegate"];

const MOUNTS: &str = "/proc/self/mounts";

/// The groups that this process is in.
const OWN: &str = "/proc/self/cgroup";

/// Where this process is, as one look has told it.
#[derive(Debug)]
pub struct Own {
    /// The unified hierarchy's mount, and the group below it, in full; none without the former.
    place: Option<(PathBuf, PathBuf)>,
}

impl Own {
    /// Looks.
    pub fn look() -> Own {
        Own {
            place: own_group(&text(MOUNTS), &text(OWN)),
        }
    }

    /// The nearest delegated group that this process is in. `None` where there is none.
    pub fn delegated(&self) -> Option<PathBuf> {
        let (mount, own) = self.place.as_ref()?;
        own.ancestors()
            .take_while(|group| group.starts_with(mount))
            .find(|group| is_delegated(group))
            .map(Path::to_owned)
    }

    /// The group of this unit, if this process is in it.
    pub fn of_unit(&self, unit: &str) -> Option<PathBuf> {
        let (_, own) = self.place.as_ref()?;
        let mut groups = own.ancestors();
        groups
            .find(|group| group.ends_with(unit))
            .map(Path::to_owned)
    }
}

/// The folder of a group, by its path within the hierarchy.
pub fn folder(group: &str) -> Option<PathBuf> {
    Some(mount(&text(MOUNTS))?.join(group.trim_start_matches('/')))
}

/// The controllers that a group has: those that can bound it.
pub fn controllers(group: &Path) -> Vec<String> {
    words(&group.join("cgroup.controllers"))
}

/// The controllers that it hands on: those that can bound the groups in it.
pub fn handed_on(group: &Path) -> Vec<String> {
    words(&group.join("cgroup.subtree_control"))
}

fn words(file: &Path) -> Vec<String> {
    text(file).split_whitespace().map(str::to_owned).collect()
}

/// The mount of the unified hierarchy, and this process's group below it.
fn own_group(mounts: &str, groups: &str) -> Option<(PathBuf, PathBuf)> {
    let mount = mount(mounts)?;
    let own = mount.join(unified(groups)?);
    Some((mount, own))
}

/// The group in the unified hierarchy, without the slash in front.
fn unified(groups: &str) -> Option<&str> {
    groups.lines().find_map(|line| line.strip_prefix("0::/"))
}

fn mount(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let path = fields.next()?;
        (fields.next()? == "cgroup2").then(|| PathBuf::from(path))
    })
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
