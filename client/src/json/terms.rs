//! How an invocation was started.

use std::time::Duration;

use serde::Serialize;

use crate::v1;

/// What the request and the configuration came to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Terms<'a> {
    argv: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    env: &'a [String],
    limits: Limits,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<Retry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<Budget>,
}

/// In milliseconds; one that is absent is none.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Limits {
    #[serde(skip_serializing_if = "Option::is_none")]
    silence_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_silence_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wall_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    post_result_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grace_ms: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Retry<'a> {
    on: &'a [String],
    max: i32,
}

#[derive(Debug, Serialize)]
struct Budget {
    #[serde(skip_serializing_if = "Option::is_none")]
    usd: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<u64>,
    stop: bool,
}

impl<'a> From<&'a v1::Terms> for Terms<'a> {
    fn from(it: &'a v1::Terms) -> Self {
        let limits = it.limits.unwrap_or_default();
        Terms {
            argv: &it.argv,
            env: &it.env,
            limits: Limits {
                silence_ms: millis(limits.silence),
                tool_silence_ms: millis(limits.tool_silence),
                wall_ms: millis(limits.wall),
                post_result_ms: millis(limits.post_result),
                grace_ms: millis(limits.grace),
            },
            retry: it.retry.as_ref().map(|retry| Retry {
                on: &retry.on,
                max: retry.max(),
            }),
            budget: it.budget.map(|budget| Budget {
                usd: budget.usd,
                tokens: budget.tokens,
                stop: budget.stop.unwrap_or_default(),
            }),
        }
    }
}

fn millis<T: TryInto<Duration>>(limit: Option<T>) -> Option<u64> {
    let limit: Duration = limit?.try_into().ok()?;
    u64::try_from(limit.as_millis()).ok()
}
