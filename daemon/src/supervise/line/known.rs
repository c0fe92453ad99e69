//! Who has a place or waits for one, and in which project.

use std::path::Path;
use std::sync::Arc;

use steroids_shim::spec::Spec;

use super::{Holder, Line};
use crate::domain::InvocationId;
use crate::domain::queue::{Candidate, Placed};

impl Line {
    /// Those of a task of this name that have a place, in whichever project.
    pub(in crate::supervise) fn placed(&self, task: &str) -> Vec<(String, Placed)> {
        let state = self.state();
        let placed = state.placed.iter();
        let placed = placed.filter(|(_, holder)| holder.placed.task == task);
        placed
            .map(|(uuid, holder)| (uuid.clone(), holder.placed.clone()))
            .collect()
    }

    /// One that runs has its project there from now on.
    pub(in crate::supervise) fn runs_in(&self, uuid: &str, folder: (u64, u64), path: &Arc<Path>) {
        let mut state = self.state();
        let Some(Holder { placed, .. }) = state.placed.get_mut(uuid) else {
            return;
        };
        placed.folder = Some(folder);
        if placed.project == *path {
            return;
        }
        placed.project = Arc::clone(path);
        drop(state);
        self.look_again();
    }

    /// One that waits, as it came to.
    pub(in crate::supervise) fn candidate(&self, uuid: &str) -> Option<Candidate> {
        let state = self.state();
        Some(state.waiting.get(uuid)?.candidate.clone())
    }

    /// One that waits does so in another project from now on.
    pub(in crate::supervise) fn waits_elsewhere(&self, uuid: &str, spec: &Spec) {
        if let Some(it) = self.state().waiting.get_mut(uuid) {
            it.candidate.project = Arc::from(spec.project.as_path());
            it.candidate.folder = spec.project_folder;
        }
        self.look_again();
    }

    /// All that have a place, with their projects.
    pub(in crate::supervise) fn all_placed(&self) -> Vec<(String, Arc<Path>)> {
        let state = self.state();
        let placed = state.placed.iter();
        let placed = placed.map(|(uuid, it)| (uuid.clone(), Arc::clone(&it.placed.project)));
        placed.collect()
    }

    /// Those that have a place or wait for one and are of a project: by their name, and its path and folder.
    pub(in crate::supervise) fn of(
        &self,
        is_of: impl Fn(&str, &Path, Option<(u64, u64)>) -> bool,
    ) -> Vec<String> {
        let state = self.state();
        let placed = state.placed.iter();
        let placed = placed.map(|(uuid, it)| (uuid, &it.placed.project, it.placed.folder));
        let waiting = state.waiting.iter().map(|(uuid, it)| (uuid, &it.candidate));
        let waiting = waiting.map(|(uuid, it)| (uuid, &it.project, it.folder));
        let all = placed.chain(waiting);
        let of = all.filter(|(uuid, project, folder)| is_of(uuid, project, *folder));
        of.map(|(uuid, ..)| uuid.clone()).collect()
    }

    /// Those that wait and have a row.
    pub(in crate::supervise) fn waiting(&self) -> Vec<(String, Arc<Path>, InvocationId)> {
        let state = self.state();
        let waiting = state.waiting.values();
        waiting
            .filter_map(|it| {
                let it = &it.candidate;
                Some((it.uuid.clone(), Arc::clone(&it.project), it.id?))
            })
            .collect()
    }

    /// Those of a project that wait and have a row, with their tasks.
    pub(in crate::supervise) fn waiting_in(&self, project: &Path) -> Vec<(InvocationId, String)> {
        let state = self.state();
        let waiting = state.waiting.values().map(|it| &it.candidate);
        let here = waiting.filter(|it| *it.project == *project);
        here.filter_map(|it| Some((it.id?, it.task.clone())))
            .collect()
    }
}
