//! `codex exec` without `--json`: a transcript for people on stderr, the final message on stdout.
//!
//! ```text
//! OpenAI Codex v0.169.0
//! --------                      settings between two rules, the session among them
//! user / codex / thinking       a marker line, then text
//! exec                          then `COMMAND in DIR`, ` succeeded in 0ms:`, its output
//! apply patch                   then `patch: completed`, paths, a diff
//! tokens used                   then a number
//! ```
//!
//! A marker is a word on a line of its own, which occurs in text as well. Where the next line can
//! confirm it, it is held until then; `codex` and `thinking` are taken at their word. Whatever is
//! taken for the wrong thing is still shown, as text of the block it stands in.

use std::borrow::Cow;

use crate::activity::{Activity, Level, Stamp, Stream, Text};
use crate::bounds::{SESSION_LIMIT, TEXT_LIMIT, one_line};
use crate::calls::Calls;
use crate::codex::blocks::{self, Ended, Patch};
use crate::codex::final_message::Stdout;
use crate::codex::markers::{self, Marker, RULE, SETTINGS};
use crate::codex::{errors, ignored, shell, tracing};
use crate::judge::{Final, Findings, Problem, judge};
use crate::parser::{Exit, Line, Parser, Sink, Verdict, Vitals};
use crate::run::Run;
use crate::text::{self, Answer};

/// Where the next line of stderr stands.
enum Block {
    Start,
    Header,
    User,
    Message,
    Thinking,
    /// A script that runs over several lines.
    Command(String, usize),
    Result(Ended),
    Patch(Patch),
    /// After a command that has not ended, and after the last block.
    Between,
}

/// One run's transcript.
pub(super) struct Transcript {
    run: Run,
    block: Block,
    marker: Option<(Marker, Stamp)>,
    version: Option<String>,
    session: Option<String>,
    calls: Calls,
    count: u32,
    error: Option<(Stamp, String)>,
    problem: Option<Problem>,
    last: Final,
    stderr: Option<String>,
    tokens_seen: bool,
    message: Answer,
    stdout: Stdout,
}

impl Transcript {
    pub(super) fn new(run: Run) -> Transcript {
        Transcript {
            run,
            block: Block::Start,
            marker: None,
            version: None,
            session: None,
            calls: Calls::default(),
            count: 0,
            error: None,
            problem: None,
            last: Final::None,
            stderr: None,
            tokens_seen: false,
            message: Answer::default(),
            stdout: Stdout::default(),
        }
    }

    fn stderr(&mut self, line: Text<'_>, at: Stamp, out: &mut dyn Sink) {
        if let Some((marker, since)) = self.marker.take() {
            if self.confirm(marker, since, &line, at, out) {
                return;
            }
            self.content(text::whole(marker.word()), at, out);
        }
        if let Some((level, message)) = tracing::parse(&line.text) {
            let msg = text::whole(message);
            return out.activity(at, &Activity::Notice { level, msg });
        }
        if self.is_error(&line, at, out) {
            return;
        }
        if let Some((since, held)) = self.error.take() {
            notice(out, since, at, Level::Error, &held);
        }
        if !matches!(self.block, Block::Command(..))
            && let Some(ended) = blocks::ended(&line.text, &mut self.calls, at)
        {
            self.enter(Block::Result(ended), at, out);
            return out.held("a tool's output, until its block ends");
        }
        match (&*line.text, &self.block) {
            (_, Block::Command(..) | Block::Start | Block::Header) => self.content(line, at, out),
            ("codex", _) => self.begin(Block::Message, at, out),
            ("thinking", _) => self.begin(Block::Thinking, at, out),
            ("user", Block::Between) if self.count == 0 => self.begin(Block::User, at, out),
            (word, _) => match Marker::of(word) {
                Some(marker) => {
                    self.marker = Some((marker, at));
                    out.held("a marker, until the next line confirms it");
                }
                None => self.content(line, at, out),
            },
        }
    }

