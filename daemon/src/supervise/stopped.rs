//! A shim that says nothing may have been stopped (SIGSTOP). By a person it was meant: it is told, and left
//! alone. But its agent can do the same, as a child of it, and would go on for ever without an owner that ends
//! it: so one that is to end is told to go on.

use std::time::Duration;

use steroids_shim::paths::InvDir;
use steroids_shim::standstill::Standstill;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use super::door::ANSWER;

/// Between two looks, each of which asks for some small files.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The process of a shim that says nothing.
pub(super) struct Stopped {
    dir: InvDir,
    pid: Option<i32>,
    looked: Option<Instant>,
}

impl Stopped {
    pub(super) fn new(dir: InvDir) -> Stopped {
        Stopped {
            dir,
            pid: None,
            looked: None,
        }
    }

    /// Its number, if it was stopped when it was looked at last.
    pub(super) fn pid(&self) -> Option<i32> {
        self.pid
    }

    /// It has said something.
    pub(super) fn forget(&mut self) {
        (self.pid, self.looked) = (None, None);
    }

    /// The next look is due, whenever the last one was.
    pub(super) fn look_again(&mut self) {
        self.looked = None;
    }

    /// Looks whether it was stopped, where it is time to.
    pub(super) async fn look(&mut self) {
        if let Some(found) = self.found().await {
            self.pid = found.map(|standstill| standstill.pid());
        }
    }

    /// Has it go on if it was stopped, where it is time to look.
    pub(super) async fn end(&mut self) {
        let Some(Some(standstill)) = self.found().await else {
            return;
        };
        let pid = standstill.pid();
        match standstill.end() {
            Ok(()) => {
                self.pid = None;
                info!(
                    pid,
                    "a shim that was stopped and is to end was told to go on"
                );
            }
            Err(error) => {
                self.pid = Some(pid);
                warn!(pid, %error, "a shim that was stopped cannot be told to go on");
            }
        }
    }

    /// `None` if it is not time to look, or the disk does not answer.
    async fn found(&mut self) -> Option<Option<Standstill>> {
        let is_due = |then: Instant| then.elapsed() >= LOOK_EVERY;
        if !self.looked.is_none_or(is_due) {
            return None;
        }
        self.looked = Some(Instant::now());
        let dir = self.dir.clone();
        let looking = tokio::task::spawn_blocking(move || Standstill::of(&dir));
        timeout(ANSWER, looking).await.ok()?.ok()
    }
}
