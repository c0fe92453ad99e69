//! State folders on their way out: renamed first, so that one is there wholly or not at all. What a crash
//! leaves of one is nobody's, and goes with the next removal.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::paths::InvDir;

/// What the name of one on its way out begins with.
const REMOVING: &str = ".removing-";

/// Removes a state folder.
///
/// # Errors
/// When it cannot be renamed, or not all in it removed.
pub fn remove(dir: &InvDir) -> io::Result<()> {
    let path = dir.path();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let removing = path.with_file_name(format!("{REMOVING}{name}"));
    fs::rename(path, &removing)?;
    fs::remove_dir_all(&removing)
}

/// Bytes on the disk of the files in a state folder; of one that vanishes meanwhile, none.
pub fn size(dir: &InvDir) -> u64 {
    let Ok(entries) = fs::read_dir(dir.path()) else {
        return 0;
    };
    entries
        .filter_map(|entry| entry.ok()?.metadata().ok())
        .map(|file| file.blocks() * 512)
        .sum()
}

/// Whether a folder is on its way out.
pub fn is_begun(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(REMOVING.as_bytes())
}

/// Removes what a crash left of removals before. Gives what cannot be removed, and why.
pub fn finish(state_dir: &Path) -> Vec<(PathBuf, io::Error)> {
    let Ok(entries) = fs::read_dir(InvDir::all(state_dir)) else {
        return Vec::new();
    };
    let left = entries.flatten().map(|entry| entry.path());
    left.filter(|path| is_begun(path))
        .filter_map(|path| fs::remove_dir_all(&path).err().map(|error| (path, error)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_crash_left_goes_and_nothing_else() {
        let state = tempfile::tempdir().unwrap();
        let all = InvDir::all(state.path());
        for name in ["a", "b", ".removing-c"] {
            fs::create_dir_all(all.join(name)).unwrap();
            fs::write(all.join(name).join("spool"), "x").unwrap();
        }
        remove(&InvDir::new(state.path(), "a")).unwrap();
        assert!(!all.join("a").exists() && !all.join(".removing-a").exists());
        assert!(is_begun(&all.join(".removing-c")) && !is_begun(&all.join("b")));
        assert!(finish(state.path()).is_empty());
        assert!(!all.join(".removing-c").exists() && all.join("b/spool").exists());
    }
}
