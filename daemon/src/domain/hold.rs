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
        self.growing(2, failures, chance)
    }

    /// The same, where each is so many times as long as the one before.
    pub fn growing(&self, times: u32, failures: u32, chance: u64) -> Duration {
        let grown = times.saturating_pow(failures.saturating_sub(1));
        let plain = self.first.saturating_mul(grown);
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
    /// Of one by hand: the limit that would hold without it. It ends sooner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    beneath: Option<Box<Hold>>,
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

    /// Takes note of an end; until when a limit holds the provider from now on, where that is news: beneath what
    /// somebody has set, too. The same end a second time changes nothing.
    pub fn note(
        &mut self,
        provider: &str,
        end: Ended<'_>,
        backoff: Backoff,
        now_ms: i64,
    ) -> Option<i64> {
        let before = self.by_provider.get(provider);
        if before.is_some_and(|hold| hold.by.as_deref() == Some(end.uuid)) {
            return None;
        }
        match end.outcome {
            Outcome::RateLimited | Outcome::CreditExhausted => {}
            // One that was under way before says nothing of now.
            Outcome::Success if before.is_some_and(|hold| hold.since_ms <= end.began_ms) => {
                match self.by_provider.get_mut(provider) {
                    Some(hold) if hold.is_by_hand() && !hold.is_over => {
                        (hold.beneath, hold.failures) = (None, 0);
                    }
                    _ => drop(self.by_provider.remove(provider)),
                }
                return None;
            }
            _ => return None,
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
        let limit = |before: Option<&Hold>| Hold {
            since_ms: now_ms,
            until_ms: before.map_or(until_ms, |hold| hold.until_ms.max(until_ms)),
            reason: end.outcome.as_str().to_owned(),
            failures,
            by: Some(end.uuid.to_owned()),
            // Where it was told first, unless that is to be told anew.
            told: before.and_then(|hold| hold.told.clone()),
            is_over: false,
            beneath: None,
        };
        let is_longer = |before: Option<&Hold>| before.is_none_or(|it| it.until_ms < until_ms);
        let (hold, is_news) = match stands {
            Some(by_hand) if by_hand.is_by_hand() && !is_longer(Some(by_hand)) => {
                let beneath = by_hand.beneath.as_deref();
                let hold = Hold {
                    since_ms: now_ms,
                    failures,
                    by: Some(end.uuid.to_owned()),
                    beneath: Some(Box::new(limit(beneath))),
                    ..by_hand.clone()
                };
                (hold, is_longer(beneath))
            }
            stands => (limit(stands), is_longer(stands)),
        };
        self.by_provider.insert(provider.to_owned(), hold);
        is_news.then_some(until_ms)
    }

    /// Says where it is to be told that this provider's limit is over.
    pub fn tell(&mut self, provider: &str, project: PathBuf, invocation: i64) {
        if let Some(hold) = self.by_provider.get_mut(provider) {
            let told = Some((project, invocation));
            if let Some(beneath) = &mut hold.beneath {
                beneath.told.clone_from(&told);
            }
            // Also of one by hand that outlasts the limit: nothing is started before that.
            hold.told = told;
        }
    }

    /// Holds a provider because somebody wants it so, whatever somebody wanted before. A limit that lasts longer
    /// stands, and one that is over sooner does so without it.
    pub fn set(&mut self, provider: &str, until_ms: i64, now_ms: i64) {
        let before = self.by_provider.get(provider);
        let until_ms = until_ms.min(now_ms.saturating_add(millis(LONGEST)));
        let limit = before.and_then(|hold| match hold.is_by_hand() {
            true => hold.beneath.as_deref(),
            false => Some(hold).filter(|hold| !hold.is_over),
        });
        let hold = match limit {
            Some(longer) if longer.until_ms >= until_ms => longer.clone(),
            limit => Hold {
                since_ms: now_ms,
                until_ms,
                reason: BY_HAND.to_owned(),
                failures: before.map_or(0, |hold| hold.failures),
                by: before.and_then(|hold| hold.by.clone()),
                told: before.and_then(|hold| hold.told.clone()),
                is_over: false,
                beneath: limit.cloned().map(Box::new),
            },
        };
        self.by_provider.insert(provider.to_owned(), hold);
    }

    /// Ends a hold before its time; what it was, if there was one.
    pub fn lift(&mut self, provider: &str) -> Option<Hold> {
        let hold = self.by_provider.get_mut(provider);
        let hold = hold.filter(|hold| !hold.is_over)?;
        hold.is_over = true;
        hold.beneath = None;
        Some(hold.clone())
    }

    /// Ends what somebody has set before its time; what it was, if it was. A limit that stands beneath holds on.
    pub fn lift_by_hand(&mut self, provider: &str, now_ms: i64) -> Option<Hold> {
        let hold = self.by_provider.get_mut(provider);
        let hold = hold.filter(|hold| !hold.is_over && hold.is_by_hand())?;
        let lifted = hold.clone();
        hold.end(now_ms);
        Some(lifted)
    }

    /// Lets no limit hold a provider beneath what somebody has set.
    pub fn lift_beneath(&mut self, provider: &str) {
        if let Some(hold) = self.by_provider.get_mut(provider) {
            hold.beneath = None;
        }
    }

    /// Ends those whose time has come, and tells which. One that was set later than now, by a clock
    /// that was set back since, counts from now.
    pub fn pass(&mut self, now_ms: i64) -> Vec<(String, Hold)> {
        let mut over = Vec::new();
        for (provider, hold) in &mut self.by_provider {
            hold.bound(now_ms);
            if !hold.is_over && hold.until_ms <= now_ms {
                let before = hold.clone();
                hold.end(now_ms);
                if hold.is_over {
                    over.push((provider.clone(), before));
                }
            }
        }
        over
    }
}

impl Hold {
    /// One that was set later than now counts from now.
    fn bound(&mut self, now_ms: i64) {
        if self.since_ms > now_ms {
            let length = self.until_ms.saturating_sub(self.since_ms);
            let length = length.clamp(0, millis(LONGEST));
            (self.since_ms, self.until_ms) = (now_ms, now_ms.saturating_add(length));
        }
        if let Some(beneath) = &mut self.beneath {
            beneath.bound(now_ms);
        }
    }

    /// It is over, and what stands beneath it holds on until its own time.
    fn end(&mut self, now_ms: i64) {
        match self.beneath.take() {
            Some(beneath) if beneath.until_ms > now_ms => *self = *beneath,
            _ => self.is_over = true,
        }
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
mod tests;
