//! Faults of the part `disk`.

use super::Fault;

/// By number.
pub(super) const FAULTS: &[Fault] = &[];
