//! The last line, and what the row is to hold.

use steroids_provider::activity::{Activity, Completion, Level, Stamp};
use steroids_provider::outcome::Outcome;
use steroids_provider::parser::{EndedBy, Exit, Sink as _, Verdict};
use steroids_shim::exit::ExitRecord;

use super::ending::{self, ending_of};
use super::lines::text;
use super::output::Output;
use super::{Damage, Projection, ProjectionError, Step};
use crate::store::Ending;

impl Projection {
    /// Writes the terminal line and syncs the log. Call it when `advance` has caught up with a spool
    /// whose exit record was there before. Says what the row is to hold, and whether the log must be
    /// published first.
    ///
    /// # Errors
    /// When the log cannot be written; nothing is lost by calling again.
    pub fn finish(&mut self, exit: &ExitRecord) -> Result<(Ending, Step), ProjectionError> {
        // A judgement consumes the decoder, so an attempt that came to nothing begins anew.
        loop {
            while self.advance()? == Step::More {}
            let judged = self.judge(exit);
            let ending = Ending {
                // A line without an end, which was read with the judgement, may have named it.
                answering_model: self.answering_model(),
                ..judged
            };
            let flushed = self.flush();
            match flushed {
                Ok(_) if self.lines.bytes.is_empty() && self.output.holds_more() => {
                    self.drop_surplus()?;
                }
                Ok(_) if self.lines.bytes.is_empty() => {
                    if let Err(error) = self.output.sync() {
                        // The kernel may have dropped what it could not write, and would not say so
                        // a second time: only a new file is sure to hold it.
                        self.restart(Output::Broken);
                        self.rebuilt_for = Some("it could not be synced".to_owned());
                        return Err(error.into());
                    }
                    // Who appended beside us has the end out of readers' sight.
                    match self.output.is_current() {
                        Ok(true) => {}
                        Ok(false) => {
                            self.drop_surplus()?;
                            continue;
                        }
                        Err(error) => {
                            self.restart(Output::Closed);
                            return Err(error.into());
                        }
                    }
                    let step = if self.output.is_rebuilding() {
                        Step::Rebuilt
                    } else {
                        Step::UpToDate { appended: true }
                    };
                    return Ok((ending, step));
                }
                Ok(_) => {}
                Err(error) => {
                    self.restart(Output::Closed);
                    return Err(error);
                }
            }
        }
    }

    /// Gives out what the decoder holds, and the terminal line.
    fn judge(&mut self, exit: &ExitRecord) -> Ending {
        let at = Stamp {
            // What it left running may have printed after its end.
            wall_ms: exit.ended_ms.max(self.lines.last_ms),
            mono_ms: 0,
            raw: exit.spool_length,
        };
        if let Some(Damage { offset, what }) = self.damage.or_else(|| self.missing(exit)) {
            let said =
                format!("the spool is damaged at byte {offset} ({what}); what follows is lost");
            let notice = Activity::Notice {
                level: Level::Warn,
                msg: text(&said),
            };
            self.lines.activity(Stamp { raw: offset, ..at }, &notice);
            self.decoder.shown(at.wall_ms);
        }
        if let Some(facts) = exit.facts() {
            let mut verdict = self.judge_run(at, &facts);
            self.lines.redactor.verdict(&mut verdict);
            return ending_of(exit, Some(&verdict), self.spec.created_ms);
        }
        let (error, outcome) = ending::failure(&exit.end);
        // The lines of a provider that vanished are kept; only its last line is another one.
        let lines = &mut self.lines;
        let mut all_but_complete = |at: Stamp, activity: &Activity<'_>| {
            if !matches!(activity, Activity::Complete(_)) {
                lines.activity(at, activity);
            }
        };
        let mut verdict = self
            .decoder
            .end(at, &Exit::default(), &mut all_but_complete);
        verdict.outcome = outcome;
        verdict.error = Some(error.clone());
        let terminal = Activity::Error {
            error: error.into(),
            outcome,
        };
        let at = Stamp {
            wall_ms: at.wall_ms.max(self.lines.last_ms),
            ..at
        };
        self.lines.activity(at, &terminal);
        self.lines.redactor.verdict(&mut verdict);
        ending_of(exit, Some(&verdict), self.spec.created_ms)
    }

    /// Of one that was stopped for a reason, that is the reason.
    fn judge_run(&mut self, at: Stamp, facts: &Exit) -> Verdict {
        let Some(why) = self.stopped_for.take() else {
            return self.decoder.end(at, facts, &mut self.lines);
        };
        let is_ours = |outcome| match facts.ended_by {
            Some(EndedBy::Stop) => outcome == Outcome::Cancelled,
            Some(EndedBy::Shutdown) => outcome == Outcome::Interrupted,
            _ => false,
        };
        let lines = &mut self.lines;
        let mut with_reason = |at: Stamp, activity: &Activity<'_>| match activity {
            Activity::Complete(end) if is_ours(end.outcome) => {
                let end = Completion {
                    error: Some(why.clone()),
                    ..(**end).clone()
                };
                lines.activity(at, &Activity::Complete(Box::new(end)));
            }
            other => lines.activity(at, other),
        };
        let mut verdict = self.decoder.end(at, facts, &mut with_reason);
        if is_ours(verdict.outcome) {
            verdict.error = Some(why);
        }
        verdict
    }

    /// A spool that ends before its record says: what should follow cannot be told from a record
    /// that is still being written, until the record of the end is there.
    pub(super) fn missing(&self, exit: &ExitRecord) -> Option<Damage> {
        let offset = self.position();
        (offset < exit.spool_length).then_some(Damage {
            offset,
            what: "it should be longer",
        })
    }
}
