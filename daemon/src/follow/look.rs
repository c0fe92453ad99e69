//! What a tail does on a thread that may block: opening a log at a position, and one read.

use crate::activity_log::{ActivityLogs, Break, LogError, LogReader, Step};
use crate::domain::cursor::{Generation, Position, head_hash};
use crate::domain::{InvocationId, Offset};

use super::FollowError;
use super::gap::Why;

/// How much of a foreign log's first line tells it from another.
const HEAD: usize = 4096;

/// What opening came to.
pub(super) enum Opened {
    /// Open at the position, or at the start, which needs a reason.
    Reader(LogReader, Option<Why>),
    /// There is none, or something that is not read stands in its place.
    Absent,
}

/// Opens a log at a position, or at the start without one. `rebuilt` is the generation of our own
/// logs; a foreign one's is in the file.
pub(super) fn open(
    logs: &ActivityLogs,
    id: InvocationId,
    position: Option<Position>,
    rebuilt: Option<u32>,
) -> Result<Opened, LogError> {
    let mut reader = match logs.reader(id, Offset::START) {
        Ok(reader) => reader,
        // What an agent put in the log's place is not read; our own is put back in time.
        Err(LogError::Missing { .. } | LogError::Refused { .. }) => return Ok(Opened::Absent),
        Err(error) => return Err(error),
    };
    let Some(position) = position else {
        return Ok(Opened::Reader(reader, None));
    };
    let found = match rebuilt {
        Some(times) => Some(Generation::Rebuilt(times)),
        None => file_generation(&reader)?,
    };
    if found != Some(position.generation) {
        let why = if rebuilt.is_some() {
            Why::Rebuilt
        } else {
            Why::Replaced
        };
        return Ok(Opened::Reader(reader, Some(why)));
    }
    let why = match reader.seek(position.offset) {
        Ok(()) => None,
        Err(LogError::PastEnd { .. }) => Some(Why::Truncated),
        Err(LogError::InsideLine { .. }) => Some(Why::Changed),
        Err(error) => return Err(error),
    };
    Ok(Opened::Reader(reader, why))
}

fn file_generation(reader: &LogReader) -> Result<Option<Generation>, LogError> {
    let head = reader.head(HEAD)?;
    Ok(head.map(|(inode, head)| Generation::File {
        inode,
        head: head_hash(&head),
    }))
}

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
        let generation = file_generation(reader)?;
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
