//! Those who want the same thing go one after the other; those who want different things do not meet.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OwnedMutexGuard;

type Turn = tokio::sync::Mutex<()>;

/// What is wanted now, and who waits for it.
pub struct Turns<K> {
    // Held for a look-up or an insertion. One entry for each thing that is wanted.
    waiting: Mutex<HashMap<K, Weak<Turn>>>,
}

impl<K: Eq + Hash> Turns<K> {
    /// Waits until nobody else has this, in the order of asking; it is the caller's while the guard
    /// lives.
    pub async fn take(&self, key: K) -> OwnedMutexGuard<()> {
        let turn = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.retain(|_, turn| turn.strong_count() > 0);
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

impl<K> Default for Turns<K> {
    fn default() -> Self {
        Turns {
            waiting: Mutex::default(),
        }
    }
}

impl<K> fmt::Debug for Turns<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turns").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn only_the_same_waits_and_nothing_is_kept() {
        let turns = Turns::default();
        let first = turns.take("a").await;
        let early = tokio::time::timeout(Duration::ZERO, turns.take("a")).await;
        assert!(early.is_err());
        let other = turns.take("b").await;
        drop((first, other));
        let last = turns.take("a").await;
        assert_eq!(turns.waiting.lock().unwrap().len(), 1);
        drop(last);
    }
}
