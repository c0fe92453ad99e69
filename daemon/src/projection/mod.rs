//! From the spool to the activity log, exactly once, and from the exit record to the row.
//!
//! The parser is a pure function of the spool, so the log needs no bookkeeping of its own: after any
//! crash the spool is decoded again from its start, what comes out is compared with what the log
//! holds, and where the log ends, appending begins. If it differs (another parser, a log that
//! somebody changed), the whole log is written anew beside the old one and takes its place as a new
//! generation.
//!
//! ```text
//!               equal to the log's end            the log is gone, or another file
//!   Comparing ──────────────────────> Appending ─────────────────┐
//!       │ differs                         ^                      │
//!       └──────────> Rebuilding ──────────┘ <────────────────────┘
//!                      (all that the spool has, then `publish` renames)
//! ```

mod ending;
mod error;
mod finish;
mod lines;
mod live;
mod output;
mod remake;
mod stub;
#[cfg(test)]
mod tests;
mod unknown;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use steroids_provider::activity::{Activity, Mode, Stamp};
use steroids_provider::decoder::Decoder;
use steroids_provider::parser::Sink as _;
use steroids_provider::redact::Redactor;
use steroids_shim::exit::ExitRecord;
use steroids_shim::lock;
use steroids_shim::paths::InvDir;
use steroids_shim::spec::Spec;
use steroids_shim::spool::{self, Control, Payload, Record, SpoolError};

pub use ending::ending_of;
pub use error::ProjectionError;
use lines::Lines;
pub use live::MESSAGE;
use output::{Flushed, Output};
pub use remake::{Checked, Remake, RemakeError};
pub use stub::write_stub;
pub use unknown::Unknown;

use crate::activity_log::{ActivityLogs, LogWriter};
use crate::domain::{InvocationId, Live, Stalls, Zone};

/// Spool bytes decoded before others get a turn: about 10 ms of work.
const STEP_BYTES: u64 = 4 << 20;

/// Lines gathered before one write: large enough to make the system call cheap, small enough that
/// a follower waits for no more than a millisecond of decoding.
const WRITE_BYTES: usize = 256 << 10;

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// All that the spool holds now is in the log.
    UpToDate {
        /// Whether lines were added.
        appended: bool,
    },
    /// There is more; call again.
    More,
    /// The log was written anew and waits for [`Projection::publish`].
    Rebuilt,
}

/// One invocation's projection. Blocking; belongs to one job.
pub struct Projection {
    spec: Arc<Spec>,
    /// As it is at a spool's beginning; the one at work is with the lines.
    redactor: Redactor,
    id: InvocationId,
    dir: InvDir,
    logs: ActivityLogs,
    log_path: PathBuf,
    /// The log that is open is another folder's.
    is_moved: bool,
    /// `None` until the shim has made the spool.
    spool: Option<spool::Reader>,
    decoder: Decoder,
    lines: Lines,
    output: Output,
    /// Of the file that has the log's name until another one takes it: what it wrote is the log for readers.
    superseded: Option<LogWriter>,
    started: bool,
    damage: Option<Damage>,
    /// Why it was told to end, where somebody said so.
    stopped_for: Option<String>,
    rebuilt_for: Option<String>,
}

/// Where a spool stops making sense; what follows is not guessed at.
#[derive(Debug, Clone, Copy)]
struct Damage {
    offset: u64,
    what: &'static str,
}

impl Projection {
    /// Opens the log and prepares to compare it with what the spool says. The redactor is the spec's.
    ///
    /// # Errors
    /// When the log cannot be opened safely.
    pub fn open(
        spec: Arc<Spec>,
        redactor: Redactor,
        dir: InvDir,
        logs: ActivityLogs,
    ) -> Result<Self, ProjectionError> {
        let id = InvocationId::new(spec.invocation).ok_or(ProjectionError::NoId)?;
        let output = Output::open_or_rebuild(&logs, id)?;
        let rebuilt_for = output.is_rebuilding().then(|| logs.standing(id));
        let mut projection = Projection::into(output, id, spec, redactor, dir, logs);
        projection.rebuilt_for = rebuilt_for;
        Ok(projection)
    }

    fn into(
        output: Output,
        id: InvocationId,
        spec: Arc<Spec>,
        redactor: Redactor,
        dir: InvDir,
        logs: ActivityLogs,
    ) -> Self {
        Projection {
            rebuilt_for: None,
            log_path: logs.path(id),
            is_moved: false,
            decoder: decoder(&spec),
            lines: Lines::new(&spec, &redactor),
            spec,
            redactor,
            id,
            dir,
            logs,
            spool: None,
            output,
            superseded: None,
            started: false,
            damage: None,
            stopped_for: None,
        }
    }

