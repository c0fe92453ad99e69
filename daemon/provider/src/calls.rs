//! Tool calls that have begun and not ended, and since when.

use std::collections::VecDeque;

use crate::activity::Stamp;
use crate::bounds::short_id;

/// Calls kept at a time. No agent has so many open; a CLI that never ends one would otherwise
/// grow this for ever. The oldest goes first.
const LIMIT: usize = 1024;

/// The open calls, in the order in which they began.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    open: VecDeque<(String, u64)>,
}

impl Calls {
    /// Notes a call; one that is open already keeps its start.
    pub(crate) fn begin(&mut self, id: &str, at: Stamp) {
        if self.is_open(id) {
            return;
        }
        if self.open.len() == LIMIT {
            self.open.pop_front();
        }
        self.open.push_back((short_id(id).to_owned(), at.mono_ms));
    }

    /// Whether the call has begun and not ended.
    pub(crate) fn is_open(&self, id: &str) -> bool {
        self.open.iter().any(|(open, _)| open == short_id(id))
    }

    /// Ends a call; gives its duration in milliseconds if it was open.
    pub(crate) fn end(&mut self, id: &str, at: Stamp) -> Option<u64> {
        let index = self
            .open
            .iter()
            .position(|(open, _)| open == short_id(id))?;
        let (_, began) = self.open.remove(index)?;
        Some(at.mono_ms.saturating_sub(began))
    }

    /// The call that has been open longest.
    pub(crate) fn oldest(&self) -> Option<&str> {
        self.open.front().map(|(id, _)| id.as_str())
    }

    /// How many are open.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.open.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(mono_ms: u64) -> Stamp {
        Stamp {
            mono_ms,
            ..Stamp::default()
        }
    }

    #[test]
    fn calls_end_in_any_order_with_their_own_durations() {
        let mut calls = Calls::default();
        calls.begin("a", at(10));
        calls.begin("b", at(20));
        calls.begin("a", at(25));
        assert_eq!((calls.count(), calls.oldest()), (2, Some("a")));
        assert_eq!(calls.end("b", at(50)), Some(30));
        assert_eq!(calls.end("b", at(60)), None);
        assert_eq!(calls.end("a", at(5)), Some(0));
        assert_eq!(calls.count(), 0);
    }

    #[test]
    fn calls_that_never_end_are_bounded() {
        let mut calls = Calls::default();
        for number in 0..3 * LIMIT {
            calls.begin(&number.to_string(), at(0));
        }
        assert_eq!(calls.count() as usize, LIMIT);
        assert!(!calls.is_open("0"));
        let long = "é".repeat(10_000);
        calls.begin(&long, at(1));
        assert_eq!(calls.end(&long, at(3)), Some(2));
    }
}
