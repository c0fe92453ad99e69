//! Where the project of an invocation was when that was asked for, or was last written down: by its folder it is
//! known wherever it was moved, and whoever has its path.

use std::path::Path;

use steroids_shim::spec::Spec;
use steroids_shim::state;

use crate::domain::queue::{Candidate, Placed};

/// Of a project, as far as known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Address<'a> {
    /// May be another's by now.
    pub(super) path: &'a Path,
    /// Device and number of its folder, as far as known.
    pub(super) folder: Option<(u64, u64)>,
    /// The host has not started since: its device has the number that it had.
    pub(super) is_of_this_boot: bool,
    /// When it was there at the latest, in epoch milliseconds, where that was written down.
    pub(super) was_there_ms: Option<i64>,
}

impl<'a> Address<'a> {
    /// As this daemon knows it.
    pub(super) fn of_this_boot(path: &'a Path, folder: Option<(u64, u64)>) -> Address<'a> {
        Address {
            path,
            folder,
            is_of_this_boot: true,
            was_there_ms: None,
        }
    }

    /// Whether a folder is the one that is meant.
    pub(super) fn is_in(&self, folder: (u64, u64)) -> bool {
        self.folder
            .is_none_or(|at| at == folder || !self.is_of_this_boot && at.1 == folder.1)
    }
}

impl<'a> From<&'a Spec> for Address<'a> {
    fn from(spec: &'a Spec) -> Address<'a> {
        let boot = state::boot_id();
        Address {
            path: &spec.project,
            folder: spec.project_folder,
            is_of_this_boot: boot.is_ok_and(|boot| boot == spec.boot_id),
            was_there_ms: i64::try_from(spec.created_ms).ok(),
        }
    }
}

impl<'a> From<&'a Candidate> for Address<'a> {
    fn from(candidate: &'a Candidate) -> Address<'a> {
        Address::of_this_boot(&candidate.project, candidate.folder)
    }
}

impl<'a> From<&'a Placed> for Address<'a> {
    fn from(placed: &'a Placed) -> Address<'a> {
        Address::of_this_boot(&placed.project, placed.folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_may_have_another_number_once_the_host_has_started_again_and_not_before() {
        let now = Address::of_this_boot("/app".as_ref(), Some((1, 256)));
        let before = Address {
            is_of_this_boot: false,
            ..now
        };
        assert!(now.is_in((1, 256)) && before.is_in((1, 256)));
        assert!(!now.is_in((2, 256)) && before.is_in((2, 256)));
        assert!(!now.is_in((1, 257)) && !before.is_in((1, 257)));
    }
}
