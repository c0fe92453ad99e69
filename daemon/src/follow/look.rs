//! One read of a tail, as it is done on a thread that may block.

use crate::activity_log::{Break, LogError, LogReader, Step};
use crate::domain::cursor::Generation;

use super::FollowError;

/// One read, as it is done on a thread that may block.
pub(super) struct Look {
    pub(super) max: usize,
    /// Look whether the file is still the log, too.
    pub(super) is_check: bool,
    /// Of a foreign log: the generation it had so far.
    pub(super) foreign: Option<Option<Generation>>,
}

/// What there was.
pub(super) struct Looked {
    pub(super) step: Step,
    /// Of a foreign log that has a first line.
    pub(super) generation: Option<Generation>,
    /// The file's length before the read.
    pub(super) len: u64,
}

impl Looked {
    /// Of our own log, where the length matters no more.
    pub(super) fn cached(step: Step) -> Looked {
        Looked {
            step,
            generation: None,
            len: 0,
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

    fn at(&self, reader: &mut LogReader) -> Result<Looked, LogError> {
        let len = reader.file_len()?;
        let mut step = reader.next_batch(self.max)?;
        if self.is_check
            && step == Step::End
            && let Some(broken) = reader.check()?
        {
            step = Step::Broken(broken);
        }
        let Some(before) = self.foreign else {
            return Ok(Looked {
                step,
                generation: None,
                len,
            });
        };
        // Written anew in place, it has another beginning.
        let generation = reader.file_generation()?;
        if before.is_some() && before != generation && !matches!(step, Step::Broken(_)) {
            step = Step::Broken(Break::Replaced);
        }
        Ok(Looked {
            step,
            generation,
            len,
        })
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
