//! Projects whose databases were made anew, and whose rows are not all in them yet. Those of what runs and waits come
//! first: until they are there, that nothing does is no answer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use super::{Projects, Shared, locked};

/// How long somebody who asks waits for the rows of what runs: mostly they are there within a second, and who is
/// refused asks again.
const BACK_WITHIN: Duration = Duration::from_secs(5);

/// Which, and how many there ever were.
#[derive(Debug, Default)]
pub(super) struct Refills {
    // Held for a look-up or a change.
    now: Mutex<Now>,
    /// Told when the rows of what runs in one are back.
    back: Notify,
}

#[derive(Debug, Default)]
struct Now {
    /// How many of each lack rows.
    filling: BTreeMap<PathBuf, usize>,
    /// How many of each lack those of what runs, too.
    lacking: BTreeMap<PathBuf, usize>,
    count: u64,
}

/// One of them, until it is dropped: by then the rows are put back.
#[derive(Debug)]
pub struct Refill {
    all: Arc<Refills>,
    path: PathBuf,
    lacks_runs: bool,
}

impl Projects {
    /// Whether a project is being refilled, and how many have been since the daemon started: where that
    /// differs, a look in between may have found too little.
    pub fn refills(&self, path: &Path) -> (bool, u64) {
        let now = locked(&self.shared.refills.now);
        (now.filling.contains_key(path), now.count)
    }

    /// What runs and waits in a project has its rows, whoever has put them back.
    pub fn has_what_runs(&self, path: &Path) {
        let refills = &self.shared.refills;
        if locked(&refills.now).lacking.remove(path).is_some() {
            refills.back.notify_waiters();
        }
    }

    /// Waits until what runs and waits in a project has its rows, for some seconds at most. Whether it has.
    pub async fn runs_are_back(&self, path: &Path) -> bool {
        let refills = &self.shared.refills;
        let back = async {
            loop {
                // Before the look, so that what comes during it is not missed.
                let mut told = std::pin::pin!(refills.back.notified());
                told.as_mut().enable();
                if !locked(&refills.now).lacking.contains_key(path) {
                    return;
                }
                told.await;
            }
        };
        timeout(BACK_WITHIN, back).await.is_ok()
    }
}

impl Shared {
    /// Before there is a database to be seen.
    pub(super) fn refill(&self, path: &Path) -> Refill {
        let mut now = locked(&self.refills.now);
        *now.filling.entry(path.to_owned()).or_default() += 1;
        *now.lacking.entry(path.to_owned()).or_default() += 1;
        now.count += 1;
        Refill {
            all: Arc::clone(&self.refills),
            path: path.to_owned(),
            lacks_runs: true,
        }
    }
}

impl Refill {
    /// Of which project.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What runs and waits there has its rows.
    pub fn runs_are_back(&mut self) {
        if std::mem::take(&mut self.lacks_runs) {
            count_down(&mut locked(&self.all.now).lacking, &self.path);
            self.all.back.notify_waiters();
        }
    }
}

impl Drop for Refill {
    fn drop(&mut self) {
        self.runs_are_back();
        count_down(&mut locked(&self.all.now).filling, &self.path);
    }
}

fn count_down(counts: &mut BTreeMap<PathBuf, usize>, path: &Path) {
    if let Some(count) = counts.get_mut(path) {
        *count -= 1;
        if *count == 0 {
            counts.remove(path);
        }
    }
}
