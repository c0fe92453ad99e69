//! How many lines of each type a log has.

use std::collections::BTreeMap;

use super::{ActivityLogs, LogError, Step, peek};
use crate::domain::{InvocationId, Offset};

/// Read at once; between two such reads it can be given up.
const READ: usize = 1 << 20;

/// Types told apart. We write fourteen; what somebody else wrote into a log may have any.
const TYPES: usize = 64;

/// The type of lines beyond that, and of those that have none.
const OTHER: &str = "other";

/// Lines by type.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    by_type: BTreeMap<String, u64>,
}

impl Tally {
    /// Counts the whole lines in these bytes.
    pub fn count(&mut self, lines: &[u8]) {
        let mut lines = lines;
        while let Some(end) = memchr::memchr(b'\n', lines) {
            let kind = peek(&lines[..end]).map(|(_, kind)| kind);
            self.add(kind.as_deref().unwrap_or(OTHER));
            lines = &lines[end + 1..];
        }
    }

    fn add(&mut self, kind: &str) {
        if let Some(count) = self.by_type.get_mut(kind) {
            *count += 1;
            return;
        }
        let kind = if self.by_type.len() < TYPES {
            kind
        } else {
            OTHER
        };
        *self.by_type.entry(kind.to_owned()).or_default() += 1;
    }

    /// All lines.
    pub fn lines(&self) -> u64 {
        self.by_type.values().sum()
    }

    /// Lines of one type.
    pub fn of(&self, kind: &str) -> u64 {
        self.by_type.get(kind).copied().unwrap_or(0)
    }

    /// The types of which there are another number here than there, with both.
    pub fn differing(&self, there: &Tally) -> Vec<(String, u64, u64)> {
        let kinds = self.by_type.keys().chain(there.by_type.keys());
        let kinds: std::collections::BTreeSet<&String> = kinds.collect();
        kinds
            .into_iter()
            .map(|kind| (kind.clone(), self.of(kind), there.of(kind)))
            .filter(|(_, here, there)| here != there)
            .collect()
    }
}

impl ActivityLogs {
    /// Counts the lines of a log, unless it is given up in between; `None` if there is no log, or
    /// something that is not read, or cannot be, stands in its place.
    pub fn tally(
        &self,
        id: InvocationId,
        is_given_up: &dyn Fn() -> bool,
    ) -> Result<Option<Tally>, LogError> {
        let mut reader = match self.reader(id, Offset::START) {
            Err(LogError::Missing { .. } | LogError::Refused { .. } | LogError::Damaged { .. }) => {
                return Ok(None);
            }
            reader => reader?,
        };
        let mut tally = Tally::default();
        while !is_given_up() {
            match reader.next_batch(READ) {
                Ok(Step::Batch(batch)) => tally.count(&batch.bytes),
                Ok(Step::TooLong { .. }) => tally.add(OTHER),
                // What is behind a damaged place cannot be read.
                Ok(Step::End | Step::Broken(_)) | Err(LogError::Damaged { .. }) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(Some(tally))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_apart_by_type_as_far_as_the_bound_goes() {
        let mut tally = Tally::default();
        tally
            .count(b"{\"ts\":1,\"type\":\"tool\"}\n{\"type\":\"tool\",\"ts\":2}\nnothing\n{\"torn");
        assert_eq!(
            (tally.of("tool"), tally.of(OTHER), tally.lines()),
            (2, 1, 3)
        );
        for kind in 0..200 {
            tally.add(&format!("kind{kind}"));
        }
        assert_eq!(tally.by_type.len(), TYPES);
        assert_eq!(tally.lines(), 203);
    }

    #[test]
    fn only_what_differs_is_told() {
        let (mut before, mut after) = (Tally::default(), Tally::default());
        before.count(b"{\"ts\":1,\"type\":\"unknown\"}\n{\"ts\":1,\"type\":\"start\"}\n");
        after.count(b"{\"ts\":1,\"type\":\"start\"}\n{\"ts\":1,\"type\":\"notice\"}\n");
        let told = before.differing(&after);
        let expected = [("notice", 0, 1), ("unknown", 1, 0)];
        let expected = expected.map(|(kind, before, after)| (kind.to_owned(), before, after));
        assert_eq!(told, expected);
    }
}
