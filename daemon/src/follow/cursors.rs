//! The cursors of a follower: where it begins, and behind which line it stands.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::gap::{Gap, Why};
use super::tail::Tail;
use super::{Event, Follower, Form};
use crate::domain::InvocationId;
use crate::domain::cursor::{AllCursor, InvocationCursor, Reach, Scope, ScopeCursor, Template};

impl Follower {
    /// Resumes where a stream stands before its first event.
    pub fn beginning(&self) -> Option<String> {
        match &self.form {
            Form::Invocation => {
                let tail = self.streams.first()?.tails.first()?;
                let cursor = InvocationCursor {
                    invocation: tail.id(),
                    position: tail.position(),
                };
                Some(cursor.to_string())
            }
            Form::Scope => self.streams.first().map(|stream| {
                let (scope, reach) = (stream.scope, stream.reach());
                ScopeCursor { scope, reach }.to_string()
            }),
            Form::All(roster) => Some(self.all_cursor(roster.absent()).to_string()),
        }
    }

    fn all_cursor(&self, absent: &BTreeMap<Scope, Reach>) -> AllCursor {
        let mut reaches = absent.clone();
        reaches.extend(self.streams.iter().map(|it| (it.scope, it.reach())));
        AllCursor { reaches }
    }

    pub(super) fn template(&self, at: usize, id: InvocationId) -> Template {
        let stream = &self.streams[at];
        match &self.form {
            Form::Invocation => Template::of_invocation(id),
            Form::Scope => {
                let cursor = ScopeCursor {
                    scope: stream.scope,
                    reach: stream.reach(),
                };
                Template::of_scope(&cursor, id)
            }
            Form::All(roster) => {
                Template::of_all(&self.all_cursor(roster.absent()), stream.scope, id)
            }
        }
    }

    /// What is to be told of a stream whose cursor was given for a database that is gone.
    pub(super) fn other_database(&mut self) -> Option<Event> {
        let mut streams = self.streams.iter_mut().enumerate();
        let (at, high) = streams.find_map(|(at, stream)| Some((at, stream.past.tell()?)))?;
        let gap = Gap {
            why: Why::OtherDatabase,
            lost: None,
        };
        Some(self.gap_event(at, high, &gap))
    }

    pub(super) fn gap_event(&self, at: usize, id: InvocationId, gap: &Gap) -> Event {
        let stream = &self.streams[at];
        let position = stream
            .tails
            .iter()
            .find(|tail| tail.id() == id && !tail.is_passed())
            .map(Tail::position);
        let (ts, line) = gap.line();
        Event {
            cursor: self.template(at, id).at(position),
            project: Arc::clone(stream.source.root()),
            invocation: id,
            ts,
            kind: "gap".to_owned(),
            line,
        }
    }
}
