//! What any start lacks now: room on the disks, and a shim that can be run. What waits goes on waiting for the same.

use super::Supervisor;
use super::supervisor::chain;
use super::troubles::low_disk;

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
