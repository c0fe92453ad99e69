//! What passes between the threads: encoded records one way, how writing goes the other.
//!
//! The reading thread never waits for a file. It appends to batches that the writing thread takes
//! one by one, so there is one write for all that came meanwhile, up to some 32 KiB. Together they
//! hold at most [`LIMIT`] bytes; then reading stops, and with it the provider, which loses nothing.

use std::collections::VecDeque;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use steroids_shim::exit::ExitRecord;
use steroids_shim::input::Input;
use steroids_shim::state::State;

/// Bytes between the threads at most.
pub(crate) const LIMIT: usize = 64 * 1024 * 1024;

/// A batch that has grown to this is left for the writer, and a new one begun: what makes a call
/// cheap beside the bytes it writes, and no more, as each is memory of a shim.
const BATCH: usize = 32 * 1024;

/// With more than this the writer is behind.
const AHEAD: usize = BATCH;

/// A buffer larger than this is not kept while nothing comes.
pub(super) const KEPT: usize = BATCH / 2;

/// The queue, shared by all threads.
#[derive(Debug)]
pub(crate) struct Queue {
    inside: Mutex<Inside>,
    /// For the writer: there is something to do.
    work: Condvar,
    /// For the reader: something has changed.
    news: OwnedFd,
}

#[derive(Debug, Default)]
struct Inside {
    /// Encoded records that nobody has taken yet; none of the batches is empty.
    pending: VecDeque<Vec<u8>>,
    /// Bytes of these, and of what the writer has taken and not yet written.
    waiting: usize,
    /// A buffer to begin the next batch with.
    spare: Vec<u8>,
    /// A sync has ended that nobody has taken note of.
    is_synced: bool,
    /// The provider's number, until it is on record.
    state: Option<State>,
    /// What is to be recorded once everything has been written.
    last: Option<ExitRecord>,
    /// Messages to be read, and those that were.
    loads: VecDeque<String>,
    /// The last that was taken was one of these: records have their turn.
    has_loaded: bool,
    loaded: Vec<Loaded>,
    /// Whether the reader waits until the writer is no longer behind.
    is_awaited: bool,
    /// Whether the reader wants to hear of every write.
    watched: bool,
    progress: Progress,
}

/// A message's id, and what it says or why it cannot be read.
pub(crate) type Loaded = (String, Result<Input, String>);

/// Messages that wait to be read at most: more than anybody sends at once.
const LOADS: usize = 16;

/// How writing goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Bytes of whole records in the file.
    pub(crate) written: u64,
    /// The state was written, or refused once: it is no reason to wait.
    pub(crate) introduced: bool,
    /// Why it does not go on at the moment.
    pub(crate) trouble: Option<Trouble>,
    /// The exit record was written, or cannot be any more.
    pub(crate) done: Option<bool>,
}

/// Why writing does not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// Room will do.
    pub(crate) disk_full: bool,
    /// In words.
    pub(crate) message: String,
}

/// What the writer is to do.
pub(crate) enum Work {
    /// Write these.
    Records(Vec<u8>),
    /// Write the state.
    State(Box<State>),
    /// Read this message.
    Load(String),
    /// Note that a sync has ended.
    Synced,
    /// Nothing came for so long.
    Idle,
    /// Everything was taken: record the end.
    Last(Box<ExitRecord>),
}

impl Queue {
    /// An empty one.
    pub(crate) fn new() -> std::io::Result<Queue> {
        Ok(Queue {
            inside: Mutex::default(),
            work: Condvar::new(),
            news: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        })
    }

