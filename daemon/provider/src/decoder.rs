//! Chunks of a spool in, activities out: the way from what a CLI printed to what the log says.
//!
//! The decoder cuts each pipe's bytes into lines, hands them to the provider's parser, and holds
//! three promises whatever the parser does: no line goes without an answer (one that the parser
//! passes over in silence is shown as `unknown`), `raw` never falls, and there is exactly one
//! terminal line, the last. It is a pure function of the bytes, their stamps and the exit.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use crate::activity::{Activity, Completion, Foreign, Stamp, Stream};
use crate::bounds::{SOURCE_LINE_LIMIT, TEXT_LIMIT};
use crate::kind::{Format, Kind};
use crate::lines::{Bound, Cut, Lines};
use crate::parser::{Exit, IgnoreRule, Line, Parser, Sink, Verdict, Vitals};
use crate::run::Run;
use crate::text;
use crate::{claude, codex, command, gemini, json, jsonl, opencode};

/// Changes whenever the same bytes could give another log than before: by a parser, by what is
/// redacted, or by how a line is written.
pub const VERSION: u32 = 12;

/// Lines that become text are needed up to the cut, and the character that may straddle it.
const TEXT_BOUND: Bound = Bound {
    whole: TEXT_LIMIT,
    beginning: TEXT_LIMIT,
};

/// Lines of a JSON mode are needed whole; of one that is too long only a text's worth is shown.
const JSON_BOUND: Bound = Bound {
    whole: SOURCE_LINE_LIMIT,
    beginning: TEXT_LIMIT,
};

/// What became of the lines so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Lines of both pipes; a last one without its newline included.
    pub lines: u64,
    /// Lines that gave at least one activity.
    pub shown: u64,
    /// Lines kept for later (a delta to be joined, evidence for the verdict) and for what.
    pub held: BTreeMap<&'static str, u64>,
    /// Lines of which nothing is shown, and by which rule.
    pub ignored: BTreeMap<&'static str, u64>,
    /// Activities, the terminal one included.
    pub activities: u64,
    /// How many of these are `unknown`.
    pub unknown: u64,
}

/// One invocation's output on its way to activities.
pub struct Decoder {
    parser: Box<dyn Parser>,
    stdout: Pipe,
    /// What stdout carries is for people.
    is_text: bool,
    stderr: Pipe,
    course: Course,
}

/// One of a provider's pipes.
struct Pipe {
    lines: Lines,
    /// When its last bytes came.
    last: Stamp,
}

/// What has come out so far.
#[derive(Default)]
struct Course {
    raw: u64,
    /// The time of the line before.
    shown_ms: u64,
    /// What was held until the end has the times of what is given out with it, and none before.
    is_ending: bool,
    tally: Tally,
}

fn parser(kind: Kind, format: Format, run: Run) -> Box<dyn Parser> {
    match (kind, format) {
        (Kind::Claude, Format::Json) => claude::json(run),
        (Kind::Claude, Format::Text) => claude::text(run),
        (Kind::Codex, Format::Json) => codex::json(run),
        (Kind::Codex, Format::Text) => codex::text(run),
        (Kind::Gemini, Format::Json) => gemini::json(run),
        (Kind::Gemini, Format::Text) => gemini::text(),
        (Kind::Opencode, Format::Json) => opencode::json(run),
        (Kind::Opencode, Format::Text) => opencode::text(),
        (Kind::Jsonl, Format::Json) => jsonl::json(run),
        (Kind::Jsonl, Format::Text) | (Kind::Command, _) => command::text(),
    }
}

/// All that is printed and not shown, of every provider of a kind.
pub fn ignore_rules(kind: Kind) -> &'static [IgnoreRule] {
    match kind {
        Kind::Codex => codex::ignored::ALL,
        Kind::Gemini => gemini::ignored::ALL,
        Kind::Claude => claude::ignore::ALL,
        Kind::Opencode => opencode::ignored::ALL,
        Kind::Jsonl => jsonl::ignored::ALL,
        Kind::Command => &[],
    }
}

// === impl Decoder ===

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("tally", &self.course.tally)
            .finish_non_exhaustive()
    }
}

