//! What wakes a job up, and how long it sleeps where nothing does.
//!
//! The kernel tells of all that a shim writes, of a log that is another file than it was (which is looked
//! at a second later), and of a shim that ends. Behind that stands a look, at first each 5 s, for what nobody
//! tells of: a hint that was lost, a log written to in its place, a shim that answers no more. An agent may
//! be silent for hours, and a hundred of them at once: so looks get rarer while they find nothing. Somebody
//! who looks on has them as often as at first.

use std::time::Duration;

use steroids_shim::protocol::Message;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::audience::Audience;
use super::job::Request;
use super::link::ShimLink;
use crate::watch::{Arming, Hint, Pace};

/// Between looks at first.
const SAFETY_POLL: Duration = Duration::from_secs(5);

/// Between looks at one that has been silent for long: how old what is shown of its use of memory and
/// processors may be when nobody has looked on.
const SILENT_POLL: Duration = Duration::from_secs(60);

/// Until a log is looked at that may be another file than it was: who replaces one often removes it
/// first.
const REPLACED: Duration = Duration::from_secs(1);

/// Where the kernel tells nothing: who follows should not have to wait.
const UNWATCHED_POLL: Duration = Duration::from_secs(1);

/// What woke a job up.
pub(super) enum Event {
    Hint,
    Shim(Option<Message>),
    Request(Request),
    Poll,
    Detach,
}

/// All that a job waits for but its requests and its shim.
pub(super) struct Wakes {
    stop: CancellationToken,
    /// Of its state folder.
    hint: Hint,
    /// Of its log's name.
    log: Hint,
    /// Of projects that come and go: its log may be in another folder from then on.
    projects: watch::Receiver<u64>,
    audience: watch::Receiver<usize>,
    pace: Pace,
    /// When to look at the latest, as the log may be another file than it was.
    doubted: Option<Instant>,
    looked: Instant,
}

impl Wakes {
    /// `hints` are those of its state folder and of its log's name.
    pub(super) fn new(
        stop: CancellationToken,
        hints: [Hint; 2],
        projects: watch::Receiver<u64>,
        audience: &Audience,
    ) -> Wakes {
        let [hint, log] = hints;
        Wakes {
            stop,
            hint,
            log,
            projects,
            audience: audience.watched(),
            pace: Pace::new(SAFETY_POLL, SILENT_POLL),
            doubted: None,
            looked: Instant::now(),
        }
    }

    /// True where the kernel tells of what its shim writes.
    pub(super) fn is_watched(&self) -> bool {
        self.hint.is_watched()
    }

    /// For the next look, which may block: what watches the folders that are not watched, or no longer.
    pub(super) fn armings(&self) -> Option<[Arming; 2]> {
        let is_watched = self.hint.is_watched() && self.log.is_watched();
        (!is_watched).then(|| [self.hint.arming(), self.log.arming()])
    }

    /// Waits for the next of them, after a look. Cancel-safe.
    pub(super) async fn next(
        &mut self,
        requests: &mut mpsc::Receiver<Request>,
        link: &mut ShimLink,
    ) -> Event {
        loop {
            let poll = self.poll(link);
            let event = tokio::select! {
                biased;
                () = self.stop.cancelled() => Event::Detach,
                Some(request) = requests.recv() => Event::Request(request),
                () = self.hint.changed() => Event::Hint,
                () = self.log.changed() => {
                    self.doubt();
                    continue;
                }
                Ok(()) = self.projects.changed() => {
                    self.doubt();
                    continue;
                }
                message = link.next() => Event::Shim(message),
                Ok(()) = self.audience.changed() => match self.looked.elapsed() < SAFETY_POLL {
                    true => continue,
                    false => Event::Poll,
                },
                () = sleep_until(poll), if steroids_failpoint::check("job.poll").is_ok() => Event::Poll,
            };
            match &event {
                Event::Poll => {
                    self.doubted = None;
                    self.looked = Instant::now();
                    self.pace.slow_down();
                }
                // It was asked how it is, and nothing has happened.
                Event::Shim(Some(Message::Stat(_))) => {}
                Event::Hint | Event::Shim(_) | Event::Request(_) | Event::Detach => {
                    self.pace.reset();
                }
            }
            return event;
        }
    }

    /// Has a look come soon, and no more than one in 5 s: what is written anew each time that somebody
    /// replaces a log must not be all that is done.
    fn doubt(&mut self) {
        let soon = (Instant::now() + REPLACED).max(self.looked + SAFETY_POLL);
        self.doubted.get_or_insert(soon);
        self.pace.reset();
    }

    fn poll(&self, link: &ShimLink) -> Instant {
        let now = Instant::now();
        let is_looked_on = *self.audience.borrow() > 0;
        let due = if !self.hint.is_watched() {
            now + UNWATCHED_POLL
        } else if is_looked_on || link.is_mute() || !self.log.is_watched() {
            now + SAFETY_POLL
        } else {
            self.pace.due(now)
        };
        self.doubted.map_or(due, |doubted| due.min(doubted))
    }
}
