//! An invocation whose shim is gone without a record. Whoever says so first takes the lock, so that
//! a shim that comes late finds the record and starts nothing; then what is left of the provider is
//! killed; then the record is written, and the end is as any other.

use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use steroids_shim::durable::FileError;
use steroids_shim::exit::{End, ExitRecord};
use steroids_shim::lock::{self, LockError};
use steroids_shim::paths::InvDir;
use steroids_shim::spec::{PROTOCOL, Spec};
use steroids_shim::spool::SpoolError;
use steroids_shim::state::{self, State};
use steroids_shim::tree::Killed;
use steroids_shim::{sockets, spool, tree, unit};
use tracing::{info, warn};

use super::Supervisor;
use super::supervisor::chain;
use crate::launch::Launcher;

/// Why it could not be done.
type Failed = Box<dyn std::error::Error + Send + Sync>;

/// What a record counts for that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Worth {
    /// It is believed.
    Counts,
    /// Its shim is certain to be gone without one, whatever the lock says.
    False,
    /// It is false if something is found alive that can be ended.
    FalseIfLeft,
}

/// When one ended that is declared lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// Just now: this daemon was there.
    Now,
    /// While nobody looked: with its last sign of life, so that no night counts for its time, nor its money for a day
    /// on which it used none.
    Unseen,
}

/// It could not be done now; why is logged, and the job's next look tries again.
#[derive(Debug)]
pub(super) struct Undeclared;

/// Writes the record of an invocation that nobody owns any more, and gives it; `None` where that stands which is
/// there.
pub(super) async fn declare(
    launcher: &dyn Launcher,
    spec: &Spec,
    dir: &InvDir,
    why: &str,
    worth: Worth,
    ended: Ended,
) -> Result<Option<ExitRecord>, Undeclared> {
    let (spec, dir) = (spec.clone(), dir.clone());
    let end = End::Lost {
        error: why.to_owned(),
    };
    let about = (worth, ended);
    end_unit(launcher, &spec.uuid, &dir, worth).await;
    let done = tokio::task::spawn_blocking(move || bury(&spec, &dir, end, about)).await;
    done.map_err(Into::into).flatten().map_err(|error| {
        warn!(%error, "could not declare an invocation lost");
        Undeclared
    })
}

/// The record of an invocation whose specification cannot be read and whose lock nobody holds: the one that is
/// there, or one that is written now. Where its shim lives all the same its agent has taken the lock's name, and what is
/// there is not its own: it is ended. A failure is logged and tried again by the next look.
pub(super) async fn declare_unreadable(
    launcher: &dyn Launcher,
    uuid: &str,
    dir: &InvDir,
) -> Option<ExitRecord> {
    let name = uuid.to_owned();
    let look = move || tree::shim_lives(&name);
    let worth = match tokio::task::spawn_blocking(look).await {
        Ok(true) => Worth::False,
        // Only a panic, or the runtime's end, gives no answer.
        Ok(false) | Err(_) => Worth::Counts,
    };
    end_unit(launcher, uuid, dir, worth).await;
    let (uuid, dir) = (uuid.to_owned(), dir.clone());
    let done = tokio::task::spawn_blocking(move || close_unreadable(&uuid, &dir, worth)).await;
    match done {
        Ok(Ok(record)) => Some(record),
        Ok(Err(error)) => {
            warn!(%error, "could not declare an invocation lost");
            None
        }
        Err(error) => {
            warn!(%error, "could not declare an invocation lost");
            None
        }
    }
}

fn close_unreadable(uuid: &str, dir: &InvDir, worth: Worth) -> Result<ExitRecord, Failed> {
    let _lock = lock::acquire(&dir.lock())?;
    match ExitRecord::load(dir) {
        Ok(Some(record)) if worth == Worth::Counts => return Ok(record),
        Ok(_) => {}
        Err(error) if is_senseless(&error) => {}
        Err(error) => return Err(error.into()),
    }
    kill_remains(uuid, dir);
    let spool = SpoolLeft::of(dir)?;
    let record = ExitRecord {
        proto: PROTOCOL,
        end: End::Lost {
            error: "shim lost, and its specification is damaged".to_owned(),
        },
        ended_ms: match worth {
            // Its shim lived until now.
            Worth::False => now_ms(),
            Worth::Counts | Worth::FalseIfLeft => spool.last_sign(dir, 0),
        },
        spool_length: spool.length,
        rusage: None,
    };
    record.store(dir)?;
    Ok(record)
}

