//! One answer for all who ask the same at once: a page that everybody loads again, a gateway that is
//! back. An answer is never older than the question: who comes while one is being fetched shares the
//! next one with all who came meanwhile.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::task::AbortOnDropHandle;

/// What is being asked just now. Cheap to clone.
#[derive(Debug)]
pub(crate) struct Together<Q, A> {
    // Held for a look or a change, never while waiting.
    rounds: Arc<Mutex<HashMap<Q, Asked<A>>>>,
}

/// A question that somebody asks.
#[derive(Debug)]
struct Asked<A> {
    /// So many do. Counted here, as two who leave together must not each leave it to the other.
    parts: usize,
    rounds: Arc<Rounds<A>>,
}

/// The rounds of one question.
#[derive(Debug)]
struct Rounds<A> {
    /// How many have asked.
    asked: AtomicU64,
    /// Held by who fetches; the others wait for it, in turn.
    told: tokio::sync::Mutex<Told<A>>,
}

#[derive(Debug)]
struct Told<A> {
    answer: Option<A>,
    /// It was fetched after so many had asked.
    asked: u64,
}

/// Somebody's part in a question; the last one takes it away.
struct Part<'a, Q: Hash + Eq, A> {
    together: &'a Together<Q, A>,
    question: &'a Q,
    rounds: Arc<Rounds<A>>,
}

impl<Q: Hash + Eq + Clone, A: Clone> Together<Q, A> {
    pub(crate) fn new() -> Self {
        Together {
            rounds: Arc::default(),
        }
    }

    /// The answer: fetched by this caller, or by another one since this one has asked. Cancel-safe:
    /// where the one who fetches goes away, another one does.
    pub(crate) async fn ask<F>(&self, question: Q, fetch: impl FnOnce() -> F + Send + 'static) -> A
    where
        Q: Send + Sync + 'static,
        A: Send + 'static,
        F: Future<Output = A> + Send + 'static,
    {
        let together = self.clone();
        // A task of its own: who asks may be a stream that is not polled while its client reads
        // nothing, and others wait for the same answer.
        let asking = tokio::spawn(async move { together.share(&question, fetch).await });
        match AbortOnDropHandle::new(asking).await {
            Ok(answer) => answer,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is going down, and who asks with it.
                Err(_) => std::future::pending().await,
            },
        }
    }

    async fn share<F: Future<Output = A>>(&self, question: &Q, fetch: impl FnOnce() -> F) -> A {
        let part = self.join(question);
        let mine = part.rounds.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let mut told = part.rounds.told.lock().await;
        if told.asked >= mine
            && let Some(answer) = &told.answer
        {
            return answer.clone();
        }
        let asked = part.rounds.asked.load(Ordering::Relaxed);
        // In a box, as a thousand may wait who fetch nothing, each with room for all that is in here.
        let answer = Box::pin(fetch()).await;
        *told = Told {
            answer: Some(answer.clone()),
            asked,
        };
        answer
    }

    fn join<'a>(&'a self, question: &'a Q) -> Part<'a, Q, A> {
        let mut all = self.rounds();
        let asked = all.entry(question.clone()).or_insert_with(|| Asked {
            parts: 0,
            rounds: Arc::new(Rounds::new()),
        });
        asked.parts += 1;
        Part {
            together: self,
            question,
            rounds: Arc::clone(&asked.rounds),
        }
    }
}

impl<Q, A> Together<Q, A> {
    fn rounds(&self) -> MutexGuard<'_, HashMap<Q, Asked<A>>> {
        // Each change is one call, so a panic elsewhere leaves nothing half done.
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Q, A> Clone for Together<Q, A> {
    fn clone(&self) -> Self {
        Together {
            rounds: Arc::clone(&self.rounds),
        }
    }
}

impl<A> Rounds<A> {
    fn new() -> Self {
        Rounds {
            asked: AtomicU64::new(0),
            told: tokio::sync::Mutex::new(Told {
                answer: None,
                asked: 0,
            }),
        }
    }
}

impl<Q: Hash + Eq, A> Drop for Part<'_, Q, A> {
    fn drop(&mut self) {
        let mut all = self.together.rounds();
        let Some(asked) = all.get_mut(self.question) else {
            return;
        };
        asked.parts -= 1;
        if asked.parts == 0 {
            all.remove(self.question);
        }
    }
}

#[cfg(test)]
impl<Q: Clone, A> Together<Q, A> {
    /// What is asked just now, and by how many.
    pub(crate) fn asked(&self) -> Vec<(Q, usize)> {
        let all = self.rounds();
        let asked = all
            .iter()
            .map(|(question, it)| (question.clone(), it.parts));
        asked.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::pin::Pin;
    use std::task::{Context, Waker};

    use tokio::sync::Semaphore;

    type Asking<'a, A> = Pin<Box<dyn Future<Output = A> + 'a>>;

    /// Each is polled once, in this order.
    fn begun<'a, A>(asking: impl IntoIterator<Item = Asking<'a, A>>) -> Vec<Asking<'a, A>> {
        let mut all: Vec<_> = asking.into_iter().collect();
        for one in &mut all {
            let mut now = Context::from_waker(Waker::noop());
            assert!(one.as_mut().poll(&mut now).is_pending());
        }
        all
    }

    #[tokio::test]
    async fn who_asks_while_an_answer_is_fetched_gets_the_next_one_with_the_others() {
        let together = Together::new();
        let (gate, fetched) = (Semaphore::new(0), AtomicU64::new(0));
        let ask = |question: &'static &'static str| -> Asking<'_, u64> {
            let (gate, fetched) = (&gate, &fetched);
            Box::pin(together.share(question, move || async move {
                let number = fetched.fetch_add(1, Ordering::Relaxed) + 1;
                gate.acquire().await.unwrap().forget();
                number
            }))
        };
        let first = begun([ask(&"a")]);
        let later = begun((0..50).map(|_| ask(&"a")));
        gate.add_permits(2);
        for (asking, answer) in first
            .into_iter()
            .zip([1])
            .chain(later.into_iter().zip([2; 50]))
        {
            assert_eq!(asking.await, answer);
        }
        gate.add_permits(2);
        assert_eq!(
            tokio::join!(ask(&"b"), ask(&"a")),
            (3, 4),
            "not from before"
        );
        assert!(together.rounds().is_empty());
    }

    #[tokio::test]
    async fn where_the_one_who_fetches_goes_away_another_one_does() {
        let together = Together::new();
        let gone: Asking<'_, _> = Box::pin(together.share(&1, std::future::pending));
        let gone = begun([gone]);
        let others = begun(
            (0..3).map(|_| -> Asking<'_, _> { Box::pin(together.share(&1, || async { "it" })) }),
        );
        drop(gone);
        for other in others {
            assert_eq!(other.await, "it");
        }
        assert!(together.rounds().is_empty());
    }
}
