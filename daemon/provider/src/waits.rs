//! What a provider waits for, by what it has said so far: for people who wonder why nothing comes.
//!
//! Only as far as a CLI tells. One that prints its tool calls when they are over, or plain text, may
//! be waiting for either a tool or the model, and nobody can say for which.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

use crate::activity::{Activity, Stamp, Stream};
use crate::kind::{Format, Kind};
use crate::parser::Vitals;
use crate::run::Run;

/// Open calls told apart. No agent has so many; a CLI that never ends one would otherwise grow
/// this for ever.
const CALLS: usize = 4096;

/// Bytes of a tool's name that are kept: those of MCP servers are the longest, with about 60.
const NAME: usize = 64;

/// What it waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// Its next output; what keeps that nobody knows.
    Output,
    /// The rest of a line whose beginning it has printed; or it has asked somebody something.
    Line,
    /// The model's answer.
    Model,
    /// A tool that runs.
    Tool {
        /// The provider's name of it; empty where it gave none.
        name: String,
    },
    /// The time to try again.
    Retry {
        /// In epoch milliseconds, where it said when.
        until_ms: Option<u64>,
    },
    /// What it left running in the background after its result.
    Background,
    /// Nothing: it has given its final result, and should end.
    ResultSent,
}

impl Wait {
    /// The word as it stands in answers; empty where nobody knows.
    pub fn word(&self) -> &'static str {
        match self {
            Wait::Output => "",
            Wait::Line => "unfinished_line",
            Wait::Model => "model",
            Wait::Tool { .. } => "tool",
            Wait::Retry { .. } => "retry",
            Wait::Background => "background",
            Wait::ResultSent => "result_sent",
        }
    }

    /// The same of one that has printed the beginning of a line: nothing else tells more of what it waits for.
    pub fn within_line(self) -> Wait {
        match self {
            Wait::Output | Wait::Model => Wait::Line,
            told => told,
        }
    }
}

/// What it waits for, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// What.
    pub what: Wait,
    /// In epoch milliseconds: a tool since its call, anything else since the last output.
    pub since_ms: u64,
}

/// What was said so far, as far as it tells.
#[derive(Debug, Default)]
pub struct Waits {
    /// The CLI tells of a call when it begins.
    tells: bool,
    /// By the hash of its id.
    open: BTreeMap<u64, Call>,
    begun: u64,
    retry: Option<Retry>,
    printed_ms: u64,
}

#[derive(Debug)]
struct Call {
    number: u64,
    name: String,
    since_ms: u64,
    /// The subagent's call within which it was made.
    parent: Option<u64>,
}

#[derive(Debug)]
struct Retry {
    since_ms: u64,
    until_ms: Option<u64>,
}

impl Waits {
    /// Of a run at its beginning.
    pub fn of_run(kind: Kind, format: Format, run: &Run) -> Waits {
        let tells = match (kind, format) {
            (Kind::Claude | Kind::Gemini, Format::Json) | (Kind::Codex, _) => true,
            (Kind::Jsonl, Format::Json) => run
                .mapping
                .as_ref()
                .is_some_and(|mapping| mapping.has_results()),
            // opencode prints a call when it is over.
            (Kind::Opencode, _) | (_, Format::Text) | (Kind::Command, Format::Json) => false,
        };
        Waits {
            tells,
            ..Waits::default()
        }
    }

    /// Notes that something was printed, whatever it comes to.
    pub fn printed(&mut self, at: Stamp) {
        self.printed_ms = at.wall_ms;
    }

    /// Notes what came of it.
    pub fn note(&mut self, at: Stamp, activity: &Activity<'_>) {
        match activity {
            Activity::Tool {
                name,
                call_id: Some(id),
                parent_call_id,
                ..
            } => self.begin(id, name, parent_call_id.as_deref(), at),
            Activity::ToolResult { call_id, .. } => self.end(call_id),
            _ => {}
        }
        match activity {
            Activity::Retry { delay_ms, .. } => {
                self.retry = Some(Retry {
                    since_ms: at.wall_ms,
                    until_ms: delay_ms.map(|delay| at.wall_ms.saturating_add(delay)),
                });
            }
            // What comes beside an attempt, and says nothing of how it went.
            Activity::Notice { .. }
            | Activity::Unknown { .. }
            | Activity::Start { .. }
            | Activity::Session { .. }
            | Activity::Input { .. }
            | Activity::Output {
                stream: Stream::Stderr,
                ..
            } => {}
            _ => self.retry = None,
        }
    }

