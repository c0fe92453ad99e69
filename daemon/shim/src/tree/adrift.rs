//! What is left of an invocation whose state folder is gone. Its shim lives on and can be neither asked nor
//! followed. But a folder may be gone only from here: another daemon has one of its own, a disk is not mounted,
//! somebody has renamed it. The lock tells: a shim holds its file open, whose last name goes with the folder.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::census::is_given;
use super::{Killed, Tree};
use crate::procfs::Room;

/// What there was of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adrift {
    /// No process.
    Nothing,
    /// Processes that nobody could look after any more, and that were killed.
    Killed(Killed),
    /// Processes, by number, that may be looked after by somebody else, or were left by who is gone.
    Left(Vec<i32>),
}

/// Kills what is below a shim whose folder is gone for good; that ends by itself then. Where that is not
/// certain nothing is killed. Blocks for a few seconds at most.
pub fn end_adrift(uuid: &str) -> Adrift {
    let shims = shims(uuid);
    let only_marked = Tree {
        uuid,
        below: None,
        session: None,
        cgroup: None,
    };
    // One that has just forked is there twice.
    if !shims.is_empty() && shims.iter().all(|(_, lock)| *lock == Lock::Gone) {
        let mut all = Killed::default();
        for (shim, _) in shims {
            let tree = Tree {
                below: Some(shim),
                ..only_marked
            };
            let Killed { found, left } = tree.kill_all();
            all.found.extend(found);
            all.left = left;
        }
        return Adrift::Killed(all);
    }
    let marked = only_marked.alive();
    let marked = marked.iter().map(|process| process.pid);
    let left: Vec<_> = shims.iter().map(|(shim, _)| *shim).chain(marked).collect();
    match left.is_empty() {
        true => Adrift::Nothing,
        false => Adrift::Left(left),
    }
}

/// What a shim's lock tells of its folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lock {
    Gone,
    /// It has a name, or the kernel does not say.
    Kept,
}

/// The shims of an invocation: by their command line, and by the lock that they hold.
fn shims(uuid: &str) -> Vec<(i32, Lock)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut room = Room::default();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| is_given(*pid, uuid, &mut room))
        .filter_map(|pid| Some((pid, lock_of(pid, uuid)?)))
        .collect()
}

/// `None` if it holds no such lock: it is no shim.
fn lock_of(pid: i32, uuid: &str) -> Option<Lock> {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        // Also of one that has just ended, of which there is nothing to kill.
        return Some(Lock::Kept);
    };
    let mut descriptors = descriptors.flatten().map(|entry| entry.path());
    let lock = descriptors.find(|descriptor| {
        fs::read_link(descriptor).is_ok_and(|file| {
            let name = file.as_os_str().as_bytes();
            let name = name.strip_suffix(b" (deleted)").unwrap_or(name);
            Path::new(OsStr::from_bytes(name)).ends_with(Path::new(uuid).join("lock"))
        })
    })?;
    // Through the descriptor: whatever has the path by now.
    match fs::metadata(lock) {
        Ok(lock) if lock.nlink() == 0 => Some(Lock::Gone),
        _ => Some(Lock::Kept),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Child, Command, Stdio};

    use super::super::MARKER;
    use super::*;

    /// What passes for a shim: it has the folder in its command line, the lock open, and a child below it.
    fn shim(folder: &Path) -> Child {
        fs::create_dir(folder).unwrap();
        let script = r#"exec 9<>"$1/lock"; sh -c 'echo ready; exec sleep 60' & wait"#;
        let mut shim = Command::new("/bin/sh")
            .args(["-c", script, "shim"])
            .arg(folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let out = shim.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut said).unwrap();
        shim
    }

    /// One that no other run of these tests has.
    fn name(test: &str) -> String {
        format!("adrift-{test}-{}", std::process::id())
    }

    #[test]
    fn what_is_below_a_shim_is_killed_only_once_its_lock_has_no_name_any_more() {
        let home = tempfile::tempdir().unwrap();
        let uuid = name("shim");
        let folder = home.path().join(&uuid);
        let mut shim = shim(&folder);
        let left = Adrift::Left(vec![shim.id() as i32]);
        assert_eq!(end_adrift(&uuid), left);
        // Somebody may have put it elsewhere.
        let moved = home.path().join("moved").join(&uuid);
        fs::create_dir(home.path().join("moved")).unwrap();
        fs::rename(&folder, &moved).unwrap();
        assert_eq!(end_adrift(&uuid), left);
        fs::remove_dir_all(&moved).unwrap();
        let Adrift::Killed(killed) = end_adrift(&uuid) else {
            panic!("it was left");
        };
        assert_eq!((killed.found.len(), killed.left), (1, 0), "{killed:?}");
        // It has nothing to wait for.
        shim.wait().unwrap();
        assert_eq!(end_adrift(&uuid), Adrift::Nothing);
    }

    #[test]
    fn what_bears_the_mark_and_has_no_shim_is_left() {
        let uuid = name("marked");
        let mut marked = Command::new("/bin/sh")
            .args(["-c", "echo ready; read line"])
            .env(MARKER, &uuid)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let out = marked.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut said).unwrap();
        let left = Adrift::Left(vec![marked.id() as i32]);
        assert_eq!(end_adrift(&uuid), left);
        marked.kill().unwrap();
        marked.wait().unwrap();
    }
}
