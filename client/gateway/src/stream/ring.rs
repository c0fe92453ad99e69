//! The newest frames of one invocation, for all its viewers. Bounded; the oldest go first. Frames
//! are numbered as they come, so a viewer in it is a number, and one that comes to it from
//! elsewhere is found its place by its cursor.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::frame::Segment;

/// What is kept for viewers that are a little behind; who is further behind reads for itself.
pub(super) const BYTES: usize = 1024 * 1024;
pub(super) const FRAMES: usize = 4096;

/// What one write takes together, where frames are small.
const WRITE: usize = 64 * 1024;

/// The newest frames.
#[derive(Debug)]
pub(super) struct Ring {
    segments: VecDeque<Numbered>,
    /// The cursor before the first frame that is kept; empty: the log's start.
    base: String,
    /// Number of the next frame to come.
    next: u64,
    bytes: usize,
    frames: usize,
}

#[derive(Debug)]
struct Numbered {
    first: u64,
    segment: Segment,
}

/// What there is for a viewer.
#[derive(Debug)]
pub(super) enum Taken {
    /// The next frames.
    Frames(Frames),
    /// Nothing it has not seen.
    Nothing,
    /// What comes next for it is no longer here.
    Behind,
}

/// Frames for one write.
#[derive(Debug)]
pub(super) struct Frames {
    /// The frames, one behind the other.
    pub(super) bytes: Bytes,
    /// How many.
    pub(super) count: u64,
    /// Epoch milliseconds of the last line; 0 if it tells none.
    pub(super) ts: i64,
}

impl Ring {
    /// An empty one; what comes first stands behind this cursor.
    pub(super) fn new(base: String) -> Ring {
        Ring {
            segments: VecDeque::new(),
            base,
            next: 0,
            bytes: 0,
            frames: 0,
        }
    }

    /// Adds the next frames, and lets the oldest go where there are too many. The newest segment
    /// always stays.
    pub(super) fn push(&mut self, segment: Segment) {
        self.bytes += segment.bytes.len();
        self.frames += segment.len();
        let first = self.next;
        self.next += segment.len() as u64;
        self.segments.push_back(Numbered { first, segment });
        while self.segments.len() > 1 && (self.bytes > BYTES || self.frames > FRAMES) {
            self.evict();
        }
    }

    fn evict(&mut self) {
        let Some(Numbered { segment, .. }) = self.segments.pop_front() else {
            return;
        };
        self.bytes -= segment.bytes.len();
        self.frames -= segment.len();
        if let Some(cursor) = segment.last_cursor() {
            cursor.clone_into(&mut self.base);
        }
    }

    /// The number of the frame that comes after this cursor; `None` if it is not in here. A cursor
    /// that occurs twice (a log was deleted and written anew) means the newest.
    pub(super) fn find(&self, cursor: &str) -> Option<u64> {
        let found = self
            .segments
            .iter()
            .rev()
            .find_map(|Numbered { first, segment }| {
                let at = (0..segment.len())
                    .rev()
                    .find(|at| segment.cursor(*at) == Some(cursor))?;
                Some(first + at as u64 + 1)
            });
        found.or_else(|| (self.base == cursor).then(|| self.first()))
    }

    /// What comes from this number on. Moves the number and the cursor behind what is given.
    pub(super) fn take(&self, at: &mut u64, cursor: &mut String) -> Taken {
        if *at < self.first() {
            return Taken::Behind;
        }
        if *at >= self.next {
            return Taken::Nothing;
        }
        let begin = self.segments.partition_point(|it| it.first <= *at) - 1;
        let head = &self.segments[begin];
        let skipped = (*at - head.first) as usize;
        let mut bytes = head.segment.bytes.slice(head.segment.start(skipped)..);
        let mut last = begin;
        let mut size = bytes.len();
        while let Some(more) = self.segments.get(last + 1) {
            size += more.segment.bytes.len();
            if size > WRITE {
                break;
            }
            last += 1;
        }
        if last > begin {
            let mut joined = BytesMut::from(bytes);
            for more in self.segments.range(begin + 1..=last) {
                joined.extend_from_slice(&more.segment.bytes);
            }
            bytes = joined.freeze();
        }
        let newest = &self.segments[last];
        let upto = newest.first + newest.segment.len() as u64;
        let named = self.segments.range(begin..=last).rev();
        if let Some(found) = named.filter_map(|it| it.segment.last_cursor()).next() {
            found.clone_into(cursor);
        }
        let count = upto - *at;
        *at = upto;
        let ts = newest.segment.last_ts();
        Taken::Frames(Frames { bytes, count, ts })
    }

    /// As [`Ring::take`], all that is there, each frame's data by itself; `None` where the next is
    /// no longer here.
    pub(super) fn lines(&self, at: &mut u64, cursor: &mut String) -> Option<Vec<Bytes>> {
        if *at < self.first() {
            return None;
        }
        let mut lines = Vec::new();
        for Numbered { first, segment } in &self.segments {
            let skipped = at.saturating_sub(*first) as usize;
            lines.extend(segment.lines(skipped.min(segment.len())));
        }
        if let Some(last) = self.segments.back() {
            *at = self.next;
            if !lines.is_empty()
                && let Some(found) = last.segment.last_cursor()
            {
                found.clone_into(cursor);
            }
        }
        Some(lines)
    }

    /// True if whoever is at this number has seen the log's terminal line last.
    pub(super) fn is_over(&self, at: u64) -> bool {
        let newest = self.segments.back();
        at == self.next && newest.is_some_and(|it| it.segment.is_terminal())
    }

    /// Number of the next frame to come.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    fn first(&self) -> u64 {
        self.segments.front().map_or(self.next, |it| it.first)
    }
}

#[cfg(test)]
mod tests;
