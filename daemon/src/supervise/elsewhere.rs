//! What runs or waits in projects that are gone or cannot be read: no row tells of it, and it goes on, and
//! is paid for, all the same.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use steroids_shim::paths::InvDir;
use steroids_shim::spec::Spec;

use super::Supervisor;
use super::vitals::Vitals;
use crate::domain::InvocationId;
use crate::projects::Project;

/// One of these.
#[derive(Debug)]
pub struct Elsewhere {
    /// Path of its project.
    pub project: PathBuf,
    /// Its id there.
    pub id: InvocationId,
    /// What it was started with.
    pub spec: Spec,
    /// It waits to be started.
    pub waits: bool,
    /// How it is doing, and what is in the way of its row.
    pub vitals: Vitals,
}

/// What is known of one without its state folder.
struct Found {
    project: PathBuf,
    id: Option<InvocationId>,
    why: Option<String>,
}

impl Supervisor {
    /// Those that are in no project of these, which can be read; in no order.
    pub async fn elsewhere(&self, read: &[Arc<Project>]) -> Vec<Elsewhere> {
        let mut found = self.found_elsewhere(read);
        for project in read {
            if found.is_empty() {
                return Vec::new();
            }
            // One that runs keeps the path that it was started with, wherever its project was moved.
            for uuid in found.keys().cloned().collect::<Vec<_>>() {
                let asked = project.store.has(&uuid);
                if project.store.promptly(asked).await.unwrap_or(false) {
                    found.remove(&uuid);
                }
            }
        }
        let dirs = found.into_iter().map(|(uuid, it)| {
            let dir = InvDir::new(self.state_dir(), &uuid);
            (uuid, dir, it)
        });
        let dirs: Vec<_> = dirs.collect();
        let load = move || {
            let loaded = dirs.into_iter().filter_map(|(uuid, dir, it)| {
                // It is over, and only its row is not.
                if dir.exit().exists() {
                    return None;
                }
                let (spec, waits) = match Spec::load(&dir) {
                    Ok(spec) => (spec, false),
                    Err(_) => (Spec::load_queued(&dir).ok()?, true),
                };
                Some((uuid, spec, waits, it))
            });
            loaded.collect::<Vec<_>>()
        };
        let loaded = tokio::task::spawn_blocking(load).await;
        // Only a panic, or the runtime's end.
        let loaded = loaded.unwrap_or_default().into_iter();
        let shown = loaded.filter_map(|(uuid, spec, waits, it)| {
            let mut vitals = self.vitals(&uuid);
            vitals.alarm = vitals.alarm.or(it.why);
            Some(Elsewhere {
                project: it.project,
                id: it.id.or(InvocationId::new(spec.invocation))?,
                spec,
                waits,
                vitals,
            })
        });
        shown.collect()
    }

    /// By uuid.
    fn found_elsewhere(&self, read: &[Arc<Project>]) -> HashMap<String, Found> {
        let is_read = |root: &Path| read.iter().any(|project| project.root == *root);
        let strays = self.inner.strays.unfinished().into_iter();
        let strays = strays.map(|(uuid, project, why)| (uuid, project, None, Some(why)));
        let waiting = self.inner.line.waiting().into_iter();
        let waiting =
            waiting.map(|(uuid, project, id)| (uuid, project.to_path_buf(), Some(id), None));
        let jobs = self.inner.in_care().into_iter();
        let jobs = jobs.map(|(uuid, it)| (uuid, it.project.to_path_buf(), Some(it.id), None));
        let all = strays.chain(waiting).chain(jobs);
        let those = all.filter(|(_, project, ..)| !is_read(project));
        those
            .map(|(uuid, project, id, why)| (uuid, Found { project, id, why }))
            .collect()
    }
}
