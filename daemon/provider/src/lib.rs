//! What AI coding CLIs are told, and what they print: arguments going out, activities coming back.
//!
//! Pure: no I/O and no clock. The daemon projects spools to activity logs with it, and the shim
//! holds its time limits with the same parsers.

pub mod activity;
pub mod kind;
pub mod outcome;
pub mod parser;
