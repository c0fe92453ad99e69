//! steroidsd: runs AI coding agents unattended and keeps every line they print.

pub mod domain;
