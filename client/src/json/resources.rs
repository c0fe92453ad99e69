//! What an invocation may use of the machine.

use serde::Serialize;

use crate::v1;

/// Bounds; one that is absent is none.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Resources<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_max_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_quota_percent: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks_max: Option<u32>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    unenforced: &'a [String],
}

impl<'a> From<&'a v1::Resources> for Resources<'a> {
    fn from(it: &'a v1::Resources) -> Self {
        Resources {
            memory_max_bytes: it.memory_max_bytes,
            cpu_quota_percent: it.cpu_quota_percent,
            tasks_max: it.tasks_max,
            unenforced: &it.unenforced,
        }
    }
}