impl Decoder {
    /// A decoder at the beginning of a spool, of a run of which nothing more is known.
    pub fn new(kind: Kind, format: Format) -> Decoder {
        Decoder::of_run(kind, format, Run::default())
    }

    /// A decoder at the beginning of a spool. Both who project a spool and who watch over it must
    /// give the same circumstances each time, for the same activities to come out.
    pub fn of_run(kind: Kind, format: Format, run: Run) -> Decoder {
        let is_text = kind == Kind::Command || format == Format::Text;
        Decoder {
            parser: parser(kind, format, run),
            stdout: Pipe::new(if is_text { TEXT_BOUND } else { JSON_BOUND }),
            is_text,
            stderr: Pipe::new(TEXT_BOUND),
            course: Course::default(),
        }
    }

    /// Takes the next chunk. `at.raw` is the position of `bytes[0]` in the spool; the activities
    /// that come out carry the position of the newline that caused them.
    pub fn feed(&mut self, stream: Stream, at: Stamp, bytes: &[u8], out: &mut dyn Sink) {
        let Decoder {
            parser,
            stdout,
            stderr,
            course,
            ..
        } = self;
        let pipe = match stream {
            Stream::Stdout => stdout,
            Stream::Stderr => stderr,
        };
        pipe.last = at;
        pipe.lines.feed(bytes, |end, cut| {
            let at = course.no_earlier(Stamp {
                raw: at.raw + end as u64,
                ..at
            });
            course.line(parser.as_mut(), line(stream, &cut, at, true), out);
        });
    }

    /// A further message was handed to the provider, after what was fed so far.
    pub fn asked(&mut self) {
        self.parser.asked();
    }

    /// Something else than what comes out here was written down, with this time.
    pub fn shown(&mut self, wall_ms: u64) {
        self.course.shown_ms = wall_ms;
    }

    /// What the time limits need to know now.
    pub fn vitals(&self) -> Vitals {
        self.parser.vitals()
    }

    /// What a pipe has printed of a line of text that has no end yet; a prompt, as a rule. Not of one that may become an
    /// event, or is too long to be kept whole.
    pub fn unfinished(&self) -> Option<(Stream, &[u8])> {
        let pipes = [
            (Stream::Stdout, &self.stdout),
            (Stream::Stderr, &self.stderr),
        ];
        let rests = pipes
            .into_iter()
            .filter_map(|(stream, pipe)| Some((stream, pipe.lines.rest()?)));
        let is_event = |stream, bytes| {
            stream == Stream::Stdout && !self.is_text && json::may_begin_event(bytes)
        };
        let mut texts =
            rests.filter(|(stream, cut)| cut.truncated_bytes == 0 && !is_event(*stream, cut.bytes));
        let (stream, cut) = texts.next()?;
        Some((stream, cut.bytes))
    }

    /// The model that answers, where the CLI has named it; also after the end.
    pub fn model(&self) -> Option<&str> {
        self.parser.model()
    }

    /// What became of the lines so far.
    pub fn tally(&self) -> &Tally {
        &self.course.tally
    }

    /// Ends it: last lines without a newline (stdout's, then stderr's, each with the time of its last bytes, but not
    /// before the line in front of it), what the parser held, and the terminal line. To be called once. `at.raw` is the
    /// spool's length.
    pub fn end(&mut self, at: Stamp, exit: &Exit, out: &mut dyn Sink) -> Verdict {
        let Decoder {
            parser,
            stdout,
            stderr,
            course,
            ..
        } = self;
        let at = course.no_earlier(at);
        course.is_ending = true;
        for (stream, pipe) in [(Stream::Stdout, &*stdout), (Stream::Stderr, &*stderr)] {
            if let Some(cut) = pipe.lines.rest() {
                let at = Stamp {
                    wall_ms: pipe.last.wall_ms.max(course.shown_ms),
                    mono_ms: pipe.last.mono_ms,
                    raw: at.raw,
                };
                course.line(parser.as_mut(), line(stream, &cut, at, false), out);
            }
        }
        let at = Stamp {
            wall_ms: at.wall_ms.max(course.shown_ms),
            ..at
        };
        let mut sink = Counting::new(course, out);
        let verdict = parser.end(at, exit, &mut sink);
        let completion = completion(exit, &verdict);
        sink.activity(at, &Activity::Complete(Box::new(completion)));
        verdict
    }
}

