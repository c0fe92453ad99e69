//! One look at all processes of the host, shared by all who want one: two hundred that end at a time, or were found
//! ended at a start, take few.

use std::sync::Arc;
use std::time::Instant;

use steroids_shim::tree::Census;
use tokio::sync::Mutex;

/// Of the host that this process is on.
pub(super) static HOST: Censuses = Censuses::new();

/// The last look, and when it began. Held while somebody looks: who waits for that is served by the next one.
#[derive(Debug)]
pub(super) struct Censuses(Mutex<Option<(Instant, Arc<Census>)>>);

impl Censuses {
    const fn new() -> Censuses {
        Censuses(Mutex::const_new(None))
    }

    /// A look that began after this call; `None` only on a panic, or at the runtime's end.
    pub(super) async fn take(&self) -> Option<Arc<Census>> {
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
        let censuses = Censuses::new();
        let all = join_all((0..50).map(|_| censuses.take())).await;
        let all: Vec<_> = all.into_iter().map(Option::unwrap).collect();
        let looks: HashSet<_> = all.iter().map(Arc::as_ptr).collect();
        assert_eq!(looks.len(), 2, "the first one's, and all others'");
        let later = censuses.take().await.unwrap();
        assert!(!looks.contains(&Arc::as_ptr(&later)));
    }
}
