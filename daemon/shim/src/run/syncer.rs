//! The syncing thread: it waits for the disk so that the writing thread need not. While a sync
//! takes its time, output goes on into the kernel's page cache and does not pile up in here.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use steroids_shim::exit::Draft;
use steroids_shim::spool::Syncing;

use super::queue::Queue;

/// The thread, as the writing one sees it. One sync at a time.
#[derive(Debug)]
pub(super) struct Syncer {
    ask: SyncSender<()>,
    thread: JoinHandle<()>,
    is_at_work: bool,
}

/// Tells the queue that a sync is over, however it ended.
struct Over<'a>(&'a Queue);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.synced();
    }
}

impl Syncer {
    /// Starts the thread, which tells the queue of each sync that is over.
    pub(super) fn start(
        spool: Syncing,
        draft: Arc<Draft>,
        queue: Arc<Queue>,
    ) -> io::Result<Syncer> {
        let (ask, asked) = sync_channel(1);
        let thread = thread::Builder::new()
            .name("syncer".to_owned())
            // Its deepest call is a sync.
            .stack_size(64 * 1024)
            .spawn(move || {
                let mut is_settled = false;
                while asked.recv().is_ok() {
                    let _over = Over(&queue);
                    // That there is no room shows at the next write, or at the end; what the kernel has
                    // dropped for another reason is lost whatever is done.
                    let _ = spool.sync();
                    if !is_settled {
                        is_settled = true;
                        draft.settle();
                    }
                }
            })?;
        Ok(Syncer {
            ask,
            thread,
            is_at_work: false,
        })
    }

    /// Whether a sync goes on whose end was not yet taken from the queue.
    pub(super) fn is_at_work(&self) -> bool {
        self.is_at_work
    }

    /// Has all synced that was written until now; false if the thread is gone. Not while it is at work.
    pub(super) fn begin(&mut self) -> bool {
        self.is_at_work = self.ask.try_send(()).is_ok();
        self.is_at_work
    }

    /// The queue has said that it is over.
    pub(super) fn ended(&mut self) {
        self.is_at_work = false;
    }

    /// Waits for what goes on; nothing is synced behind the caller's back from then on.
    pub(super) fn stop(self) {
        drop(self.ask);
        // A panic there has been printed, and cost a sync that is made up for at the end.
        let _ = self.thread.join();
    }
}
