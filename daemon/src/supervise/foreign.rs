//! Invocations whose shims speak a protocol that we do not: left alone, and told of.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::warn;

/// All that were come upon, since the daemon started.
#[derive(Default)]
pub(super) struct Foreign {
    // By uuid. Held for a look-up or a change, never across an await.
    protocols: Mutex<HashMap<String, u32>>,
}

impl Foreign {
    /// Notes one; logs it when it is new.
    pub(super) fn note(&self, uuid: String, proto: u32) {
        if self.all().insert(uuid.clone(), proto).is_none() {
            warn!(invocation.uuid = %uuid, proto, "left alone: a shim of another protocol");
        }
    }

    /// The protocol of an invocation's shim, if that is not ours.
    pub(super) fn protocol(&self, uuid: &str) -> Option<u32> {
        self.all().get(uuid).copied()
    }

    /// Whose they are.
    pub(super) fn uuids(&self) -> Vec<String> {
        self.all().keys().cloned().collect()
    }

    /// One line for each.
    pub(super) fn lines(&self) -> Vec<String> {
        let all = self.all();
        let lines = all.iter().map(|(uuid, proto)| {
            format!(
                "the shim of {uuid} speaks protocol {proto}, which this steroidsd does not know"
            )
        });
        lines.collect()
    }

    /// A map is valid whatever panicked while it was held: every change to it is one call.
    fn all(&self) -> MutexGuard<'_, HashMap<String, u32>> {
        self.protocols
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
