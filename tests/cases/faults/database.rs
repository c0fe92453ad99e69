//! See `tests/harness/faults/database.rs`.
