//! One look at all processes of the host, shared by all who want one: two hundred that end at a time, or were found
//! ended at a start, take few.

use std::sync::Arc;
use std::time::{Duration, Instant};

use steroids_shim::tree::Census;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// Of the host that this process is on.
pub(super) static HOST: Censuses = Censuses::new();

/// A look takes milliseconds, and for ever where a process waits in the kernel for a disk that does not answer.
const LOOKS_WITHIN: Duration = Duration::from_secs(5);

/// The last look, and when it began. Held while somebody looks: who waits for that is served by the next one.
#[derive(Debug)]
pub(super) struct Censuses(Mutex<Option<(Instant, Arc<Census>)>>);

impl Censuses {
    const fn new() -> Censuses {
        Censuses(Mutex::const_new(None))
    }

    /// A look that began after this call; `None` where none comes in time, on a panic, or at the runtime's end.
    pub(super) async fn take(&'static self) -> Option<Arc<Census>> {
        // A task of its own, so that one that hangs keeps its turn: each further one would take a thread.
        let looking = tokio::spawn(self.look());
        timeout(LOOKS_WITHIN, looking).await.ok()?.ok()?
    }

    async fn look(&self) -> Option<Arc<Census>> {
        let asked = Instant::now();
        let mut last = self.0.lock().await;
        if let Some((begun, census)) = last.as_ref()
            && *begun >= asked
        {
            return Some(Arc::clone(census));
        }
        let begun = Instant::now();
        let census = tokio::task::spawn_blocking(Census::take).await.ok()?;
        let census = Arc::new(census);
        *last = Some((begun, Arc::clone(&census)));
        Some(census)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn those_who_wait_share_a_look_and_nobody_gets_one_of_before_he_asked() {
        static CENSUSES: Censuses = Censuses::new();
        let censuses = &CENSUSES;
        let all = join_all((0..50).map(|_| censuses.take())).await;
        let all: Vec<_> = all.into_iter().map(Option::unwrap).collect();
        let looks: HashSet<_> = all.iter().map(Arc::as_ptr).collect();
        assert_eq!(looks.len(), 2, "the first one's, and all others'");
        let later = censuses.take().await.unwrap();
        assert!(!looks.contains(&Arc::as_ptr(&later)));
    }
}
