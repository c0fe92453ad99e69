//! Starts with the same request id go one after the other as far as the row: the second one then
//! finds it, and needs no place among the running.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OwnedMutexGuard;

type Turn = tokio::sync::Mutex<()>;
type Key = (PathBuf, String);

/// The request ids whose starts are on their way, and who waits for them.
#[derive(Debug, Default)]
pub(super) struct Turns {
    // Held for a look-up or an insertion. One entry for each start under way.
    waiting: Mutex<HashMap<Key, Weak<Turn>>>,
}

impl Turns {
    /// Waits until no other start of this request is on its way; that lasts while the guard lives.
    pub(super) async fn take(&self, project: &Path, request_id: &str) -> OwnedMutexGuard<()> {
        let turn = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.retain(|_, turn| turn.strong_count() > 0);
            let key = (project.to_path_buf(), request_id.to_owned());
            match waiting.get(&key).and_then(Weak::upgrade) {
                Some(turn) => turn,
                None => {
                    let turn = Arc::new(Turn::default());
                    waiting.insert(key, Arc::downgrade(&turn));
                    turn
                }
            }
        };
        turn.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn only_the_same_request_of_the_same_project_waits_and_nothing_is_kept() {
        let turns = Turns::default();
        let (a, b) = (Path::new("/a"), Path::new("/b"));
        let first = turns.take(a, "r").await;
        let early = tokio::time::timeout(Duration::ZERO, turns.take(a, "r")).await;
        assert!(early.is_err());
        let others = (turns.take(b, "r").await, turns.take(a, "s").await);
        drop(first);
        drop(others);
        let last = turns.take(a, "r").await;
        assert_eq!(turns.waiting.lock().unwrap().len(), 1);
        drop(last);
    }
}
