//! The log of an ended invocation, made once more from its spool: first looked at, then, if it
//! differs from the one that is there, written beside it.
//!
//! A spool that does not hold all that its exit record says makes no log in the place of one that
//! may hold more.

use std::sync::Arc;

use steroids_provider::redact::Redactor;
use steroids_shim::exit::ExitRecord;
use steroids_shim::paths::InvDir;
use steroids_shim::spec::Spec;

use super::output::Output;
use super::{Damage, Projection, ProjectionError, Step};
use crate::activity_log::{ActivityLogs, LogError, Tally};
use crate::domain::{InvocationId, Offset};
use crate::store::Ending;

/// What is to be made, and of what.
#[derive(Clone)]
pub struct Remake {
    /// As it was at the start.
    pub spec: Arc<Spec>,
    /// The spec's.
    pub redactor: Redactor,
    /// The state folder.
    pub dir: InvDir,
    /// Its end.
    pub exit: ExitRecord,
    /// Where the log is.
    pub logs: ActivityLogs,
}

/// What a look came to.
#[derive(Debug)]
pub struct Checked {
    /// How it ended, as today's parser judges.
    pub ending: Ending,
    /// The lines of the log that is there; `None` if there is none.
    pub before: Option<Tally>,
    /// Those of the log as it would be.
    pub after: Tally,
    /// There is none, and nothing else in its place.
    pub is_gone: bool,
    /// The log is what it would be, byte for byte.
    pub is_same: bool,
}

/// Why no log was made.
#[derive(Debug, thiserror::Error)]
pub enum RemakeError {
    /// The spool cannot be read, or the log not be written.
    #[error(transparent)]
    Projection(#[from] ProjectionError),
    /// The spool does not hold what it should.
    #[error("its transcript is damaged at byte {offset} ({what})")]
    Damaged {
        /// Where it stops making sense.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// Nobody wants it any more.
    #[error("given up")]
    GivenUp,
}

impl Remake {
    /// Looks what log and row would be, and writes nothing. Blocks; asks now and then whether it
    /// is still wanted.
    ///
    /// # Errors
    /// When it is given up, or the spool does not hold what it should while there is a log.
    pub fn check(&self, is_given_up: &dyn Fn() -> bool) -> Result<Checked, RemakeError> {
        let id = self.id()?;
        let output = Output::check(&self.logs, id).map_err(ProjectionError::from)?;
        let mut projection = self.projection(output, id);
        read(&mut projection, is_given_up)?;
        let damage = projection.damage.or_else(|| projection.missing(&self.exit));
        let (ending, _) = projection.finish(&self.exit)?;
        let (after, is_same) = projection.output.checked();
        let before = if is_same {
            Some(after.clone())
        } else {
            let tally = self.logs.tally(id, is_given_up);
            tally.map_err(ProjectionError::from)?
        };
        let is_gone = matches!(
            self.logs.reader(id, Offset::START),
            Err(LogError::Missing { .. })
        );
        match damage {
            Some(Damage { offset, what }) if before.is_some() && !is_same => {
                Err(RemakeError::Damaged { offset, what })
            }
            _ if is_given_up() => Err(RemakeError::GivenUp),
            _ => Ok(Checked {
                ending,
                before,
                after,
                is_gone,
                is_same,
            }),
        }
    }

    /// Writes the log beside the one that is there; it waits for [`Projection::publish`]. Blocks;
    /// asks now and then whether it is still wanted. Dropped, nothing is left of it.
    ///
    /// # Errors
    /// When it is given up, or cannot be written.
    pub fn rebuild(&self, is_given_up: &dyn Fn() -> bool) -> Result<Projection, RemakeError> {
        let id = self.id()?;
        let output = Output::rebuild(&self.logs, id).map_err(ProjectionError::from)?;
        let mut projection = self.projection(output, id);
        read(&mut projection, is_given_up)?;
        projection.finish(&self.exit)?;
        Ok(projection)
    }

    fn id(&self) -> Result<InvocationId, ProjectionError> {
        InvocationId::new(self.spec.invocation).ok_or(ProjectionError::NoId)
    }

    fn projection(&self, output: Output, id: InvocationId) -> Projection {
        let Remake {
            spec,
            redactor,
            dir,
            logs,
            ..
        } = self.clone();
        Projection::into(output, id, spec, redactor, dir, logs)
    }
}

/// All that the spool has.
fn read(projection: &mut Projection, is_given_up: &dyn Fn() -> bool) -> Result<(), RemakeError> {
    while projection.advance()? == Step::More {
        if is_given_up() {
            return Err(RemakeError::GivenUp);
        }
    }
    Ok(())
}
