//! Faults of the part `gateway`.

use super::Fault;

/// By number.
pub(super) const FAULTS: &[Fault] = &[];
