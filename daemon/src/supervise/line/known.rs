//! Who has a place or waits for one, and in which project.

use std::path::Path;
use std::sync::Arc;

use super::Line;
use crate::domain::InvocationId;

impl Line {
    /// Those of a task that have a place.
    pub(in crate::supervise) fn placed(&self, project: &Path, task: &str) -> Vec<String> {
        let state = self.state();
        let placed = state
            .placed
            .iter()
            .filter(|(_, holder)| holder.placed.task == task && *holder.placed.project == *project);
        placed.map(|(uuid, _)| uuid.clone()).collect()
    }

    /// The project that one has a place in or waits in.
    pub(in crate::supervise) fn project_of(&self, uuid: &str) -> Option<Arc<Path>> {
        let state = self.state();
        let placed = state.placed.get(uuid).map(|it| &it.placed.project);
        let project = placed.or_else(|| Some(&state.waiting.get(uuid)?.candidate.project));
        project.map(Arc::clone)
    }

    /// All that have a place, with their projects.
    pub(in crate::supervise) fn all_placed(&self) -> Vec<(String, Arc<Path>)> {
        let state = self.state();
        let placed = state.placed.iter();
        let placed = placed.map(|(uuid, it)| (uuid.clone(), Arc::clone(&it.placed.project)));
        placed.collect()
    }

    /// Those of a task of this name that have a place in other projects, with the paths of these.
    pub(in crate::supervise) fn placed_elsewhere(
        &self,
        project: &Path,
        task: &str,
    ) -> Vec<(String, Arc<Path>)> {
        let state = self.state();
        let placed = state.placed.iter().map(|(uuid, it)| (uuid, &it.placed));
        let placed = placed.filter(|(_, it)| it.task == task && *it.project != *project);
        let placed = placed.map(|(uuid, it)| (uuid.clone(), Arc::clone(&it.project)));
        placed.collect()
    }

    /// Those of a project that have a place or wait for one.
    pub(in crate::supervise) fn of(&self, project: &Path) -> Vec<String> {
        let state = self.state();
        let placed = state.placed.iter();
        let placed = placed.filter(|(_, holder)| *holder.placed.project == *project);
        let waiting = state.waiting.iter();
        let waiting = waiting.filter(|(_, it)| *it.candidate.project == *project);
        let placed = placed.map(|(uuid, _)| uuid.clone());
        placed
            .chain(waiting.map(|(uuid, _)| uuid.clone()))
            .collect()
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
}
