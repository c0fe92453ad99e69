//! Faults of the part `crash`.

use super::Fault;

/// By number.
pub(super) const FAULTS: &[Fault] = &[];
