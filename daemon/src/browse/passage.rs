//! Some lines from a place on, and the results of the tool calls among them.
//!
//! Lines are copied out of what was read: a few from here and there would otherwise each keep a
//! whole piece of the log in memory.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::filter::{Matcher, call_of};
use super::lines::{Go, Lines, Log, Seen};
use super::{BrowseError, Line, Passage};
use crate::domain::Offset;
use crate::domain::cursor::Position;

/// Text given at once, unless one line has more.
const TEXT: usize = 1 << 20;

/// Text of lines and results together: with their cursors it must fit a message of 4 MiB.
const TEXT_WITH_RESULTS: usize = 3 << 20;

/// Looked at in one call, however few lines match.
const SCAN: u64 = 64 << 20;

/// How far behind the last line results are sought.
const RESULTS_WITHIN: usize = 4 << 20;

/// What was found so far.
struct Found<'a> {
    log: &'a Log,
    matcher: &'a Matcher,
    limit: usize,
    with_results: bool,
    /// Only the generation of these is needed: lines are shown while they are read.
    generation: Position,
    lines: Vec<Line>,
    results: Vec<Line>,
    size: usize,
    /// Tool calls among the lines whose results are still to come.
    wanted: BTreeSet<String>,
    last: Option<Offset>,
}

/// Reads some lines. Blocks.
pub(super) fn read(
    log: &Log,
    after: Option<Position>,
    matcher: &Matcher,
    limit: usize,
    with_results: bool,
) -> Result<Passage, BrowseError> {
    let Some(mut lines) = log.open(after, None)? else {
        return Ok(Passage {
            lines: Vec::new(),
            results: Vec::new(),
            next: log.start(),
            more: false,
            no_log: !log.is_there()?,
        });
    };
    let mut found = Found {
        log,
        matcher,
        limit: limit.max(1),
        with_results,
        generation: lines.position(Offset::START),
        lines: Vec::new(),
        results: Vec::new(),
        size: 0,
        wanted: BTreeSet::new(),
        last: None,
    };
    lines.walk(SCAN, |line| found.look(line))?;
    let next = log.cursor(lines.position(lines.at()));
    let more = lines.has_more()?;
    found.seek_results(&mut lines)?;
    lines.verify()?;
    Ok(Passage {
        lines: found.lines,
        results: found.results,
        next,
        more,
        no_log: false,
    })
}

impl Found<'_> {
    fn look(&mut self, line: &Seen<'_>) -> Go {
        if !self.matcher.takes(line) {
            self.look_for_result(line);
            return Go::On;
        }
        if self.size + line.bytes.len() > TEXT && !self.lines.is_empty() {
            return Go::StopBefore;
        }
        self.note_call(line);
        self.size += line.bytes.len();
        self.last = Some(line.next);
        let line = self.line(line);
        self.lines.push(line);
        if self.lines.len() >= self.limit {
            Go::StopBehind
        } else {
            Go::On
        }
    }

    /// Wants the result of a call that is given, unless that is given as well.
    fn note_call(&mut self, line: &Seen<'_>) {
        if !self.with_results {
            return;
        }
        match &*line.head().1 {
            "tool" => self.wanted.extend(call_of(line.bytes)),
            "tool_result" => {
                if let Some(call) = call_of(line.bytes) {
                    self.wanted.remove(&call);
                }
            }
            _ => {}
        }
    }

    fn look_for_result(&mut self, line: &Seen<'_>) {
        if self.wanted.is_empty() || line.head().1 != "tool_result" {
            return;
        }
        let is_wanted = call_of(line.bytes).is_some_and(|call| self.wanted.remove(&call));
        // One that does not fit is to be had by its call's id.
        if is_wanted && self.size + line.bytes.len() <= TEXT_WITH_RESULTS {
            self.size += line.bytes.len();
            let line = self.line(line);
            self.results.push(line);
        }
    }

    /// Goes on behind the lines, for the results that are still wanted.
    fn seek_results(&mut self, lines: &mut Lines) -> Result<(), BrowseError> {
        let Some(bound) = self.last.map(|last| last.after(RESULTS_WITHIN)) else {
            return Ok(());
        };
        if self.wanted.is_empty() {
            return Ok(());
        }
        lines.walk(RESULTS_WITHIN as u64, |line| {
            if line.next > bound {
                return Go::StopBefore;
            }
            self.look_for_result(line);
            if self.wanted.is_empty() {
                Go::StopBehind
            } else {
                Go::On
            }
        })?;
        Ok(())
    }

    fn line(&self, line: &Seen<'_>) -> Line {
        let (ts, kind) = line.head();
        let behind = Position {
            offset: line.next,
            ..self.generation
        };
        Line {
            cursor: self.log.cursor(behind),
            ts,
            kind: kind.into_owned(),
            bytes: Bytes::copy_from_slice(line.bytes),
        }
    }
}
