//! What a line shows, and whether a text stands there.
//!
//! What is shown is what is sought: the texts of a line as the page draws them, without escape
//! sequences and with the page's word for how a row begins (`Started`, `Completed`). Keys, ids of
//! calls, times and places in the spool are on no screen, and are not sought. The page has the same
//! rule for lines that arrive live, in `web/shown.js`; `tests/shown.json` holds both to it.
//!
//! Most lines are not parsed: a look at how they are written tells all.

use std::borrow::Cow;
use std::fmt::Write as _;

use regex::bytes::Regex;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::BrowseError;
use super::lines::Seen;
use super::written::{Written, any_case};
use crate::domain::without_escapes;

/// A text that is sought in what lines show, whatever the case of its letters.
#[derive(Clone)]
pub(super) struct Sought {
    /// As it is shown.
    shown: Regex,
    written: Written,
    /// It may begin with the mark that a page puts in front of a command.
    is_behind_mark: bool,
}

/// The members of a line that are shown, as they stand there: another tool's may be anything.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    #[serde(borrow, default)]
    name: Member<'a>,
    #[serde(borrow, default)]
    cmd: Member<'a>,
    #[serde(borrow, default)]
    input: Member<'a>,
    #[serde(borrow, default)]
    msg: Member<'a>,
    #[serde(borrow, default)]
    message: Member<'a>,
    #[serde(borrow, default)]
    reason: Member<'a>,
    #[serde(borrow, default)]
    error: Member<'a>,
    #[serde(borrow, default)]
    outcome: Member<'a>,
    #[serde(borrow, default)]
    success: Member<'a>,
    #[serde(borrow, default)]
    signal: Member<'a>,
    #[serde(borrow, default)]
    exit_code: Member<'a>,
    #[serde(borrow, default)]
    role: Member<'a>,
    #[serde(borrow, default)]
    provider: Member<'a>,
    #[serde(borrow, default)]
    model: Member<'a>,
    #[serde(borrow, default)]
    mode: Member<'a>,
    #[serde(borrow, default)]
    cwd: Member<'a>,
    #[serde(borrow, default)]
    session_id: Member<'a>,
    #[serde(borrow, default)]
    provider_version: Member<'a>,
    #[serde(borrow, default)]
    items: Member<'a>,
    #[serde(borrow, default)]
    data: Member<'a>,
}

type Member<'a> = Option<&'a RawValue>;

impl Sought {
    pub(super) fn new(text: &str) -> Result<Sought, BrowseError> {
        Ok(Sought {
            shown: any_case(text)?,
            written: Written::new(text)?,
            is_behind_mark: text.starts_with(['$', ' ']),
        })
    }

