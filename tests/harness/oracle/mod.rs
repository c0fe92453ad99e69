//! What must hold of whatever reads foreign bytes, whatever the bytes are. Each oracle takes bytes
//! and panics where something does not hold; it makes no difference to it where they come from.
//!
//! `make fuzz` gives them what libFuzzer comes upon, for as long as somebody wants; `make test`
//! gives them the [`seeds`], and pieces of these put together otherwise.

mod config;
mod cursor;
mod log_line;
mod protocol;
mod provider;
mod recovery;
mod script;
pub mod seeds;
mod spool;
mod spool_model;

pub use config::config;
pub use cursor::cursor;
pub use protocol::protocol;
pub use provider::provider;
pub use recovery::recovery;
pub use spool::spool;

/// An oracle.
pub type Oracle = fn(&[u8]);

/// Every oracle under the name of its fuzz target.
pub const ALL: [(&str, Oracle); 6] = [
    ("provider", provider),
    ("spool", spool),
    ("recovery", recovery),
    ("cursor", cursor),
    ("config", config),
    ("protocol", protocol),
];

/// A folder for one run of an oracle.
fn scratch() -> tempfile::TempDir {
    // In memory where there is a place: millions of runs wait for a disk otherwise.
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    folder.expect("there is room for a temporary folder")
}
