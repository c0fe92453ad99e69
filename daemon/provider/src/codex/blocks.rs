//! The blocks of codex's text mode that are tool calls, and how their lines are told apart.

use std::borrow::Cow;

use crate::activity::{Activity, Stamp, Text};
use crate::bounds::TEXT_LIMIT;
use crate::calls::Calls;
use crate::codex::shell;
use crate::parser::Sink;
use crate::run::Run;
use crate::text;

/// Lines of a command's script that are waited for until its quotes close.
pub(super) const COMMAND_LINES: usize = 1000;

/// A text that grows by lines, within the bound of a text field.
#[derive(Debug, Default)]
pub(super) struct Body {
    text: String,
    lines: usize,
    truncated_bytes: u64,
    lossy: bool,
}

impl Body {
    pub(super) fn push(&mut self, line: &Text<'_>) {
        if self.lines > 0 {
            self.add("\n");
        }
        self.lines += 1;
        self.add(&line.text);
        self.truncated_bytes += line.truncated_bytes;
        self.lossy |= line.lossy;
    }

    /// Whether its last line is blank, or it has none.
    pub(super) fn ends_blank(&self) -> bool {
        self.lines == 0 || self.text.is_empty() || self.text.ends_with('\n')
    }

    fn add(&mut self, piece: &str) {
        let room = TEXT_LIMIT.saturating_sub(self.text.len());
        let kept = piece.floor_char_boundary(room);
        self.text.push_str(&piece[..kept]);
        self.truncated_bytes += (piece.len() - kept) as u64;
    }

    fn into_text(self) -> Option<Text<'static>> {
        (self.lines > 0 && !self.text.is_empty()).then_some(Text {
            text: Cow::Owned(self.text),
            truncated_bytes: self.truncated_bytes,
            lossy: self.lossy,
        })
    }
}

/// How a command ended, and what it printed so far.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) id: String,
    pub(super) exit_code: Option<i32>,
    pub(super) duration_ms: Option<u64>,
    pub(super) ok: bool,
    pub(super) body: Body,
    pub(super) at: Stamp,
}

impl Ended {
    pub(super) fn line(&mut self, line: &Text<'_>, at: Stamp) {
        self.body.push(line);
        self.at = at;
    }

    pub(super) fn give_out(self, now: Stamp, out: &mut dyn Sink) {
        let at = now.shown_late(self.at);
        let result = Activity::ToolResult {
            call_id: Cow::Owned(self.id),
            ok: self.ok,
            exit_code: self.exit_code,
            duration_ms: self.duration_ms,
            msg: self.body.into_text(),
        };
        out.activity(at, &result);
    }
}

/// A patch: its status comes first, then the paths, then a diff.
#[derive(Debug)]
pub(super) struct Patch {
    pub(super) id: String,
    began: Stamp,
    ended: Stamp,
    ok: bool,
    paths: Vec<String>,
    shown: bool,
    diff: Body,
    at: Stamp,
}

impl Patch {
    pub(super) fn new(id: String, began: Stamp, status: &str, ended: Stamp) -> Patch {
        Patch {
            id,
            began,
            ended,
            ok: status == "completed",
            paths: Vec::new(),
            shown: false,
            diff: Body::default(),
            at: ended,
        }
    }

    /// Takes a line. True if the call was shown with it.
    pub(super) fn line(
        &mut self,
        line: &Text<'_>,
        run: &Run,
        at: Stamp,
        out: &mut dyn Sink,
    ) -> bool {
        self.at = at;
        let is_path = !self.shown && !line.text.starts_with("diff ") && !line.text.is_empty();
        if is_path {
            self.paths.push(run.relative(&line.text).to_owned());
            return false;
        }
        let shown = self.show(at, out);
        self.diff.push(line);
        shown
    }

    fn show(&mut self, at: Stamp, out: &mut dyn Sink) -> bool {
        if std::mem::replace(&mut self.shown, true) {
            return false;
        }
        let paths = self.paths.join(", ");
        let tool = Activity::Tool {
            cmd: text::whole(format!("Edit {paths}").trim_end().to_owned()),
            name: Cow::Borrowed("apply patch"),
            input: None,
            call_id: Some(Cow::Borrowed(&self.id)),
            parent_call_id: None,
        };
        out.activity(at, &tool);
        true
    }

    pub(super) fn give_out(mut self, now: Stamp, out: &mut dyn Sink) {
        let at = now.shown_late(self.at);
        self.show(at, out);
        let result = Activity::ToolResult {
            call_id: Cow::Owned(self.id),
            ok: self.ok,
            exit_code: None,
            duration_ms: Some(self.ended.mono_ms.saturating_sub(self.began.mono_ms)),
            msg: self.diff.into_text(),
        };
        out.activity(at, &result);
    }
}

