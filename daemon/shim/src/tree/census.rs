//! Of which invocations something may be alive, by one look at all processes of the host: for who asks of many
//! that have ended, and would look through all of `/proc` for each of them otherwise.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::processes::{LONGEST_ENVIRONMENT, MARKER};
use crate::procfs::Room;

/// Bytes of a command line that are looked at: a few flags and a path.
const LONGEST_COMMAND: usize = 16 * 1024;

/// Longer than any name of an invocation.
const LONGEST_NAME: usize = 64;

/// The names that the host's processes bear.
#[derive(Debug, Default)]
pub struct Census(HashSet<String>);

impl Census {
    /// Looks. Blocks for some milliseconds.
    pub fn take() -> Census {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let mut names = HashSet::new();
        let mut room = Room::default();
        for pid in pids {
            // Of those that have ended and of the kernel's own both are empty.
            names.extend(last_word(pid, &mut room).and_then(|word| fit(name_of(word)?)));
            names.extend(mark(pid, &mut room).and_then(fit));
        }
        Census(names)
    }

    /// Whether some process bears its mark, or is given its folder as a shim is. No is certain of the moment of
    /// the look, as far as a process shows either.
    pub fn has(&self, uuid: &str) -> bool {
        self.0.contains(uuid)
    }
}

fn fit(name: &[u8]) -> Option<String> {
    let is_fit = !name.is_empty() && name.len() <= LONGEST_NAME;
    is_fit.then(|| str::from_utf8(name).ok().map(str::to_owned))?
}

/// The last word of a process's command line.
fn last_word(pid: i32, room: &mut Room) -> Option<&[u8]> {
    let command = room.read(&format!("/proc/{pid}/cmdline"), LONGEST_COMMAND)?;
    let words = command.strip_suffix(b"\0")?;
    words.rsplit(|byte| *byte == 0).next()
}

fn name_of(path: &[u8]) -> Option<&[u8]> {
    Some(Path::new(OsStr::from_bytes(path)).file_name()?.as_bytes())
}

/// Whether a process is given the folder of this name, as a shim is.
pub(super) fn is_given(pid: i32, uuid: &str, room: &mut Room) -> bool {
    last_word(pid, room).and_then(name_of) == Some(uuid.as_bytes())
}

/// The mark of the invocation that a process is of.
fn mark(pid: i32, room: &mut Room) -> Option<&[u8]> {
    let environment = room.read(&format!("/proc/{pid}/environ"), LONGEST_ENVIRONMENT)?;
    let mut variables = environment.split(|byte| *byte == 0);
    variables.find_map(|variable| variable.strip_prefix(MARKER.as_bytes())?.strip_prefix(b"="))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_mark_and_a_folder_are_found_while_their_process_is_there() {
        let (mark, folder) = ["mark", "folder"]
            .map(|what| format!("census-{what}-{}", std::process::id()))
            .into();
        assert!(!Census::take().has(&mark));
        let mut process = Command::new("/bin/sh")
            .args(["-c", "echo ready; read line", "sh"])
            .arg(format!("/nowhere/{folder}"))
            .env(MARKER, &mark)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let out = process.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut said).unwrap();
        let census = Census::take();
        assert!(census.has(&mark) && census.has(&folder));
        assert!(!census.has("") && !census.has("census"));
        process.kill().unwrap();
        process.wait().unwrap();
        let census = Census::take();
        assert!(!census.has(&mark) && !census.has(&folder));
    }
}
