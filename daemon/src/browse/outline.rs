//! Where the lines are: every n-th of those that match, n doubling as places run out.

use super::filter::Matcher;
use super::lines::{Go, Lines, Log, Stopped};
use super::{BrowseError, Outline, Place};
use crate::domain::Offset;
use crate::domain::cursor::Position;

/// Looked at between two chances to stop: some ten milliseconds' worth.
const TURN: u64 = 32 << 20;

/// An outline in the making.
pub(super) struct Survey {
    log: Log,
    /// `None` while the log has no line.
    lines: Option<Lines>,
    matcher: Matcher,
    places: Places,
}

/// The places kept so far.
struct Places {
    most: usize,
    count: u64,
    stride: u64,
    kept: Vec<(Offset, i64)>,
}

impl Survey {
    pub(super) fn open(
        log: &Log,
        after: Option<Position>,
        until: Option<Position>,
        matcher: Matcher,
        most: usize,
    ) -> Result<Survey, BrowseError> {
        Ok(Survey {
            lines: log.open(after, until)?,
            log: log.clone(),
            matcher,
            places: Places::new(most),
        })
    }

    /// Goes on for a while; true when all was looked at. Blocks.
    pub(super) fn advance(&mut self) -> Result<bool, BrowseError> {
        let Survey {
            lines: Some(lines),
            matcher,
            places,
            ..
        } = self
        else {
            return Ok(true);
        };
        let stopped = lines.walk(TURN, |line| {
            if matcher.takes(line) {
                places.count(line.first, || line.head().0);
            }
            Go::On
        })?;
        if stopped != Stopped::AtEnd {
            return Ok(false);
        }
        lines.verify()?;
        Ok(true)
    }

    pub(super) fn finish(self) -> Outline {
        let Survey {
            log, lines, places, ..
        } = self;
        let Some(lines) = lines else {
            return Outline {
                lines: 0,
                stride: 1,
                places: Vec::new(),
                end: log.start(),
            };
        };
        let cursor = |offset| log.cursor(lines.position(offset));
        let kept = places.kept.into_iter().map(|(offset, ts)| Place {
            cursor: cursor(offset),
            ts,
        });
        Outline {
            lines: places.count,
            stride: places.stride,
            places: kept.collect(),
            end: cursor(lines.at()),
        }
    }
}

impl Places {
    fn new(most: usize) -> Places {
        Places {
            most: most.max(1),
            count: 0,
            stride: 1,
            kept: Vec::new(),
        }
    }

    /// Counts a line, and keeps its place if its turn has come; only then is its time asked for.
    fn count(&mut self, at: Offset, ts: impl FnOnce() -> i64) {
        let is_due = self.count.is_multiple_of(self.stride);
        self.count += 1;
        if !is_due {
            return;
        }
        if self.kept.len() == self.most {
            self.thin_out();
            // The one too many may have been every other.
            if !(self.count - 1).is_multiple_of(self.stride) {
                return;
            }
        }
        self.kept.push((at, ts()));
    }

    fn thin_out(&mut self) {
        self.stride *= 2;
        let mut is_kept = false;
        self.kept.retain(|_| {
            is_kept = !is_kept;
            is_kept
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn places(most: usize, lines: u64) -> Places {
        let mut places = Places::new(most);
        for n in 0..lines {
            places.count(Offset::new(n), || i64::try_from(n).unwrap());
        }
        places
    }

    proptest! {
        #[test]
        fn every_stride_th_line_has_a_place_and_no_other(most in 1_usize..40, lines in 0_u64..3_000) {
            let places = places(most, lines);
            prop_assert_eq!(places.count, lines);
            prop_assert!(places.stride.is_power_of_two() && places.kept.len() <= most);
            let expected: Vec<_> = (0..lines).step_by(usize::try_from(places.stride).unwrap()).collect();
            let kept: Vec<_> = places.kept.iter().map(|(at, _)| at.get()).collect();
            prop_assert_eq!(kept, expected);
            // No coarser than it must be.
            let finer = lines.div_ceil((places.stride / 2).max(1));
            prop_assert!(places.stride == 1 || finer > most as u64);
        }
    }
}
