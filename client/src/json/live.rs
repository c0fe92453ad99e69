//! How what runs is doing.

use serde::Serialize;

use super::is_zero;
use crate::v1;

/// How a running invocation is doing.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Live<'a> {
    #[serde(skip_serializing_if = "is_zero")]
    last_activity_at_ms: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    last_type: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    last_text: &'a str,
    tools: i64,
    open_tools: i64,
    lines: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    waits_for: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    waits_on: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    waits_since_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    waits_until_ms: Option<i64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    waits_for_person: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    limit: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_at_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_percent: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    processes: Option<u32>,
}

impl<'a> From<&'a v1::Live> for Live<'a> {
    fn from(it: &'a v1::Live) -> Self {
        Live {
            last_activity_at_ms: it.last_activity_at_ms,
            last_type: &it.last_type,
            last_text: &it.last_text,
            tools: it.tools,
            open_tools: it.open_tools,
            lines: it.lines,
            waits_for: &it.waits_for,
            waits_on: &it.waits_on,
            waits_since_ms: it.waits_since_ms,
            waits_until_ms: it.waits_until_ms,
            waits_for_person: it.waits_for_person,
            limit: &it.limit,
            limit_at_ms: it.limit_at_ms,
            cpu_ms: it.cpu_ms,
            cpu_percent: it.cpu_percent,
            memory_bytes: it.memory_bytes,
            processes: it.processes,
        }
    }
}
