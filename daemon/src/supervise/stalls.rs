//! Has told, by lifecycle events, when a limit is near and when it no longer is, and when a person is waited
//! for and no longer is. The database knows what was told; here stands what it is known to hear, so that it is
//! not asked for nothing.

use std::time::{Duration, Instant};

use super::announce::{Announcements, News};
use crate::domain::Stalls;

/// What was told of one invocation, or is being told.
#[derive(Debug, Default)]
pub(super) struct Telling {
    told: Option<Stalls>,
    /// What there was no room for.
    rest: Option<Stalls>,
    /// It is over, and was told once: its row is put back.
    is_silent: bool,
    /// What looks like a question, by where it began, and since when it was seen to stand.
    stands: Option<(i64, Instant)>,
}

/// So long what looks like a question must stand: who works prints the rest of the line before that, mostly. Seen
/// at the next look, which of a silent one is the second (after 5 s and 20 s more).
const STANDS: Duration = Duration::from_secs(20);

impl Telling {
    /// Has it told if it is news. Waits for nobody.
    pub(super) fn tell(&mut self, mut now: Stalls, announcements: &Announcements) {
        if self.is_silent {
            return;
        }
        self.heed_standing(&mut now, Instant::now());
        self.pass_over_untold(&mut now);
        self.rest = (self.told.as_ref() != Some(&now)).then_some(now);
        self.tell_rest(announcements);
    }

    /// Has told what there was no room for, if there was such. Whether there is now.
    pub(super) fn tell_rest(&mut self, announcements: &Announcements) -> Option<bool> {
        let rest = self.rest.as_ref()?;
        let is_taken = announcements.tell(News::Stalls(rest.clone()));
        if is_taken {
            self.told = self.rest.take();
        }
        Some(is_taken)
    }

    /// Tells nothing more.
    pub(super) fn keep_silent(&mut self) {
        self.is_silent = true;
    }

    /// Another database may know nothing of what was told. What stands goes on standing.
    pub(super) fn forget(&mut self) {
        *self = Telling {
            stands: self.stands,
            is_silent: self.is_silent,
            ..Telling::default()
        };
    }

    /// Leaves out of what is to be told a question that does not stand for long enough yet.
    fn heed_standing(&mut self, now: &mut Stalls, at: Instant) {
        let question = now.waiting.as_ref().filter(|asking| !asking.is_certain);
        let Some(raw) = question.map(|asking| asking.raw) else {
            self.stands = None;
            return;
        };
        let since = match self.stands {
            Some((stood, since)) if stood == raw => since,
            _ => at,
        };
        self.stands = Some((raw, since));
        let is_enough = at.duration_since(since) >= STANDS;
        now.tells_waiting &= is_enough || steroids_failpoint::check("question.stands").is_err();
    }

    /// A wait that is not to be told, and was not as far as is known, is none: what prints without pause often
    /// stops for a moment at what looks like a question.
    fn pass_over_untold(&self, now: &mut Stalls) {
        let Some(told) = self.told.as_ref().filter(|_| !now.tells_waiting) else {
            return;
        };
        let raw_of = |stalls: &Stalls| stalls.waiting.as_ref().map(|asking| asking.raw);
        if raw_of(told) != raw_of(now) {
            now.waiting = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Asking;

    fn asks(raw: i64) -> Stalls {
        Stalls {
            waiting: Some(Asking {
                raw,
                msg: "asks: Continue?".to_owned(),
                is_certain: false,
            }),
            tells_waiting: true,
            ..Stalls::default()
        }
    }

    #[test]
    fn a_question_is_told_once_it_has_stood_for_a_while() {
        let mut telling = Telling::default();
        let begun = Instant::now();
        let mut is_told = |raw, seconds| {
            let mut now = asks(raw);
            telling.heed_standing(&mut now, begun + Duration::from_secs(seconds));
            now.tells_waiting
        };
        assert_eq!(
            [is_told(7, 0), is_told(7, 19), is_told(7, 20)],
            [false, false, true]
        );
        // Another one, and again the first: it was printed anew.
        assert_eq!(
            [is_told(9, 21), is_told(7, 30), is_told(7, 50)],
            [false, false, true]
        );
    }

    #[test]
    fn an_answer_is_told_at_once_and_what_does_not_look_like_a_question_stands_for_nothing() {
        let mut telling = Telling::default();
        let begun = Instant::now();
        telling.heed_standing(&mut asks(7), begun);
        let mut certain = Stalls {
            waiting: Some(Asking::of_before(8)),
            tells_waiting: true,
            ..Stalls::default()
        };
        telling.heed_standing(&mut certain, begun);
        assert!(certain.tells_waiting);
        let mut now = asks(7);
        telling.heed_standing(&mut now, begun + STANDS);
        assert!(!now.tells_waiting);
    }

    #[test]
    fn what_stops_at_a_moment_that_looks_like_a_question_asks_no_database() {
        let mut telling = Telling::default();
        let mut early = Stalls {
            tells_waiting: false,
            ..asks(7)
        };
        // The database may have it as told.
        telling.pass_over_untold(&mut early);
        assert!(early.waiting.is_some());
        telling.told = Some(early.clone());
        telling.pass_over_untold(&mut early);
        assert!(early.waiting.is_some());
        let mut next = Stalls {
            tells_waiting: false,
            ..asks(9)
        };
        telling.pass_over_untold(&mut next);
        assert_eq!(next.waiting, None);
    }
}