// === impl Pipe ===

impl Pipe {
    fn new(bound: Bound) -> Pipe {
        Pipe {
            lines: Lines::new(bound),
            last: Stamp::default(),
        }
    }
}

fn line<'a>(stream: Stream, cut: &Cut<'a>, at: Stamp, complete: bool) -> Line<'a> {
    Line {
        stream,
        bytes: cut.bytes,
        at,
        complete,
        truncated_bytes: cut.truncated_bytes,
    }
}

/// The terminal line's fields.
fn completion(exit: &Exit, verdict: &Verdict) -> Completion {
    Completion {
        outcome: verdict.outcome,
        duration_ms: exit.duration_ms,
        exit_code: exit.code.filter(|_| exit.signal.is_none()),
        signal: exit.signal,
        error: verdict.error.clone(),
        exit_forced: verdict.exit_forced,
        session_id: verdict.session_id.clone(),
        usage: verdict.usage,
        leftovers: exit.leftovers,
        resets_at_ms: verdict.resets_at_ms,
        http_status: verdict.evidence.http_status,
        cause: verdict.evidence.cause,
        used: exit.used,
    }
}

// === impl Course ===

impl Course {
    fn no_earlier(&mut self, at: Stamp) -> Stamp {
        self.raw = self.raw.max(at.raw);
        Stamp {
            raw: self.raw,
            ..at
        }
    }

    fn line(&mut self, parser: &mut dyn Parser, line: Line<'_>, out: &mut dyn Sink) {
        self.tally.lines += 1;
        let mut sink = Counting::new(self, out);
        parser.line(&line, &mut sink);
        sink.close(&line);
    }
}

/// Passes activities on, and notes what a line came to.
struct Counting<'a> {
    course: &'a mut Course,
    out: &'a mut dyn Sink,
    shown: bool,
    ignored: Option<&'static IgnoreRule>,
    held: Option<&'static str>,
}

impl<'a> Counting<'a> {
    fn new(course: &'a mut Course, out: &'a mut dyn Sink) -> Counting<'a> {
        Counting {
            course,
            out,
            shown: false,
            ignored: None,
            held: None,
        }
    }

    /// The line has been dealt with: enters it in the tally, and shows it if nobody answered for it.
    fn close(mut self, line: &Line<'_>) {
        match (self.shown, self.held, self.ignored) {
            (true, ..) => {}
            (false, Some(what), _) => {
                *self.course.tally.held.entry(what).or_default() += 1;
                return;
            }
            (false, None, Some(rule)) => {
                *self.course.tally.ignored.entry(rule.event).or_default() += 1;
                return;
            }
            (false, None, None) => {
                let data = whole(line);
                self.activity(line.at, &Activity::Unknown { name: None, data });
            }
        }
        self.course.tally.shown += 1;
    }
}

/// A line as it was: JSON if it is that.
fn whole<'a>(line: &Line<'a>) -> Foreign<'a> {
    match serde_json::from_slice(line.bytes) {
        Ok(raw) if line.truncated_bytes == 0 => Foreign::Json {
            raw: Cow::Borrowed(raw),
            lossy: false,
        },
        _ => Foreign::Text(text::of_line(line)),
    }
}

impl Sink for Counting<'_> {
    fn activity(&mut self, at: Stamp, activity: &Activity<'_>) {
        self.shown = true;
        self.course.tally.activities += 1;
        if matches!(activity, Activity::Unknown { .. }) {
            self.course.tally.unknown += 1;
        }
        let at = match self.course.is_ending {
            true => Stamp {
                wall_ms: at.wall_ms.max(self.course.shown_ms),
                ..at
            },
            false => at,
        };
        self.course.shown_ms = at.wall_ms;
        self.out.activity(self.course.no_earlier(at), activity);
    }

    fn ignored(&mut self, rule: &'static IgnoreRule) {
        self.ignored = Some(rule);
        self.out.ignored(rule);
    }

    fn held(&mut self, what: &'static str) {
        self.held = Some(what);
        self.out.held(what);
    }
}

#[cfg(test)]
mod tests;
