//! Whether what stands in our own log's place is taken for the log.
//!
//! An agent can overwrite, replace or add to its own log. The projection notices and rebuilds it
//! as a new generation; what is there until then may be anything, so it is not sent. A log that
//! nobody rebuilds is taken as it is in the end: better a strange line than silence.
//!
//! The generation goes up before the rebuilt log takes the old one's place, and again after that. In between it
//! is odd, and nobody can tell which of the two files is there: cursors of that would be of no log that lasts.

/// Safety polls until a spoiled log is looked at again without being a new generation: ten seconds at
/// least, twice as long as until whoever can write it anew has looked.
const PATIENCE: u8 = 3;

/// What is thought of one of our logs.
#[derive(Debug, Default)]
pub(super) struct Trust {
    // Its generation when it was opened.
    opened_as: u32,
    awaits: Option<Awaited>,
    is_taken_as_is: bool,
}

#[derive(Debug, Clone, Copy)]
struct Awaited {
    above: u32,
    polls: u8,
}

impl Trust {
    pub(super) fn opened(&mut self, generation: u32) {
        self.opened_as = generation;
    }

    /// It is not what it was: a generation above the one opened is awaited.
    pub(super) fn spoiled(&mut self) {
        self.awaits = Some(Awaited {
            above: self.opened_as,
            polls: PATIENCE,
        });
    }

    /// It is about to be opened. False if it is being published, which is awaited from now on.
    pub(super) fn may_open(&mut self, generation: u32, is_ended: bool) -> bool {
        let may = is_whole(generation) || self.is_taken_as_is;
        if !may {
            // Of what has ended nobody might see it through: it is looked at again when somebody asks.
            let polls = if is_ended { 1 } else { PATIENCE };
            let above = generation;
            self.awaits = Some(Awaited { above, polls });
        }
        may
    }

    /// A safety poll has passed.
    pub(super) fn polled(&mut self) {
        if let Some(awaited) = &mut self.awaits {
            awaited.polls = awaited.polls.saturating_sub(1);
        }
    }

    /// True if it was spoiled, or is being published, and nobody looked yet whether it still is.
    pub(super) fn is_shaken(&self) -> bool {
        self.awaits.is_some()
    }

    /// True while a rebuild is to be waited for, going by what the row says now.
    pub(super) fn is_awaiting(&mut self, generation: u32, is_ended: bool) -> bool {
        let Some(awaited) = self.awaits else {
            return false;
        };
        let is_rebuilt = generation > awaited.above && is_whole(generation);
        let is_in_hand = !is_ended || !is_whole(generation);
        if !is_rebuilt && is_in_hand && awaited.polls > 0 {
            return true;
        }
        self.is_taken_as_is = !is_rebuilt;
        self.awaits = None;
        false
    }

    /// True if every line must be one that we write.
    pub(super) fn is_strict(&self) -> bool {
        !self.is_taken_as_is
    }
}

/// No rebuilt log is on its way to the place of the old one.
fn is_whole(generation: u32) -> bool {
    generation.is_multiple_of(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoiled() -> Trust {
        let mut trust = Trust::default();
        trust.opened(4);
        trust.spoiled();
        trust
    }

    #[test]
    fn a_spoiled_log_is_awaited_until_its_next_generation() {
        let mut trust = spoiled();
        assert!(trust.is_awaiting(4, false) && trust.is_shaken());
        // It is being published.
        assert!(trust.is_awaiting(5, false) && trust.is_shaken());
        assert!(!trust.is_awaiting(6, false) && !trust.is_shaken() && trust.is_strict());
    }

    #[test]
    fn one_that_is_being_published_is_opened_once_it_is() {
        for is_ended in [false, true] {
            let mut trust = Trust::default();
            assert!(!trust.may_open(1, is_ended));
            assert!(trust.is_awaiting(1, is_ended) && trust.is_shaken());
            assert!(!trust.is_awaiting(2, is_ended) && trust.may_open(2, is_ended));
            assert!(trust.is_strict());
        }
    }

    #[test]
    fn one_that_nobody_publishes_is_opened_in_the_end() {
        for (is_ended, polls) in [(false, PATIENCE), (true, 1)] {
            let mut trust = Trust::default();
            assert!(!trust.may_open(1, is_ended));
            for _ in 0..polls {
                assert!(trust.is_awaiting(1, is_ended));
                trust.polled();
            }
            assert!(!trust.is_awaiting(1, is_ended) && trust.may_open(1, is_ended));
        }
    }

    #[test]
    fn one_that_nobody_rebuilds_is_taken_as_it_is() {
        let mut trust = spoiled();
        for _ in 0..PATIENCE {
            assert!(trust.is_awaiting(4, false));
            trust.polled();
        }
        assert!(!trust.is_awaiting(4, false) && !trust.is_strict());
        assert!(
            !spoiled().is_awaiting(4, true),
            "nobody will, once it has ended"
        );
    }
}
