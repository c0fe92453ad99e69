//! The task that turns inotify's events into hints.

use std::io;
use std::sync::Arc;

use inotify::{Event, EventMask, Inotify};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::Shared;

/// Room for a few hundred events; what does not fit stays in the kernel's queue.
const BUFFER: usize = 16 * 1024;

/// Reads events for as long as it runs; run it as a task.
#[derive(Debug)]
pub struct Watcher {
    shared: Arc<Shared>,
    inotify: Option<Inotify>,
}

impl Watcher {
    pub(super) fn new(shared: Arc<Shared>, inotify: Option<Inotify>) -> Watcher {
        Watcher { shared, inotify }
    }

    /// Turns events into hints until it is dropped. Comes back only where there is no inotify, or
    /// no more: then hints come from pokes alone and everybody's safety poll carries on.
    pub async fn run(mut self) {
        let Some(inotify) = self.inotify.take() else {
            return;
        };
        if let Err(error) = read_all(&self.shared, inotify).await {
            tracing::error!(%error, "inotify failed; foreign files are polled");
        }
    }
}

async fn read_all(shared: &Shared, inotify: Inotify) -> io::Result<()> {
    #[expect(
        deprecated,
        reason = "the new form is unsafe; an Inotify owns its one descriptor until it is dropped"
    )]
    let mut source = AsyncFd::with_interest(inotify, Interest::READABLE)?;
    let mut buffer = vec![0; BUFFER];
    loop {
        let mut ready = source.readable_mut().await?;
        match ready.get_inner_mut().read_events(&mut buffer) {
            Ok(events) => events.for_each(|event| hint(shared, &event)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn hint(shared: &Shared, event: &Event<&std::ffi::OsStr>) {
    if event.mask.contains(EventMask::Q_OVERFLOW) {
        tracing::debug!("inotify queue overflowed; all are hinted");
        return shared.poke_all();
    }
    let folders = shared.folders.paths(&event.wd);
    let gone = EventMask::IGNORED | EventMask::DELETE_SELF | EventMask::MOVE_SELF;
    if event.mask.intersects(gone) {
        // Whoever waits for a file in it looks for itself; its safety poll watches the new one.
        shared.folders.forget(&event.wd);
        return folders.iter().for_each(|folder| shared.poke_below(folder));
    }
    for folder in folders {
        if let Some(name) = event.name {
            shared.poke(&folder.join(name));
        }
        shared.poke(&folder);
    }
}
