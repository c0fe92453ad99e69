//! Holds: a provider whose limit is reached is asked for nothing until the limit is over.
//!
//! ```text
//!             limit reached               its time comes, or a person lifts it
//!   (none) ──────────────────> held ──────────────────────────────────────────> over
//!     ^                          ^            limit reached again: longer         │
//!     │                          └────────────────────────────────────────────────┤
//!     └──────────────────── one that began after it succeeds ─────────────────────┘
//! ```
//!
//! No clock in here. A hold knows when it was set and for how long, so that a clock that is set
//! back makes it no longer than it was.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use steroids_provider::outcome::Outcome;

use super::queue::Held;

/// The longest limit that a provider has is a week.
pub const LONGEST: Duration = Duration::from_secs(8 * 24 * 60 * 60);

/// Why a person's hold stands.
const BY_HAND: &str = "by hand";

/// How long a hold lasts where nobody says when the limit is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first time.
    pub first: Duration,
    /// At most; it doubles with each limit in a row.
    pub most: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff {
            first: Duration::from_secs(60),
            most: Duration::from_secs(60 * 60),
        }
    }
}

impl Backoff {
    /// After so many failures in a row, counted from 1; a quarter more or less, by chance, so that
    /// several daemons of one account do not come back together.
    pub fn after(&self, failures: u32, chance: u64) -> Duration {
        let doubled = 1_u32.checked_shl(failures.saturating_sub(1).min(31));
        let plain = self.first.saturating_mul(doubled.unwrap_or(u32::MAX));
        let per_mille = 750 + u32::try_from(chance % 501).unwrap_or(0);
        (plain.min(self.most).saturating_mul(per_mille) / 1000).min(self.most)
    }
}

/// The end of an invocation, as far as holds are concerned.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    /// Names the invocation, and with it its chance.
    pub uuid: &'a str,
    /// When it began, in epoch milliseconds.
    pub began_ms: i64,
    /// How it ended.
    pub outcome: Outcome,
    /// When the limit is over, as the provider says.
    pub resets_at_ms: Option<i64>,
}

/// What is known of one provider's limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    since_ms: i64,
    until_ms: i64,
    /// `rate_limited`, `credit_exhausted`, or a person's.
    pub reason: String,
    /// Limits reached in a row.
    failures: u32,
    /// The invocation that reached it last, by its uuid.
    by: Option<String>,
    /// Its project and its row, to tell there that it is over.
    #[serde(default)]
    pub told: Option<(PathBuf, i64)>,
    /// It is over; kept for what it says of the failures in a row.
    is_over: bool,
}

impl Hold {
    /// Since when it stands, in epoch milliseconds.
    pub fn since_ms(&self) -> i64 {
        self.since_ms
    }

    /// A person set it.
    pub fn is_by_hand(&self) -> bool {
        self.reason == BY_HAND
    }

    /// Until when, in epoch milliseconds.
    pub fn until_ms(&self) -> i64 {
        self.until_ms
    }
}

/// Of all providers, by their configured names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Holds {
    by_provider: BTreeMap<String, Hold>,
}

impl Holds {
    /// Those that stand.
    pub fn standing(&self) -> impl Iterator<Item = (&str, &Hold)> {
        let all = self.by_provider.iter();
        all.filter(|(_, hold)| !hold.is_over)
            .map(|(provider, hold)| (provider.as_str(), hold))
    }

    /// The same, for who decides what starts.
    pub fn held(&self) -> BTreeMap<String, Held> {
        self.standing()
            .map(|(provider, hold)| {
                let held = Held {
                    until_ms: hold.until_ms,
                    reason: hold.reason.clone(),
                };
                (provider.to_owned(), held)
            })
            .collect()
    }

