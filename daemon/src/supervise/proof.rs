//! What the record of an end proves. It stands in a folder that the agent may write to, and only a lock that
//! nobody holds says that the shim is gone: a record beside one that is held is a claim. A shim lets go of its
//! lock within milliseconds of its own; where it does not, a person is told, and the invocation goes on.

use std::time::{Duration, Instant};

use steroids_shim::durable::FileError;
use steroids_shim::exit::ExitRecord;
use steroids_shim::lock;
use steroids_shim::paths::InvDir;
use tokio::time::sleep;

use super::job::Job;

/// A shim has nothing left to do but to sync a folder and to remove its socket.
const LETS_GO_WITHIN: Duration = Duration::from_secs(10);

/// Between two looks at first; then as long as a quarter of the wait so far.
const FIRST_LOOK: Duration = Duration::from_millis(1);

/// Between two looks at most.
const LAST_LOOK: Duration = Duration::from_secs(1);

/// What is known of an end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Recorded {
    /// Nothing.
    No,
    /// There is a record, and its shim lives.
    Claimed,
    /// There is a record, and nobody holds the lock.
    Proven(ExitRecord),
}

/// Looks at record and lock. Blocks.
pub(super) fn recorded(dir: &InvDir) -> Result<Recorded, FileError> {
    if ExitRecord::load(dir)?.is_none() {
        return Ok(Recorded::No);
    }
    // Where the lock cannot be asked, no end waits for it.
    if lock::is_held(&dir.lock()).unwrap_or(false) {
        return Ok(Recorded::Claimed);
    }
    // Once more: the shim may have put its own in the place of a false one before it let go.
    Ok(ExitRecord::load(dir)?.map_or(Recorded::No, Recorded::Proven))
}

/// Whether there is a record, readable or not, and nobody holds the lock. Blocks.
pub(super) fn is_over(dir: &InvDir) -> bool {
    dir.exit().exists() && !lock::is_held(&dir.lock()).unwrap_or(false)
}

impl Job {
    /// Waits before another look whether the shim has let go of its lock; false if it was to have done that by
    /// now. `None` once the daemon stops.
    pub(super) async fn lets_go(&mut self) -> Option<bool> {
        let waited = self.claimed.get_or_insert_with(Instant::now).elapsed();
        if waited >= LETS_GO_WITHIN {
            self.listen();
            return Some(false);
        }
        let pause = (waited / 4).clamp(FIRST_LOOK, LAST_LOOK);
        let stop = self.inner.stop.clone();
        let paused = self.obeying(stop.run_until_cancelled(sleep(pause))).await;
        paused.map(|()| true)
    }

    /// What a person should know of a record that is not believed.
    pub(super) fn claim(&self) -> Option<String> {
        const CLAIM: &str = "its exit record says that it has ended, and its shim lives: the record is not believed, and \
             the agent may go on";
        let is_false = |since: Instant| since.elapsed() >= LETS_GO_WITHIN;
        self.claimed.is_some_and(is_false).then(|| CLAIM.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use steroids_shim::exit::End;
    use steroids_shim::spec::PROTOCOL;

    use super::*;

    #[test]
    fn a_record_proves_an_end_once_the_lock_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let dir = InvDir::at(folder.path());
        assert_eq!(recorded(&dir).unwrap(), Recorded::No);
        let record = ExitRecord {
            proto: PROTOCOL,
            end: End::Lost {
                error: "so it says".to_owned(),
            },
            ended_ms: 1,
            spool_length: 0,
            rusage: None,
        };
        let lock = lock::acquire(&dir.lock()).unwrap();
        assert_eq!(recorded(&dir).unwrap(), Recorded::No);
        record.store(&dir).unwrap();
        assert_eq!(recorded(&dir).unwrap(), Recorded::Claimed);
        drop(lock);
        assert_eq!(recorded(&dir).unwrap(), Recorded::Proven(record));
    }
}
