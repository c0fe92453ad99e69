//! Where a subscriber stands in the logs that it has open, for who wants to know how far behind it is.

use std::path::PathBuf;

use super::Follower;

impl Follower {
    /// The logs that are open, and the offset of the first line in each that was not handed on.
    pub fn places(&self) -> Vec<(PathBuf, u64)> {
        let mut places = Vec::new();
        for (at, stream) in self.streams.iter().enumerate() {
            for tail in &stream.tails {
                let pending = self.pending.as_ref();
                let pending = pending.filter(|it| it.stream == at && it.id == tail.id());
                let offset = match pending {
                    Some(pending) => pending.batch.first,
                    None => tail.position().offset,
                };
                places.push((stream.source.logs().path(tail.id()), offset.get()));
            }
        }
        places
    }
}
