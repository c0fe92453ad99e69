//! The cursors of a batch of lines, made quickly: they differ in one position alone.

use std::fmt::Write as _;
use std::ops::Bound;

use super::{
    AllCursor, Base36, InvocationCursor, InvocationId, OpenEntry, Position, Reach, Scope,
    ScopeCursor,
};

/// Room for a cursor of one invocation of the older tool's.
const USUAL: usize = 48;

/// The cursors of one batch, which differ in the position of one invocation alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    before: String,
    invocation: InvocationId,
    after: String,
    wide: bool,
}

impl Template {
    /// Of a stream of one invocation.
    pub fn of_invocation(invocation: InvocationId) -> Template {
        Template {
            before: String::new(),
            invocation,
            after: String::new(),
            wide: false,
        }
    }

    /// Of a stream of a task or project.
    pub fn of_scope(cursor: &ScopeCursor, invocation: InvocationId) -> Template {
        let (before, after) = cursor.reach.around(invocation);
        let before = format!("w1.{}.{before}", Base36(cursor.scope.0));
        Template {
            before,
            invocation,
            after,
            wide: true,
        }
    }

    /// Of a stream of all projects; the invocation is one of `scope`.
    pub fn of_all(cursor: &AllCursor, scope: Scope, invocation: InvocationId) -> Template {
        let reaches = &cursor.reaches;
        let none = Reach::default();
        let (before, after) = reaches.get(&scope).unwrap_or(&none).around(invocation);
        let lower = reaches
            .range(..scope)
            .map(|(&s, r)| (s, r.clone()))
            .collect();
        let higher: String = reaches
            .range((Bound::Excluded(scope), Bound::Unbounded))
            .map(|(scope, reach)| format!("_{}.{reach}", Base36(scope.0)))
            .collect();
        let lower = AllCursor { reaches: lower };
        let before = format!("{lower}_{}.{before}", Base36(scope.0));
        Template {
            before,
            invocation,
            after: after + &higher,
            wide: true,
        }
    }

    /// The cursor with the invocation at this position, or (`None`, wide forms only) at its end.
    pub fn at(&self, position: Option<Position>) -> String {
        let Template {
            before,
            invocation,
            after,
            wide,
        } = self;
        match position {
            Some(position) if *wide => {
                format!("{before}.{}{after}", OpenEntry(*invocation, position))
            }
            Some(position) => {
                let mut cursor = String::with_capacity(USUAL);
                let (invocation, position) = (*invocation, position);
                let one = InvocationCursor {
                    invocation,
                    position,
                };
                // A string takes all that is written to it.
                let _ = write!(cursor, "{one}");
                cursor
            }
            None => format!("{before}{after}"),
        }
    }
}

impl Reach {
    // The text before and after an invocation's entry, which itself is left out.
    fn around(&self, invocation: InvocationId) -> (String, String) {
        let entry =
            |(&id, &position): (&InvocationId, &Position)| format!(".{}", OpenEntry(id, position));
        let lower: String = self.open.range(..invocation).map(entry).collect();
        let higher = self
            .open
            .range((Bound::Excluded(invocation), Bound::Unbounded));
        let queued = self.queued.iter().map(|span| format!(".{span}"));
        (
            format!("{}{lower}", Base36(self.high.unsigned_abs())),
            higher.map(entry).chain(queued).collect(),
        )
    }
}