    /// Calls that have begun and have no result.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// What it waits for now, with what its parser knows of it.
    pub fn now(&self, vitals: Vitals) -> Waiting {
        let since_output = |what| Waiting {
            what,
            since_ms: self.printed_ms,
        };
        if let Some(Retry { since_ms, until_ms }) = self.retry {
            let what = Wait::Retry { until_ms };
            return Waiting { what, since_ms };
        }
        if vitals.open_tools > 0 {
            // The innermost, where a subagent's is open around it.
            let newest = self.open.values().max_by_key(|call| call.number);
            return match newest {
                Some(call) => Waiting {
                    what: Wait::Tool {
                        name: call.name.clone(),
                    },
                    since_ms: call.since_ms,
                },
                None => since_output(Wait::Tool {
                    name: String::new(),
                }),
            };
        }
        since_output(match (vitals.result_seen, vitals.background) {
            (true, 0) => Wait::ResultSent,
            (true, _) => Wait::Background,
            (false, _) if self.tells => Wait::Model,
            (false, _) => Wait::Output,
        })
    }

    fn begin(&mut self, id: &str, name: &str, parent: Option<&str>, at: Stamp) {
        if self.open.len() >= CALLS {
            return;
        }
        self.begun += 1;
        let number = self.begun;
        self.open.entry(hash(id)).or_insert_with(|| Call {
            number,
            name: shown(name),
            since_ms: at.wall_ms,
            parent: parent.map(hash),
        });
    }

    fn end(&mut self, id: &str) {
        let id = hash(id);
        if self.open.remove(&id).is_some() {
            // What a subagent left open went with it.
            self.open.retain(|_, call| call.parent != Some(id));
        }
    }
}

/// A name fit to be shown on a line.
fn shown(name: &str) -> String {
    let name = &name[..name.floor_char_boundary(NAME)];
    name.replace(char::is_control, "?")
}