    /// Enters the block of a marker if the line after it is what follows such a marker.
    fn confirm(
        &mut self,
        marker: Marker,
        since: Stamp,
        line: &Text<'_>,
        at: Stamp,
        out: &mut dyn Sink,
    ) -> bool {
        match marker {
            Marker::Exec if blocks::begins_command(&line.text) => {
                self.enter(Block::Command(String::new(), 0), at, out);
                self.command(line, at, out);
            }
            Marker::Patch => {
                let Some(status) = line.text.strip_prefix("patch: ") else {
                    return false;
                };
                self.count += 1;
                let patch = Patch::new(format!("patch-{}", self.count), since, status, at);
                self.enter(Block::Patch(patch), at, out);
                out.held("a patch, until its paths have come");
            }
            Marker::Tokens if markers::is_number(&line.text) => {
                self.enter(Block::Between, at, out);
                self.tokens_seen = true;
                // A sum of input and output, so it can't stand as usage, which tells them apart.
                let said = format!("tokens used: {}", line.text.trim());
                notice(out, at, at, Level::Info, &said);
            }
            _ => return false,
        }
        true
    }

    /// Retries and errors; an error comes once more when it gives up.
    fn is_error(&mut self, line: &Text<'_>, at: Stamp, out: &mut dyn Sink) -> bool {
        let Some(message) = line.text.strip_prefix("ERROR: ") else {
            return false;
        };
        if let Some(retry) = errors::retry(message) {
            let retry = Activity::Retry {
                reason: Cow::Borrowed(retry.reason),
                attempt: retry.attempt,
                delay_ms: None,
                msg: text::whole(message),
            };
            out.activity(at, &retry);
            return true;
        }
        // What a tool printed is its own, unless a blank line has ended it.
        if matches!(&self.block, Block::Result(ended) if !ended.body.ends_blank()) {
            return false;
        }
        let problem = errors::problem(message, self.run.clock(at));
        self.problem = Some(Problem {
            stderr: Some(one_line(&line.text)),
            ..problem
        });
        match self.error.take() {
            Some((_, held)) if held == message => {
                self.last = Final::Bad;
                out.ignored(&ignored::ERROR_REPEATED);
            }
            before => {
                if let Some((since, held)) = before {
                    notice(out, since, at, Level::Error, &held);
                }
                self.error = Some((at, message.to_owned()));
                out.held("an error, until the next line");
            }
        }
        true
    }

    /// A line that is no marker, in the block where it stands.
    fn content(&mut self, line: Text<'_>, at: Stamp, out: &mut dyn Sink) {
        match &mut self.block {
            Block::Start | Block::Header => self.header(line, at, out),
            Block::User => match markers::notice_level(&line.text) {
                Some(level) => out.activity(at, &Activity::Notice { level, msg: line }),
                None => out.ignored(&ignored::PROMPT),
            },
            Block::Message => {
                self.message.push_line(&line.text);
                output(out, at, Stream::Stderr, line);
            }
            Block::Thinking => out.activity(at, &Activity::Thinking { msg: line }),
            Block::Command(..) => self.command(&line, at, out),
            Block::Result(ended) => {
                ended.line(&line, at);
                out.held("a tool's output, until its block ends");
            }
            Block::Patch(patch) => {
                if !patch.line(&line, &self.run, at, out) {
                    out.held("a patch, until its block ends");
                }
            }
            Block::Between => self.plain(line, at, out),
        }
    }

    fn header(&mut self, line: Text<'_>, at: Stamp, out: &mut dyn Sink) {
        let in_header = matches!(self.block, Block::Header);
        let setting = line.text.split_once(": ");
        if line.text == RULE {
            self.block = if in_header {
                Block::Between
            } else {
                Block::Header
            };
            out.ignored(&ignored::RULE);
        } else if let Some(version) = line.text.strip_prefix("OpenAI Codex v") {
            let version = version.split(' ').next().unwrap_or(version);
            self.version = Some(version.to_owned());
            out.held("the version, for the session");
        } else if let (true, Some(("session id", id))) = (in_header, setting)
            && id.len() <= SESSION_LIMIT
        {
            self.session = Some(id.to_owned());
            let session = Activity::Session {
                session_id: Cow::Borrowed(id),
                provider_version: self.version.as_deref().map(Cow::Borrowed),
            };
            out.activity(at, &session);
        } else if let (true, Some((key, value))) = (in_header, setting)
            && SETTINGS.contains(&key)
        {
            if key == "workdir" && self.run.cwd.is_none() {
                self.run.cwd = Some(value.to_owned());
            }
            out.ignored(&ignored::HEADER);
        } else {
            self.plain(line, at, out);
        }
    }

