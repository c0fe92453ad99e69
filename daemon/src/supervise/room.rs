//! Whether the disks have room for a start: what is written before an agent runs is not to fail half-way, when
//! there is a row.

use std::io;
use std::path::Path;

use rustix::io::Errno;

use super::StartError;
use super::supervisor::Inner;
use super::troubles::{Low, low_disk};

/// What a start writes to the state folder before the agent runs, and the draft of the next: specification, state,
/// room for the record, the beginning of a spool; and as much again for one beside it.
const LEAST: u64 = 128 << 10;

/// Refuses a start where there is too little room for what it writes, with a prompt of so many bytes. Blocks.
pub(super) fn check_disks(inner: &Inner, root: &Path, prompt: usize) -> Result<(), StartError> {
    let settings = inner.settings();
    for folder in [settings.state_dir.as_path(), root] {
        check_disk(folder, settings.min_free)?;
    }
    // Also where nobody has set how much is to be left. Most characters of a prompt take one byte in JSON.
    let needed = LEAST.saturating_add(2 * prompt as u64);
    match low_disk(&settings.state_dir, needed) {
        Some((Low::Bytes(_), _)) => Err(StartError::StateDir {
            path: settings.state_dir.clone(),
            source: io::Error::from(Errno::NOSPC),
        }),
        Some((Low::Files(_), _)) | None => Ok(()),
    }
}

/// A folder that cannot be asked refuses what is written to it, and says why.
fn check_disk(path: &Path, needed: u64) -> Result<(), StartError> {
    match low_disk(path, needed) {
        None => Ok(()),
        Some((Low::Bytes(free), _)) => Err(StartError::LowDisk {
            path: path.to_path_buf(),
            free,
            needed,
        }),
        Some((Low::Files(free), _)) => Err(StartError::LowFiles {
            path: path.to_path_buf(),
            free,
        }),
    }
}
