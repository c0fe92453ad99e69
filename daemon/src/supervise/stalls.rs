//! Has told, by lifecycle events, when a limit is near and when it no longer is, and when a person is waited
//! for and no longer is. The database knows what was told; here stands what it is known to know, so that it is
//! not asked for nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::sleep;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::announce::Announced;
use crate::domain::{InvocationId, Stalls};
use crate::projects::Project;

/// What was told of one invocation.
#[derive(Debug, Default)]
pub(super) struct Telling {
    /// As the database has it, once that is known.
    told: Option<Stalls>,
    /// What is being told, and word of it when it was.
    under_way: Option<(Stalls, oneshot::Receiver<()>)>,
    /// What looks like a question, by where it began, and since when it was seen to stand.
    stands: Option<(i64, Instant)>,
}

/// After a refusal.
const PAUSE: Duration = Duration::from_secs(1);

/// So long what looks like a question must stand: who works prints the rest of the line before that, mostly. Seen
/// at the next look, which of a silent one is the second (after 5 s and 20 s more).
const STANDS: Duration = Duration::from_secs(20);

impl Telling {
    /// Has it told if it is news, after what is announced. Waits for nobody: what the database refuses now is tried
    /// again until it does not, or this is dropped.
    pub(super) fn tell(
        &mut self,
        mut now: Stalls,
        id: InvocationId,
        project: &Arc<Project>,
        announced: Option<&Announced>,
        tracker: &TaskTracker,
    ) {
        self.heed_standing(&mut now, Instant::now());
        if let Some((told, word)) = &mut self.under_way {
            match word.try_recv() {
                Ok(()) => self.told = Some(std::mem::take(told)),
                // One at a time, so that they are told in their order.
                Err(oneshot::error::TryRecvError::Empty) => return,
                Err(oneshot::error::TryRecvError::Closed) => {}
            }
            self.under_way = None;
        }
        self.pass_over_untold(&mut now);
        if self.told.as_ref() == Some(&now) {
            return;
        }
        let (mut done, word) = oneshot::channel();
        self.under_way = Some((now.clone(), word));
        let project = Arc::clone(project);
        let announced = announced.cloned();
        tracker.spawn(async move {
            if let Some(announced) = announced {
                tokio::select! {
                    () = done.closed() => return,
                    () = announced.settled() => {}
                }
            }
            let mut is_first = true;
            loop {
                match project.store.tell_stalls(id, now.clone()).await {
                    Ok(is_news) => {
                        // Nobody hears it only if the job has ended.
                        let _ = done.send(());
                        if is_news {
                            project.touch();
                        }
                        return;
                    }
                    Err(error) if is_first => {
                        warn!(invocation.id = %id, %error, "a stall or a wait could not be told yet");
                    }
                    Err(error) => {
                        debug!(invocation.id = %id, %error, "a stall or a wait could not be told");
                    }
                }
                is_first = false;
                tokio::select! {
                    () = done.closed() => return,
                    () = sleep(PAUSE) => {}
                }
            }
        });
    }

    /// What may not have been told yet, for who is to tell it before the row changes.
    pub(super) fn under_way(&self) -> Option<Stalls> {
        self.under_way
            .as_ref()
            .map(|(stalls, _word)| stalls.clone())
    }

    /// Another database may know nothing of what was told. What stands goes on standing.
    pub(super) fn forget(&mut self) {
        *self = Telling {
            stands: self.stands,
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
