//! Deadlines. Whatever a test awaits, it awaits with one, and says what it was.

use std::future::Future;
use std::time::{Duration, Instant};

/// Between two looks at what gives no event, at least.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// How long anything may take that should take a moment. Generous, since a machine may be busy:
/// a deadline is there to end a hang, not to measure. `STEROIDS_TEST_PATIENCE` gives other seconds.
pub fn patience() -> Duration {
    let seconds = std::env::var("STEROIDS_TEST_PATIENCE")
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(30);
    Duration::from_secs(seconds)
}

/// Awaits `future`; panics, naming `what`, when it takes longer than [`patience`].
pub async fn within<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(patience(), future).await {
        Ok(output) => output,
        Err(_) => panic!("waited {:?} for {what}", patience()),
    }
}

/// Asks again and again until there is an answer. Only for what gives no event of itself: a
/// process that goes away, a socket that begins to accept. It rests for as long as each look took, so that what
/// is waited for has half of the time at least.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    within(what, async {
        loop {
            let began = Instant::now();
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(began.elapsed().max(LOOK_AGAIN)).await;
        }
    })
    .await
}
