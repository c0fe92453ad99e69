//! What a tail says where there is nothing to be read: that its log is gone or another, that there is
//! no more now, or none ever.

use std::error::Error;

use super::{Extent, Progress, Tail, Told};
use crate::activity_log::{LogError, LogReader};
use crate::follow::gap::{Gap, Why};

impl Tail {
    // What the position names is gone; the subscriber is told before anything else.
    pub(super) fn start_over(&mut self, why: Why, reader: Option<LogReader>) {
        let lost = self.position.take();
        self.reader = reader;
        self.is_fresh = true;
        if matches!(self.extent, Extent::UpTo { .. }) {
            self.extent = Extent::Present;
        }
        // Who has nothing has lost nothing.
        let lost = lost.filter(|at| !at.offset.is_start());
        self.owed = lost.is_some().then_some(Gap { why, lost });
    }

    pub(super) fn lose(&mut self) {
        self.start_over(
            if self.row.is_ended {
                Why::NoLog
            } else {
                Why::Deleted
            },
            None,
        );
        self.is_finished = self.row.is_ended;
    }

    pub(super) fn told_gap(&mut self) -> Told {
        self.owed.take().map_or(Told::Idle, Told::Gap)
    }

    pub(super) fn absent(&mut self) -> Told {
        if self.position.is_some() {
            self.lose();
            return self.told_gap();
        }
        if self.row.is_ended {
            self.finish();
            let gap = Gap {
                why: Why::NoLog,
                lost: None,
            };
            return if self.is_promised {
                Told::Gap(gap)
            } else {
                Told::Finished
            };
        }
        self.rested()
    }

    /// The log is there, and cannot be read from where it was read to. Of what has ended nothing is given behind
    /// that; what runs is looked at again with each hint and poll, as its log may be written anew.
    pub(super) fn unreadable(&mut self, error: &LogError) -> Told {
        self.reader = None;
        let is_news = !std::mem::replace(&mut self.is_unreadable, true);
        let gap = Gap {
            why: Why::Unreadable,
            lost: Some(self.position()),
        };
        let told = if self.row.is_ended {
            self.finish();
            Told::Finished
        } else {
            self.rested()
        };
        if !is_news {
            return told;
        }
        let path = self.source.logs().path(self.id);
        tracing::warn!(path = %path.display(), error = error as &dyn Error,
            "a log cannot be read; streams of many go on without it");
        Told::Gap(gap)
    }

    // There is nothing more now. Of what may go on behind the extent the place is kept: all cursors to come
    // speak of it.
    pub(super) fn rested(&mut self) -> Told {
        match self.extent {
            Extent::UpTo { is_end: true, .. } => {
                self.finish();
                return Told::Finished;
            }
            Extent::UpTo { .. } | Extent::Present => {
                self.is_given = true;
                self.reader = None;
            }
            Extent::Whole => {}
        }
        self.is_fresh = false;
        Told::Idle
    }

    pub(super) fn at_end(&mut self) -> Told {
        if !self.row.is_ended || !matches!(self.extent, Extent::Whole) {
            return self.rested();
        }
        if self.row.lingers {
            // Its writer may close the row before the log, or put another in its place: once more, at
            // the next poll, and with everything looked at.
            self.row.lingers = false;
            self.is_unchecked = true;
            return self.rested();
        }
        self.finish();
        let at_start = self.position.is_none_or(|at| at.offset.is_start());
        if self.is_ours() && (self.told == Progress::Some || at_start) {
            return Told::Gap(Gap {
                why: Why::Incomplete,
                lost: Some(self.position()),
            });
        }
        Told::Finished
    }

    // So much was given as was there when reading began.
    pub(super) fn is_past_extent(&self) -> bool {
        match self.extent {
            Extent::UpTo { len, .. } => self.position().offset.get() >= len,
            Extent::Whole | Extent::Present => false,
        }
    }
}
