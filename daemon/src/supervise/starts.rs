//! Who is at a start in which project, so that nothing is begun in one that is being forgotten: until a
//! start is in the line or has a job, nobody sees it there.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// All starts under way.
#[derive(Debug, Default)]
pub(super) struct Starts {
    // Held for a look-up or a change, never across an await.
    by_project: Mutex<HashMap<PathBuf, Under>>,
}

#[derive(Debug)]
enum Under {
    Starts(usize),
    /// None may begin.
    Closed,
}

/// A start, or a project in which none may begin; over when it is dropped.
#[derive(Debug)]
pub(super) struct Hold {
    all: Arc<Starts>,
    project: PathBuf,
}

impl Starts {
    /// Begins a start; `None` while the project is closed.
    pub(super) fn begin(self: &Arc<Self>, project: &Path) -> Option<Hold> {
        let mut all = self.lock();
        match all.get_mut(project) {
            Some(Under::Closed) => return None,
            Some(Under::Starts(count)) => *count += 1,
            None => _ = all.insert(project.to_owned(), Under::Starts(1)),
        }
        Some(self.hold(project))
    }

    /// Lets no start begin; `None` while there is one, or somebody else has closed it.
    pub(super) fn close(self: &Arc<Self>, project: &Path) -> Option<Hold> {
        let mut all = self.lock();
        if all.contains_key(project) {
            return None;
        }
        all.insert(project.to_owned(), Under::Closed);
        Some(self.hold(project))
    }

    fn hold(self: &Arc<Self>, project: &Path) -> Hold {
        Hold {
            all: Arc::clone(self),
            project: project.to_owned(),
        }
    }

    /// A map is valid whatever panicked while it was held: every change to it is one call.
    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, Under>> {
        self.by_project
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        match all.get_mut(&self.project) {
            Some(Under::Starts(count)) if *count > 1 => *count -= 1,
            _ => _ = all.remove(&self.project),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_closed_between_starts_and_for_itself() {
        let starts = Arc::new(Starts::default());
        let (a, b) = (Path::new("/a"), Path::new("/b"));
        let [first, second] = [starts.begin(a).unwrap(), starts.begin(a).unwrap()];
        drop(first);
        assert!(starts.close(a).is_none(), "one is still at it");
        let other = starts.close(b).unwrap();
        drop(second);
        let closed = starts.close(a).unwrap();
        assert!(starts.begin(a).is_none() && starts.close(a).is_none());
        drop((closed, other));
        assert!(starts.begin(a).is_some() && starts.begin(b).is_some());
    }
}
