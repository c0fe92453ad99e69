//! What an invocation may use of the machine, and what it used.

use serde::{Deserialize, Serialize};

/// Bounds of one request: outer `None` is the configured default, inner `None` is no bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StartResources {
    /// Memory of all its processes, in bytes.
    pub memory_max: Option<Option<u64>>,
    /// Of one processor, in percent.
    pub cpu_quota: Option<Option<u32>>,
    /// Processes and threads.
    pub tasks_max: Option<Option<u32>>,
}

impl StartResources {
    /// The same, with what another says where this says nothing.
    pub fn or(self, other: StartResources) -> StartResources {
        StartResources {
            memory_max: self.memory_max.or(other.memory_max),
            cpu_quota: self.cpu_quota.or(other.cpu_quota),
            tasks_max: self.tasks_max.or(other.tasks_max),
        }
    }
}

/// The bounds of an invocation, as its row keeps them; `None` is none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Memory of all its processes, in bytes.
    pub memory_max: Option<u64>,
    /// Of one processor, in percent.
    pub cpu_quota: Option<u32>,
    /// Processes and threads.
    pub tasks_max: Option<u32>,
    /// Controllers that the kernel does not offer, so that the bound is not held.
    pub unenforced: Vec<String>,
}

impl Resources {
    /// As a column holds it; what does not read is none.
    pub fn of_column(text: &str) -> Option<Resources> {
        serde_json::from_str(text).ok()
    }
}

/// What an invocation's processes used of the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// The most memory at a time, in bytes.
    pub peak_bytes: Option<i64>,
    /// CPU time, in microseconds.
    pub cpu_us: Option<i64>,
}
