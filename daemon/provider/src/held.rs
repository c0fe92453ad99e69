//! An error that was told of, until it is known whether it was the end.
//!
//! CLIs tell of errors that they get over. The one that ends a run is told by the terminal line;
//! any other is shown as a notice, with the time at which it came.

use crate::activity::{Activity, Level, Stamp, Text};
use crate::bounds::one_line;
use crate::parser::Sink;

/// At most one error.
#[derive(Debug, Default)]
pub(crate) struct HeldError {
    error: Option<(Stamp, Text<'static>)>,
}

impl HeldError {
    /// Holds one. An earlier one should have been shown before.
    pub(crate) fn hold(&mut self, at: Stamp, error: Text<'static>) {
        self.error = Some((at, error));
    }

    /// Whether there is one.
    pub(crate) fn is_some(&self) -> bool {
        self.error.is_some()
    }

    /// Something else came: it was not the end.
    pub(crate) fn show(&mut self, now: Stamp, out: &mut dyn Sink) {
        if let Some((since, msg)) = self.error.take() {
            let level = Level::Error;
            out.activity(now.shown_late(since), &Activity::Notice { level, msg });
        }
    }

    /// It is over: shown, unless the terminal line tells of it.
    pub(crate) fn end(&mut self, told: Option<&str>, now: Stamp, out: &mut dyn Sink) {
        let held = self.error.as_ref().map(|(_, error)| one_line(&error.text));
        if held.as_deref() != told {
            self.show(now, out);
        }
    }
}
