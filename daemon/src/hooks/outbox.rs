//! The event that is on its way to one hook, and when it is attempted next.

use std::time::Duration;

use rand::RngExt as _;
use tokio::time::Instant;

use super::payload::Delivery;
use super::positions::Done;
use super::settings::HookSettings;

/// No pause between attempts is longer, whatever the other side asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// One event at most.
#[derive(Default)]
pub(super) struct Outbox {
    pending: Option<Pending>,
    /// Failed attempts in a row, over all its events.
    failures: u32,
    /// Nothing is tried before.
    rests_until: Option<Instant>,
}

struct Pending {
    event: Done,
    attempts: u32,
    delivery: Delivery,
}

/// What became of an event after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// It is tried again.
    Again,
    /// It was its last attempt.
    GivenUp,
}

impl Outbox {
    /// What is to be attempted from now on.
    pub(super) fn put(&mut self, event: Done, delivery: Delivery) {
        self.pending = Some(Pending {
            event,
            attempts: 0,
            delivery,
        });
    }

    /// When there may be something to do here, if that is not now.
    pub(super) fn rests_until(&self, now: Instant) -> Option<Instant> {
        self.rests_until.filter(|until| *until > now)
    }

    /// Whether an attempt has to wait.
    pub(super) fn is_waiting(&self) -> bool {
        self.pending.is_some()
    }

    /// What is to be attempted.
    pub(super) fn delivery(&self) -> Option<&Delivery> {
        self.pending.as_ref().map(|pending| &pending.delivery)
    }

    /// Of what event it is.
    pub(super) fn event(&self) -> Option<Done> {
        self.pending.as_ref().map(|pending| pending.event)
    }

    /// Takes it out: it was delivered, or is no longer wanted. Gives of what event it was.
    pub(super) fn take(&mut self) -> Option<Done> {
        self.pending.take().map(|pending| pending.event)
    }

    /// An attempt failed. The pauses go on growing from one event to the next: what is away for one
    /// of them is away for all.
    pub(super) fn failed(
        &mut self,
        hook: &HookSettings,
        asked: Option<Duration>,
        now: Instant,
    ) -> After {
        self.failures = self.failures.saturating_add(1);
        let pause =
            pause(hook.retry_after, self.failures).mul_f64(rand::rng().random_range(0.5..=1.0));
        let asked = asked.unwrap_or_default().min(LONGEST_PAUSE);
        self.rests_until = Some(now + pause.max(asked));
        match &mut self.pending {
            Some(pending) if pending.attempts < hook.retries => {
                pending.attempts += 1;
                After::Again
            }
            _ => After::GivenUp,
        }
    }

    /// What failed may go well now.
    pub(super) fn take_heart(&mut self) {
        self.failures = 0;
        self.rests_until = None;
    }

    /// There is nothing to be had before.
    pub(super) fn rest(&mut self, until: Instant) {
        self.rests_until = Some(until);
    }
}

/// Before the attempt after so many failed ones, at most.
fn pause(first: Duration, failures: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    first.saturating_mul(doubled).min(LONGEST_PAUSE.max(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_five_minutes() {
        let second = Duration::from_secs(1);
        let pauses = [1, 2, 3, 9, 10, 1000].map(|failures| pause(second, failures).as_secs());
        assert_eq!(pauses, [1, 2, 4, 256, 300, 300]);
        assert_eq!(pause(Duration::from_secs(900), 7).as_secs(), 900);
    }
}
