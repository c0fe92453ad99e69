//! Projects whose databases were made anew, and whose rows are not all in them yet.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::{Projects, Shared, locked};

/// Which, and how many there ever were.
#[derive(Debug, Default)]
pub(super) struct Refills {
    // Held for a look-up or a change.
    now: Mutex<(BTreeMap<PathBuf, usize>, u64)>,
}

/// One of them, until it is dropped: by then the rows are put back.
#[derive(Debug)]
pub struct Refill {
    all: Arc<Refills>,
    path: PathBuf,
}

impl Projects {
    /// Whether a project is being refilled, and how many have been since the daemon started: where that
    /// differs, a look in between may have found too little.
    pub fn refills(&self, path: &Path) -> (bool, u64) {
        let now = locked(&self.shared.refills.now);
        (now.0.contains_key(path), now.1)
    }
}

impl Shared {
    /// Before there is a database to be seen.
    pub(super) fn refill(&self, path: &Path) -> Refill {
        let mut now = locked(&self.refills.now);
        *now.0.entry(path.to_owned()).or_default() += 1;
        now.1 += 1;
        Refill {
            all: Arc::clone(&self.refills),
            path: path.to_owned(),
        }
    }
}

impl Drop for Refill {
    fn drop(&mut self) {
        let mut now = locked(&self.all.now);
        if let Some(count) = now.0.get_mut(&self.path) {
            *count -= 1;
            if *count == 0 {
                now.0.remove(&self.path);
            }
        }
    }
}