    /// Takes note of an end; true if the provider is held from now on, or for longer than before.
    /// The same end a second time changes nothing.
    pub fn note(&mut self, provider: &str, end: Ended<'_>, backoff: Backoff, now_ms: i64) -> bool {
        let before = self.by_provider.get(provider);
        if before.is_some_and(|hold| hold.by.as_deref() == Some(end.uuid)) {
            return false;
        }
        match end.outcome {
            Outcome::RateLimited | Outcome::CreditExhausted => {}
            // One that was under way before says nothing of now.
            Outcome::Success if before.is_some_and(|hold| hold.since_ms <= end.began_ms) => {
                let is_a_persons = before.is_some_and(|hold| hold.reason == BY_HAND);
                if !is_a_persons {
                    self.by_provider.remove(provider);
                }
                return false;
            }
            _ => return false,
        }
        // Several that ran together meet one limit, not several in a row.
        let failures = match before {
            Some(hold) if hold.since_ms > end.began_ms => hold.failures.max(1),
            Some(hold) => hold.failures.saturating_add(1),
            None => 1,
        };
        let latest = now_ms.saturating_add(millis(LONGEST));
        let until_ms = match end.resets_at_ms {
            Some(at) if at > now_ms => at.min(latest),
            _ => now_ms.saturating_add(millis(backoff.after(failures, chance(end.uuid)))),
        };
        let stands = before.filter(|hold| !hold.is_over);
        let is_longer = stands.is_none_or(|hold| hold.until_ms < until_ms);
        let is_a_persons = stands.is_some_and(|hold| hold.reason == BY_HAND);
        let hold = Hold {
            since_ms: now_ms,
            until_ms: stands.map_or(until_ms, |hold| hold.until_ms.max(until_ms)),
            reason: if is_a_persons && !is_longer {
                BY_HAND.to_owned()
            } else {
                end.outcome.as_str().to_owned()
            },
            failures,
            by: Some(end.uuid.to_owned()),
            told: None,
            is_over: false,
        };
        self.by_provider.insert(provider.to_owned(), hold);
        is_longer
    }

    /// Says where it is to be told that this provider's hold is over.
    pub fn tell(&mut self, provider: &str, project: PathBuf, invocation: i64) {
        if let Some(hold) = self.by_provider.get_mut(provider) {
            hold.told = Some((project, invocation));
        }
    }

    /// Holds a provider because somebody wants it so, whatever stood before.
    pub fn set(&mut self, provider: &str, until_ms: i64, now_ms: i64) {
        let before = self.by_provider.get(provider);
        let hold = Hold {
            since_ms: now_ms,
            until_ms: until_ms.min(now_ms.saturating_add(millis(LONGEST))),
            reason: BY_HAND.to_owned(),
            failures: before.map_or(0, |hold| hold.failures),
            by: before.and_then(|hold| hold.by.clone()),
            told: before.and_then(|hold| hold.told.clone()),
            is_over: false,
        };
        self.by_provider.insert(provider.to_owned(), hold);
    }

    /// Ends a hold before its time; what it was, if there was one.
    pub fn lift(&mut self, provider: &str) -> Option<Hold> {
        let hold = self.by_provider.get_mut(provider);
        let hold = hold.filter(|hold| !hold.is_over)?;
        hold.is_over = true;
        Some(hold.clone())
    }

    /// Ends those whose time has come, and tells which. One that was set later than now, by a clock
    /// that was set back since, counts from now.
    pub fn pass(&mut self, now_ms: i64) -> Vec<(String, Hold)> {
        let mut over = Vec::new();
        for (provider, hold) in &mut self.by_provider {
            if hold.since_ms > now_ms {
                let length = hold.until_ms.saturating_sub(hold.since_ms);
                let length = length.clamp(0, millis(LONGEST));
                (hold.since_ms, hold.until_ms) = (now_ms, now_ms.saturating_add(length));
            }
            if !hold.is_over && hold.until_ms <= now_ms {
                hold.is_over = true;
                over.push((provider.clone(), hold.clone()));
            }
        }
        over
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A number that is an invocation's own: whoever counts again comes to the same.
pub fn chance(uuid: &str) -> u64 {
    // FNV-1a.
    uuid.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_700_000_000_000;
    const MINUTE: i64 = 60_000;

    fn end(uuid: &str, outcome: Outcome) -> Ended<'_> {
        Ended {
            uuid,
            began_ms: NOW,
            outcome,
            resets_at_ms: None,
        }
    }

    fn limited(uuid: &str) -> Ended<'_> {
        end(uuid, Outcome::RateLimited)
    }

    fn until(holds: &Holds) -> Option<i64> {
        holds.held().get("claude").map(|held| held.until_ms)
    }

    fn note(holds: &mut Holds, end: Ended<'_>, now_ms: i64) -> bool {
        holds.note("claude", end, Backoff::default(), now_ms)
    }

