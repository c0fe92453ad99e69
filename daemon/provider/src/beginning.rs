//! The beginning of a line that is too long, read as if the line had ended there: enough to tell which
//! tool's result it is, so that the call does not stay open for ever.

use std::borrow::Cow;

use memchr::memchr2;

use crate::activity::{Activity, Stamp, Text};
use crate::parser::{IgnoreRule, Line, Sink};

/// Where JSON can be cut, and what is open there.
struct End {
    at: usize,
    depth: usize,
    in_string: bool,
}

/// The JSON that a beginning is once what is open in it is closed, without what was cut in two but texts; `None`
/// where nothing has begun.
pub(crate) fn closed(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut open = Vec::new();
    let mut end = None;
    let mut is_key = false;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        let mut in_string = false;
        let can_end = match byte {
            b'{' | b'[' => {
                is_key = byte == b'{';
                open.push(if is_key { '}' } else { ']' });
                Some(at)
            }
            b'}' | b']' => {
                open.pop();
                is_key = false;
                Some(at)
            }
            b',' => {
                is_key = open.last() == Some(&'}');
                Some(at - 1)
            }
            b':' => {
                is_key = false;
                None
            }
            b'"' => {
                let until = string_end(bytes, at);
                in_string = until.is_err();
                at = until.unwrap_or(bytes.len());
                (!is_key).then_some(until.unwrap_or_else(|cut| cut))
            }
            _ => None,
        };
        if let Some(at) = can_end {
            let depth = open.len();
            end = Some(End {
                at,
                depth,
                in_string,
            });
        }
    }
    let end = end?;
    let mut closed = text[..end.at].to_owned();
    if end.in_string {
        closed.push('"');
    }
    closed.extend(open[..end.depth].iter().rev());
    Some(closed)
}

/// Where the string ends that has begun before `at`, past its quote; or else where it can be cut.
fn string_end(bytes: &[u8], mut at: usize) -> Result<usize, usize> {
    while let Some(next) = memchr2(b'"', b'\\', &bytes[at..]) {
        let found = at + next;
        if bytes[found] == b'"' {
            return Ok(found + 1);
        }
        let length = match bytes.get(found + 1) {
            Some(b'u') => 6,
            _ => 2,
        };
        if found + length > bytes.len() {
            return Err(found);
        }
        at = found + length;
    }
    Err(bytes.len())
}

/// Passes on what the beginning of a line gives: texts in it say how much of the line is missing.
pub(crate) struct Begun<'a> {
    out: &'a mut dyn Sink,
    /// Bytes of the line that were not kept.
    truncated_bytes: u64,
}

impl<'a> Begun<'a> {
    /// For what this line gives.
    pub(crate) fn of(line: &Line<'_>, out: &'a mut dyn Sink) -> Begun<'a> {
        Begun {
            out,
            truncated_bytes: line.truncated_bytes,
        }
    }

    fn cut<'t>(&self, text: Option<&'t Text<'_>>) -> Text<'t> {
        let (said, before, lossy) = match text {
            Some(text) => (&*text.text, text.truncated_bytes, text.lossy),
            None => ("", 0, false),
        };
        Text {
            text: Cow::Borrowed(said),
            truncated_bytes: before.saturating_add(self.truncated_bytes),
            lossy,
        }
    }
}

impl Sink for Begun<'_> {
    fn activity(&mut self, at: Stamp, activity: &Activity<'_>) {
        match activity {
            Activity::ToolResult {
                call_id,
                ok,
                exit_code,
                duration_ms,
                msg,
            } => {
                let msg = Some(self.cut(msg.as_ref()));
                let result = Activity::ToolResult {
                    call_id: Cow::Borrowed(call_id),
                    ok: *ok,
                    exit_code: *exit_code,
                    duration_ms: *duration_ms,
                    msg,
                };
                self.out.activity(at, &result);
            }
            Activity::Output { stream, msg } => {
                let (stream, msg) = (*stream, self.cut(Some(msg)));
                self.out.activity(at, &Activity::Output { stream, msg });
            }
            _ => self.out.activity(at, activity),
        }
    }

    fn ignored(&mut self, rule: &'static IgnoreRule) {
        self.out.ignored(rule);
    }

    fn held(&mut self, what: &'static str) {
        self.out.held(what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_json_wherever_it_was_cut() {
        let whole =
            r#"{"a":[1,true,{"k\"":"v\u00e9\\","n":null},[]],"é":"ü\"}{","x":{"y":-1.5e3}}"#;
        for (at, _) in whole.char_indices().skip(1) {
            let closed = closed(&whole[..at]).unwrap();
            let parsed = serde_json::from_str::<serde_json::Value>(&closed);
            assert!(parsed.is_ok(), "{at}: {closed}: {parsed:?}");
        }
        assert_eq!(closed(whole).as_deref(), Some(whole));
        assert_eq!(closed(""), None);
        assert_eq!(closed("tru"), None);
    }

    #[test]
    fn what_was_said_until_then_is_kept_and_no_half_of_a_name_or_a_number() {
        let cut = |text| closed(text).unwrap();
        assert_eq!(cut(r#"{"a":"one","b":"tw"#), r#"{"a":"one","b":"tw"}"#);
        assert_eq!(cut(r#"{"a":"one","b":12"#), r#"{"a":"one"}"#);
        assert_eq!(cut(r#"{"a":"one","ab"#), r#"{"a":"one"}"#);
        assert_eq!(cut(r#"[{"a":"x\u00e"#), r#"[{"a":"x"}]"#);
        assert_eq!(cut(r#"[{"a":"x\"#), r#"[{"a":"x"}]"#);
    }
}
