//! See `tests/harness/faults/clients.rs`.

mod cancelled;
mod cursors;
mod many;
mod messages;
mod slow;
