//! See `tests/harness/faults/clock.rs`.
