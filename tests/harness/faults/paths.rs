//! Faults of the part `paths`.

use super::Fault;

/// By number.
pub(super) const FAULTS: &[Fault] = &[];
