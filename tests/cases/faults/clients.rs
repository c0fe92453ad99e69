//! See `tests/harness/faults/clients.rs`.