    #[test]
    fn a_provider_is_held_until_its_own_word_and_no_longer_than_any_limit_lasts() {
        let mut holds = Holds::default();
        let resets_at_ms = Some(NOW + 5 * MINUTE);
        let first = Ended {
            resets_at_ms,
            ..limited("a")
        };
        assert!(note(&mut holds, first, NOW));
        assert_eq!(until(&holds), resets_at_ms);
        assert!(!note(&mut holds, first, NOW + 1), "it was noted before");
        assert!(holds.pass(NOW + 5 * MINUTE - 1).is_empty());
        assert_eq!(holds.pass(NOW + 5 * MINUTE).len(), 1);
        assert_eq!(until(&holds), None);
        let absurd = Ended {
            resets_at_ms: Some(i64::MAX),
            ..limited("b")
        };
        assert!(note(&mut holds, absurd, NOW));
        assert_eq!(until(&holds), Some(NOW + millis(LONGEST)));
    }

    #[test]
    fn without_a_word_it_is_a_minute_and_doubles_up_to_an_hour_until_one_succeeds() {
        let mut holds = Holds::default();
        let mut now = NOW;
        let mut lengths = Vec::new();
        for n in 0..12 {
            let uuid = format!("u{n}");
            let began_ms = now;
            now += 1;
            let failed = Ended {
                began_ms,
                ..limited(&uuid)
            };
            assert!(note(&mut holds, failed, now));
            let length = until(&holds).unwrap() - now;
            lengths.push(length);
            now += length;
            assert_eq!(holds.pass(now).len(), 1);
        }
        for (n, length) in lengths.iter().enumerate() {
            let plain = (MINUTE << n).min(60 * MINUTE);
            assert!(
                (plain * 3 / 4..=(plain * 5 / 4).min(60 * MINUTE)).contains(length),
                "{n}: {length}"
            );
        }
        let before = Ended {
            began_ms: NOW - 1,
            ..end("old", Outcome::Success)
        };
        note(&mut holds, before, now);
        let good = Ended {
            began_ms: now,
            ..end("good", Outcome::Success)
        };
        note(&mut holds, good, now + 1);
        note(&mut holds, limited("again"), now + 2);
        assert!(until(&holds).unwrap() - now <= 2 * MINUTE);
    }

    #[test]
    fn several_that_ran_together_meet_one_limit() {
        let mut holds = Holds::default();
        for (n, uuid) in ["a", "b", "c"].into_iter().enumerate() {
            let now = NOW + 10 + i64::try_from(n).unwrap();
            note(&mut holds, limited(uuid), now);
        }
        assert!(until(&holds).unwrap() - NOW <= 2 * MINUTE);
        // One of them that got through says nothing.
        note(&mut holds, end("d", Outcome::Success), NOW + 20);
        assert!(until(&holds).is_some());
    }

    #[test]
    fn a_person_has_the_last_word() {
        let mut holds = Holds::default();
        note(&mut holds, limited("a"), NOW + 1);
        assert!(holds.lift("claude").is_some());
        assert!(holds.lift("claude").is_none());
        assert_eq!(until(&holds), None);
        holds.set("claude", NOW + MINUTE, NOW + 2);
        assert_eq!(until(&holds), Some(NOW + MINUTE));
        let good = Ended {
            began_ms: NOW + 3,
            ..end("b", Outcome::Success)
        };
        note(&mut holds, good, NOW + 4);
        assert_eq!(until(&holds), Some(NOW + MINUTE));
    }

    #[test]
    fn it_is_kept_as_it_is() {
        let mut holds = Holds::default();
        note(&mut holds, limited("a"), NOW);
        holds.tell("claude", PathBuf::from("/p"), 7);
        let text = serde_json::to_string(&holds).unwrap();
        assert_eq!(serde_json::from_str::<Holds>(&text).unwrap(), holds);
    }

    proptest! {
        /// Whatever the clock does, a hold is over once it has gone steadily for as long as the
        /// longest limit lasts.
        #[test]
        fn no_clock_makes_a_hold_last(
            set_at in -10 * millis(LONGEST)..2 * NOW,
            resets_at in proptest::option::of(any::<i64>()),
            then in -10 * millis(LONGEST)..2 * NOW,
        ) {
            let mut holds = Holds::default();
            let end = Ended { resets_at_ms: resets_at, ..limited("a") };
            note(&mut holds, end, set_at);
            holds.pass(then);
            holds.pass(then + millis(LONGEST));
            prop_assert_eq!(until(&holds), None);
        }

        #[test]
        fn a_pause_is_never_over_its_bound(failures in any::<u32>(), chance in any::<u64>()) {
            let backoff = Backoff::default();
            prop_assert!(backoff.after(failures, chance) <= backoff.most);
            prop_assert!(!backoff.after(failures, chance).is_zero());
        }
    }
}