/// Has the service manager end what is left in its unit, also where no group of this daemon's own may be
/// written to. Of another boot there is none; and what a shim has left that has recorded its end, which it
/// does before it lets go, was to be left.
async fn end_unit(launcher: &dyn Launcher, uuid: &str, dir: &InvDir, worth: Worth) {
    let dir = dir.clone();
    let look = move || match (worth, ExitRecord::load(&dir)) {
        (Worth::Counts, Ok(Some(_))) => Ok(None),
        (_, Err(error)) if !is_senseless(&error) => Ok(None),
        _ => State::load(&dir),
    };
    let state = tokio::task::spawn_blocking(look).await;
    let Ok(Ok(Some(state))) = state else { return };
    let is_of_this_boot = state::boot_id().is_ok_and(|boot| boot == state.boot_id);
    // A state that names another's unit is damaged, or a copy.
    let own = unit::name(uuid);
    if state.unit.is_some_and(|unit| unit == own) && is_of_this_boot {
        launcher.end(&own).await;
    }
}

impl Supervisor {
    /// Removes the sockets that killed shims have left; those of the lost go with their end.
    pub async fn sweep_sockets(&self) {
        let runtime_dir = self.settings().runtime_dir.clone();
        let (state_dir, now) = (
            self.state_dir().to_owned(),
            steroids_failpoint::wall_clock(),
        );
        let sweep = move || sockets::sweep(&runtime_dir, &state_dir, now);
        // Only a panic, or the runtime's end, leaves them to the next pass.
        if let Ok(swept @ 1..) = tokio::task::spawn_blocking(sweep).await {
            info!(swept, "removed the sockets of shims that were killed");
        }
    }
}

/// Makes the state folder, for the owner alone, unless it is there.
pub(super) fn folder(dir: &InvDir) -> std::io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir.path())
}

/// As [`declare`], with an end of the caller's choice, from a thread that may block.
pub(super) fn close(spec: &Spec, dir: &InvDir, end: End) -> Result<(), Failed> {
    bury(spec, dir, end, (Worth::Counts, Ended::Now)).map(drop)
}

fn bury(
    spec: &Spec,
    dir: &InvDir,
    end: End,
    (worth, ended): (Worth, Ended),
) -> Result<Option<ExitRecord>, Failed> {
    // Somebody may have taken it away.
    folder(dir)?;
    let _lock = match lock::acquire(&dir.lock()) {
        Ok(lock) => Some(lock),
        // Its shim is gone, so that is another's.
        Err(_) if worth == Worth::False => None,
        // Its name was given to something that nobody can lock: no shim comes late either.
        Err(LockError::Io { .. }) if !tree::shim_lives(&spec.uuid) => None,
        Err(error) => return Err(error.into()),
    };
    steroids_failpoint::reach("lost.locked");
    let end = match (ExitRecord::load(dir), end) {
        (Ok(Some(_)), _) if worth == Worth::Counts => return Ok(None),
        (Ok(Some(_)), end) => end,
        (Ok(None), End::Lost { .. }) if nobody_took_over(spec, dir)? => {
            End::never_started("its shim never took over")
        }
        // A shim that wrote its state may have started the provider before it went.
        (Ok(None), End::NeverStarted { error, .. }) if !matches!(State::load(dir), Ok(None)) => {
            End::Lost { error }
        }
        (Ok(None), end) => end,
        // It will not get better, and nobody but us writes another.
        (Err(error), _) if is_senseless(&error) => End::Lost {
            error: format!("its exit record is damaged: {}", chain(&error)),
        },
        (Err(error), _) => return Err(error.into()),
    };
    // Processes of another boot are gone, and their pids may be somebody else's by now.
    if state::boot_id()? == spec.boot_id {
        let killed = kill_remains(&spec.uuid, dir);
        if !killed.found.is_empty() {
            info!(
                invocation.id = %spec.invocation,
                found = killed.found.len(),
                "killed what a lost shim left behind"
            );
        }
        let has_ended_some = killed.found.len() > killed.left as usize;
        if worth == Worth::FalseIfLeft && !has_ended_some {
            return Ok(None);
        }
    }
    let spool = SpoolLeft::of(dir)?;
    let ended_ms = match (ended, &end) {
        (Ended::Unseen, End::Lost { .. }) => spool.last_sign(dir, spec.created_ms),
        _ => now_ms(),
    };
    let record = ExitRecord {
        proto: PROTOCOL,
        end,
        ended_ms,
        spool_length: spool.length,
        rusage: None,
    };
    steroids_failpoint::reach("lost.killed");
    record.store(dir)?;
    steroids_failpoint::reach("lost.recorded");
    // A shim that was killed could not.
    sockets::remove(&spec.socket, &spec.uuid);
    Ok(Some(record.cut()))
}