    /// Where the log stands, for hints.
    pub fn log_path(&self) -> &Path {
        &self.log_path
    }

    /// Has the log written anew among those of another folder.
    pub fn move_to(&mut self, logs: ActivityLogs) {
        self.log_path = logs.path(self.id);
        self.logs = logs;
        self.is_moved = true;
    }

    /// Goes on without a log: there is nowhere for one, and what the spool tells is wanted all the same.
    pub fn do_without_log(&mut self) {
        if !self.is_without_log() {
            // What was made and not written is made again for whatever log there is next.
            self.output = Output::Nowhere;
        }
    }

    /// True while the lines go nowhere.
    pub fn is_without_log(&self) -> bool {
        matches!(self.output, Output::Nowhere)
    }

    /// Has its log opened again, and compared from its start.
    pub fn return_to_log(&mut self) {
        if self.is_without_log() {
            self.output = Output::Closed;
        }
    }

    /// How many bytes of the spool have been decoded.
    pub fn position(&self) -> u64 {
        self.spool.as_ref().map_or(0, spool::Reader::position)
    }

    /// Provider events no parser knew, since the last call. Each is told once, however often the
    /// spool is decoded here.
    pub fn take_unknown(&mut self) -> Vec<Unknown> {
        self.lines.unknown.take()
    }

    /// How the invocation is doing, by the lines made so far; after a restart these are at first
    /// fewer than the log has.
    pub fn live(&self) -> Live {
        let unfinished = || {
            let (stream, bytes) = self.decoder.unfinished()?;
            let redactor = &self.lines.redactor;
            let text = live::unfinished(bytes, |text| redactor.part(stream, text))?;
            Some((stream, text))
        };
        let live = self.lines.course.live(self.decoder.vitals(), unfinished);
        Live {
            answering_model: self.answering_model(),
            ..live
        }
    }

    /// The model that answers, where its CLI has named it; also once it was judged.
    pub fn model(&self) -> Option<&str> {
        self.decoder.model()
    }

    /// The same without secrets, for whoever shows it.
    fn answering_model(&self) -> Option<String> {
        let named = self.model().filter(|name| !name.is_empty())?;
        Some(self.lines.redactor.text(named).into_owned())
    }

    /// Which limits are near, and whom it waits for, by what was decoded so far; `live` is what is shown of that.
    pub fn stalls(&self, live: &Live, zone: &Zone) -> Stalls {
        let asking = || live::asking(live, zone);
        self.lines.course.stalls(asking)
    }

    /// True while the log ends where we are.
    pub fn is_appending(&self) -> bool {
        self.output.is_appending()
    }

    /// Projects a bounded part of what the spool holds. After an error nothing is lost: the same
    /// lines are written by the next call.
    ///
    /// # Errors
    /// When the spool cannot be read or the log cannot be written.
    pub fn advance(&mut self) -> Result<Step, ProjectionError> {
        if std::mem::take(&mut self.is_moved) {
            self.restart(Output::Broken);
        }
        if self.output.is_closed() {
            let output = Output::open_or_rebuild(&self.logs, self.id)?;
            if output.is_rebuilding() {
                self.rebuilt_for = Some(self.logs.standing(self.id));
            }
            self.restart(output);
        } else if !self.output.is_current()? {
            let why = self.logs.standing(self.id);
            self.restart(Output::rebuild(&self.logs, self.id)?);
            self.rebuilt_for.get_or_insert(why);
        }
        self.start();
        let mut appended = self.flush_pending()?;
        let mut decoded = 0;
        let caught_up = loop {
            match self.decode_next()? {
                Some(bytes) => decoded += bytes,
                None => break true,
            }
            if self.lines.bytes.len() >= WRITE_BYTES {
                appended |= self.flush()?;
            }
            if decoded >= STEP_BYTES {
                break false;
            }
        };
        appended |= self.flush()?;
        // A flush that found a difference has begun again, and left the first line to write.
        let caught_up = caught_up && self.lines.bytes.is_empty();
        if caught_up && self.output.holds_more() && self.goes_on() {
            self.drop_surplus()?;
            return Ok(Step::More);
        }
        // Where readers are not told, as somebody else had written to it, the next step finds that.
        let caught_up = caught_up && self.output.tell();
        if self.output.is_open() {
            self.superseded = None;
        }
        Ok(match (caught_up, self.output.is_rebuilding()) {
            (false, _) => Step::More,
            (true, true) => Step::Rebuilt,
            (true, false) => Step::UpToDate { appended },
        })
    }

    /// Puts a rebuilt log in the old one's place.
    ///
    /// # Errors
    /// When the file cannot be synced or renamed.
    pub fn publish(&mut self) -> Result<(), ProjectionError> {
        self.output.publish()?;
        self.superseded = None;
        Ok(())
    }

