//! Whether what somebody asks for is there but for a moment: its project, its row or its task is gone, as a
//! database was deleted or replaced, and something of ours runs in it. Then it is put back, and nobody
//! is told that there is no such thing.

use std::path::{Path, PathBuf};

use super::Supervisor;
use super::job::JobHandle;
use super::vitals::Whose;
use crate::domain::InvocationId;
use crate::projects::Projects;

/// What of a project was in our care before it was asked for anything: who ends meanwhile has a row.
pub struct Cared {
    projects: Projects,
    root: PathBuf,
    runs: Vec<Whose>,
    /// What runs or waits there, and is taken up when its project is back.
    strays: Vec<Option<InvocationId>>,
    /// Something waits there that is in the line.
    has_line: bool,
    /// Put back with what runs.
    waits: Vec<(InvocationId, String)>,
    was_refilled: bool,
    refills: u64,
}

impl Supervisor {
    /// What is in our care now. To be had before the project is asked.
    pub fn cared(&self, project: &Path) -> Cared {
        let jobs = self.inner.handles().into_iter();
        let here = jobs.filter(|(_, job)| self.is_looked_for_in(job, project));
        let runs: Vec<_> = here
            .filter_map(|(_, job)| job.whose.get().cloned())
            .collect();
        let strays = self.inner.strays.unfinished_in(project);
        let mut waits = self.inner.line.waiting_in(project);
        let has_line = !waits.is_empty();
        if runs.is_empty() && strays.is_empty() {
            waits.clear();
        }
        let projects = self.inner.projects.clone();
        let (was_refilled, refills) = projects.refills(project);
        Cared {
            runs,
            strays,
            has_line,
            waits,
            root: project.to_owned(),
            projects,
            was_refilled,
            refills,
        }
    }

    /// Whether a job looks for its project under this path: another has it by then where that was moved.
    fn is_looked_for_in(&self, job: &JobHandle, path: &Path) -> bool {
        if job.path().is_none_or(|its| *its != *path) {
            return false;
        }
        let open = self.inner.projects.all().into_iter();
        let mut there = open.filter(|it| Some(it.folder()) == job.home());
        // It may not have looked yet.
        let first = there.next();
        first.is_none_or(|it| it.root == path || there.any(|it| it.root == path))
    }
}

impl Cared {
    /// Whether the project is one that is looked after.
    pub fn has_project(&self) -> bool {
        !self.runs.is_empty() || !self.strays.is_empty() || self.is_refilled()
    }

    /// Whether something runs or waits there, which goes on while its folder is gone.
    pub fn goes_on(&self) -> bool {
        self.has_line || self.has_project()
    }

    /// Whether an invocation's row is put back, if it is not there.
    pub fn has(&self, id: InvocationId) -> bool {
        let waits = self.waits.iter().any(|(waits, _)| *waits == id);
        let runs = self.runs.iter().any(|whose| whose.id == id);
        let is_stray = self.strays.contains(&Some(id));
        waits || runs || is_stray || self.is_refilled()
    }

    /// The same of a task.
    pub fn has_task(&self, task: &str) -> bool {
        let waits = self.waits.iter().any(|(_, waits)| waits == task);
        waits || self.runs.iter().any(|whose| *whose.task == *task) || self.is_refilled()
    }

    /// Whether the database was made anew, before or since, and what is over was not in it yet.
    pub fn is_refilled(&self) -> bool {
        self.was_refilled || self.projects.refills(&self.root).1 != self.refills
    }
}
