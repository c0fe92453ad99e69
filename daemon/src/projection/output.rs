//! Where projected lines go: compared with what the log holds, appended to it, or into a new log
//! that will take its place.

use crate::activity_log::{
    ActivityLogs, Compared, LogComparer, LogError, LogWriter, Replacement, Tally,
};
use crate::domain::InvocationId;

/// One of these, and the way from one to the next.
pub(super) enum Output {
    /// The log holds these lines already, if it is ours.
    Comparing {
        comparer: LogComparer,
        writer: LogWriter,
    },
    /// The log ends where we are.
    Appending { writer: LogWriter },
    /// The log is being written anew.
    Rebuilding { replacement: Replacement },
    /// Nothing is written: what the log would be is counted, and compared with what it is.
    Checking {
        /// `None` once it is known to differ, or where there is no log.
        comparer: Option<LogComparer>,
        tally: Tally,
    },
    /// There is no log to write: the lines are made for what they tell alone.
    Nowhere,
    /// Between two of the above; an error left it here, and the next look begins a new log.
    Broken,
    /// Let go of; the next look opens it again.
    Closed,
}

/// What became of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flushed {
    /// The log held them, or they went where no follower looks yet.
    Same,
    /// They are in the log now.
    Appended,
    /// The log holds something else.
    Differs,
}

impl Output {
    /// The log as it is, its torn last line cut.
    fn open(logs: &ActivityLogs, id: InvocationId) -> Result<Self, LogError> {
        let held = logs.recover(id)?;
        if let Some(held) = &held
            && held.cut > 0
        {
            tracing::info!(invocation.id = %id, bytes = held.cut, "cut a torn line off the log");
        }
        let writer = logs.writer(id)?;
        if writer.is_empty() {
            return Ok(Output::Appending { writer });
        }
        let comparer = logs.compare(id, writer.len().get())?;
        Ok(Output::Comparing { comparer, writer })
    }

    /// The log, or a new one where something else stands in its place, or its mode is in the way: an agent
    /// may have changed that. Where it is the folder's, a new one is denied as well.
    pub(super) fn open_or_rebuild(logs: &ActivityLogs, id: InvocationId) -> Result<Self, LogError> {
        match Output::open(logs, id) {
            Err(LogError::Refused { .. }) => Output::rebuild(logs, id),
            Err(error) if error.is_denied() => Output::rebuild(logs, id),
            opened => opened,
        }
    }

    /// A new log, which nobody sees before it is published.
    pub(super) fn rebuild(logs: &ActivityLogs, id: InvocationId) -> Result<Self, LogError> {
        let replacement = logs.replace(id)?;
        Ok(Output::Rebuilding { replacement })
    }

    /// What the log is, to be looked at and left as it is.
    pub(super) fn check(logs: &ActivityLogs, id: InvocationId) -> Result<Self, LogError> {
        Ok(Output::Checking {
            comparer: logs.compare_all(id)?,
            tally: Tally::default(),
        })
    }

    /// Of what was checked: the lines by type, and whether the log holds them and no others.
    pub(super) fn checked(self) -> (Tally, bool) {
        match self {
            Output::Checking { comparer, tally } => {
                let is_same = comparer.is_some_and(|comparer| comparer.is_at_end());
                (tally, is_same)
            }
            _ => (Tally::default(), false),
        }
    }

    /// False if the log's name no longer leads to what we write.
    pub(super) fn is_current(&self) -> Result<bool, LogError> {
        match self {
            Output::Comparing { writer, .. } | Output::Appending { writer } => writer.is_current(),
            Output::Rebuilding { .. } | Output::Checking { .. } | Output::Nowhere => Ok(true),
            Output::Broken | Output::Closed => Ok(false),
        }
    }

    /// Tells readers of all that is known to be the log; false if that is more than they could be told.
    pub(super) fn tell(&self) -> bool {
        match self {
            Output::Appending { writer } => writer.tell(),
            Output::Comparing { comparer, writer } if comparer.is_at_end() => writer.tell(),
            _ => true,
        }
    }

    /// The writer of the log as it was so far.
    pub(super) fn into_writer(self) -> Option<LogWriter> {
        match self {
            Output::Comparing { writer, .. } | Output::Appending { writer } => Some(writer),
            _ => None,
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self, Output::Closed)
    }

    /// True while the log itself is written or compared.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Output::Comparing { .. } | Output::Appending { .. })
    }

    /// True while lines that are made are new to the log.
    pub(super) fn is_appending(&self) -> bool {
        matches!(self, Output::Appending { .. })
    }

    /// True if the log holds something after all that was compared with it.
    pub(super) fn holds_more(&self) -> bool {
        matches!(self, Output::Comparing { comparer, .. } if !comparer.is_at_end())
    }

    pub(super) fn is_rebuilding(&self) -> bool {
        matches!(self, Output::Rebuilding { .. })
    }

    /// Takes the lines; what was taken is removed from `lines`, also when the rest fails.
    pub(super) fn write(&mut self, lines: &mut Vec<u8>) -> Result<Flushed, LogError> {
        if lines.is_empty() {
            return Ok(Flushed::Same);
        }
        match self {
            Output::Comparing { comparer, .. } => match comparer.feed(lines)? {
                Compared::Same => {
                    lines.clear();
                    Ok(Flushed::Same)
                }
                Compared::Differs { at } => {
                    tracing::info!(%at, "the log is not what its spool says");
                    Ok(Flushed::Differs)
                }
                Compared::Past { held } => {
                    lines.drain(..held);
                    if let Output::Comparing { writer, .. } =
                        std::mem::replace(self, Output::Broken)
                    {
                        *self = Output::Appending { writer };
                    }
                    self.write(lines)
                }
            },
            Output::Appending { writer } => {
                let before = writer.len().get();
                let written = writer.append(lines);
                let taken = usize::try_from(writer.len().get() - before).unwrap_or(0);
                lines.drain(..taken.min(lines.len()));
                written.map(|()| Flushed::Appended)
            }
            Output::Rebuilding { replacement } => {
                let written = replacement.append(lines);
                if written.is_err() {
                    // Half a line may be in it; the next attempt begins a new one.
                    *self = Output::Broken;
                } else {
                    lines.clear();
                }
                written.map(|()| Flushed::Same)
            }
            Output::Checking { comparer, tally } => {
                tally.count(lines);
                if let Some(held) = comparer
                    && held.feed(lines)? != Compared::Same
                {
                    *comparer = None;
                }
                lines.clear();
                Ok(Flushed::Same)
            }
            Output::Nowhere => {
                lines.clear();
                Ok(Flushed::Same)
            }
            Output::Broken | Output::Closed => Ok(Flushed::Differs),
        }
    }

    /// Makes what was written durable.
    pub(super) fn sync(&mut self) -> Result<(), LogError> {
        match self {
            Output::Comparing { writer, .. } | Output::Appending { writer } => writer.sync(),
            // Publishing syncs.
            Output::Rebuilding { .. }
            | Output::Checking { .. }
            | Output::Nowhere
            | Output::Broken
            | Output::Closed => Ok(()),
        }
    }

    /// Gives the new log the old one's name.
    pub(super) fn publish(&mut self) -> Result<(), LogError> {
        if let Output::Rebuilding { .. } = self
            && let Output::Rebuilding { replacement } = std::mem::replace(self, Output::Broken)
        {
            *self = Output::Appending {
                writer: replacement.commit()?,
            };
        }
        Ok(())
    }
}
