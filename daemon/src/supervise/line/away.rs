//! Who waits in projects that are away: it stands in the line as all others do, so that whoever asks how many
//! wait, or where one stands, is told of it. It is not started before it is put into the line again.

use super::Line;
use crate::domain::queue::Candidate;

impl Line {
    /// One waits whose project is away.
    pub(in crate::supervise) fn waits_away(&self, candidate: Candidate, why: String) {
        let uuid = candidate.uuid.clone();
        let candidate = Candidate {
            blocked: Some(why),
            ..candidate
        };
        let mut state = self.state();
        state.last_order = state.last_order.max(candidate.order);
        state.away.insert(uuid, candidate);
        drop(state);
        self.look_again();
    }

    /// It does not wait any more, or does so as all others do.
    pub(in crate::supervise) fn is_away_no_more(&self, uuid: &str) {
        self.state().away.remove(uuid);
        self.look_again();
    }
}
