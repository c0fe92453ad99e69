//! See `tests/harness/faults/paths.rs`.
