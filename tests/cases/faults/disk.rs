//! See `tests/harness/faults/disk.rs`.
