//! What a viewer is told beside the log: how the daemon is, and that it has caught up.

use tonic::Status;

use super::{Told, Viewer};
use crate::stream::frame::{comment, object};
use crate::stream::special;

impl Viewer {
    pub(super) async fn say(&self, said: &str) {
        self.outlet.note(object(said)).await;
    }

    pub(super) async fn wait_for_daemon(&mut self) {
        self.went_away().await;
        tokio::time::sleep(self.backoff.wait()).await;
        self.streams.daemon.until_live().await;
    }

    pub(super) async fn went_away(&mut self) {
        if self.told != Told::Away {
            self.told = Told::Away;
            self.behind_since = None;
            self.outlet.note(comment(": daemon away\n\n")).await;
        }
    }

    /// The daemon is there, and asked again from time to time: that a folder is put back tells nobody.
    pub(super) async fn wait_for_project(&mut self, status: &Status) {
        self.project_went(status).await;
        tokio::time::sleep(self.backoff.wait()).await;
        self.streams.daemon.until_live().await;
    }

    pub(super) async fn project_went(&mut self, status: &Status) {
        if self.told != Told::Gone {
            self.told = Told::Gone;
            self.behind_since = None;
            self.say(&special::project_gone(status, &self.target.project))
                .await;
        }
    }

    pub(super) async fn came_back(&mut self) {
        if matches!(self.told, Told::Away | Told::Gone) {
            self.told = Told::Back;
            self.outlet.note(comment(": daemon back\n\n")).await;
        }
    }

    pub(super) fn has_replayed(&mut self) {
        if let Some(since) = self.behind_since.take() {
            self.streams.metrics.replayed(since.elapsed());
        }
    }

    pub(super) async fn caught_up(&mut self) {
        self.came_back().await;
        self.has_replayed();
        if self.told != Told::Live {
            self.told = Told::Live;
            self.outlet.note(comment(": live\n\n")).await;
        }
    }
}
