//! opencode's stderr: all of it is styled for a terminal, whether there is one or not. In text mode
//! the tools are here, a line each with what they printed below it.
//!
//! ```text
//! ␛[0m
//! > build · coder-1
//! ␛[0m$ ␛[0mrg -n TODO src
//! ␛[0m← ␛[0mEdit src/lib.rs
//! ␛[0m✗ ␛[0mbash failed
//! ␛[91m␛[1mError: ␛[0mThe user rejected permission to use this specific tool call.
//! ␛[93m␛[1m! ␛[0mpermission requested: bash (rm -rf /); auto-rejecting
//! ```

use std::borrow::Cow;

use crate::activity::{Activity, Level, Stamp, Stream, Text};
use crate::bounds::one_line;
use crate::held::HeldError;
use crate::judge::Problem;
use crate::opencode::{errors, ignored};
use crate::parser::{Line, Sink};
use crate::reset::Clock;
use crate::text;

/// What stands before an error, and nowhere else.
const ERROR: &str = "\u{1b}[91m\u{1b}[1mError: \u{1b}[0m";

/// What begins and ends the icon of a tool.
const NORMAL: &str = "\u{1b}[0m";

/// The first line of what a flag it does not know is answered with.
const USAGE: &str = "opencode run [message..]";

/// What stderr has told so far.
#[derive(Debug, Default)]
pub(super) struct Stderr {
    /// Text mode: tools are here.
    shows_tools: bool,
    /// The agent was told; a line like that is what a tool printed.
    agent_told: bool,
    /// An error, until something else tells that it was not the last.
    error: HeldError,
    /// The line before said that a tool failed; what follows says why.
    tool_failed: bool,
    problem: Option<Problem>,
    first: Option<String>,
}

impl Stderr {
    pub(super) fn with_tools() -> Stderr {
        Stderr {
            shows_tools: true,
            ..Stderr::default()
        }
    }

    /// Takes a line.
    pub(super) fn line(&mut self, line: &Line<'_>, out: &mut dyn Sink) {
        let styled = text::of_line(line);
        let plain = without_style(&styled.text);
        let tool_failed = std::mem::take(&mut self.tool_failed);
        if plain.trim().is_empty() {
            self.tool_failed = tool_failed;
            return out.ignored(&ignored::STYLE);
        }
        self.error.show(line.at, out);
        if self.shows_tools && !self.agent_told && plain.starts_with("> ") && plain.contains(" · ")
        {
            self.agent_told = true;
            return out.ignored(&ignored::AGENT);
        }
        if let Some(said) = styled.text.strip_prefix(ERROR)
            && !tool_failed
        {
            let said = without_style(said);
            self.problem = Some(errors::of_line(&said, Clock::at(line.at)));
            let said = Text {
                text: Cow::Owned(said.into_owned()),
                truncated_bytes: styled.truncated_bytes,
                lossy: styled.lossy,
            };
            self.error.hold(line.at, said);
            return out.held("an error, until something else comes");
        }
        let msg = Text {
            text: plain,
            ..styled.clone()
        };
        if msg.text.starts_with("! permission requested: ") {
            let level = Level::Warn;
            return out.activity(line.at, &Activity::Notice { level, msg });
        }
        if self.shows_tools
            && let Some((icon, title)) = tool(&styled.text)
        {
            self.tool_failed = icon == "✗";
            if !self.tool_failed {
                return show_tool(icon, &title, line.at, out);
            }
        }
        if self.first.is_none() {
            self.first = Some(match msg.text.trim() == USAGE {
                true => "it printed its usage, as it does for a flag that it does not know".into(),
                false => one_line(&msg.text),
            });
        }
        let stream = Stream::Stderr;
        out.activity(line.at, &Activity::Output { stream, msg });
    }

    /// It is over: an error that is held is shown, unless the terminal line tells of it.
    pub(super) fn end(&mut self, told: Option<&str>, now: Stamp, out: &mut dyn Sink) {
        self.error.end(told, now, out);
    }

    /// The last error it told of.
    pub(super) fn take_problem(&mut self) -> Option<Problem> {
        self.problem.take()
    }

    /// The first line that tells anything else: of a start that failed, the reason.
    pub(super) fn take_first(&mut self) -> Option<String> {
        self.first.take()
    }
}

/// The icon and the title of a tool's line.
fn tool(styled: &str) -> Option<(&str, Cow<'_, str>)> {
    let (icon, title) = styled.strip_prefix(NORMAL)?.split_once(" \u{1b}[0m")?;
    let is_icon = icon.chars().count() == 1 && !icon.chars().all(char::is_alphanumeric);
    is_icon.then(|| (icon, without_style(title)))
}

