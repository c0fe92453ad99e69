//! What of one log belongs into the story.

use std::collections::VecDeque;

use bytes::Bytes;

use super::entry::spliced;
use crate::activity_log::{ActivityLogs, LogError, LogReader, Step, is_valid, peek};
use crate::domain::{InvocationId, Offset};

const BATCH: usize = 256 * 1024;

/// Of entries held at once, unless a single batch gives more.
const CHUNK: usize = 256 * 1024;

/// Of the log read at once: who has stopped asking is noticed after so much.
const STRETCH: usize = 4 * 1024 * 1024;

/// One log, being read.
#[derive(Debug)]
pub(super) struct Excerpt {
    logs: ActivityLogs,
    id: InvocationId,
    sample: u64,
    reader: Option<LogReader>,
    // Lines before the next one.
    index: u64,
}

impl Excerpt {
    pub(super) fn new(logs: &ActivityLogs, id: InvocationId, sample: u64) -> Excerpt {
        Excerpt {
            logs: logs.clone(),
            id,
            sample,
            reader: None,
            index: 0,
        }
    }

    /// Reads on and adds what belongs into the story; true once the log is at its end. A log that
    /// cannot be read on ends there. Blocks.
    pub(super) fn read(&mut self, entries: &mut VecDeque<Bytes>) -> bool {
        match self.try_read(entries) {
            Ok(is_over) => is_over,
            Err(error) if error.is_missing() => true,
            Err(error) => {
                tracing::warn!(invocation.id = %self.id, %error, "log left out of the timeline");
                true
            }
        }
    }

    fn try_read(&mut self, entries: &mut VecDeque<Bytes>) -> Result<bool, LogError> {
        let (mut held, mut read) = (0, 0);
        while held < CHUNK && read < STRETCH {
            let reader = match &mut self.reader {
                Some(reader) => reader,
                none => none.insert(self.logs.reader(self.id, Offset::START)?),
            };
            match reader.next_batch(BATCH)? {
                Step::Batch(batch) => {
                    read += batch.bytes.len();
                    let lines = batch.bytes.split(|&byte| byte == b'\n');
                    // The last one is what follows the batch's last newline: nothing.
                    let count = memchr::memchr_iter(b'\n', &batch.bytes).count();
                    for line in lines.take(count) {
                        if let Some(entry) = self.entry(line) {
                            held += entry.len();
                            entries.push_back(entry);
                        }
                        self.index += 1;
                    }
                }
                Step::TooLong { .. } => self.index += 1,
                Step::End | Step::Broken(_) => return Ok(true),
            }
        }
        Ok(false)
    }

    fn entry(&self, line: &[u8]) -> Option<Bytes> {
        let is_sampled = self.index.is_multiple_of(self.sample);
        let is_wanted = is_sampled || peek(line).is_some_and(|(_, kind)| kind == "tool");
        (is_wanted && is_valid(line)).then(|| spliced(line, self.id))?
    }
}