    /// Whether the line shows it.
    pub(super) fn is_in(&self, line: &Seen<'_>) -> bool {
        let (_, kind) = line.head();
        if shows_message(&kind)
            && let Some(is_in) = self.written.is_in_message(line.bytes)
        {
            return is_in;
        }
        let shows_own_words = match &*kind {
            "tool" => self.is_behind_mark,
            kind => !shows_message(kind),
        };
        if !shows_own_words && !self.written.may_be_in(line.bytes) {
            return false;
        }
        match serde_json::from_slice::<Line<'_>>(line.bytes) {
            Ok(members) => self.is_in_row(&kind, &members, line.bytes),
            Err(_) => self.is_in_odd(line.bytes),
        }
    }

    fn is_in_row(&self, kind: &str, line: &Line<'_>, bytes: &[u8]) -> bool {
        match kind {
            kind if shows_message(kind) => self.is_in_member(line.msg),
            "tool" => self.is_in_call(line),
            "plan" => self.is_in_text("Plan") || self.is_in_items(line.items),
            "usage" => false,
            "retry" => {
                let reason = text_of(line.reason).unwrap_or("retry".into());
                self.is_in_words(&reason.replace('_', " "), [text_of(line.msg)], " ")
            }
            "start" => {
                let is_resumed = text_of(line.mode).is_some_and(|mode| mode == "resume");
                let began = if is_resumed { "Resumed" } else { "Started" };
                let who = [line.role, line.provider, line.model].map(text_of);
                let who = joined(who, " · ");
                self.is_in_words(began, [Some(who.into()), text_of(line.cwd)], " ")
            }
            "session" => {
                let version = text_of(line.provider_version);
                let version = version.map(|version| format!("· version {version}").into());
                self.is_in_words("Session", [text_of(line.session_id), version], " ")
            }
            "complete" | "error" => self.is_in_end(line),
            "gap" => {
                let why = text_of(line.error)
                    .or(text_of(line.reason))
                    .or(text_of(line.message));
                self.is_in_words("Gap", [why], " ")
            }
            other => self.is_in_unknown(other, line, bytes),
        }
    }

    fn is_in_call(&self, line: &Line<'_>) -> bool {
        let name = text_of(line.name).unwrap_or_default();
        let command = text_of(line.cmd).unwrap_or(Cow::Borrowed(&name));
        let command = match is_shell(&name) {
            true => Cow::Owned(format!("$ {command}")),
            false => command,
        };
        self.is_in_text(&command)
            || line
                .input
                .is_some_and(|input| self.is_in_value(&value_of(input), Keys::Hidden))
    }

    fn is_in_items(&self, items: Member<'_>) -> bool {
        let Some(Value::Array(items)) = items.map(value_of) else {
            return false;
        };
        let text = |item: &Value| Some(item.get("text")?.as_str()?.to_owned());
        items
            .iter()
            .filter_map(text)
            .any(|text| self.is_in_text(&text))
    }

    fn is_in_end(&self, line: &Line<'_>) -> bool {
        let word = match line.success.map(RawValue::get) {
            Some("true") => Cow::Borrowed("Completed"),
            _ => text_of(line.outcome).unwrap_or("failed".into()),
        };
        let word = match word.strip_prefix("timeout_") {
            Some(limit) => format!("timeout: {limit}"),
            None => word.into_owned(),
        };
        let exit = text_of(line.exit_code).filter(|code| code != "0");
        let exit = text_of(line.signal).or(exit.map(|code| format!("exit {code}").into()));
        self.is_in_text(&word.replace('_', " "))
            || exit.is_some_and(|exit| self.is_in_text(&exit))
            || self.is_in_member(line.error)
    }

    /// An event that the page knows no row for: it is shown as it stands there.
    fn is_in_unknown(&self, kind: &str, line: &Line<'_>, bytes: &[u8]) -> bool {
        let name = text_of(line.name).unwrap_or(kind.into());
        let value = match line.data {
            Some(data) => value_of(data),
            None => match serde_json::from_slice(bytes) {
                Ok(Value::Object(mut rest)) => {
                    for key in ["ts", "type", "raw", "name", "data", "invocationId"] {
                        rest.remove(key);
                    }
                    Value::Object(rest)
                }
                _ => Value::Null,
            },
        };
        self.is_in_text(&name)
            || self.is_in_value(&value, Keys::Shown)
            || !value.is_string() && self.shown.is_match(value.to_string().as_bytes())
    }

    /// What is no object is shown as it stands there.
    fn is_in_odd(&self, bytes: &[u8]) -> bool {
        self.is_in_text(&String::from_utf8_lossy(bytes))
    }

    fn is_in_words<'a, const N: usize>(
        &self,
        first: &str,
        then: [Option<Cow<'a, str>>; N],
        between: &str,
    ) -> bool {
        let then = joined(then, between);
        self.is_in_text(&format!("{first}{between}{then}"))
    }

    fn is_in_value(&self, value: &Value, keys: Keys) -> bool {
        match value {
            Value::Null => false,
            Value::String(text) => self.is_in_text(text),
            Value::Bool(_) | Value::Number(_) => self.is_in_text(&value.to_string()),
            Value::Array(items) => items.iter().any(|item| self.is_in_value(item, keys)),
            Value::Object(members) => members.iter().any(|(key, value)| {
                keys == Keys::Shown && self.is_in_text(key) || self.is_in_value(value, keys)
            }),
        }
    }

    fn is_in_member(&self, member: Member<'_>) -> bool {
        text_of(member).is_some_and(|text| self.is_in_text(&text))
    }

    fn is_in_text(&self, text: &str) -> bool {
        self.shown.is_match(as_shown(text).as_bytes())
    }
}

/// Of a line of this type one text is shown, and no word besides.
fn shows_message(kind: &str) -> bool {
    matches!(
        kind,
        "output" | "tool_result" | "thinking" | "notice" | "input"
    )
}

/// Whether an object's keys are sought, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keys {
    Shown,
    Hidden,
}

/// A text, or what stands in the place of one; a row says nothing of `null`.
fn text_of<'a>(member: Member<'a>) -> Option<Cow<'a, str>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

    let written = member?.get();
    match serde_json::from_str::<Text<'a>>(written) {
        Ok(Text(text)) => Some(text),
        Err(_) => Some(Cow::Borrowed(written)),
    }
}

fn value_of(member: &RawValue) -> Value {
    // Nested too deeply to be read: it is shown as it stands there.
    serde_json::from_str(member.get()).unwrap_or_else(|_| Value::from(member.get()))
}

fn joined<const N: usize>(parts: [Option<Cow<'_, str>>; N], between: &str) -> String {
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(between)
}

/// A tool whose calls are command lines.
fn is_shell(name: &str) -> bool {
    const SHELLS: [&str; 6] = [
        "bash",
        "shell",
        "exec",
        "command",
        "local_shell",
        "run_shell_command",
    ];
    SHELLS.iter().any(|shell| {
        name.get(..shell.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(shell))
    })
}

/// A text without escape sequences, its other control characters and hidden marks as visible names.
fn as_shown(text: &str) -> Cow<'_, str> {
    if !text.contains(|c| c == '\r' || is_hidden(c)) {
        return Cow::Borrowed(text);
    }
    let text = without_escapes(text);
    let mut shown = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\r' if characters.peek() == Some(&'\n') => {}
            '\r' => shown.push('\n'),
            '\u{0}'..='\u{1f}' if is_hidden(c) => {
                shown.extend(char::from_u32(0x2400 + u32::from(c)));
            }
            '\u{7f}' => shown.push('\u{2421}'),
            c if is_hidden(c) => {
                // Writing to a string does not fail.
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
            }
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// A character that is shown by a name, or is part of an escape sequence.
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{0}'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{61c}'
        | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests;
