//! The shim as a process, with shell scripts for providers.
#![expect(
    clippy::unwrap_used,
    reason = "a test that fails at an unwrap says where"
)]

mod cgroup;
mod child;
mod control;
mod disk;
mod end;
mod golden;
mod guard;
mod harness;
mod limits;
mod start;
mod tree;
