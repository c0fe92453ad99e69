//! What a tail needs to know of its invocation's row.

use crate::domain::Invocation;

/// What the row says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// How often our own log was rebuilt; `None` for the older tool's.
    pub(super) rebuilt: Option<u32>,
    pub(super) is_ended: bool,
    /// It was seen running, so its last lines may come after its row has ended.
    pub(super) lingers: bool,
}

impl Row {
    pub(super) fn of(row: &Invocation) -> Row {
        let rebuilt = row.managed.as_ref().map(|managed| managed.log_generation);
        let is_ended = row.phase.is_ended();
        Row {
            rebuilt,
            is_ended,
            lingers: rebuilt.is_none() && !is_ended,
        }
    }

    /// What the row says later; whether the log still lingers is the tail's to say.
    pub(super) fn again(self, row: &Invocation) -> Row {
        Row {
            lingers: self.lingers,
            ..Row::of(row)
        }
    }
}
