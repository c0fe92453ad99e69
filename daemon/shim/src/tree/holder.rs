//! The shim of an invocation, by what the kernel tells of processes: for who may not go by the names of files,
//! which its agent can remove, put elsewhere, or give to files of its own.

use std::fs;

use super::census::is_given;
use super::processes::{MARKER, is_alive, is_marked, start_ticks};
use crate::procfs::{self, Room};

/// Whether some process is the shim of an invocation: it is given its folder, holds a lock as shims do, whatever
/// became of that file's name, and does not bear the mark of those below it. Looks through all of `/proc`. Blocks.
pub fn shim_lives(uuid: &str) -> bool {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let marker = format!("{MARKER}={uuid}");
    let mut room = Room::default();
    pids.any(|pid| {
        is_given(pid, uuid, &mut room)
            && holds_a_lock(pid)
            && !is_marked(pid, marker.as_bytes(), &mut room)
    })
}

/// Of another user's process nothing is told, and it is no shim of ours.
fn holds_a_lock(pid: i32) -> bool {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fdinfo"));
    let mut descriptors = descriptors.into_iter().flatten().flatten();
    descriptors.any(|descriptor| procfs::text(descriptor.path()).contains("OFDLCK"))
}

/// The process at the other end of a connection: it, and no later one of its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    pid: i32,
    start_ticks: u64,
}

impl Peer {
    /// That of this number; `None` if there is none, or it is in no view of ours. Asks for one small file.
    pub fn of(pid: i32) -> Option<Peer> {
        let start_ticks = start_ticks(pid)?;
        Some(Peer { pid, start_ticks })
    }

    /// Whether it has ended. Asks for one small file.
    pub fn is_gone(&self) -> bool {
        !is_alive(self.pid, self.start_ticks)
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use super::*;

    /// One that has the lock of a folder, as a shim: by a shell's own descriptor, which this process has locked.
    fn shim(folder: &std::path::Path, marker: Option<&str>) -> Child {
        let lock = crate::lock::acquire(&folder.join("lock")).unwrap();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "read line", "sh"]).arg(folder);
        command.stdin(Stdio::piped()).stderr(lock.into_file());
        if let Some(marker) = marker {
            command.env(MARKER, marker);
        }
        command.spawn().unwrap()
    }

    fn until(mut is_so: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < Duration::from_secs(30), "never");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_shim_is_known_by_the_lock_it_holds_whatever_becomes_of_its_name() {
        let home = tempfile::tempdir().unwrap();
        let uuid = format!("holder-{}", std::process::id());
        let folder = home.path().join(&uuid);
        fs::create_dir(&folder).unwrap();
        assert!(!shim_lives(&uuid));
        let mut its = shim(&folder, None);
        until(|| shim_lives(&uuid));
        fs::rename(folder.join("lock"), home.path().join("elsewhere")).unwrap();
        assert!(shim_lives(&uuid));
        fs::remove_file(home.path().join("elsewhere")).unwrap();
        assert!(shim_lives(&uuid));
        let peer = Peer::of(its.id() as i32).unwrap();
        assert!(!peer.is_gone());
        its.kill().unwrap();
        // Also while nobody has waited for it.
        until(|| peer.is_gone());
        assert!(!shim_lives(&uuid));
        its.wait().unwrap();
        assert!(peer.is_gone());
        // One below it that does the same is none.
        let mut posing = shim(&folder, Some(&uuid));
        until(|| is_given(posing.id() as i32, &uuid, &mut Room::default()));
        assert!(!shim_lives(&uuid));
        posing.kill().unwrap();
        posing.wait().unwrap();
    }
}
