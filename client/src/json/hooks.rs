//! Hooks, as `hooks` lists them and `hooks test` tries one.

use serde::Serialize;

use crate::v1;

/// A hook and how it is doing.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hook<'a> {
    name: &'a str,
    on: &'a [String],
    kind: &'a str,
    target: &'a str,
    state: &'a str,
    delivered: i64,
    failures: i64,
    given_up: i64,
    skipped: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_delivery_at_ms: Option<i64>,
    #[serde(skip_serializing_if = "str::is_empty")]
    last_event: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failure_at_ms: Option<i64>,
    #[serde(skip_serializing_if = "str::is_empty")]
    last_error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at_ms: Option<i64>,
    #[serde(skip_serializing_if = "str::is_empty")]
    note: &'a str,
}

impl<'a> From<&'a v1::Hook> for Hook<'a> {
    fn from(it: &'a v1::Hook) -> Self {
        Hook {
            name: &it.name,
            on: &it.on,
            kind: &it.kind,
            target: &it.target,
            state: &it.state,
            delivered: it.delivered,
            failures: it.failures,
            given_up: it.given_up,
            skipped: it.skipped,
            last_delivery_at_ms: it.last_delivery_at_ms,
            last_event: &it.last_event,
            last_failure_at_ms: it.last_failure_at_ms,
            last_error: &it.last_error,
            next_attempt_at_ms: it.next_attempt_at_ms,
            note: &it.note,
        }
    }
}

/// What a test came to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HookTest<'a> {
    /// The hook.
    pub name: &'a str,
    /// Whether it was delivered.
    pub delivered: bool,
    /// What the other side said, or why it was not.
    pub message: &'a str,
    /// From its beginning to its answer.
    pub duration_ms: i64,
}
