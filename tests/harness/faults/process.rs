//! Faults of the part `process`.

use super::Fault;

/// By number.
pub(super) const FAULTS: &[Fault] = &[];
