//! Whether what somebody asks for is there but for a moment: its project, its row or its task is gone, as a
//! database was deleted or replaced, and something of ours runs in it. Then it is put back, and nobody
//! is told that there is no such thing.

use std::path::{Path, PathBuf};

use super::Supervisor;
use super::vitals::Whose;
use crate::domain::InvocationId;
use crate::projects::Projects;

/// What of a project was in our care before it was asked for anything: who ends meanwhile has a row.
pub struct Cared {
    projects: Projects,
    root: PathBuf,
    runs: Vec<Whose>,
    was_refilled: bool,
    refills: u64,
}

impl Supervisor {
    /// What is in our care now. To be had before the project is asked.
    pub fn cared(&self, project: &Path) -> Cared {
        let runs = self.inner.in_care().into_iter();
        let runs = runs.map(|(_, whose)| whose);
        let projects = self.inner.projects.clone();
        let (was_refilled, refills) = projects.refills(project);
        Cared {
            runs: runs.filter(|whose| *whose.project == *project).collect(),
            root: project.to_owned(),
            projects,
            was_refilled,
            refills,
        }
    }
}

impl Cared {
    /// Whether the project is one that is looked after.
    pub fn has_project(&self) -> bool {
        !self.runs.is_empty() || self.is_refilled()
    }

    /// Whether an invocation's row is put back, if it is not there.
    pub fn has(&self, id: InvocationId) -> bool {
        self.runs.iter().any(|whose| whose.id == id) || self.is_refilled()
    }

    /// The same of a task.
    pub fn has_task(&self, task: &str) -> bool {
        self.runs.iter().any(|whose| *whose.task == *task) || self.is_refilled()
    }

    /// Whether the database was made anew, before or since, and what is over was not in it yet.
    fn is_refilled(&self) -> bool {
        self.was_refilled || self.projects.refills(&self.root).1 != self.refills
    }
}
