//! Provider events that no parser knew, since the daemon started: a sign that a CLI has another
//! format than it had. Counted for a person and for a scrape, in bounded room.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::projection::Unknown;

/// Names told apart, over all providers and versions. The four CLIs have some dozens each; one that
/// prints more new names than this has changed altogether, which is seen as well.
const NAMES: usize = 64;

/// Versions of providers told apart: few are run by one daemon before it is restarted.
const VERSIONS: usize = 32;

/// For what is beyond.
const OTHER: &str = "other";

/// Events of one version of a provider's CLI.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnknownEvents {
    /// The provider's configured name.
    pub provider: String,
    /// As the CLI calls it; empty while it has not.
    pub version: String,
    /// How many, by name.
    pub names: BTreeMap<String, u64>,
    /// When the first and the last of them were printed, in epoch milliseconds.
    pub at_ms: (u64, u64),
}

impl UnknownEvents {
    /// All of them.
    pub fn count(&self) -> u64 {
        self.names.values().sum()
    }
}

/// What was counted so far.
#[derive(Debug, Default)]
pub(super) struct Counted {
    // Held for a look or an addition.
    all: Mutex<Vec<UnknownEvents>>,
}

impl Counted {
    /// Adds events that were met now.
    pub(super) fn add(&self, provider: &str, met: Vec<Unknown>) {
        if met.is_empty() {
            return;
        }
        let mut all = self.lock();
        for unknown in met {
            add(&mut all, provider, unknown);
        }
    }

    /// By provider and version, in the order in which they were met first.
    pub(super) fn all(&self) -> Vec<UnknownEvents> {
        self.lock().clone()
    }

    /// All of them.
    pub(super) fn count(&self) -> u64 {
        self.lock().iter().map(UnknownEvents::count).sum()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<UnknownEvents>> {
        // A count is valid whatever panicked beside it.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add(all: &mut Vec<UnknownEvents>, provider: &str, met: Unknown) {
    let names: usize = all.iter().map(|it| it.names.len()).sum();
    let at = place(all, provider, &met);
    let events = &mut all[at];
    let is_known = events.names.contains_key(&met.name);
    let name = if is_known || names < NAMES {
        met.name
    } else {
        OTHER.to_owned()
    };
    *events.names.entry(name).or_default() += met.count;
    events.at_ms = (
        events.at_ms.0.min(met.at_ms.0),
        events.at_ms.1.max(met.at_ms.1),
    );
}

/// Where a provider's version stands, or what is beyond the bound.
fn place(all: &mut Vec<UnknownEvents>, provider: &str, met: &Unknown) -> usize {
    let find = |all: &[UnknownEvents], provider: &str, version: &str| {
        let is_it = |it: &UnknownEvents| it.provider == provider && it.version == version;
        all.iter().position(is_it)
    };
    if let Some(at) = find(all, provider, &met.version) {
        return at;
    }
    let (provider, version) = if all.len() < VERSIONS {
        (provider, met.version.as_str())
    } else {
        (OTHER, OTHER)
    };
    find(all, provider, version).unwrap_or_else(|| {
        all.push(UnknownEvents {
            provider: provider.to_owned(),
            version: version.to_owned(),
            names: BTreeMap::new(),
            at_ms: met.at_ms,
        });
        all.len() - 1
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(version: &str, name: &str, count: u64, at: u64) -> Unknown {
        Unknown {
            version: version.to_owned(),
            name: name.to_owned(),
            count,
            at_ms: (at, at + 1),
        }
    }

    #[test]
    fn events_are_told_apart_by_provider_version_and_name() {
        let counted = Counted::default();
        counted.add(
            "claude",
            vec![met("2.1", "system/foo", 12, 50), met("2.1", "x", 2, 9)],
        );
        counted.add("claude", vec![met("2.2", "x", 1, 60)]);
        counted.add("mine", vec![met("2.1", "x", 1, 70), met("2.1", "x", 3, 80)]);
        let all = counted.all();
        let seen: Vec<_> = all
            .iter()
            .map(|it| (&*it.provider, &*it.version, it.count(), it.at_ms))
            .collect();
        let expected = [
            ("claude", "2.1", 14, (9, 51)),
            ("claude", "2.2", 1, (60, 61)),
            ("mine", "2.1", 4, (70, 81)),
        ];
        assert_eq!(seen, expected);
        assert_eq!(all[0].names["system/foo"], 12);
        assert_eq!(counted.count(), 19);
    }

    #[test]
    fn whatever_a_provider_calls_itself_and_its_events_the_room_is_bounded() {
        let counted = Counted::default();
        for number in 0..1000 {
            let (version, name) = (format!("1.{}", number % 100), format!("n{number}"));
            counted.add("claude", vec![met(&version, &name, 1, 5)]);
        }
        let all = counted.all();
        assert_eq!(all.len(), VERSIONS + 1);
        assert_eq!(
            all.last().map(|it| (&*it.provider, &*it.version)),
            Some((OTHER, OTHER))
        );
        let names: usize = all.iter().map(|it| it.names.len()).sum();
        assert!(names <= NAMES + VERSIONS + 1, "{names}");
        assert_eq!(counted.count(), 1000);
    }
}
