//! The gateway's streams over HTTP, against a daemon that does as it is told.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

mod browser;
mod fake;
mod nothing;
mod overview;
mod poll;
mod project;
mod task;
