//! Limits that are near, by what the shim has put on record: facts of the spool, the same whenever
//! it is read.

/// A limit that will end an invocation soon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stall {
    /// Where in the spool it was warned of: tells this stall from another one.
    pub raw: i64,
    /// Which: silence, `tool_silence`, wall.
    pub limit: &'static str,
    /// When it ends the invocation, in epoch milliseconds.
    pub ends_ms: i64,
    /// What the log says of it.
    pub msg: String,
}

/// Those of one invocation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stalls {
    /// It has been silent for long, and still is.
    pub silence: Option<Stall>,
    /// Its time is nearly over, which nothing changes.
    pub wall: Option<Stall>,
    /// Why the silence before this one did not end it, where that was not its output.
    pub went_on: Option<String>,
}

impl Stalls {
    /// The one that comes first.
    pub fn next(&self) -> Option<&Stall> {
        let both = [&self.silence, &self.wall];
        both.into_iter().flatten().min_by_key(|stall| stall.ends_ms)
    }
}