/// The command in `/bin/bash -lc 'rg TODO' in /home/dev/app`; `None` if it is not all there.
pub(super) fn command(text: &str) -> Option<&str> {
    let (command, _) = text.rsplit_once(" in /")?;
    shell::is_whole(command).then_some(command)
}

/// Whether a command may begin on this line.
pub(super) fn begins_command(line: &str) -> bool {
    command(line).is_some() || (shell::is_wrapper(line) && !shell::is_whole(line))
}

/// Reads ` succeeded in 0ms:` and ` exited 3 in 1.20s:`, which end the oldest open command.
pub(super) fn ended(line: &str, calls: &mut Calls, at: Stamp) -> Option<Ended> {
    let id = calls.oldest()?.to_owned();
    let (how, duration) = line
        .strip_prefix(' ')?
        .strip_suffix(':')?
        .split_once(" in ")?;
    let exit_code = match how {
        "succeeded" => Some(0),
        "failed" | "declined" => None,
        _ => Some(how.strip_prefix("exited ")?.parse().ok()?),
    };
    let stated = milliseconds(duration)?;
    calls.end(&id, at);
    Some(Ended {
        id,
        exit_code,
        duration_ms: Some(stated),
        ok: exit_code == Some(0),
        body: Body::default(),
        at,
    })
}

/// `250ms`, `1.20s`, `2m 05s`.
fn milliseconds(duration: &str) -> Option<u64> {
    if let Some(milliseconds) = duration.strip_suffix("ms") {
        return milliseconds.parse().ok();
    }
    let (minutes, seconds) = match duration.split_once("m ") {
        Some((minutes, seconds)) => (minutes.parse::<u64>().ok()?, seconds),
        None => (0, duration),
    };
    let (whole, part) = match seconds.strip_suffix('s')?.split_once('.') {
        Some((whole, part)) => (whole, format!("{part:0<3}")),
        None => (seconds.strip_suffix('s')?, "000".to_owned()),
    };
    let part: u64 = part.get(..3)?.parse().ok()?;
    let seconds = whole
        .parse::<u64>()
        .ok()?
        .checked_add(minutes.checked_mul(60)?)?;
    seconds.checked_mul(1000)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_ends_where_its_quotes_are_closed_and_a_folder_follows() {
        let cases = [
            (
                "/bin/bash -lc 'rg TODO' in /home/dev",
                Some("/bin/bash -lc 'rg TODO'"),
            ),
            ("/bin/bash -lc 'look in /tmp", None),
            (
                "/bin/bash -lc 'look in /tmp' in /home/my dir",
                Some("/bin/bash -lc 'look in /tmp'"),
            ),
            ("no folder", None),
        ];
        for (text, expected) in cases {
            assert_eq!(command(text), expected, "{text}");
        }
        assert!(begins_command("/bin/bash -lc 'a"));
        assert!(!begins_command("Don't"));
    }

    #[test]
    fn durations_are_read_in_all_their_forms() {
        let cases = [
            ("0ms", Some(0)),
            ("1.20s", Some(1200)),
            ("59.5s", Some(59_500)),
            ("2m 05s", Some(125_000)),
            ("3s", Some(3000)),
            ("soon", None),
            ("1.é00s", None),
            ("99999999999999999999ms", None),
        ];
        for (text, expected) in cases {
            assert_eq!(milliseconds(text), expected, "{text}");
        }
    }

    #[test]
    fn an_end_belongs_to_the_oldest_open_command() {
        let mut calls = Calls::default();
        let at = Stamp::default();
        assert!(ended(" succeeded in 0ms:", &mut calls, at).is_none());
        calls.begin("exec-1", at);
        calls.begin("exec-2", at);
        assert!(ended("succeeded in 0ms:", &mut calls, at).is_none());
        assert!(ended(" exited early in 0ms:", &mut calls, at).is_none());
        let first = ended(" exited 3 in 10ms:", &mut calls, at).unwrap();
        assert_eq!(
            (first.id.as_str(), first.exit_code, first.ok),
            ("exec-1", Some(3), false)
        );
        let second = ended(" declined in 0ms:", &mut calls, at).unwrap();
        assert_eq!(
            (second.id.as_str(), second.exit_code, second.ok),
            ("exec-2", None, false)
        );
    }

    #[test]
    fn a_body_keeps_what_a_text_field_takes() {
        let mut body = Body::default();
        for _ in 0..3 {
            body.push(&text::whole("x".repeat(TEXT_LIMIT / 2)));
        }
        let text = body.into_text().unwrap();
        assert_eq!(text.text.len(), TEXT_LIMIT);
        assert_eq!(text.truncated_bytes as usize, TEXT_LIMIT / 2 + 2);
    }
}
