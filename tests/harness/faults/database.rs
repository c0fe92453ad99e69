//! Faults of the part `database`.

use super::Fault;

/// By number.
pub(super) const FAULTS: &[Fault] = &[];
