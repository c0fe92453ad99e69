//! The writing thread. A full disk, or any other refusal, it meets by trying again each second; it
//! drops nothing. It waits for a sync at the end only, or where there is no thread to do it.

use std::io;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::libc;
use steroids_shim::code;
use steroids_shim::durable::FileError;
use steroids_shim::exit::{Draft, ExitRecord};
use steroids_shim::input::Input;
use steroids_shim::paths::InvDir;
use steroids_shim::spool::{SpoolError, Writer};

use super::queue::{KEPT, Queue, Trouble, Work};
use super::syncer::Syncer;
use crate::patience::patiently;
use crate::sys;

/// Unsynced output of so many bytes is synced at once, unless more is waiting already…
const DIRTY_BYTES: usize = 1024 * 1024;

/// …which may be put first up to so many: a sync costs the disk about as much as these. No more is
/// written while one goes on, so what is not on the disk is twice as much at most…
const MOST_DIRTY_BYTES: usize = 16 * 1024 * 1024;

/// …and any output after so long: with what is written while that is synced, what a power loss can cost.
const DIRTY_TIME: Duration = Duration::from_secs(2);

/// Between two tries.
const RETRY: Duration = Duration::from_secs(1);

/// A sync that fails for another reason than room is tried so often before the end is recorded
/// all the same: the kernel has then dropped what it could not write.
const SYNC_TRIES: u32 = 10;

/// The files that the thread writes.
#[derive(Debug)]
pub(crate) struct Files {
    /// The folder they are in.
    pub(crate) dir: InvDir,
    /// The raw transcript.
    pub(crate) spool: Writer,
    /// Room for the exit record.
    pub(crate) draft: Arc<Draft>,
}

/// What has been written and not synced.
#[derive(Debug, Default)]
struct Dirty {
    bytes: usize,
    since: Option<Instant>,
}

impl Dirty {
    fn now() -> Dirty {
        Dirty {
            bytes: 0,
            since: Some(Instant::now()),
        }
    }

    fn add(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.since.get_or_insert_with(Instant::now);
    }

    /// How long it may stay so; `more` is waiting to be written.
    fn patience(&self, more: bool) -> Option<Duration> {
        let since = self.since?;
        let most = match more {
            true => MOST_DIRTY_BYTES,
            false => DIRTY_BYTES,
        };
        match self.bytes >= most {
            true => Some(Duration::ZERO),
            false => Some(DIRTY_TIME.saturating_sub(since.elapsed())),
        }
    }
}

/// Starts the thread. It ends after the exit record.
pub(crate) fn start(files: Files, queue: &Arc<Queue>) -> io::Result<()> {
    // An attempt that fails keeps what it was given.
    let files = Arc::new(Mutex::new(Some(files)));
    patiently(|| {
        let (files, queue) = (Arc::clone(&files), Arc::clone(queue));
        // Its deepest call is a write; the default would only be address space, but of a small process.
        thread::Builder::new()
            .name("writer".to_owned())
            .stack_size(128 * 1024)
            .spawn(move || {
                let files = files.lock().unwrap_or_else(PoisonError::into_inner).take();
                let Some(mut files) = files else {
                    return;
                };
                let record = write_records(&mut files, &queue);
                let written = record_end(&files, &record, &queue);
                queue.done(written);
            })
    })?;
    Ok(())
}

