//! The spool: everything a provider printed, with the times at which it came, and what was done to
//! it meanwhile. It is the truth; the activity log and the row are made from it, at any time again.
//!
//! A spool is a row of records and nothing else, so it only grows, and a crash costs at most the
//! record that was being written:
//!
//! ```text
//! "sp" | version u8 | stream u8 | flags u8 | 0 u8 0 u8 0 u8 | length u32 | wall ms u64 | mono ms u64 | payload | crc32 u32
//! ```
//!
//! Numbers are little-endian; the checksum covers all that stands before it.

mod control;
mod format;
mod reader;
mod writer;

use std::io;
use std::path::PathBuf;

pub use control::{Control, Limited, NO_MORE_INPUT};
pub use format::{
    LONGEST_PAYLOAD, OVERHEAD, PAYLOAD_OFFSET, append_control, append_output, whole_records,
};
pub use reader::Reader;
use steroids_provider::activity::{Stamp, Stream};
pub use writer::{Syncing, Writer};

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<'a> {
    /// When it came; `raw` is the file position of the payload's first byte.
    pub at: Stamp,
    /// What came.
    pub payload: Payload<'a>,
}

/// What a record holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload<'a> {
    /// What the provider printed, cut anywhere.
    Output {
        /// The pipe it came from.
        stream: Stream,
        /// At most [`LONGEST_PAYLOAD`] bytes.
        bytes: &'a [u8],
    },
    /// Something that was done to the provider.
    Control(Control),
}

/// Why a spool could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The file system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// What stands there is no record: a damaged disk, or the tail of a file after a power loss.
    /// All that was read before it is good.
    #[error("{} is damaged at byte {offset}: {what}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where the record should begin.
        offset: u64,
        /// What is wrong with it.
        what: &'static str,
    },
}

#[cfg(test)]
mod tests;
