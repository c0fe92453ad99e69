//! Ids that must not be given again, whatever a database says: it may have been deleted, while logs
//! and state folders of its invocations are still there.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::supervisor::Inner;
use crate::domain::InvocationId;
use crate::projects::Project;

/// The highest id seen of each project.
#[derive(Debug, Default)]
pub(super) struct Floors {
    // Held for a look-up or an insertion.
    seen: Mutex<HashMap<PathBuf, i64>>,
}

impl Floors {
    /// Notes an id of a project.
    pub(super) fn raise(&self, project: &Path, id: i64) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.get_mut(project) {
            Some(highest) => *highest = id.max(*highest),
            None => {
                seen.insert(project.to_path_buf(), id);
            }
        }
    }

    /// The highest id noted; 0 if there is none.
    pub(super) fn of(&self, project: &Path) -> i64 {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(project).copied().unwrap_or(0)
    }
}

/// No id up to this one may be given: it has a log or a state folder, whatever the database says.
pub(super) async fn floor(inner: &Inner, project: &Arc<Project>) -> i64 {
    let asked = Arc::clone(project);
    let highest = tokio::task::spawn_blocking(move || highest(&asked)).await;
    inner.floors.raise(&project.root, highest.unwrap_or(0));
    inner.floors.of(&project.root)
}

/// The highest id that has a log. Asked each time, as another tool adds to them too. Blocks.
pub(super) fn highest(project: &Project) -> i64 {
    // No logs, or a folder that cannot be read: then the log cannot be written either.
    let highest = project.logs().highest().ok().flatten();
    highest.map_or(0, InvocationId::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floor_only_rises_and_is_its_projects_own() {
        let floors = Floors::default();
        let (a, b) = (Path::new("/a"), Path::new("/b"));
        floors.raise(a, 7);
        floors.raise(a, 3);
        assert_eq!((floors.of(a), floors.of(b)), (7, 0));
    }
}
