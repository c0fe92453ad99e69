//! How those that run are doing, as their jobs publish it, for whoever shows them.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;

use super::Supervisor;
use super::job::{JobHandle, Progress};
use crate::domain::{InvocationId, Live};

/// How a running invocation is doing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Vitals {
    /// What a person should know.
    pub alarm: Option<String>,
    /// What it did so far; `None` until its log was looked at.
    pub live: Option<Arc<Live>>,
}

/// Which invocation a job has in its care.
#[derive(Debug, Clone)]
pub(super) struct Whose {
    pub(super) project: Arc<Path>,
    pub(super) id: InvocationId,
}

/// One running invocation, and how it is doing.
#[derive(Debug, Clone)]
pub struct Beat {
    /// Path of its project.
    pub project: Arc<Path>,
    /// Its id there.
    pub id: InvocationId,
    /// How it is doing.
    pub vitals: Vitals,
}

impl Supervisor {
    /// How a running invocation is doing; nothing is told of one that is not in our care.
    pub fn vitals(&self, uuid: &str) -> Vitals {
        let handle = self.inner.job(uuid);
        handle
            .and_then(|handle| vitals(&handle))
            .unwrap_or_default()
    }

    /// How all of them are doing, in no order.
    pub fn beats(&self) -> Vec<Beat> {
        let jobs = self.inner.jobs().into_iter();
        jobs.filter_map(|handle| {
            let whose = handle.whose.get()?.clone();
            Some(Beat {
                project: whose.project,
                id: whose.id,
                vitals: vitals(&handle)?,
            })
        })
        .collect()
    }

    /// Grows when one of them is doing otherwise than before.
    pub fn beating(&self) -> watch::Receiver<u64> {
        self.inner.beats()
    }
}

fn vitals(handle: &JobHandle) -> Option<Vitals> {
    match &*handle.progress.borrow() {
        Progress::Running(vitals) => Some(vitals.clone()),
        Progress::Ended(_) => None,
    }
}