/// Text mode says a tool when it is over, and not how it went: that is no result to tell of.
fn show_tool(icon: &str, title: &str, at: Stamp, out: &mut dyn Sink) {
    let title = title.trim_end();
    let word = title.split(' ').next().unwrap_or_default();
    let name: Cow<'_, str> = match icon {
        "$" => "bash".into(),
        "#" => "todowrite".into(),
        "•" | "✓" => "task".into(),
        "⚙" => word.into(),
        "◇" => "codesearch".into(),
        "◈" => "websearch".into(),
        _ => word.to_lowercase().into(),
    };
    let tool = Activity::Tool {
        cmd: text::whole(title),
        name,
        input: None,
        call_id: None,
        parent_call_id: None,
    };
    out.activity(at, &tool);
}

/// The text without `ESC [ … m`.
pub(super) fn without_style(text: &str) -> Cow<'_, str> {
    if !text.contains("\u{1b}[") {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        let inner = after.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
        match inner.strip_prefix('m') {
            Some(after) => rest = after,
            None => {
                plain.push_str("\u{1b}[");
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Outcome;
    use crate::testing::{at, line};

    fn read(mut stderr: Stderr, lines: &[&str]) -> (Vec<String>, Stderr) {
        let mut seen = Vec::new();
        let mut sink = |at: Stamp, activity: &Activity<'_>| {
            seen.push(match activity {
                Activity::Tool { cmd, name, .. } => format!("{} {name}: {}", at.raw, cmd.text),
                Activity::Notice { level, msg } => format!("{} {level:?} {}", at.raw, msg.text),
                Activity::Output { msg, .. } => format!("{} out {}", at.raw, msg.text),
                other => format!("{other:?}"),
            });
        };
        for (raw, text) in (1..).zip(lines) {
            let line = line(Stream::Stderr, text.as_bytes(), at(raw));
            stderr.line(&line, &mut sink);
        }
        (seen, stderr)
    }

    #[test]
    fn tools_are_told_apart_from_what_they_printed() {
        let lines = [
            "\u{1b}[0m",
            "> build · coder-1",
            "\u{1b}[0m$ \u{1b}[0mls -la",
            "$ not a tool",
            "\u{1b}[0m✱ \u{1b}[0mGlob \"*.rs\"\u{1b}[90m 3 matches\u{1b}[0m",
            "\u{1b}[0m⚙ \u{1b}[0mgithub_issue {\"n\":7}",
        ];
        let expected = [
            "3 bash: ls -la",
            "4 out $ not a tool",
            "5 glob: Glob \"*.rs\" 3 matches",
            "6 github_issue: github_issue {\"n\":7}",
        ];
        assert_eq!(read(Stderr::with_tools(), &lines).0, expected);
        // In JSON mode no tool is told here, whatever a line looks like.
        let (seen, _) = read(Stderr::default(), &lines[2..3]);
        assert_eq!(seen, ["1 out $ ls -la"]);
    }

    #[test]
    fn what_a_tool_printed_is_shown_even_if_it_looks_like_an_agent() {
        let lines = [
            "> build · coder-1",
            "\u{1b}[0m$ \u{1b}[0mcat quotes.txt",
            "> build · coder-1",
        ];
        let (seen, _) = read(Stderr::with_tools(), &lines);
        assert_eq!(seen, ["2 bash: cat quotes.txt", "3 out > build · coder-1"]);
    }

    #[test]
    fn a_tool_that_failed_is_no_end_and_an_error_may_be() {
        let failed = [
            "\u{1b}[93m\u{1b}[1m! \u{1b}[0mpermission requested: bash (x); auto-rejecting",
            "\u{1b}[0m✗ \u{1b}[0mbash failed",
            "\u{1b}[91m\u{1b}[1mError: \u{1b}[0mThe user rejected permission",
        ];
        let (seen, mut stderr) = read(Stderr::with_tools(), &failed);
        let expected = [
            "1 Warn ! permission requested: bash (x); auto-rejecting",
            "2 out ✗ bash failed",
            "3 out Error: The user rejected permission",
        ];
        assert_eq!(seen, expected);
        assert_eq!(stderr.take_problem(), None);

        let error = "\u{1b}[91m\u{1b}[1mError: \u{1b}[0mRate limit reached for coder-1.";
        let (seen, mut stderr) = read(Stderr::with_tools(), &[error]);
        assert!(seen.is_empty());
        assert_eq!(stderr.take_problem().unwrap().outcome, Outcome::RateLimited);
        let (seen, _) = read(Stderr::with_tools(), &[error, "more"]);
        assert_eq!(
            seen,
            ["2 Error Rate limit reached for coder-1.", "2 out more"]
        );
    }

    #[test]
    fn only_styles_are_taken_out_of_a_text() {
        assert_eq!(without_style("a\u{1b}[0mb\u{1b}[1;91mc"), "abc");
        assert_eq!(
            without_style("\u{1b}[2K\u{1b}[x\u{1b}["),
            "\u{1b}[2K\u{1b}[x\u{1b}["
        );
    }
}
