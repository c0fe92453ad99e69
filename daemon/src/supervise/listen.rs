//! What a shim says of itself: passed on to whoever looks at the invocation, and noted as a trouble where
//! it is one.

use super::job::Job;
use super::link::ENDING;
use super::vitals::{Held, Place};

impl Job {
    /// Passes on what the shim says of itself, or that it says nothing.
    pub(super) fn listen(&self) {
        let link = &self.link;
        let held = link.held();
        // One that says that it ends has a record of its own, and may wait for the disk to have it.
        let is_ending = held.is_some_and(|held| held.why == ENDING);
        let claim = || self.claim().filter(|_| !is_ending);
        let alarm = link.alarm().or_else(claim);
        self.publish_word(alarm, held, link.place());
        let project = self.project.root.as_path();
        let uuid = &self.spec.uuid;
        self.inner.mute(uuid, project, self.id, link.silence());
        let trouble = link.trouble().map(|what| (project, self.id, what));
        self.inner.shim_trouble(uuid, trouble);
    }

    fn publish_word(&self, alarm: Option<String>, held: Option<Held>, place: Place) {
        self.publish(|vitals| {
            let is_news = vitals.alarm != alarm || vitals.held != held || vitals.place != place;
            vitals.alarm = alarm;
            vitals.held = held;
            vitals.place = place;
            is_news
        });
    }
}
