//! A cursor of a database that is gone, where another one has its place in which ids begin again: what it
//! promises is nowhere, and what it has passed over was never given.
//!
//! That is so where it speaks of an id that no row, no sequence and no log here comes up to. A database that was made
//! anew a moment ago has few rows, too, and gets them back from the state folders: so it is judged once the project has
//! been open for a while. What was in care of nobody is gone by then, and its ids may be given again.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::FollowError;
use super::source::Source;
use crate::domain::InvocationId;

/// What is known of the database that a cursor was given for.
#[derive(Debug, Default)]
pub(super) struct Past {
    // From when on it can be said that it is gone; none where the one that is there may be it.
    judged_at: Option<Instant>,
    // It is gone: up to which id the cursor goes, until that was told.
    untold: Option<InvocationId>,
}

impl Past {
    /// Of a cursor that goes up to an id, in a project that gets its rows back for so long.
    pub(super) async fn of(
        source: &Arc<dyn Source>,
        high: i64,
        put_back_within: Duration,
    ) -> Result<Past, FollowError> {
        let mut past = Past {
            judged_at: (high > 0).then(|| source.opened() + put_back_within),
            untold: None,
        };
        past.judge(source, high).await?;
        Ok(past)
    }

    /// Of a cursor up to this id whose database is known to be gone.
    pub(super) fn gone(high: i64) -> Past {
        Past {
            judged_at: None,
            untold: InvocationId::new(high),
        }
    }

    /// Looks whether the database can be the one that a cursor up to this id was given for.
    pub(super) async fn judge(
        &mut self,
        source: &Arc<dyn Source>,
        high: i64,
    ) -> Result<(), FollowError> {
        if self.judged_at.is_none() {
            return Ok(());
        }
        if high <= source.highest().await? || high <= highest_log(source).await? {
            self.judged_at = None;
        } else if self.is_due() {
            self.judged_at = None;
            self.untold = InvocationId::new(high);
        }
        Ok(())
    }

    /// When there is something to be looked at.
    pub(super) fn judged_at(&self) -> Option<Instant> {
        self.judged_at
    }

    /// True where [`Past::judge`] may find more than it did.
    pub(super) fn is_due(&self) -> bool {
        self.judged_at.is_some_and(|at| at <= Instant::now())
    }

    /// Up to which id a cursor goes whose database is gone, while that is to be told.
    pub(super) fn untold(&self) -> Option<InvocationId> {
        self.untold
    }

    /// Takes that, to be told.
    pub(super) fn tell(&mut self) -> Option<InvocationId> {
        self.untold.take()
    }
}

async fn highest_log(source: &Arc<dyn Source>) -> Result<i64, FollowError> {
    let logs = source.logs().clone();
    let highest = tokio::task::spawn_blocking(move || logs.highest()).await;
    // Only the runtime's end, or a panic, gives no answer.
    let highest = highest.map_err(|_| FollowError::Stopping)??;
    Ok(highest.map_or(0, InvocationId::get))
}
