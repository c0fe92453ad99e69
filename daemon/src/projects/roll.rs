//! What is known of projects without asking their disks.

use std::path::Path;

use super::{Projects, locked};

impl Projects {
    /// True while what was asked of a project's disk is not answered, and has taken too long.
    pub fn is_mute(&self, path: &Path) -> bool {
        locked(&self.shared.mute).contains(path)
    }
}
