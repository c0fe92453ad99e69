//! What a start needs of the machine before there is a row for it: room on its disks, and a shim that can
//! be run. What waits goes on waiting for the same.

use std::path::Path;

use super::supervisor::{Inner, chain};
use super::troubles::{Low, low_disk};
use super::{StartError, Supervisor};

/// What a person does about a shim that is not there, or cannot be run.
pub const NO_SHIM: &str = "if another release is just being installed, try again in a moment, else install steroids \
     anew (or set daemon.shim and restart the daemon)";

impl Supervisor {
    /// What a start lacks, one line each: room on a disk, and the shim's program. Asks file systems, so it may block.
    pub fn lacking(&self) -> Vec<String> {
        let settings = self.inner.settings();
        let projects = self.inner.projects.all();
        let roots = projects.iter().map(|project| project.root.as_path());
        let folders = std::iter::once(settings.state_dir.as_path()).chain(roots);
        let low = folders.filter_map(|folder| low_disk(folder, settings.min_free));
        let mut lines: Vec<_> = low.map(|(_, said)| said).collect();
        if let Err(error) = settings.launcher.runnable() {
            lines.push(format!(
                "nothing can be started: {}; {NO_SHIM}",
                chain(&error)
            ));
        }
        lines
    }
}

/// Refuses a start where there is too little room for what it writes. Blocks.
pub(super) fn check_disks(inner: &Inner, root: &Path) -> Result<(), StartError> {
    for folder in [inner.settings().state_dir.as_path(), root] {
        check_disk(folder, inner.settings().min_free)?;
    }
    Ok(())
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
