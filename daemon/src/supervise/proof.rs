//! What the record of an end proves. It stands in a folder that the agent may write to, as does the lock's name, so
//! both are a claim. A shim says over its connection that it records, once nothing is left of its tree, and the
//! connection goes with it. Where that was heard, no more is asked:
//!
//! ```text
//!   connection    lock by its name      a record is
//!   open          held or free          a claim: its shim lives; after 10 s a person is told
//!   said, closed  free                  its shim's
//!   unsaid, gone  held or free          false: what is left is ended, and it ends as lost
//!   never heard   free                  believed, unless its shim or something of its tree is found alive
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use steroids_shim::durable::FileError;
use steroids_shim::exit::ExitRecord;
use steroids_shim::paths::InvDir;
use steroids_shim::state::{self, State};
use steroids_shim::{lock, tree};
use tokio::time::sleep;
use tracing::warn;

use super::census::HOST;
use super::job::Job;
use super::link::Parting;
use super::lost::{self, Ended, Undeclared, Worth};

/// A shim has nothing left to do but to sync a folder and to remove its socket.
const LETS_GO_WITHIN: Duration = Duration::from_secs(10);

/// Between two looks at first; then as long as a quarter of the wait so far.
const FIRST_LOOK: Duration = Duration::from_millis(1);

/// Between two looks at most.
const LAST_LOOK: Duration = Duration::from_secs(1);

/// Between two searches through all processes for a shim that hides.
const SEEK_EVERY: Duration = Duration::from_secs(5);

/// What is known of an end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Recorded {
    /// Nothing.
    No,
    /// There is a record, and its shim lives.
    Claimed(ExitRecord),
    /// There is a record, and nobody holds the lock.
    Proven(ExitRecord),
}

/// What that comes to.
#[derive(Debug)]
pub(super) enum Weighed {
    /// It has not ended.
    No,
    /// So somebody says, and its shim lives.
    Claim,
    /// It has, so far as anybody can tell.
    Proof(ExitRecord),
    /// Its shim is gone, and that was not its record. It has another one, or gets it at the next look.
    Refuted,
}

/// What a job knows of a record beside what stands there.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    /// Since when there is one, and its shim lives.
    claimed: Option<Instant>,
    /// When its shim was looked for last among all processes.
    sought: Option<Instant>,
    /// What this daemon has written, of one that was lost.
    written: Option<ExitRecord>,
    /// So many records were none.
    refuted: u32,
}

impl Doubt {
    /// There is no record.
    pub(super) fn is_gone(&mut self) {
        self.claimed = None;
    }

    /// It is there for longer than a shim takes to let go.
    fn is_old(&self) -> bool {
        self.claimed
            .is_some_and(|since| since.elapsed() >= LETS_GO_WITHIN)
    }
}

/// What came of declaring one lost.
enum Declared {
    /// It has a record that says so.
    Lost,
    /// That which is there stands.
    Recorded,
    /// Nothing: it is tried again.
    Failed,
}

/// What is found of one whose end nobody heard.
enum Remains {
    Nothing,
    Shim,
    Processes,
}

/// Looks at record and lock. Blocks.
pub(super) fn recorded(dir: &InvDir) -> Result<Recorded, FileError> {
    let Some(claim) = ExitRecord::load(dir)? else {
        return Ok(Recorded::No);
    };
    // Where the lock cannot be asked, no end waits for it.
    if lock::is_held(&dir.lock()).unwrap_or(false) {
        return Ok(Recorded::Claimed(claim));
    }
    // Once more: the shim may have put its own in the place of a false one before it let go.
    Ok(ExitRecord::load(dir)?.map_or(Recorded::No, Recorded::Proven))
}

/// Whether there is a record, readable or not, and nobody holds the lock. Blocks.
pub(super) fn is_over(dir: &InvDir) -> bool {
    dir.exit().exists() && !lock::is_held(&dir.lock()).unwrap_or(false)
}

/// Looks for what an end that nobody heard may have left; of another boot there is nothing. Blocks.
fn remains(dir: &InvDir, uuid: &str, is_named: bool) -> Remains {
    let state = State::load(dir).ok().flatten();
    if !is_named && !state.is_some_and(|state| tree::may_remain(&state)) {
        return Remains::Nothing;
    }
    match tree::shim_lives(uuid) {
        true => Remains::Shim,
        false => Remains::Processes,
    }
}