    /// A line outside of every block.
    fn plain(&mut self, line: Text<'_>, at: Stamp, out: &mut dyn Sink) {
        if let Some(level) = markers::notice_level(&line.text) {
            return out.activity(at, &Activity::Notice { level, msg: line });
        }
        if self.stderr.is_none() && !line.text.trim().is_empty() {
            self.stderr = Some(one_line(&line.text));
        }
        output(out, at, Stream::Stderr, line);
    }

    fn command(&mut self, line: &Text<'_>, at: Stamp, out: &mut dyn Sink) {
        let Block::Command(script, lines) = &mut self.block else {
            return;
        };
        if *lines > 0 {
            script.push('\n');
        }
        *lines += 1;
        script.push_str(&line.text);
        // Asked only where an end may be: each time, all of the script is read.
        let ends = line.text.contains(" in /");
        let command = match ends.then(|| blocks::command(script)).flatten() {
            Some(command) => shell::unwrapped(command).into_owned(),
            None if *lines >= blocks::COMMAND_LINES || script.len() >= TEXT_LIMIT => {
                std::mem::take(script)
            }
            None => return out.held("a command, until its quotes close"),
        };
        self.count += 1;
        let id = format!("exec-{}", self.count);
        self.calls.begin(&id, at);
        let tool = Activity::Tool {
            cmd: text::whole(command),
            name: Cow::Borrowed("exec"),
            input: None,
            call_id: Some(Cow::Owned(id)),
            parent_call_id: None,
        };
        out.activity(at, &tool);
        self.block = Block::Between;
    }

    fn begin(&mut self, block: Block, at: Stamp, out: &mut dyn Sink) {
        if matches!(block, Block::Message) {
            self.message.clear();
        }
        self.enter(block, at, out);
        out.ignored(&ignored::MARKER);
    }

    /// Ends the block that was, and gives out what it held.
    fn enter(&mut self, block: Block, at: Stamp, out: &mut dyn Sink) {
        if !matches!(block, Block::Between) {
            // What goes on was not ended by an error: a tool printed that, or the agent.
            (self.last, self.problem) = (Final::None, None);
        }
        match std::mem::replace(&mut self.block, block) {
            Block::Result(ended) => ended.give_out(at, out),
            Block::Patch(patch) => patch.give_out(at, out),
            Block::Command(script, lines) if lines > 0 => {
                output(out, at, Stream::Stderr, text::whole(script));
            }
            _ => {}
        }
    }
}

impl Parser for Transcript {
    fn line(&mut self, line: &Line<'_>, out: &mut dyn Sink) {
        let msg = text::of_line(line);
        match line.stream {
            Stream::Stdout => self.stdout.line(msg, line.at, out),
            Stream::Stderr => self.stderr(msg, line.at, out),
        }
    }

    fn vitals(&self) -> Vitals {
        let patching = matches!(self.marker, Some((Marker::Patch, _)));
        Vitals {
            open_tools: self.calls.count() + u32::from(patching),
            background: 0,
            result_seen: self.tokens_seen || self.last == Final::Bad,
        }
    }

    fn end(&mut self, at: Stamp, exit: &Exit, out: &mut dyn Sink) -> Verdict {
        if let Some((marker, _)) = self.marker.take() {
            self.content(text::whole(marker.word()), at, out);
        }
        self.enter(Block::Between, at, out);
        if let Some((since, held)) = self.error.take() {
            notice(out, since, at, Level::Error, &held);
        }
        let message = self.message.take();
        let stderr = self.stderr.take();
        let findings = Findings {
            last: self.last,
            problem: self.problem.take(),
            cause: stderr.as_deref().and_then(errors::cause),
            stderr,
            ..Findings::default()
        };
        let judgement = judge(exit, findings);
        Verdict {
            session_id: self.session.take(),
            ..judgement.verdict(self.stdout.end(message.as_deref(), at, out).or(message))
        }
    }
}

fn output(out: &mut dyn Sink, at: Stamp, stream: Stream, msg: Text<'_>) {
    out.activity(at, &Activity::Output { stream, msg });
}

fn notice(out: &mut dyn Sink, since: Stamp, now: Stamp, level: Level, message: &str) {
    let msg = text::whole(message);
    out.activity(now.shown_late(since), &Activity::Notice { level, msg });
}

#[cfg(test)]
mod tests;
