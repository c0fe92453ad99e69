//! One read of a tail: on the spot where the page cache has it, else on a thread that may block.

use crate::activity_log::{Break, Cached, LogError, LogReader, Step};
use crate::domain::cursor::Generation;
use crate::watch::Arming;

use super::FollowError;

/// One read.
pub(super) struct Look {
    pub(super) max: usize,
    /// Look whether the file is still the log, too, and first whether it is watched.
    pub(super) check: Option<[Option<Arming>; 2]>,
    /// Of a foreign log: the generation it had so far.
    pub(super) foreign: Option<Option<Generation>>,
}

/// What there was.
pub(super) struct Looked {
    pub(super) step: Step,
    /// Of a foreign log that has a first line.
    pub(super) generation: Option<Generation>,
    /// The log's length before the read.
    pub(super) len: u64,
}

impl Looked {
    /// True if what is given is all there was.
    pub(super) fn is_all(&self) -> bool {
        match &self.step {
            Step::Batch(batch) => batch.next().get() >= self.len,
            Step::TooLong { next, .. } => next.get() >= self.len,
            Step::End => true,
            Step::Broken(_) => false,
        }
    }
}

impl Look {
    /// Reads on a thread that may block; the reader comes back.
    pub(super) async fn waiting(
        self,
        mut reader: LogReader,
    ) -> Result<(LogReader, Looked), FollowError> {
        let (reader, looked) = blocking(move || {
            let looked = self.at(&mut reader);
            (reader, looked)
        })
        .await?;
        Ok((reader, looked?))
    }

    /// Reads on the spot, if nothing has to be waited for.
    pub(super) fn cached(&self, reader: &mut LogReader) -> Option<Looked> {
        if self.check.is_some() {
            return None;
        }
        let Cached {
            step,
            len,
            generation,
        } = reader.next_cached(self.max, self.foreign.is_some())?;
        Some(self.looked(step, generation, len))
    }

    fn at(&self, reader: &mut LogReader) -> Result<Looked, LogError> {
        let armings = self.check.iter().flatten().flatten();
        armings.for_each(Arming::arm);
        let len = reader.given_len()?;
        let mut step = reader.next_batch(self.max)?;
        if self.check.is_some()
            && step == Step::End
            && let Some(broken) = reader.check()?
        {
            step = Step::Broken(broken);
        }
        let generation = match self.foreign {
            Some(_) => reader.file_generation()?,
            None => None,
        };
        Ok(self.looked(step, generation, len))
    }

    fn looked(&self, step: Step, generation: Option<Generation>, len: u64) -> Looked {
        // Written anew in place, it has another beginning.
        let is_another = self
            .foreign
            .flatten()
            .is_some_and(|before| Some(before) != generation);
        let step = match step {
            Step::Broken(broken) => Step::Broken(broken),
            _ if is_another => Step::Broken(Break::Replaced),
            step => step,
        };
        Looked {
            step,
            generation,
            len,
        }
    }
}

/// Runs the work on a thread that may block.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, FollowError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(FollowError::Stopping),
        },
    }
}