    /// Becomes readable when there is news for the reader.
    pub(crate) fn news(&self) -> BorrowedFd<'_> {
        self.news.as_fd()
    }

    // === the reading thread ===

    /// Lets records be appended.
    pub(crate) fn append(&self, encode: impl FnOnce(&mut Vec<u8>)) {
        let mut inside = self.lock();
        let fits = |batch: &Vec<u8>| batch.len() < BATCH;
        if !inside.pending.back().is_some_and(fits) {
            let spare = mem::take(&mut inside.spare);
            inside.pending.push_back(spare);
        }
        if let Some(batch) = inside.pending.back_mut() {
            let before = batch.len();
            encode(batch);
            let added = batch.len() - before;
            inside.waiting += added;
        }
        if inside.pending.len() == 1 {
            self.work.notify_one();
        }
    }

    /// Bytes that are not in the file yet.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().waiting
    }

    /// The bytes that were written so far, where the writer is behind. When it no longer is, that is
    /// news.
    pub(crate) fn behind(&self) -> Option<u64> {
        let mut inside = self.lock();
        inside.is_awaited = inside.waiting > AHEAD;
        inside.is_awaited.then_some(inside.progress.written)
    }

    /// Hands in the state, now that there is a provider.
    pub(crate) fn introduce(&self, state: State) {
        self.lock().state = Some(state);
        self.work.notify_one();
    }

    /// Has a message read; false if too many wait.
    pub(crate) fn load(&self, id: String) -> bool {
        let mut inside = self.lock();
        let has_room = inside.loads.len() < LOADS;
        if has_room {
            inside.loads.push_back(id);
            self.work.notify_one();
        }
        has_room
    }

    /// The messages that were read since.
    pub(crate) fn loaded(&self) -> Vec<Loaded> {
        mem::take(&mut self.lock().loaded)
    }

    /// Hands in the exit record, which is written after everything else.
    pub(crate) fn finish(&self, record: ExitRecord) {
        self.lock().last = Some(record);
        self.work.notify_one();
    }

    /// How writing goes; takes the news.
    pub(crate) fn progress(&self) -> Progress {
        let mut count = [0; 8];
        // Empty if there is no news; it is only a doorbell.
        let _ = rustix::io::read(&self.news, &mut count);
        self.lock().progress.clone()
    }

    /// Whether every write is news, or only trouble and the end.
    pub(crate) fn watch(&self, watched: bool) {
        self.lock().watched = watched;
    }

    // === the syncing thread ===

    /// A sync has ended.
    pub(super) fn synced(&self) {
        self.lock().is_synced = true;
        self.work.notify_one();
    }

    // === the writing thread ===

    /// Waits for work, no longer than `patience` if given. Takes a used buffer in exchange. Gives
    /// neither records nor the end while these are held up.
    pub(super) fn take(
        &self,
        patience: Option<Duration>,
        mut used: Vec<u8>,
        is_held_up: bool,
    ) -> Work {
        used.clear();
        let mut inside = self.lock();
        loop {
            if let Some(state) = inside.state.take() {
                return Work::State(Box::new(state));
            }
            if mem::take(&mut inside.is_synced) {
                return Work::Synced;
            }
            // In turn: an agent that prints all the time is heard, and hears.
            let loads_first = is_held_up || !inside.has_loaded || inside.pending.is_empty();
            if loads_first && let Some(id) = inside.loads.pop_front() {
                inside.has_loaded = true;
                return Work::Load(id);
            }
            inside.has_loaded = false;
            if !is_held_up {
                if let Some(records) = inside.pending.pop_front() {
                    inside.spare = used;
                    return Work::Records(records);
                }
                if let Some(record) = inside.last.take() {
                    return Work::Last(Box::new(record));
                }
            }
            let Some(patience) = patience else {
                inside = self
                    .work
                    .wait(inside)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let wait = self.work.wait_timeout_while(inside, patience, |inside| {
                inside.state.is_none()
                    && inside.loads.is_empty()
                    && !inside.is_synced
                    && (is_held_up || inside.pending.is_empty() && inside.last.is_none())
            });
            let (mut still, timeout) = wait.unwrap_or_else(PoisonError::into_inner);
            if timeout.timed_out() {
                if still.spare.capacity() > KEPT {
                    still.spare = Vec::new();
                }
                return Work::Idle;
            }
            inside = still;
        }
    }

    /// The state was written, or could not be.
    pub(super) fn introduced(&self) {
        self.lock().progress.introduced = true;
        self.ring();
    }

    /// A message was read, or could not be.
    pub(super) fn has_loaded(&self, loaded: Loaded) {
        self.lock().loaded.push(loaded);
        self.ring();
    }

    /// True if nothing waits to be taken.
    pub(super) fn is_drained(&self) -> bool {
        self.lock().pending.is_empty()
    }

    /// So many bytes have been written.
    pub(super) fn wrote(&self, bytes: usize) {
        let mut inside = self.lock();
        let was_full = inside.waiting >= LIMIT / 2;
        inside.waiting = inside.waiting.saturating_sub(bytes);
        inside.progress.written += bytes as u64;
        let recovered = inside.progress.trouble.take().is_some();
        let caught_up = inside.is_awaited && inside.waiting <= AHEAD;
        inside.is_awaited &= !caught_up;
        let ring = inside.watched || was_full || recovered || caught_up;
        drop(inside);
        if ring {
            self.ring();
        }
    }

    /// Writing does not succeed.
    pub(super) fn trouble(&self, trouble: Trouble) {
        self.lock().progress.trouble = Some(trouble);
        self.ring();
    }

    /// The exit record was written, or not.
    pub(super) fn done(&self, written: bool) {
        self.lock().progress.done = Some(written);
        self.ring();
    }

    fn ring(&self) {
        // Fails only when it has been rung 2^64 times.
        let _ = rustix::io::write(&self.news, &1_u64.to_ne_bytes());
    }

    /// A thread that panicked while it held the lock left the counts as they were or as they
    /// should be: nothing inside is changed in two steps that can panic in between.
    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use steroids_shim::exit::End;

    use super::*;

    #[test]
    fn while_output_is_held_up_messages_are_read_and_the_end_waits() {
        let queue = Queue::new().unwrap();
        queue.append(|batch| batch.push(0));
        assert!(queue.load("m".to_owned()));
        let moment = Some(Duration::from_millis(1));
        let take = |is_held_up| queue.take(moment, Vec::new(), is_held_up);
        assert!(matches!(take(true), Work::Load(_)));
        assert!(matches!(take(true), Work::Idle));
        queue.synced();
        assert!(matches!(take(true), Work::Synced));
        queue.finish(ExitRecord {
            proto: 1,
            end: End::never_started(""),
            ended_ms: 0,
            spool_length: 0,
            rusage: None,
        });
        assert!(matches!(take(true), Work::Idle));
        assert!(matches!(take(false), Work::Records(_)));
        assert!(matches!(take(false), Work::Last(_)));
    }

    #[test]
    fn who_waits_for_a_writer_that_is_behind_hears_when_it_has_caught_up() {
        let queue = Queue::new().unwrap();
        let print = |bytes: usize| queue.append(|batch| batch.resize(batch.len() + bytes, 0));
        let is_news = || rustix::io::read(queue.news(), &mut [0; 8]).is_ok();
        print(AHEAD);
        assert_eq!(queue.behind(), None);
        print(10);
        queue.wrote(5);
        assert!(!is_news(), "nobody has asked yet");
        assert_eq!(queue.behind(), Some(5));
        queue.wrote(4);
        assert!(!is_news(), "still behind");
        queue.wrote(1);
        assert!(is_news());
        queue.wrote(1);
        assert!(!is_news(), "told once");
        assert_eq!(queue.behind(), None);
    }

    #[test]
    fn messages_have_their_turn_beside_output_that_never_ends() {
        let queue = Queue::new().unwrap();
        let print = || queue.append(|batch| batch.resize(batch.len() + BATCH, 0));
        let id = |n: u8| format!("m{n}");
        for n in 0..2 {
            print();
            assert!(queue.load(id(n)));
        }
        let mut taken = Vec::new();
        for _ in 0..4 {
            print();
            match queue.take(None, Vec::new(), false) {
                Work::Records(_) => taken.push("output".to_owned()),
                Work::Load(id) => taken.push(id),
                _ => taken.push("other".to_owned()),
            }
        }
        // Neither keeps the other waiting.
        assert_eq!(taken, ["m0", "output", "m1", "output"]);
    }
}
