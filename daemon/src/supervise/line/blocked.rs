//! What is in the way of those whose turn had come: a budget, a disk, a launcher, of which mostly nobody tells
//! when they are no more.

use super::{Line, UNREADY};
use crate::domain::queue::Reason;

impl Line {
    /// What was in somebody's way may be gone.
    pub(in crate::supervise) fn unblock(&self) {
        for it in self.state().waiting.values_mut() {
            if it.blocked.as_deref() != Some(UNREADY) {
                it.blocked = None;
            }
        }
        self.look_again();
    }

    /// What is in one's way is in that of all who lack nothing but a place: none of them is tried before
    /// the next [`Line::unblock`].
    pub(in crate::supervise) fn block_all(&self, why: &str) {
        let mut state = self.state();
        let shown = std::sync::Arc::clone(&state.shown);
        for (uuid, it) in &mut state.waiting {
            let waits = shown.get(uuid).map(|waits| &waits.reason);
            let own = matches!(
                waits,
                Some(Reason::After(_) | Reason::Held(_) | Reason::NotBefore(_) | Reason::TaskBusy)
            );
            if !own {
                it.blocked.get_or_insert_with(|| why.to_owned());
            }
        }
    }

    /// Whether this is in somebody's way.
    pub(in crate::supervise) fn is_blocked_by(&self, why: &str) -> bool {
        let state = self.state();
        let mut waiting = state.waiting.values();
        waiting.any(|it| it.blocked.as_deref() == Some(why))
    }

    /// Whether something is in somebody's way of which nobody tells when it is gone.
    pub(in crate::supervise) fn is_blocked(&self) -> bool {
        let state = self.state();
        let mut waiting = state.waiting.values();
        waiting.any(|it| it.blocked.as_deref().is_some_and(|why| why != UNREADY))
    }
}
