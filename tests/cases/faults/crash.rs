//! See `tests/harness/faults/crash.rs`.
