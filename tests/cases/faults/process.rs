//! See `tests/harness/faults/process.rs`.
