//! What a job is asked for is passed on whatever it waits for: a disk that does not answer, a database that
//! another program has locked. Its shim needs neither, and would end the agent at once.

use std::pin::pin;

use tokio::time::sleep;

use super::job::{Job, RETRY, Request};

impl Job {
    /// Passes on what is asked for, between two parts of work that may go on for long: catching up
    /// with a provider that prints faster than lines are made of it.
    pub(super) async fn obey(&mut self) {
        while let Ok(request) = self.entry.requests.try_recv() {
            self.stop(request).await;
        }
        self.link.catch_up().await;
    }

    /// Waits for something, and passes on meanwhile what is asked for. What is waited for is never given up,
    /// also where the daemon stops: who has a log in hand puts it down first. The daemon's own end bounds that.
    pub(super) async fn obeying<T>(&mut self, awaited: impl Future<Output = T>) -> T {
        let mut awaited = pin!(awaited);
        loop {
            tokio::select! {
                biased;
                done = &mut awaited => return done,
                Some(request) = self.entry.requests.recv() => self.stop(request).await,
                () = self.link.is_due(), if !self.is_ending => self.link.catch_up().await,
            }
        }
    }

    /// As [`Job::obeying`], on a thread that may block. `None` is a panic, or the runtime's end: neither gets
    /// better by trying again.
    pub(super) async fn blocking<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let working = tokio::task::spawn_blocking(work);
        self.obeying(working).await.ok()
    }

    /// Waits before another attempt; `None` once the daemon stops.
    pub(super) async fn pause(&mut self) -> Option<()> {
        let stop = self.inner.stop.clone();
        self.obeying(stop.run_until_cancelled(sleep(RETRY))).await
    }

    pub(super) async fn stop(&mut self, request: Request) {
        let (grace, why, shutdown) = match request {
            Request::Stop {
                grace,
                why,
                shutdown,
            } => (grace, why, shutdown),
            Request::StopAll => (None, None, false),
        };
        // Who ends with the host was not meant.
        self.is_stopped |= !shutdown;
        // With a record of its end nobody is there to be told.
        if !self.is_ending {
            self.ends_with_host |= shutdown;
            self.link.stop(grace, why.as_deref(), shutdown).await;
        }
    }
}
