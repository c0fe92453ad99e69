//! A batch of a log, handed on line by line with the cursors behind each.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::BATCH;
use crate::activity_log::{Batch, ends_log, is_ours, is_terminal, peek};
use crate::domain::cursor::{Position, Template};
use crate::domain::{InvocationId, Offset};

/// What an event costs besides its text: the message's framing.
const OVERHEAD: usize = 64;

/// One line of an activity log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Resumes after this event.
    pub cursor: String,
    /// Path of the project.
    pub project: Arc<Path>,
    /// Whose log it is from.
    pub invocation: InvocationId,
    /// Epoch milliseconds; 0 if the line tells none.
    pub ts: i64,
    /// The line's type; `gap` for a notice; empty if the line is no JSON object with a type.
    pub kind: String,
    /// The line's bytes, without the newline; they share the memory of the batch.
    pub line: Bytes,
}

/// Some lines of one log, in one piece of memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The lines, each with its newline.
    pub lines: Bytes,
    /// A cursor behind one of them, without the offset that it ends with.
    pub cursor_base: String,
    /// Where the first of them begins.
    pub first: Offset,
    /// Whose log it is.
    pub invocation: InvocationId,
    /// Of the last line: epoch milliseconds; 0 if it tells none.
    pub ts: i64,
    /// The last line's type; empty if it is no JSON object with a type.
    pub kind: String,
}

/// What was read and not yet handed on.
#[derive(Debug)]
pub(super) struct Pending {
    /// Place of its stream in the follower.
    pub(super) stream: usize,
    pub(super) id: InvocationId,
    pub(super) batch: Batch,
    /// Behind the batch; its generation is that of every line.
    pub(super) position: Position,
    /// So that its terminal line is the end.
    pub(super) is_ours: bool,
    /// So that any other line means it was spoiled.
    pub(super) is_held_to_ours: bool,
}

/// What was handed on.
pub(super) struct Drained {
    pub(super) events: Vec<Event>,
    pub(super) end: End,
}

/// Why no more were handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// They fill a message, or the batch is empty.
    Enough,
    /// The last of them is the log's terminal line.
    Terminal,
    /// The line that begins here is none of ours, though the log is.
    NotOurs(Offset),
}

impl Pending {
    /// Takes all of it, to its terminal line.
    pub(super) fn take_piece(&mut self, template: &Template) -> (Piece, End) {
        let (all, first) = (self.batch.bytes.clone(), self.batch.first);
        let (mut last, mut end, mut upto) = (&all[..0], End::Enough, 0);
        for newline in memchr::memchr_iter(b'\n', &all) {
            last = &all[upto..newline];
            upto = newline + 1;
            if self.is_ours && ends_log(last) {
                end = End::Terminal;
                break;
            }
        }
        self.batch.advance(first.after(upto));
        let (ts, kind) = peek(last).map_or((0, String::new()), |(ts, kind)| (ts, kind.into()));
        let cursor = template.at(Some(Position {
            offset: first.after(upto),
            ..self.position
        }));
        let piece = Piece {
            lines: all.slice(..upto),
            cursor_base: cursor
                .trim_end_matches(|c: char| c.is_ascii_digit())
                .to_owned(),
            first,
            invocation: self.id,
            ts,
            kind,
        };
        (piece, end)
    }

    /// Takes the next events off, up to [`BATCH`] with all that is sent along; `names` is what
    /// naming the project costs each.
    pub(super) fn drain(
        &mut self,
        template: &Template,
        project: &Arc<Path>,
        is_wide: bool,
        names: usize,
    ) -> Drained {
        let mut events = Vec::new();
        let mut size = 0;
        while let Some((line, next)) = self.batch.first_line() {
            if self.is_held_to_ours && !is_ours(&line) {
                let end = End::NotOurs(self.batch.first);
                return Drained { events, end };
            }
            let (ts, kind) = peek(&line).map_or((0, String::new()), |(ts, kind)| (ts, kind.into()));
            let is_ended = self.is_ours && is_terminal(&kind);
            let position = Position {
                offset: next,
                ..self.position
            };
            // A wide cursor does not speak of an invocation that is at its end.
            let cursor = template.at((!(is_ended && is_wide)).then_some(position));
            size += line.len() + cursor.len() + names + OVERHEAD;
            if size > BATCH && !events.is_empty() {
                break;
            }
            self.batch.advance(next);
            let (project, invocation) = (Arc::clone(project), self.id);
            events.push(Event {
                cursor,
                project,
                invocation,
                ts,
                kind,
                line,
            });
            if is_ended {
                return Drained {
                    events,
                    end: End::Terminal,
                };
            }
        }
        Drained {
            events,
            end: End::Enough,
        }
    }
}
