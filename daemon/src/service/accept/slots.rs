//! How many connections are served at a time. When all slots are taken there are some spare ones, for who asks and
//! goes: a client that only wants to stop an agent is not kept out by those that follow for hours.

use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::PollSemaphore;

/// Each is needed for as long as a call takes.
const SPARE: usize = 16;

/// Those there are.
pub(super) struct Slots {
    slots: Arc<Semaphore>,
    spare: Arc<Semaphore>,
    /// Waits for either, while all of both are taken.
    waiting: Option<(PollSemaphore, PollSemaphore)>,
}

/// What a connection takes, until it is dropped.
#[derive(Debug)]
pub(in crate::service) enum Slot {
    /// One of those that are configured.
    Own(#[expect(dead_code, reason = "held")] OwnedSemaphorePermit),
    /// A spare one.
    Spare {
        /// It.
        _held: OwnedSemaphorePermit,
        /// Where one of the others is taken, if it comes to that.
        slots: Arc<Semaphore>,
    },
}

impl Slots {
    pub(super) fn new(connections: usize) -> Slots {
        Slots {
            slots: Arc::new(Semaphore::new(connections)),
            spare: Arc::new(Semaphore::new(SPARE)),
            waiting: None,
        }
    }

    /// Nobody is there to take one: what comes free is nobody's yet.
    pub(super) fn wait_no_more(&mut self) {
        self.waiting = None;
    }

    /// One of them, as soon as there is one.
    pub(super) fn poll_take(&mut self, cx: &mut Context<'_>) -> Poll<Slot> {
        let (slots, spare) = (&self.slots, &self.spare);
        let of_spare = |held| Slot::Spare {
            _held: held,
            slots: Arc::clone(slots),
        };
        // What is waited for is given to the one who waits, so not beside those.
        let (own, other) = self.waiting.get_or_insert_with(|| {
            let waits = |semaphore| PollSemaphore::new(Arc::clone(semaphore));
            (waits(slots), waits(spare))
        });
        // Never closed, they always give a permit in the end.
        let taken = match (own.poll_acquire(cx), other) {
            (Poll::Ready(held), _) => held.map(Slot::Own),
            (Poll::Pending, other) => match other.poll_acquire(cx) {
                Poll::Ready(held) => held.map(of_spare),
                Poll::Pending => None,
            },
        };
        match taken {
            Some(slot) => {
                self.waiting = None;
                Poll::Ready(slot)
            }
            None => Poll::Pending,
        }
    }
}

impl Slot {
    /// Whether one of the configured is held, or can be taken now.
    pub(in crate::service) fn is_own(&mut self) -> bool {
        let Slot::Spare { slots, .. } = self else {
            return true;
        };
        match Arc::clone(slots).try_acquire_owned() {
            Ok(held) => {
                *self = Slot::Own(held);
                true
            }
            Err(_) => false,
        }
    }

    /// Whether all of the configured were taken when it came.
    pub(in crate::service) fn is_spare(&self) -> bool {
        matches!(self, Slot::Spare { .. })
    }
}