impl Job {
    /// Judges what is recorded. Where it was no shim's, what is left of the tree is ended.
    pub(super) async fn weigh(&mut self, recorded: Recorded) -> Weighed {
        let (exit, is_held) = match recorded {
            Recorded::No => return Weighed::No,
            Recorded::Claimed(exit) => (exit, true),
            Recorded::Proven(exit) => (exit, false),
        };
        // Its own word, whoever holds a lock of that name by now.
        if self.doubt.written.as_ref() == Some(&exit) {
            return Weighed::Proof(exit);
        }
        steroids_failpoint::reach("exit.weighed");
        match self.judge(exit, is_held).await {
            Weighed::Proof(exit) => self.is_last(exit).await,
            weighed => weighed,
        }
    }

    /// A proof is one of what stands there once its shim is gone: it was read before that was known, and the shim may
    /// have put its own in the place of a false one since.
    async fn is_last(&mut self, exit: ExitRecord) -> Weighed {
        let dir = self.dir.clone();
        let again = tokio::task::spawn_blocking(move || ExitRecord::load(&dir)).await;
        // One that is killed lets go of lock and connection before the kernel says that it is gone.
        let is_killed = self.link.parting() == Parting::Unsaid;
        match again {
            Ok(Ok(Some(now))) if now == exit && !is_killed => Weighed::Proof(exit),
            // Or it is gone, or cannot be read: whatever it is, the next look tells.
            _ => Weighed::Refuted,
        }
    }

    async fn judge(&mut self, exit: ExitRecord, is_held: bool) -> Weighed {
        match (self.link.parting(), is_held) {
            // Also where a lock of that name is held: not by it.
            (Parting::Unsaid, _) => {
                const KILLED: &str =
                    "shim lost: it was killed, and the exit record that was found is not its own";
                match self.declare_lost(KILLED, Worth::False).await {
                    Declared::Failed => Weighed::Claim,
                    Declared::Lost | Declared::Recorded => Weighed::Refuted,
                }
            }
            (_, true) => Weighed::Claim,
            (Parting::Said, false) => Weighed::Proof(exit),
            (Parting::Connected, false) if !self.doubt.is_old() => Weighed::Claim,
            (Parting::Connected | Parting::Unheard, false) => self.look_for_remains(exit).await,
        }
    }

    /// Whether a record beside a lock that is free counts where the row waits for more than the end. What nobody heard
    /// is not looked for then, as this is asked each second: it is once the row can be written.
    pub(super) async fn is_proven(&mut self, exit: ExitRecord) -> bool {
        match self.link.parting() {
            Parting::Said | Parting::Unheard => true,
            Parting::Connected | Parting::Unsaid => {
                let weighed = self.weigh(Recorded::Proven(exit)).await;
                matches!(weighed, Weighed::Proof(_))
            }
        }
    }

    /// Nobody heard its shim say that it ends, or something answers in its place.
    async fn look_for_remains(&mut self, exit: ExitRecord) -> Weighed {
        const LEFT: &str = "shim lost: its exit record says that it has ended, and processes of it were found alive: the record is \
             not its own";
        let is_early = |sought: Instant| sought.elapsed() < SEEK_EVERY;
        if self.doubt.is_old() && self.doubt.sought.is_some_and(is_early) {
            return Weighed::Claim;
        }
        self.doubt.sought = Some(Instant::now());
        let spec = Arc::clone(&self.spec);
        let look = move || state::boot_id().is_ok_and(|boot| boot == spec.boot_id);
        if let Ok(false) = tokio::task::spawn_blocking(look).await {
            return Weighed::Proof(exit);
        }
        let Some(census) = HOST.take().await else {
            // A process of somebody's hangs where it is looked at, in a disk that is gone say: no end waits for that.
            warn!(invocation.id = %self.id, "processes cannot be looked for; its exit record is believed");
            return Weighed::Proof(exit);
        };
        let (dir, spec) = (self.dir.clone(), Arc::clone(&self.spec));
        let look = move || remains(&dir, &spec.uuid, census.has(&spec.uuid));
        match tokio::task::spawn_blocking(look).await {
            Ok(Remains::Nothing) => Weighed::Proof(exit),
            Ok(Remains::Shim) | Err(_) => Weighed::Claim,
            // It is there as was asked for.
            Ok(Remains::Processes) if self.spec.leave_background => Weighed::Proof(exit),
            Ok(Remains::Processes) => {
                // What a KILL ends now, the shim's had ended. What stays is the kernel's to let go of.
                match self.declare_lost(LEFT, Worth::FalseIfLeft).await {
                    Declared::Lost => Weighed::Refuted,
                    Declared::Recorded => Weighed::Proof(exit),
                    Declared::Failed => Weighed::Claim,
                }
            }
        }
    }

