//! A log that is not there yet. An agent that runs has one at once; of the older tool's rows it may
//! come late, or never. A file without a whole line in it is a log, and is waited for without end.

use std::time::Duration;

use steroids_client::v1;
use tokio::time::Instant;
use tonic::Code;

use super::Streams;
use super::target::Found;

/// A log that is not there by then will not come.
pub(super) const LOG_WITHIN: Duration = Duration::from_secs(5);

/// What is known of a log.
pub(super) struct Log {
    is_settled: bool,
    until: Option<Instant>,
}

impl Log {
    /// One that has given something before is there; one that has not begun is not missed.
    pub(super) fn new(found: &Found, cursor: &str) -> Log {
        Log {
            is_settled: found.is_ended || found.is_queued || !cursor.is_empty(),
            until: None,
        }
    }

    /// It is there.
    pub(super) fn came(&mut self) {
        self.is_settled = true;
    }

    /// True if it needs no more waiting for.
    pub(super) fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// Until when it is waited for, if it is.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Begins to wait.
    pub(super) fn wait(&mut self) -> Instant {
        *self.until.insert(Instant::now() + LOG_WITHIN)
    }

    /// While the daemon was away it could not come.
    pub(super) fn wait_anew(&mut self) {
        if self.until.is_some() {
            self.wait();
        }
    }
}

impl Streams {
    /// Whether the invocation's log exists, with or without a whole line in it. Yes, where it cannot
    /// be asked: then nothing is said of it.
    pub(super) async fn has_log(&self, found: &Found) -> bool {
        let Ok(client) = self.daemon.client().await else {
            return true;
        };
        let request = v1::ReadRequest {
            project: found.key.project.to_string(),
            id: found.key.id,
            limit: 1,
            ..Default::default()
        };
        match self.daemon.noted(client.read(request).await) {
            Ok(read) => !read.no_log,
            Err(status) => status.code() != Code::NotFound,
        }
    }
}