/// By what its state says, or by its mark alone where that makes no sense: the agent may have written to it.
fn kill_remains(uuid: &str, dir: &InvDir) -> Killed {
    match State::load(dir) {
        Ok(Some(state)) => tree::kill_remains(uuid, &state),
        Ok(None) | Err(_) => tree::kill_marked(uuid),
    }
}

/// Whether a record will never be one: no shim that this daemon has started writes such a file, nor one that its
/// owner may not read.
pub(super) fn is_senseless(error: &FileError) -> bool {
    match error {
        FileError::Malformed { .. } | FileError::Foreign { .. } => true,
        FileError::Io { source, .. } => source.kind() == ErrorKind::PermissionDenied,
    }
}

/// True if it is certain that nothing was started: a shim writes its state before. Of a folder
/// without the spec, or of another boot, nothing is.
fn nobody_took_over(spec: &Spec, dir: &InvDir) -> Result<bool, Failed> {
    let is_as_given = state::boot_id()? == spec.boot_id && dir.spec().exists();
    Ok(is_as_given && matches!(State::load(dir), Ok(None)))
}

/// What is in the spool of one that is lost.
#[derive(Debug, Default)]
struct SpoolLeft {
    /// Bytes of it that make sense: all, but for a record that a dying shim tore.
    length: u64,
    /// When the last record came, by the wall clock.
    last_ms: Option<u64>,
}

impl SpoolLeft {
    fn of(dir: &InvDir) -> Result<SpoolLeft, SpoolError> {
        let mut left = SpoolLeft::default();
        let mut spool = match spool::Reader::open(&dir.spool()) {
            Ok(spool) => spool,
            Err(SpoolError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                return Ok(left);
            }
            Err(error) => return Err(error),
        };
        loop {
            match spool.next() {
                Ok(Some(record)) => left.last_ms = Some(record.at.wall_ms),
                Ok(None) | Err(SpoolError::Damaged { .. }) => {
                    left.length = spool.position();
                    return Ok(left);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// When it was heard of last, between its start and now, whatever the clock was set to meanwhile; now, where
    /// nothing says it.
    fn last_sign(&self, dir: &InvDir, started_ms: u64) -> u64 {
        let now = now_ms();
        let last = self.last_ms.or_else(|| modified_ms(&dir.spool()));
        let last = last.or_else(|| modified_ms(&dir.state()));
        last.unwrap_or(now).max(started_ms).min(now)
    }
}

fn modified_ms(file: &Path) -> Option<u64> {
    Some(epoch_ms(file.metadata().ok()?.modified().ok()?))
}

/// The wall clock, in epoch milliseconds.
pub(super) fn now_ms() -> u64 {
    epoch_ms(steroids_failpoint::wall_clock())
}

fn epoch_ms(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