    /// By its lock, unless the kernel says that its process is gone. False if there may be a record now that it was
    /// lost.
    pub(super) async fn is_alive(&mut self, held: std::io::Result<bool>) -> bool {
        const LOST: &str = "shim lost";
        let parting = self.link.parting();
        let worth = match held {
            // Its lock has another name, or none; unless somebody answers in its place.
            Ok(false) if parting == Parting::Connected && self.shim_lives().await => {
                self.listen();
                return true;
            }
            Ok(false) => Worth::Counts,
            // Whoever holds a lock of that name is not it.
            _ if parting == Parting::Unsaid => Worth::False,
            Ok(true) => {
                self.listen();
                return true;
            }
            Err(error) => {
                warn!(invocation.id = %self.id, %error, "lock cannot be asked");
                return true;
            }
        };
        self.declare_lost(LOST, worth).await;
        false
    }

    async fn shim_lives(&self) -> bool {
        let spec = Arc::clone(&self.spec);
        let look = move || tree::shim_lives(&spec.uuid);
        // Only a panic, or the runtime's end.
        tokio::task::spawn_blocking(look).await.unwrap_or(true)
    }

    async fn declare_lost(&mut self, why: &str, worth: Worth) -> Declared {
        let launcher = &*self.inner.settings().launcher;
        // One that was started or adopted here has lived while this daemon was there.
        let ended = match self.link.parting() {
            Parting::Unheard if self.had_ended => Ended::Unseen,
            _ => Ended::Now,
        };
        match lost::declare(launcher, &self.spec, &self.dir, why, worth, ended).await {
            Ok(Some(record)) => {
                self.doubt.written = Some(record);
                Declared::Lost
            }
            Ok(None) => Declared::Recorded,
            Err(Undeclared) => Declared::Failed,
        }
    }

    /// Waits before another look whether the shim has let go of its lock; false if it was to have done that by
    /// now. `None` once the daemon stops.
    pub(super) async fn lets_go(&mut self) -> Option<bool> {
        let waited = self
            .doubt
            .claimed
            .get_or_insert_with(Instant::now)
            .elapsed();
        if waited >= LETS_GO_WITHIN {
            self.listen();
            return Some(false);
        }
        let pause = (waited / 4).clamp(FIRST_LOOK, LAST_LOOK);
        let stop = self.inner.stop.clone();
        let paused = self.obeying(stop.run_until_cancelled(sleep(pause))).await;
        paused.map(|()| true)
    }

    /// Waits before another look at one whose record was none: longer each time, as somebody may go on writing such.
    /// `None` once the daemon stops.
    pub(super) async fn looks_anew(&mut self) -> Option<()> {
        let pause = FIRST_LOOK * 2_u32.pow(self.doubt.refuted.min(10));
        self.doubt.refuted = self.doubt.refuted.saturating_add(1);
        let stop = self.inner.stop.clone();
        let pause = stop.run_until_cancelled(sleep(pause.min(LAST_LOOK)));
        self.obeying(pause).await
    }

    /// What a person should know of a record that is not believed.
    pub(super) fn claim(&self) -> Option<String> {
        const CLAIM: &str = "its exit record says that it has ended, and its shim lives: the record is not believed, and \
             the agent may go on";
        self.doubt.is_old().then(|| CLAIM.to_owned())
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
        assert_eq!(recorded(&dir).unwrap(), Recorded::Claimed(record.clone()));
        drop(lock);
        assert_eq!(recorded(&dir).unwrap(), Recorded::Proven(record));
    }
}
