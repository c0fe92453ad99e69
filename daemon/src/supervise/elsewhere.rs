//! What runs or waits in projects that are gone or cannot be read: no row tells of it, and it goes on, and
//! is paid for, all the same.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::join_all;
use steroids_shim::paths::InvDir;
use steroids_shim::spec::Spec;

use super::Supervisor;
use super::proof;
use super::reconcile::{STARTING, Scope, uuid_of};
use super::vitals::Vitals;
use crate::domain::InvocationId;
use crate::projects::Project;

/// One of these, as its state folder has it. Its prompt may have megabytes, and is left there.
#[derive(Debug)]
pub struct Elsewhere {
    /// Path of its project.
    pub project: PathBuf,
    /// Its id there.
    pub id: InvocationId,
    /// It waits to be started.
    pub waits: bool,
    /// What it was started with, but for its prompt and its environment.
    pub spec: Spec,
    /// How it is doing, and what is in the way of its row.
    pub vitals: Vitals,
}

/// What is known of one without its state folder.
#[derive(Default)]
pub(super) struct Found {
    pub(super) project: Option<PathBuf>,
    pub(super) id: Option<InvocationId>,
    /// What is in the way of its row.
    why: Option<String>,
}

impl Supervisor {
    /// Those of which no project of these, which can be read, has a row, but for one that ended as lost; in no
    /// order.
    pub async fn elsewhere(&self, read: &[Arc<Project>]) -> Vec<Elsewhere> {
        let mut found = self.unfinished().await;
        // Mostly each has its row where it was started.
        let asked = read.iter().map(|project| {
            let here = found
                .iter()
                .filter(|(_, it)| it.project.as_ref() == Some(&project.root));
            known(project, here.map(|(uuid, _)| uuid.clone()).collect())
        });
        for known in join_all(asked).await {
            found.retain(|uuid, _| !known.contains(uuid));
        }
        // One that runs keeps the path that it was started with, wherever its project was moved.
        let left: Vec<_> = found.keys().cloned().collect();
        let asked = read.iter().map(|project| known(project, left.clone()));
        for known in join_all(asked).await {
            found.retain(|uuid, _| !known.contains(uuid));
        }
        let dirs = found.into_iter().map(|(uuid, it)| {
            let dir = InvDir::new(self.state_dir(), &uuid);
            (uuid, dir, it)
        });
        let dirs: Vec<_> = dirs.collect();
        let load = move || {
            let loaded = dirs.into_iter().filter_map(|(uuid, dir, it)| {
                // It is over, and only its row is not.
                if proof::is_over(&dir) {
                    return None;
                }
                let (mut spec, waits) = match Spec::load(&dir) {
                    Ok(spec) => (spec, false),
                    Err(_) => (Spec::load_queued(&dir).ok()?, true),
                };
                (spec.prompt, spec.env, spec.argv) = Default::default();
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
                project: it.project.unwrap_or_else(|| spec.project.clone()),
                id: it.id.or(InvocationId::new(spec.invocation))?,
                spec,
                waits,
                vitals,
            })
        });
        shown.collect()
    }

    /// All that may run or wait, by uuid. What passes from one hand to another is in one of them; what
    /// nobody has looked at since the daemon's start has its state folder alone.
    pub(super) async fn unfinished(&self) -> HashMap<String, Found> {
        let inner = &self.inner;
        let mut found: HashMap<String, Found> = HashMap::new();
        if inner.line.is_closed(STARTING) {
            let dirs = inner.folders(Scope::Wakeup).await;
            let uuids = dirs.iter().map(uuid_of);
            found.extend(uuids.map(|uuid| (uuid, Found::default())));
        }
        let entered = inner.handles().into_iter();
        found.extend(entered.map(|(uuid, _)| (uuid, Found::default())));
        for (uuid, project) in inner.line.all_placed() {
            found.entry(uuid).or_default().project = Some(project.to_path_buf());
        }
        for (uuid, project, id) in inner.line.waiting() {
            let it = found.entry(uuid).or_default();
            (it.project, it.id) = (Some(project.to_path_buf()), Some(id));
        }
        for (uuid, whose) in inner.in_care() {
            let it = found.entry(uuid).or_default();
            (it.project, it.id) = (Some(whose.project.to_path_buf()), Some(whose.id));
        }
        for (uuid, stray) in inner.strays.unfinished() {
            let it = found.entry(uuid).or_default();
            (it.project, it.why) = (Some(stray.project), Some(stray.why));
            it.id = it.id.or(stray.id);
        }
        found
    }
}

/// As [`Store::known`](crate::store::Store::known): none, where the project does not say.
async fn known(project: &Project, uuids: Vec<String>) -> HashSet<String> {
    if uuids.is_empty() {
        return HashSet::new();
    }
    let asked = project.store.promptly(project.store.known(uuids)).await;
    asked.unwrap_or_default()
}
