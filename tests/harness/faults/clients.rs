//! Faults of the part `clients`.

use super::Fault;

/// By number.
pub(super) const FAULTS: &[Fault] = &[];
