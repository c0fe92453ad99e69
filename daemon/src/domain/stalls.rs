//! Limits that are near, and waits for a person, by what is on record: facts of the spool, the same
//! whenever it is read.

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

/// A wait for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    /// Where in the spool it began: tells this wait from another one.
    pub raw: i64,
    /// What it waits for, on one line.
    pub msg: String,
    /// Its provider says so. What only looks like a question is one once it has stood for a while.
    pub is_certain: bool,
}

impl Asking {
    /// One that is only told if it was before.
    pub fn of_before(raw: i64) -> Asking {
        Asking {
            raw,
            msg: String::new(),
            is_certain: true,
        }
    }
}

/// Those of one invocation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stalls {
    /// It has been silent for long, and still is.
    pub silence: Option<Stall>,
    /// Its time is nearly over, which nothing changes.
    pub wall: Option<Stall>,
    /// It waits for a person.
    pub waiting: Option<Asking>,
    /// That is told also where it was not before: it may be too early, or too late.
    pub tells_waiting: bool,
    /// Why the silence or the wait before this one is over, where that was not its output.
    pub went_on: Option<String>,
}

impl Stalls {
    /// The limit that comes first.
    pub fn next(&self) -> Option<&Stall> {
        let both = [&self.silence, &self.wall];
        both.into_iter().flatten().min_by_key(|stall| stall.ends_ms)
    }
}