    /// Nothing has written an end yet: its shim lives, and has said none.
    fn goes_on(&self) -> bool {
        let lives = self.damage.is_none() && lock::is_held(&self.dir.lock()).is_ok_and(|held| held);
        lives && ExitRecord::load(&self.dir).is_ok_and(|exit| exit.is_none())
    }

    /// Has the log written anew, without what it holds behind all that its spool gave.
    fn drop_surplus(&mut self) -> Result<(), ProjectionError> {
        match Output::rebuild(&self.logs, self.id) {
            Ok(output) => {
                self.restart(output);
                let why = || "somebody else had written to it".to_owned();
                self.rebuilt_for.get_or_insert_with(why);
                Ok(())
            }
            Err(error) => {
                // What was decoded may have been judged.
                self.restart(Output::Closed);
                Err(error.into())
            }
        }
    }

    /// Why the log was written anew, since the last call.
    pub fn take_rebuilt_for(&mut self) -> Option<String> {
        self.rebuilt_for.take()
    }

    /// False if what was written is not in the log, as an attempt to publish it failed.
    pub fn is_published(&self) -> bool {
        self.output.is_open()
    }

    /// The first line, from the spec alone, so that it is the same whenever it is made.
    fn start(&mut self) {
        if self.started {
            return;
        }
        self.started = true;
        let at = Stamp {
            wall_ms: self.spec.created_ms,
            ..Stamp::default()
        };
        let start = Activity::Start {
            role: self.spec.role.as_str().into(),
            provider: self.spec.provider.as_str().into(),
            model: self.spec.model.as_str().into(),
            mode: if self.spec.resume.is_some() {
                Mode::Resume
            } else {
                Mode::Fresh
            },
            cwd: self.spec.cwd.to_string_lossy(),
        };
        self.lines.activity(at, &start);
    }

    /// Decodes one record; says how many bytes it had, or that no further one is complete.
    fn decode_next(&mut self) -> Result<Option<u64>, ProjectionError> {
        if self.spool.is_none() {
            self.spool = match spool::Reader::open(&self.dir.spool()) {
                Ok(reader) => Some(reader),
                // The shim has not made it yet, or never ran.
                Err(SpoolError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => None,
                Err(error) => return Err(error.into()),
            };
        }
        let Some(spool) = &mut self.spool else {
            return Ok(None);
        };
        let Record { at, payload } = match spool.next() {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(None),
            Err(SpoolError::Damaged { offset, what, .. }) => {
                self.damage = Some(Damage { offset, what });
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Some(match payload {
            Payload::Output { stream, bytes } => {
                self.lines.course.printed(at, stream);
                self.decoder.feed(stream, at, bytes, &mut self.lines);
                let length = bytes.len() as u64;
                self.settle(at);
                length
            }
            Payload::Control(control) => {
                if let Control::Stop { why: Some(why), .. } = &control {
                    self.stopped_for = Some(why.clone());
                }
                if matches!(control, Control::Input { .. }) {
                    self.decoder.asked();
                }
                if live::is_leaving(&control) {
                    let waits_since = self.live().waits_raw;
                    self.lines.course.leave(waits_since);
                }
                self.lines.control(at, &control);
                self.settle(at);
                self.decoder.shown(self.lines.last_ms);
                64
            }
        }))
    }

    fn settle(&mut self, at: Stamp) {
        let decoder = &self.decoder;
        self.lines.course.settle(at, || decoder.vitals());
    }

    /// What an earlier attempt could not write goes first.
    fn flush_pending(&mut self) -> Result<bool, ProjectionError> {
        if self.lines.bytes.is_empty() {
            return Ok(false);
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<bool, ProjectionError> {
        match self.output.write(&mut self.lines.bytes)? {
            Flushed::Same => Ok(false),
            Flushed::Appended => Ok(true),
            Flushed::Differs => {
                self.restart(Output::rebuild(&self.logs, self.id)?);
                let why = || "it was not what its spool says".to_owned();
                self.rebuilt_for.get_or_insert_with(why);
                self.start();
                Ok(false)
            }
        }
    }

    /// Begins again at the spool's start, into another output.
    fn restart(&mut self, output: Output) {
        let before = std::mem::replace(&mut self.output, output);
        self.superseded = before.into_writer().or(self.superseded.take());
        self.spool = None;
        self.decoder = decoder(&self.spec);
        let unknown = self.lines.unknown.again();
        self.lines = Lines::new(&self.spec, &self.redactor);
        self.lines.unknown = unknown;
        self.started = false;
        self.damage = None;
        self.stopped_for = None;
    }
}

/// The same for every projection of a spool, so that the same activities come out.
fn decoder(spec: &Spec) -> Decoder {
    Decoder::of_run(spec.kind, spec.format, spec.run())
}