/// Writes until the exit record is handed in.
fn write_records(files: &mut Files, queue: &Arc<Queue>) -> ExitRecord {
    // What stands in no file yet is the room for the record.
    let mut dirty = Dirty::now();
    let mut syncer = None;
    let mut used = Vec::new();
    // Whether there is memory to give back once it is quiet: first what starting has taken.
    let mut burst = true;
    let record = loop {
        // While a sync goes on, its end is what is waited for.
        let due = match is_at_work(&syncer) {
            true => None,
            false => dirty.patience(false),
        };
        let patience = due.or(burst.then_some(DIRTY_TIME));
        let is_held_up = is_at_work(&syncer) && dirty.bytes >= MOST_DIRTY_BYTES;
        match queue.take(patience, mem::take(&mut used), is_held_up) {
            Work::Records(records) => {
                burst |= records.capacity() > KEPT;
                write_all(files, &records, &mut dirty, queue);
                used = records;
            }
            Work::State(state) => {
                // Without it a lost shim's remains are found by their marker alone, which is nearly
                // as good.
                let _ = state.store(&files.dir);
                queue.introduced();
            }
            Work::Load(id) => {
                let read = Input::take(&files.dir, &id).map_err(|error| error.to_string());
                queue.has_loaded((id, read));
            }
            Work::Synced => syncer.iter_mut().for_each(Syncer::ended),
            Work::Idle if burst => {
                burst = false;
                sys::give_back_memory();
            }
            Work::Idle => {}
            Work::Last(record) => break *record,
        }
        let is_due = dirty.patience(!queue.is_drained()) == Some(Duration::ZERO);
        if is_due && !is_at_work(&syncer) {
            dirty = Dirty::default();
            begin_sync(files, &mut syncer, queue);
        }
    };
    if let Some(syncer) = syncer {
        syncer.stop();
    }
    record
}

fn is_at_work(syncer: &Option<Syncer>) -> bool {
    syncer.as_ref().is_some_and(Syncer::is_at_work)
}

/// Has everything synced that was written so far, by a thread that is started with the first sync: a
/// run that ends sooner needs none.
fn begin_sync(files: &Files, syncer: &mut Option<Syncer>, queue: &Arc<Queue>) {
    if syncer.is_none() {
        let draft = Arc::clone(&files.draft);
        let spool = files.spool.syncing();
        *syncer = spool
            .ok()
            .and_then(|spool| Syncer::start(spool, draft, Arc::clone(queue)).ok());
        if syncer.is_some() {
            // Daemon and provider have been greeted by now, which one that is flooded has no room for.
            code::give_back();
        }
    }
    if !syncer.as_mut().is_some_and(Syncer::begin) {
        // No room for a thread or a descriptor: it is waited for, as little as that is liked.
        *syncer = None;
        let _ = files.spool.sync();
        files.draft.settle();
    }
}

fn write_all(files: &mut Files, records: &[u8], dirty: &mut Dirty, queue: &Queue) {
    let mut rest = records;
    while !rest.is_empty() {
        let (written, outcome) = files.spool.append(rest);
        if written > 0 {
            dirty.add(written);
            queue.wrote(written);
            rest = &rest[written..];
        }
        if let Err(SpoolError::Io { source, .. }) = outcome {
            queue.trouble(trouble(&source));
            thread::sleep(RETRY);
        }
    }
}

/// Syncs the spool and writes the exit record. False if its folder is gone.
fn record_end(files: &Files, record: &ExitRecord, queue: &Queue) -> bool {
    let mut tries = 0;
    while let Err(SpoolError::Io { source, .. }) = files.spool.sync() {
        let trouble = trouble(&source);
        tries += 1;
        if !trouble.disk_full && tries >= SYNC_TRIES {
            break;
        }
        queue.trouble(trouble);
        thread::sleep(RETRY);
    }
    steroids_failpoint::reach("shim.spool-synced");
    loop {
        match files.draft.commit(record) {
            Ok(()) => {
                steroids_failpoint::reach("shim.recorded");
                return true;
            }
            Err(_) if !files.dir.path().exists() => return false,
            Err(FileError::Io { source, .. }) => queue.trouble(trouble(&source)),
            // Nothing that time will mend.
            Err(FileError::Malformed { .. } | FileError::Foreign { .. }) => return false,
        }
        thread::sleep(RETRY);
    }
}

fn trouble(error: &io::Error) -> Trouble {
    let full = [libc::ENOSPC, libc::EDQUOT, libc::EFBIG];
    Trouble {
        disk_full: error
            .raw_os_error()
            .is_some_and(|code| full.contains(&code)),
        message: error.to_string(),
    }
}
