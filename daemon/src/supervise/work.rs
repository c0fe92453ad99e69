//! What a job begins with.

use steroids_provider::redact::Redactor;
use steroids_shim::spec::Spec;

use crate::store::NewEvent;

/// What a job is made of: a specification, and what takes its secrets out of texts. The latter is
/// dear to make, so it is made once, and where nobody waits for it.
pub(super) struct Work {
    pub(super) spec: Spec,
    pub(super) redactor: Redactor,
    /// It was found with a record of its end.
    pub(super) has_ended: bool,
    /// What is told of it first.
    pub(super) news: Option<NewEvent>,
}

impl Work {
    /// Of one that runs, or is about to.
    pub(super) fn new(spec: Spec, redactor: Redactor) -> Work {
        Work {
            spec,
            redactor,
            has_ended: false,
            news: None,
        }
    }
}
