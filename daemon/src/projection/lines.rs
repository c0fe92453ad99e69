//! Activities become lines, without secrets, which wait here until they are written.

use steroids_provider::activity::{Activity, Level, Stamp, Text};
use steroids_provider::encode::encode_line;
use steroids_provider::parser::Sink;
use steroids_provider::redact::Redactor;
use steroids_provider::waits::Waits;
use steroids_shim::spec::Spec;
use steroids_shim::spool::Control;

use super::live::{Course, Messages};
use super::unknown::Unknowns;

/// Takes activities and keeps their lines, without secrets, until they are written.
pub(super) struct Lines {
    pub(super) redactor: Redactor,
    pub(super) bytes: Vec<u8>,
    /// Of the last line: it never falls, also where a spool holds more than its exit record says.
    raw: u64,
    /// When the bytes of the last line arrived, in epoch milliseconds.
    pub(super) last_ms: u64,
    pub(super) unknown: Unknowns,
    pub(super) course: Course,
}

impl Lines {
    pub(super) fn new(spec: &Spec, redactor: &Redactor) -> Lines {
        let waits = Waits::of_run(spec.kind, spec.format, &spec.run());
        let messages = spec.interactive.then_some(Messages {
            within_ms: spec.limits.post_result_ms,
            over_ms: (spec.limits.wall_ms).map(|ms| spec.created_ms.saturating_add(ms)),
        });
        Lines {
            redactor: redactor.clone(),
            bytes: Vec::new(),
            raw: 0,
            last_ms: 0,
            unknown: Unknowns::default(),
            course: Course::new(waits, messages),
        }
    }

    /// Takes a control record.
    pub(super) fn control(&mut self, at: Stamp, control: &Control) {
        let redactor = &self.redactor;
        self.course
            .control(at, control, |msg| redactor.text(msg).into_owned());
        if let Some(activity) = said(control) {
            self.activity(at, &activity);
        }
    }
}

impl Sink for Lines {
    fn activity(&mut self, at: Stamp, activity: &Activity<'_>) {
        let redacted = self.redactor.activity(activity);
        let activity = redacted.as_ref().unwrap_or(activity);
        self.unknown.note(at, activity);
        self.raw = self.raw.max(at.raw);
        self.last_ms = at.wall_ms;
        let at = Stamp {
            raw: self.raw,
            ..at
        };
        self.course.note(at, activity);
        encode_line(&mut self.bytes, at, activity);
    }
}

/// What a control record says in the log.
fn said(control: &Control) -> Option<Activity<'_>> {
    let (level, msg) = match control {
        Control::Input { msg } => {
            return Some(Activity::Input {
                msg: text(msg.as_str()),
            });
        }
        Control::Notice { level, msg } => (*level, msg.as_str()),
        Control::Limit { ends_ms, msg, .. } => match ends_ms {
            Some(_) => (Level::Warn, msg.as_str()),
            None => (Level::Info, msg.as_str()),
        },
        Control::Stop { .. } | Control::Other(_) => return None,
    };
    Some(Activity::Notice {
        level: if level == Level::Error {
            Level::Warn
        } else {
            level
        },
        msg: text(msg),
    })
}

pub(super) fn text(text: &str) -> Text<'_> {
    Text {
        text: text.into(),
        ..Text::default()
    }
}
