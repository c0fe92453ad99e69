//! Faults of the part `clock`.

use super::Fault;

/// By number.
pub(super) const FAULTS: &[Fault] = &[];
