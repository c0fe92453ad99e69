//! Activities become lines, without secrets, which wait here until they are written.

use steroids_provider::activity::{Activity, Level, Stamp, Text};
use steroids_provider::encode::encode_line;
use steroids_provider::parser::Sink;
use steroids_provider::redact::Redactor;
use steroids_shim::spool::Control;

use super::live::Course;

/// Takes activities and keeps their lines, without secrets, until they are written.
pub(super) struct Lines {
    pub(super) redactor: Redactor,
    pub(super) bytes: Vec<u8>,
    /// Of the last line: it never falls, also where a spool holds more than its exit record says.
    raw: u64,
    pub(super) unknown: u64,
    pub(super) course: Course,
}

impl Lines {
    pub(super) fn new(redactor: Redactor) -> Lines {
        Lines {
            redactor,
            bytes: Vec::new(),
            raw: 0,
            unknown: 0,
            course: Course::default(),
        }
    }
}

impl Sink for Lines {
    fn activity(&mut self, at: Stamp, activity: &Activity<'_>) {
        if matches!(activity, Activity::Unknown { .. }) {
            self.unknown += 1;
        }
        let redacted = self.redactor.activity(activity);
        let activity = redacted.as_ref().unwrap_or(activity);
        self.raw = self.raw.max(at.raw);
        let at = Stamp {
            raw: self.raw,
            ..at
        };
        self.course.note(at, activity);
        encode_line(&mut self.bytes, at, activity);
    }
}

/// What a control record says in the log.
pub(super) fn said(control: &Control) -> Option<Activity<'_>> {
    let (level, msg) = match control {
        Control::Input { msg } => {
            return Some(Activity::Input {
                msg: text(msg.as_str()),
            });
        }
        Control::Notice { level, msg } => (*level, msg.as_str()),
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
