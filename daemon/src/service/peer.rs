//! The peer of one connection, as its streams see it: how many of them it reads. HTTP/2 gives no
//! way to end a stream whose client takes nothing, but a connection can be closed; so one that
//! reads none of its streams any more loses it, and the slot and the descriptor are free.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Code, Request, Status};

use super::accept::Slot;
use super::refusal::Refusal;

/// What is told while all slots are taken.
pub(super) const CROWDED: &str = "as many clients are connected as daemon.max_connections allows: \
     no more can follow, and short calls are answered";

/// Who is at the other end of a connection. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Peer(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    // Held for a few sums, never while waiting.
    streams: Mutex<Streams>,
    cut_off: CancellationToken,
    // Held to look, never while waiting. Without a connection there is none.
    slot: Mutex<Option<Slot>>,
}

#[derive(Debug, Default)]
struct Streams {
    open: usize,
    given_up: usize,
    is_cut_off: bool,
}

impl Peer {
    /// Of a connection that has this slot.
    pub(super) fn new(slot: Slot) -> Peer {
        Peer(Arc::new(Shared {
            slot: Mutex::new(Some(slot)),
            ..Shared::default()
        }))
    }

    /// Its connection is closed; the slot is free.
    pub(super) fn leaves(&self) {
        drop(self.slot().take());
    }

    /// Whether it came when all slots were taken.
    pub(super) fn is_spare(&self) -> bool {
        self.slot().as_ref().is_some_and(Slot::is_spare)
    }

    /// Lets it have a stream that may last for hours.
    ///
    /// # Errors
    /// Where it has but a spare slot, which others need for short calls.
    pub(super) fn may_follow(&self) -> Result<(), Status> {
        match self.slot().as_mut().is_none_or(Slot::is_own) {
            true => Ok(()),
            false => Err(
                Refusal::new(Code::ResourceExhausted, "TOO_MANY_CLIENTS", CROWDED)
                    .todo("end some of those that follow or wait, or raise daemon.max_connections")
                    .into(),
            ),
        }
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Slot>> {
        self.0.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends when the connection is to be closed.
    pub(super) fn cut_off(&self) -> WaitForCancellationFutureOwned {
        self.0.cut_off.clone().cancelled_owned()
    }

    /// A stream to it is open.
    pub(super) fn opened(&self) -> PeerStream {
        self.count(|streams| streams.open += 1);
        PeerStream {
            peer: self.clone(),
            is_given_up: Mutex::new(false),
        }
    }

    fn count(&self, change: impl FnOnce(&mut Streams)) {
        if let Some(open) = self.changed(change) {
            tracing::info!(
                streams.open = open,
                "a client that reads nothing is cut off"
            );
            self.0.cut_off.cancel();
        }
    }

    /// How many streams were open, if with this change it came to be cut off.
    fn changed(&self, change: impl FnOnce(&mut Streams)) -> Option<usize> {
        let mut streams = self
            .0
            .streams
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        change(&mut streams);
        let reads_nothing = streams.given_up > 0 && streams.given_up == streams.open;
        let is_news = reads_nothing && !std::mem::replace(&mut streams.is_cut_off, true);
        is_news.then_some(streams.open)
    }
}

/// Who sent a request.
pub(super) fn peer<T>(request: &Request<T>) -> Peer {
    // Every connection has one; without it a stream is on its own.
    request.extensions().get().cloned().unwrap_or_default()
}

/// One open stream to a peer.
#[derive(Debug)]
pub(super) struct PeerStream {
    peer: Peer,
    is_given_up: Mutex<bool>,
}

impl PeerStream {
    /// The peer has read nothing of it for too long.
    pub(super) fn given_up(&self) {
        let was_given_up = std::mem::replace(&mut *self.lock(), true);
        if !was_given_up {
            self.peer.count(|streams| streams.given_up += 1);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, bool> {
        self.is_given_up
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PeerStream {
    fn drop(&mut self) {
        let is_given_up = *self.lock();
        self.peer.count(|streams| {
            streams.open -= 1;
            streams.given_up -= usize::from(is_given_up);
        });
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn is_cut_off(peer: &Peer) -> bool {
        peer.cut_off().now_or_never().is_some()
    }

    #[test]
    fn who_reads_one_of_its_streams_keeps_its_connection() {
        let peer = Peer::default();
        let (read, unread) = (peer.opened(), peer.opened());
        unread.given_up();
        unread.given_up();
        assert!(!is_cut_off(&peer));
        drop(unread);
        drop(read);
        assert!(!is_cut_off(&peer));
    }

    #[test]
    fn who_loses_it_is_told_of_once() {
        let peer = Peer::default();
        let give_up = |streams: &mut Streams| streams.given_up += 1;
        let end = |streams: &mut Streams| {
            streams.open -= 1;
            streams.given_up -= 1;
        };
        assert_eq!(peer.changed(|streams| streams.open += 3), None);
        assert_eq!(peer.changed(give_up), None);
        assert_eq!(peer.changed(give_up), None);
        assert_eq!(peer.changed(give_up), Some(3));
        // All three end; the first two leave some that were given up.
        assert_eq!(peer.changed(end), None);
        assert_eq!(peer.changed(end), None);
        assert_eq!(peer.changed(end), None);
    }

    #[test]
    fn who_reads_none_loses_it() {
        let peer = Peer::default();
        let (first, second) = (peer.opened(), peer.opened());
        first.given_up();
        assert!(!is_cut_off(&peer));
        // The last that was read has ended.
        drop(second);
        assert!(is_cut_off(&peer));
    }
}
