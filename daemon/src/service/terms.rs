//! How an invocation was started, in its wire form.

use std::time::Duration;

use steroids_proto::v1;

use crate::domain::usd;
use crate::supervise::Terms;

pub(super) fn shown(terms: Terms) -> v1::Terms {
    let limit = |ms: Option<u64>| {
        let limit = Duration::from_millis(ms?);
        limit.try_into().ok()
    };
    let limits = terms.limits;
    let retries = !terms.retry_on.is_empty() && terms.retry_max > 0;
    v1::Terms {
        argv: terms.argv,
        env: terms.env,
        limits: Some(v1::Limits {
            silence: limit(limits.silence_ms),
            tool_silence: limit(limits.tool_silence_ms),
            wall: limit(limits.wall_ms),
            post_result: limit(limits.post_result_ms),
            grace: limit(Some(limits.grace_ms)),
        }),
        retry: retries.then(|| v1::RetryPolicy {
            on: terms.retry_on,
            max: Some(i32::try_from(terms.retry_max).unwrap_or(i32::MAX)),
        }),
        budget: terms.budget.map(|budget| v1::Budget {
            usd: budget.micro_usd.map(usd),
            tokens: budget.tokens,
            stop: Some(budget.stops),
        }),
    }
}
