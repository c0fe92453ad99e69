//! The shim: owner of one provider's process, its pipes, its raw transcript and its exit record.
//! As a library it lends the daemon what both sides share: where an invocation's files are, what
//! stands in them, how a shim is talked to, and how the processes of an invocation are found.

pub mod cgroup;
pub mod code;
pub mod durable;
pub mod exit;
pub mod furnish;
pub mod input;
pub mod lock;
pub mod paths;
mod procfs;
pub mod protocol;
pub mod recall;
pub mod removal;
pub mod sockets;
pub mod spec;
pub mod spool;
pub mod standstill;
pub mod state;
pub mod tree;
pub mod unit;
pub mod usage;
