//! The part of the service `Daemon` that is about hooks: how they are doing, and a test.

use steroids_proto::v1;
use tonic::{Code, Status};

use super::Service;
use super::refusal::{Refusal, invalid};
use crate::hooks::Shown;

impl Service {
    pub(super) fn hooks(&self) -> v1::ListHooksResponse {
        v1::ListHooksResponse {
            hooks: self.told.list().into_iter().map(shown).collect(),
        }
    }

    /// Delivers a test and waits for what it comes to. Who no longer waits ends it.
    pub(super) async fn test(
        &self,
        request: v1::TestHookRequest,
    ) -> Result<v1::TestHookResponse, Status> {
        if request.name.is_empty() {
            return Err(invalid("name", "is missing"));
        }
        let Some(tested) = self.told.test(&request.name).await else {
            let message = format!("there is no hook named `{}`", request.name.escape_debug());
            let refusal = Refusal::new(Code::NotFound, "NO_SUCH_HOOK", message).field("name");
            return Err(refusal.todo("`steroidsctl hooks` lists them").into());
        };
        Ok(v1::TestHookResponse {
            delivered: tested.is_delivered,
            message: tested.said,
            duration_ms: i64::try_from(tested.took.as_millis()).unwrap_or(i64::MAX),
        })
    }
}

fn shown(hook: Shown) -> v1::Hook {
    let state = hook.standing.state().to_owned();
    let standing = hook.standing;
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    v1::Hook {
        name: hook.name,
        on: hook.on.into_iter().map(str::to_owned).collect(),
        kind: hook.kind.to_owned(),
        target: hook.target,
        state,
        delivered: count(standing.delivered),
        last_delivery_at_ms: standing.last_delivery_ms,
        last_event: standing.last_event,
        failures: standing.failures.into(),
        given_up: count(standing.given_up),
        skipped: count(standing.skipped),
        last_error: standing.last_error.unwrap_or_default(),
        last_failure_at_ms: standing.last_failure_ms,
        next_attempt_at_ms: standing.next_attempt_ms,
        note: standing.idle.unwrap_or_default().to_owned(),
    }
}
