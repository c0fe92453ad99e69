//! What a viewer is told beside the log: how the daemon is, and that it has caught up.

use super::{Told, Viewer};
use crate::stream::frame::{comment, object};

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

    pub(super) async fn came_back(&mut self) {
        if self.told == Told::Away {
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
