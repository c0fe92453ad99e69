//! What a job is asked for is passed on whatever it waits for: a disk that does not answer, a database that
//! another program has locked. Its shim needs neither, and would end the agent at once.

use std::pin::pin;

use steroids_shim::durable;
use tokio::time::sleep;
use tracing::warn;

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

    /// What was stopped is not tried again, also where a later daemon sees to its end. Nobody waits for that: a disk
    /// that hangs holds up no stop.
    fn remember_stop(&self) {
        let (dir, id) = (self.dir.clone(), self.id);
        self.inner.tracker.spawn_blocking(move || {
            let mark = dir.stopped();
            let marked = durable::mark(&mark).map_err(|error| error.to_string());
            let synced = || durable::sync_folder_of(&mark).map_err(|error| error.to_string());
            if let Err(error) = marked.and_then(|()| synced()) {
                warn!(invocation.id = %id, error, "a later daemon may try again what was stopped");
            }
        });
    }

    /// Passes on a stop to the shim, unless it has ended, and keeps in mind that it was asked for.
    pub(super) async fn stop(&mut self, request: Request) {
        let is_its_own = matches!(request, Request::Stop { why: None, .. });
        let (grace, why, shutdown) = match request {
            Request::Stop {
                grace,
                why,
                shutdown,
            } => (grace, why, shutdown),
            Request::StopAll => (None, None, false),
        };
        // Who ends with the host was not meant; nor was, by who ends all, one that has ended already.
        let is_meant = !shutdown && (!self.is_ending || is_its_own);
        if is_meant && !self.is_stopped {
            self.is_stopped = true;
            self.remember_stop();
        }
        // With a record of its end nobody is there to be told.
        if !self.is_ending {
            self.ends_with_host |= shutdown;
            self.link.stop(grace, why.as_deref(), shutdown).await;
        }
    }
}
