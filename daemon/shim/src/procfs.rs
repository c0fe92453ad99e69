//! Files of `/proc`: small, made when they are read, and of no length that could be asked for.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// What nearly every one of them fits into.
const USUAL: usize = 8 * 1024;

/// Room for one file after the other. A search through the host's processes reads thousands, and is
/// as quick as the calls that it takes; a vector that grows from nothing takes seven for each.
#[derive(Debug, Default)]
pub(crate) struct Room(Vec<u8>);

impl Room {
    /// Reads the first `most` bytes; `None` if it cannot be read, or the process is gone.
    pub(crate) fn read(&mut self, path: &str, most: usize) -> Option<&[u8]> {
        let mut file = File::open(path).ok()?;
        let mut length = 0;
        loop {
            if length == self.0.len() {
                let larger = (length * 2).max(USUAL);
                self.0.resize(larger, 0);
            }
            let end = self.0.len().min(most);
            let read = file.read(self.0.get_mut(length..end)?).ok()?;
            length += read;
            // Some give less than there is room for, and more when they are asked again.
            if read == 0 || length == most {
                return self.0.get(..length);
            }
        }
    }
}

/// All of one file as text, up to what any has that is asked for here; empty where it cannot be read.
pub(crate) fn text(path: impl AsRef<Path>) -> String {
    const LONGEST: usize = 1024 * 1024;
    let path = path.as_ref().to_string_lossy();
    let mut room = Room::default();
    let bytes = room.read(&path, LONGEST).unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_whole_up_to_what_is_asked_for_whatever_was_read_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let path = path.to_str().unwrap();
        let mut room = Room::default();
        for length in [0, 1, USUAL - 1, USUAL, USUAL + 1, 5 * USUAL, 3] {
            let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            std::fs::write(path, &bytes).unwrap();
            assert_eq!(room.read(path, usize::MAX), Some(&bytes[..]));
            let most = length.min(USUAL + 7);
            assert_eq!(room.read(path, USUAL + 7), Some(&bytes[..most]));
        }
        assert_eq!(room.read("/proc/self/no-such-file", 10), None);
    }

    #[test]
    fn what_the_kernel_makes_is_read_as_others_read_it() {
        assert_eq!(
            text("/proc/self/mounts"),
            std::fs::read_to_string("/proc/self/mounts").unwrap()
        );
        assert_eq!(text("/proc/self/no-such-file"), "");
        // Longer than what the kernel gives at a time.
        let symbols = std::fs::read("/proc/kallsyms").unwrap();
        let most = symbols.len().min(100_000);
        let mut room = Room::default();
        assert_eq!(room.read("/proc/kallsyms", most), symbols.get(..most));
    }
}
