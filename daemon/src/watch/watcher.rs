//! The task that turns inotify's events into hints.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use inotify::{Event, EventMask, Inotify};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::Shared;

/// Room for a few hundred events; what does not fit stays in the kernel's queue.
const BUFFER: usize = 16 * 1024;

/// As many fit whatever their names are. Where fewer were read, the queue was empty.
const FIT: usize = BUFFER / LONGEST;

/// An event whose name has 255 bytes and a NUL: `struct inotify_event` of inotify(7).
const LONGEST: usize = 16 + 256;

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
            tracing::error!(%error, "inotify failed; files are polled");
        }
        self.shared.folders.give_up();
        self.shared.poke_all();
    }
}

async fn read_all(shared: &Shared, inotify: Inotify) -> io::Result<()> {
    #[expect(
        deprecated,
        reason = "the new form is unsafe; an Inotify owns its one descriptor until it is dropped"
    )]
    let mut source = AsyncFd::with_interest(inotify, Interest::READABLE)?;
    let mut buffer = vec![0; BUFFER];
    let mut path = PathBuf::new();
    loop {
        let mut ready = source.readable_mut().await?;
        match ready.get_inner_mut().read_events(&mut buffer) {
            Ok(events) => {
                let count = events
                    .inspect(|event| hint(shared, event, &mut path))
                    .count();
                if count < FIT {
                    ready.clear_ready();
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The path is there to be written to, for the memory it has.
fn hint(shared: &Shared, event: &Event<&std::ffi::OsStr>, path: &mut PathBuf) {
    if event.mask.contains(EventMask::Q_OVERFLOW) {
        tracing::debug!("inotify queue overflowed; all are hinted");
        shared.folders.forget_all();
        return shared.poke_all();
    }
    let folders = shared.folders.paths(&event.wd);
    let gone = EventMask::IGNORED | EventMask::DELETE_SELF | EventMask::MOVE_SELF;
    if event.mask.intersects(gone) {
        // Whoever waits for a file in it looks for itself; its safety poll watches the new one.
        shared.folders.forget(&event.wd);
        return folders
            .iter()
            .for_each(|it| gone_below(shared, Path::new(it)));
    }
    let is_of_names = !event.mask.contains(EventMask::MODIFY);
    for folder in folders {
        let folder = Path::new(&folder);
        if let Some(name) = event.name {
            path.clear();
            path.push(folder);
            path.push(name);
            if is_of_names && event.mask.contains(EventMask::ISDIR) {
                gone_below(shared, path);
            } else {
                // Before the other: who waits for that asks whether there was this.
                if is_of_names {
                    shared.doubt(path);
                }
                shared.poke(path);
            }
        }
        shared.poke(folder);
    }
}

/// With a folder goes whatever is below it.
fn gone_below(shared: &Shared, folder: &Path) {
    shared.folders.forget_below(folder);
    shared.poke_below(folder);
}
