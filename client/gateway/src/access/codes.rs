//! Codes that are good once and for a short time. Few at a time: who asks for more has lost the
//! first ones.

use std::collections::VecDeque;
use std::time::Instant;

use subtle::ConstantTimeEq as _;

use super::CODE_LIFE;

/// Codes that may be open at a time.
const MOST_CODES: usize = 32;

/// The open codes, oldest first.
#[derive(Default)]
pub(super) struct Codes {
    open: VecDeque<(String, Instant)>,
}

impl std::fmt::Debug for Codes {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} codes", self.open.len())
    }
}

impl Codes {
    /// Makes one; the oldest goes where there are too many.
    pub(super) fn make(&mut self, now: Instant) -> String {
        self.forget_old(now);
        if self.open.len() == MOST_CODES {
            self.open.pop_front();
        }
        // 128 bits: nobody guesses one within its time.
        let code = format!("{:032x}", rand::random::<u128>());
        self.open.push_back((code.clone(), now));
        code
    }

    /// Uses one up; false if it is not open.
    pub(super) fn take(&mut self, code: &str, now: Instant) -> bool {
        self.forget_old(now);
        let is_it = |open: &(String, Instant)| bool::from(open.0.as_bytes().ct_eq(code.as_bytes()));
        match self.open.iter().position(is_it) {
            Some(at) => self.open.remove(at).is_some(),
            None => false,
        }
    }

    fn forget_old(&mut self, now: Instant) {
        self.open
            .retain(|(_, made)| now.saturating_duration_since(*made) < CODE_LIFE);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn their_number_is_bounded_and_the_newest_are_good() {
        let now = Instant::now();
        let mut codes = Codes::default();
        let made: Vec<_> = (0..MOST_CODES * 3).map(|_| codes.make(now)).collect();
        assert_eq!(codes.open.len(), MOST_CODES);
        assert!(!codes.take(&made[0], now));
        assert!(codes.take(&made[made.len() - MOST_CODES], now));
        assert!(codes.take(&made[made.len() - 1], now));
    }

    #[test]
    fn they_are_good_for_their_time_and_no_longer() {
        let made = Instant::now();
        let mut codes = Codes::default();
        let (soon, late) = (codes.make(made), codes.make(made));
        assert!(codes.take(&soon, made + CODE_LIFE - Duration::from_millis(1)));
        assert!(!codes.take(&late, made + CODE_LIFE));
        assert!(codes.open.is_empty());
    }

    #[test]
    fn they_are_not_shown() {
        let mut codes = Codes::default();
        let code = codes.make(Instant::now());
        assert!(!format!("{codes:?}").contains(&code));
    }
}
