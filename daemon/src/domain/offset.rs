//! A position in an activity log, in bytes. A type of its own, so that it is never mistaken for a
//! length, a line number or a position in a spool.

use std::fmt;

/// Where a line of an activity log begins, or where the next one will.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Offset(u64);

impl Offset {
    /// Where the first line begins.
    pub const START: Offset = Offset(0);

    /// Takes a number of bytes from the log's start.
    pub fn new(bytes: u64) -> Self {
        Offset(bytes)
    }

    /// The number.
    pub fn get(self) -> u64 {
        self.0
    }

    /// The offset so many bytes further on.
    #[must_use]
    pub fn after(self, bytes: usize) -> Self {
        Offset(self.0.saturating_add(bytes as u64))
    }

    /// True where the first line begins.
    pub fn is_start(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
