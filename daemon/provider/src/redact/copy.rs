//! An activity without its secrets, that borrows whatever has none from the activity itself.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{Redactor, replaced};
use crate::activity::{Activity, Completion, Foreign, PlanItem, Text};

/// Notes whether the copy differs.
pub(super) struct Copy<'r> {
    redactor: &'r Redactor,
    changed: bool,
}

impl Copy<'_> {
    /// `None` if it would be the same.
    pub(super) fn of<'t>(activity: &'t Activity<'_>, redactor: &Redactor) -> Option<Activity<'t>> {
        let mut copy = Copy {
            redactor,
            changed: false,
        };
        let copied = copy.activity(activity);
        copy.changed.then_some(copied)
    }

    fn activity<'t>(&mut self, activity: &'t Activity<'_>) -> Activity<'t> {
        match activity {
            Activity::Start {
                role,
                provider,
                model,
                mode,
                cwd,
            } => Activity::Start {
                role: self.word(role),
                provider: self.word(provider),
                model: self.word(model),
                mode: *mode,
                cwd: self.word(cwd),
            },
            Activity::Session {
                session_id,
                provider_version,
            } => Activity::Session {
                session_id: self.word(session_id),
                provider_version: self.word_if(provider_version),
            },
            Activity::Tool {
                cmd,
                name,
                input,
                call_id,
                parent_call_id,
            } => Activity::Tool {
                cmd: self.text(cmd),
                name: self.word(name),
                input: input.as_ref().map(|input| self.json(input)),
                call_id: self.word_if(call_id),
                parent_call_id: self.word_if(parent_call_id),
            },
            Activity::ToolResult {
                call_id,
                ok,
                exit_code,
                duration_ms,
                msg,
            } => Activity::ToolResult {
                call_id: self.word(call_id),
                ok: *ok,
                exit_code: *exit_code,
                duration_ms: *duration_ms,
                msg: msg.as_ref().map(|msg| self.text(msg)),
            },
            Activity::Output { stream, msg } => Activity::Output {
                stream: *stream,
                msg: self.text(msg),
            },
            Activity::Thinking { msg } => Activity::Thinking {
                msg: self.text(msg),
            },
            Activity::Plan { items } => Activity::Plan {
                items: items.iter().map(|item| self.item(item)).collect(),
            },
            Activity::Usage(usage) => Activity::Usage(*usage),
            Activity::Retry {
                reason,
                attempt,
                delay_ms,
                msg,
            } => Activity::Retry {
                reason: self.word(reason),
                attempt: *attempt,
                delay_ms: *delay_ms,
                msg: self.text(msg),
            },
            Activity::Notice { level, msg } => Activity::Notice {
                level: *level,
                msg: self.text(msg),
            },
            Activity::Input { msg } => Activity::Input {
                msg: self.text(msg),
            },
            Activity::Unknown { name, data } => Activity::Unknown {
                name: self.word_if(name),
                data: match data {
                    Foreign::Json { raw, lossy } => Foreign::Json {
                        raw: self.json(raw),
                        lossy: *lossy,
                    },
                    Foreign::Text(text) => Foreign::Text(self.text(text)),
                },
            },
            Activity::Complete(completion) => Activity::Complete(Box::new(Completion {
                error: self.string_if(&completion.error),
                session_id: self.string_if(&completion.session_id),
                ..Completion::clone(completion)
            })),
            Activity::Error { error, outcome } => Activity::Error {
                error: self.word(error),
                outcome: *outcome,
            },
        }
    }

    fn text<'t>(&mut self, text: &'t Text<'_>) -> Text<'t> {
        match self.redacted(&text.text, text.truncated_bytes > 0) {
            Some(redacted) => replaced(text, redacted),
            None => Text {
                text: Cow::Borrowed(&text.text),
                ..*text
            },
        }
    }

    fn word<'t>(&mut self, word: &'t str) -> Cow<'t, str> {
        self.redacted(word, false)
            .map_or(Cow::Borrowed(word), Cow::Owned)
    }

    fn word_if<'t>(&mut self, word: &'t Option<Cow<'_, str>>) -> Option<Cow<'t, str>> {
        word.as_ref().map(|word| self.word(word))
    }

    fn string_if(&mut self, text: &Option<String>) -> Option<String> {
        text.as_ref().map(|text| self.word(text).into_owned())
    }

    fn item(&mut self, item: &PlanItem) -> PlanItem {
        PlanItem {
            text: self.word(&item.text).into_owned(),
            status: item.status,
        }
    }

    fn json<'t>(&mut self, json: &'t RawValue) -> Cow<'t, RawValue> {
        match self.redactor.json(json) {
            Some(redacted) => {
                self.changed = true;
                Cow::Owned(redacted)
            }
            None => Cow::Borrowed(json),
        }
    }

    fn redacted(&mut self, text: &str, is_cut: bool) -> Option<String> {
        let redacted = self.redactor.redacted(text, is_cut)?;
        self.changed = true;
        Some(redacted)
    }
}