fn hash(id: &str) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activity::{Level, Text};
    use crate::decoder::Decoder;

    fn at(wall_ms: u64) -> Stamp {
        Stamp {
            wall_ms,
            ..Stamp::default()
        }
    }

    fn tool<'a>(id: &'a str, name: &'a str, parent: Option<&'a str>) -> Activity<'a> {
        Activity::Tool {
            cmd: Text::default(),
            name: name.into(),
            input: None,
            call_id: Some(id.into()),
            parent_call_id: parent.map(Into::into),
        }
    }

    fn result(id: &str) -> Activity<'_> {
        Activity::ToolResult {
            call_id: id.into(),
            ok: true,
            exit_code: None,
            duration_ms: None,
            msg: None,
        }
    }

    fn retry(delay_ms: Option<u64>) -> Activity<'static> {
        Activity::Retry {
            reason: "overloaded".into(),
            attempt: None,
            delay_ms,
            msg: Text::default(),
        }
    }

    fn claude() -> Waits {
        Waits::of_run(Kind::Claude, Format::Json, &Run::default())
    }

    fn open(open_tools: u32) -> Vitals {
        Vitals {
            open_tools,
            ..Vitals::default()
        }
    }

    fn named(name: &str) -> Wait {
        Wait::Tool {
            name: name.to_owned(),
        }
    }

    #[test]
    fn the_innermost_open_tool_is_told_with_the_time_of_its_call() {
        let mut waits = claude();
        waits.note(at(10), &tool("a", "Task", None));
        waits.note(at(20), &tool("b", "Bash", Some("a")));
        waits.printed(at(90));
        let waiting = waits.now(open(2));
        assert_eq!((waiting.what, waiting.since_ms), (named("Bash"), 20));
        waits.note(at(95), &result("b"));
        let waiting = waits.now(open(1));
        assert_eq!((waiting.what, waiting.since_ms), (named("Task"), 10));
        // Its parser knows of none any more.
        assert_eq!(waits.now(open(0)).what, Wait::Model);
    }

    #[test]
    fn what_a_subagent_left_open_goes_with_it() {
        let mut waits = claude();
        waits.note(at(1), &tool("a", "Task", None));
        waits.note(at(2), &tool("b", "Bash", Some("a")));
        waits.note(at(3), &result("a"));
        assert_eq!(waits.open(), 0);
        assert_eq!(waits.now(open(1)).what, named(""));
    }

    #[test]
    fn a_retry_is_waited_for_until_something_comes_of_it() {
        let mut waits = claude();
        waits.note(at(1000), &retry(Some(500)));
        waits.note(
            at(1100),
            &Activity::Notice {
                level: Level::Warn,
                msg: Text::default(),
            },
        );
        let until_ms = Some(1500);
        let waiting = waits.now(Vitals::default());
        assert_eq!(
            (waiting.what, waiting.since_ms),
            (Wait::Retry { until_ms }, 1000)
        );
        waits.note(at(1600), &tool("a", "Bash", None));
        assert_eq!(waits.now(open(1)).what, named("Bash"));
        waits.note(at(1), &retry(None));
        let waiting = waits.now(Vitals::default());
        assert_eq!(waiting.what, Wait::Retry { until_ms: None });
    }

    #[test]
    fn after_the_result_it_waits_for_what_it_left_running_or_should_end() {
        let waits = claude();
        let mut vitals = Vitals {
            result_seen: true,
            background: 1,
            ..Vitals::default()
        };
        assert_eq!(waits.now(vitals).what, Wait::Background);
        vitals.background = 0;
        assert_eq!(waits.now(vitals).what, Wait::ResultSent);
    }

    #[test]
    fn who_prints_calls_when_they_are_over_waits_for_nobody_knows_what() {
        for (kind, format) in [
            (Kind::Opencode, Format::Json),
            (Kind::Command, Format::Text),
            (Kind::Jsonl, Format::Json),
            (Kind::Claude, Format::Text),
        ] {
            let waits = Waits::of_run(kind, format, &Run::default());
            assert_eq!(waits.now(Vitals::default()).what, Wait::Output, "{kind}");
            assert_eq!(waits.now(Vitals::default()).what.word(), "");
        }
    }

    #[test]
    fn calls_that_never_end_are_bounded_and_names_fit_a_line() {
        let mut waits = claude();
        for number in 0..2 * CALLS {
            waits.note(at(1), &tool(&number.to_string(), "x", None));
        }
        assert_eq!(waits.open(), CALLS);
        let name = format!("a\u{1b}\n{}", "ä".repeat(100));
        let mut waits = claude();
        waits.note(at(1), &tool("a", &name, None));
        let Wait::Tool { name } = waits.now(open(1)).what else {
            panic!("it is a tool");
        };
        assert!(name.starts_with("a??ä") && name.len() <= NAME, "{name}");
    }

    #[test]
    fn of_a_cli_the_same_is_told_by_its_own_lines() {
        let mut waits = claude();
        let mut decoder = Decoder::new(Kind::Claude, Format::Json);
        let mut say = |ms, line: &str| {
            let at = Stamp {
                wall_ms: ms,
                mono_ms: ms,
                raw: ms,
            };
            let mut note = |at: Stamp, activity: &Activity<'_>| waits.note(at, activity);
            decoder.feed(
                Stream::Stdout,
                at,
                format!("{line}\n").as_bytes(),
                &mut note,
            );
            waits.printed(at);
            let waiting = waits.now(decoder.vitals());
            (waiting.what, waiting.since_ms)
        };
        let call = r#"{"type":"assistant","message":{"id":"m","role":"assistant","content":[{"type":"tool_use","id":"t1","name":"Bash","input":{"command":"make"}}]},"session_id":"s"}"#;
        assert_eq!(say(5, call), (named("Bash"), 5));
        let done = r#"{"type":"user","message":{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":"ok"}]},"session_id":"s"}"#;
        assert_eq!(say(9, done), (Wait::Model, 9));
        let last = r#"{"type":"result","subtype":"success","is_error":false,"duration_ms":5,"num_turns":1,"result":"done","session_id":"s"}"#;
        assert_eq!(say(11, last), (Wait::ResultSent, 11));
    }
}
