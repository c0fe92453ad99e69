//! The shim: owner of one provider's process, its pipes, its raw transcript and its exit record.
//! As a library it lends the daemon the formats both sides share.

pub mod exit;
pub mod spec;
