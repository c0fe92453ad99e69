//! The notice that something cannot be given: never silence, never other data.

use std::time::UNIX_EPOCH;

use bytes::Bytes;
use serde::Serialize;

use crate::activity_log::{Break, Lost};
use crate::domain::Offset;
use crate::domain::cursor::Position;

/// What cannot be given, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) why: Why,
    /// Up to where the subscriber has it; what came after cannot be given, or not as a
    /// continuation.
    pub(super) lost: Option<Position>,
}

/// Why something cannot be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// The log was rebuilt since the cursor was given.
    Rebuilt,
    /// Another file has taken its place.
    Replaced,
    /// The file was removed.
    Deleted,
    /// It ends before the cursor.
    Truncated,
    /// Other bytes stand where the line before the cursor did.
    Changed,
    /// The invocation has ended and there is no log of it (any more).
    NoLog,
    /// It has ended and the log lacks its last line.
    Incomplete,
    /// One line is too long to be sent.
    LineTooLong,
    /// It is there and cannot be read, or not from there on.
    Unreadable,
    /// Another database has the place of the one that the cursor was given for.
    OtherDatabase,
}

impl Gap {
    /// The notice as a line of JSON, like those of a log, and its time.
    pub(super) fn line(&self) -> (i64, Bytes) {
        let (reason, msg) = self.why.words();
        let ts = now_ms();
        let notice = Notice {
            ts,
            kind: "gap",
            reason,
            generation: self.lost.map(|lost| lost.generation.to_string()),
            offset: self.lost.map(|lost| lost.offset.get()).filter(|&at| at > 0),
            resumes_at: self.why.resumes().map(Offset::get),
            msg,
        };
        // Numbers and plain words: nothing in it can fail to be written.
        let line = serde_json::to_vec(&notice).unwrap_or_else(|_| br#"{"type":"gap"}"#.to_vec());
        (ts, line.into())
    }
}

impl Why {
    pub(super) fn of(broken: Break) -> Why {
        match broken {
            Break::Deleted => Why::Deleted,
            Break::Replaced => Why::Replaced,
            Break::Truncated => Why::Truncated,
            Break::Changed => Why::Changed,
        }
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Why::Rebuilt => ("rebuilt", "the log was rebuilt; it follows from its start"),
            Why::Replaced => (
                "replaced",
                "the log was replaced; it follows from its start",
            ),
            Why::Deleted => (
                "deleted",
                "the log was removed; what is written anew follows",
            ),
            Why::Truncated => (
                "truncated",
                "the log is shorter than what was sent; it follows from its start",
            ),
            Why::Changed => (
                "changed",
                "the log is not what was sent; it follows from its start",
            ),
            Why::NoLog => ("no_log", "the invocation has ended and has no log"),
            Why::Incomplete => (
                "incomplete",
                "the invocation has ended and its log lacks the last line",
            ),
            Why::LineTooLong => (
                "line_too_long",
                "one line is too long to be sent; the next follows",
            ),
            Why::Unreadable => (
                "unreadable",
                "the log cannot be read from there on; the daemon's own log says why",
            ),
            Why::OtherDatabase => (
                "other_database",
                "the project has another database than before; all that it has follows",
            ),
        }
    }

    // Where what follows begins; nothing does after the end, and a long line's is where it ends.
    fn resumes(self) -> Option<Offset> {
        match self {
            Why::Rebuilt | Why::Replaced | Why::Deleted | Why::Truncated | Why::Changed => {
                Some(Offset::START)
            }
            Why::NoLog
            | Why::Incomplete
            | Why::LineTooLong
            | Why::Unreadable
            | Why::OtherDatabase => None,
        }
    }
}

impl From<Lost> for Why {
    fn from(lost: Lost) -> Why {
        match lost {
            Lost::Rebuilt => Why::Rebuilt,
            Lost::Replaced => Why::Replaced,
            Lost::Truncated => Why::Truncated,
            Lost::InsideLine => Why::Changed,
        }
    }
}

#[derive(Serialize)]
struct Notice {
    ts: i64,
    #[serde(rename = "type")]
    kind: &'static str,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    #[serde(rename = "resumesAt", skip_serializing_if = "Option::is_none")]
    resumes_at: Option<u64>,
    msg: &'static str,
}

fn now_ms() -> i64 {
    let since = steroids_failpoint::wall_clock()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
