//! Ends whose traces wait to be sent: so many and no more, and those that are left when the daemon ends are
//! written down for the next one, in `otlp.json` of the state folder.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use steroids_shim::durable;
use tracing::warn;

use crate::domain::InvocationId;
use crate::supervise::{EndedRun, Supervisor};

const NAME: &str = "otlp.json";

/// As many wait, of this daemon and of the one before: more than end while a collector is started anew, and
/// each holds but its row.
const MOST: usize = 512;

/// Those that wait, the oldest first.
#[derive(Default)]
pub(super) struct Backlog {
    waiting: VecDeque<EndedRun>,
}

/// What is left, as the file has it.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Left {
    invocations: Vec<One>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct One {
    project: PathBuf,
    id: i64,
}

// === impl Backlog ===

impl Backlog {
    /// Takes one in; says how many had to give way.
    pub(super) fn put(&mut self, end: EndedRun) -> u64 {
        let gives_way = (self.waiting.len() >= MOST).then(|| self.waiting.pop_front());
        self.waiting.push_back(end);
        u64::from(gives_way.is_some())
    }

    /// One that was begun, and has to be begun anew.
    pub(super) fn put_back(&mut self, end: EndedRun) {
        self.waiting.push_front(end);
    }

    /// The oldest.
    pub(super) fn next(&mut self) -> Option<EndedRun> {
        self.waiting.pop_front()
    }

    pub(super) fn left(&self) -> Left {
        let ones = self.waiting.iter().map(|end| One {
            project: end.project.root.clone(),
            id: end.row.id.get(),
        });
        Left {
            invocations: ones.collect(),
        }
    }
}

// === impl Left ===

impl Left {
    /// What the daemon before has left; blocks.
    pub(super) fn read(state_dir: &Path) -> Left {
        match durable::load(&state_dir.join(NAME)) {
            Ok(left) => left,
            Err(error) if error.is_missing() => Left::default(),
            Err(error) => {
                warn!(%error, "what was left to tell the collector cannot be read");
                Left::default()
            }
        }
    }

    /// Writes it down for the next daemon, or takes the file away where nothing is left; blocks.
    pub(super) fn store(&self, state_dir: &Path) {
        let file = state_dir.join(NAME);
        let stored = match self.invocations.is_empty() {
            false => durable::store(&file, self).map_err(io::Error::other),
            true => match fs::remove_file(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        };
        if let Err(error) = stored {
            warn!(%error, "what is left to tell the collector cannot be kept");
        }
    }

    pub(super) fn len(&self) -> usize {
        self.invocations.len()
    }

    /// Those of them that are there still, and have ended.
    pub(super) async fn find(self, supervisor: &Supervisor) -> Vec<EndedRun> {
        let mut found = Vec::new();
        for one in self.invocations.into_iter().take(MOST) {
            if let Some(id) = InvocationId::new(one.id)
                && let Some(end) = supervisor.ended(&one.project, id).await
            {
                found.push(end);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_read_by_the_next_and_gone_once_nothing_is() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Left::read(dir.path()), Left::default());
        let left = Left {
            invocations: vec![One {
                project: "/home/ada/api".into(),
                id: 7,
            }],
        };
        left.store(dir.path());
        assert_eq!(Left::read(dir.path()), left);
        Left::default().store(dir.path());
        assert!(!dir.path().join(NAME).exists());
        fs::write(dir.path().join(NAME), "{\"invocations\":[").unwrap();
        assert_eq!(Left::read(dir.path()), Left::default());
    }
}
