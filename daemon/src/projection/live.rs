//! How an invocation is doing, noted while its lines are made: what it did last, how many tools it
//! called, what it used so far. A line costs a comparison or two, and a copy of the beginning of a
//! text that a person would look at, into memory that is there already; it is made readable only
//! for who asks.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

use steroids_provider::activity::{Activity, PlanItem, PlanStatus, Stamp, Usage};
use steroids_provider::encode::type_of;

use crate::domain::{Live, UsageTotals};

/// Bytes of the last text that are kept.
const TEXT: usize = 200;

/// Bytes of a text that are looked at for those.
const LOOK: usize = 1024;

/// Open calls told apart. No agent has so many; a CLI that never ends one would otherwise grow
/// this for ever.
const CALLS: usize = 4096;

/// The course of one invocation so far.
#[derive(Debug, Default)]
pub(super) struct Course {
    // But for its text.
    live: Live,
    // The beginning of the last text, as it came.
    text: String,
    usage: Option<Usage>,
    // Hashes of the ids of calls without a result.
    open: BTreeSet<u64>,
}

impl Course {
    /// How it is doing now.
    pub(super) fn live(&self) -> Live {
        Live {
            last_text: one_line(&self.text),
            ..self.live.clone()
        }
    }

    /// Notes one line.
    pub(super) fn note(&mut self, at: Stamp, activity: &Activity<'_>) {
        self.live.lines += 1;
        self.live.last_activity_ms = i64::try_from(at.wall_ms).unwrap_or(i64::MAX);
        match activity {
            Activity::Tool { cmd, call_id, .. } => {
                self.live.tools += 1;
                if let Some(call) = call_id.as_deref() {
                    self.begin(call);
                }
                self.last(activity, &cmd.text);
            }
            Activity::ToolResult { call_id, .. } => self.end(call_id),
            Activity::Output { msg, .. }
            | Activity::Thinking { msg }
            | Activity::Notice { msg, .. } => self.last(activity, &msg.text),
            Activity::Retry { reason, msg, .. } => {
                let is_said = !msg.text.trim().is_empty();
                self.last(activity, if is_said { &msg.text } else { reason });
            }
            Activity::Plan { items } => self.last(activity, current(items)),
            Activity::Usage(usage) => self.count(*usage),
            Activity::Start { .. }
            | Activity::Session { .. }
            | Activity::Input { .. }
            | Activity::Unknown { .. }
            | Activity::Complete(_)
            | Activity::Error { .. } => {}
        }
    }

    fn begin(&mut self, call: &str) {
        if self.open.len() < CALLS {
            self.open.insert(hash(call));
            self.live.open_tools = self.open.len() as u64;
        }
    }

    fn end(&mut self, call: &str) {
        self.open.remove(&hash(call));
        self.live.open_tools = self.open.len() as u64;
    }

    fn last(&mut self, activity: &Activity<'_>, text: &str) {
        let beginning = &text[..text.floor_char_boundary(LOOK)];
        if beginning.chars().all(is_blank) {
            return;
        }
        self.live.last_type = type_of(activity);
        self.text.clear();
        self.text.push_str(beginning);
    }

    /// As the ending counts: a total stands for all before it, and what follows is put to it.
    fn count(&mut self, usage: Usage) {
        let sum = match self.usage {
            Some(before) if !usage.total => before.plus(usage),
            _ => usage,
        };
        self.usage = Some(sum);
        self.live.usage = Some(totals(sum));
    }
}

/// The same in the words of a row.
pub(super) fn totals(usage: Usage) -> UsageTotals {
    UsageTotals {
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
        cached_input_tokens: usage.cached_input_tokens,
        cache_creation_tokens: usage.cache_creation_tokens,
        total_cost_usd: usage.total_cost_usd,
    }
}

/// The item at work, or the next one.
fn current(items: &[PlanItem]) -> &str {
    let of = |status| items.iter().find(|item| item.status == status);
    let item = of(PlanStatus::InProgress).or_else(|| of(PlanStatus::Pending));
    item.or(items.last()).map_or("", |item| &item.text)
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

/// The beginning of a text on one line, without control characters.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    let mut is_apart = false;
    for c in text.chars() {
        if c.is_whitespace() {
            is_apart = !line.is_empty();
        } else if !c.is_control() {
            if line.len() + usize::from(is_apart) + c.len_utf8() > TEXT {
                break;
            }
            if std::mem::take(&mut is_apart) {
                line.push(' ');
            }
            line.push(c);
        }
    }
    line
}

fn hash(call: &str) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(call)
}

#[cfg(test)]
mod tests {
    use steroids_provider::activity::{Stream, Text};

    use super::*;

    fn text(text: &str) -> Text<'_> {
        Text {
            text: text.into(),
            ..Text::default()
        }
    }

    fn course(activities: &[Activity<'_>]) -> Live {
        let mut course = Course::default();
        for (n, activity) in activities.iter().enumerate() {
            let wall_ms = 100 + n as u64;
            let at = Stamp {
                wall_ms,
                ..Stamp::default()
            };
            course.note(at, activity);
        }
        course.live()
    }

    fn output(msg: &str) -> Activity<'_> {
        Activity::Output {
            stream: Stream::Stdout,
            msg: text(msg),
        }
    }

    fn tool<'a>(cmd: &'a str, call: Option<&'a str>) -> Activity<'a> {
        Activity::Tool {
            cmd: text(cmd),
            name: "Bash".into(),
            input: None,
            call_id: call.map(Into::into),
            parent_call_id: None,
        }
    }

    fn result(call: &str) -> Activity<'_> {
        Activity::ToolResult {
            call_id: call.into(),
            ok: true,
            exit_code: None,
            duration_ms: None,
            msg: None,
        }
    }

    #[test]
    fn tools_are_open_until_their_result_and_those_without_an_id_never_are() {
        let calls = [
            tool("ls", Some("a")),
            tool("make", Some("b")),
            tool("web", None),
        ];
        let live = course(&calls);
        assert_eq!((live.tools, live.open_tools, live.lines), (3, 2, 3));
        assert_eq!((live.last_type, live.last_text.as_str()), ("tool", "web"));
        let results = [result("a"), result("a"), result("of no call")];
        let live = course(&[&calls[..], &results].concat());
        assert_eq!((live.tools, live.open_tools, live.lines), (3, 1, 6));
        // A result is activity, but not what a person looks at.
        assert_eq!((live.last_type, live.last_activity_ms), ("tool", 105));
    }

    #[test]
    fn the_last_text_is_one_short_line_without_control_characters() {
        let live = course(&[output("  a\u{1b}[31m\n\n\tb\u{0}\u{9b}c  ")]);
        assert_eq!(live.last_text, "a[31m bc");
        let long = "ä ".repeat(500);
        let live = course(&[output(&long)]);
        assert!(live.last_text.len() <= TEXT && live.last_text.len() > TEXT - 4);
        assert!(live.last_text.ends_with('ä'));
    }

    #[test]
    fn a_blank_line_does_not_hide_what_was_said_before() {
        let live = course(&[output("said"), output(" \u{7}\n")]);
        assert_eq!((live.last_text.as_str(), live.lines), ("said", 2));
    }

    #[test]
    fn of_a_plan_the_item_at_work_is_told() {
        let item = |text: &str, status| PlanItem {
            text: text.to_owned(),
            status,
        };
        let mut items = vec![
            item("done", PlanStatus::Completed),
            item("next", PlanStatus::Pending),
        ];
        let plan = |items: &[PlanItem]| {
            let items = items.to_vec();
            course(&[Activity::Plan { items }]).last_text
        };
        assert_eq!(plan(&items), "next");
        items.push(item("now", PlanStatus::InProgress));
        assert_eq!(plan(&items), "now");
        assert_eq!(plan(&items[..1]), "done");
    }

    #[test]
    fn a_total_stands_for_all_before_it_and_what_follows_is_put_to_it() {
        let used = |input_tokens, total, cost| {
            Activity::Usage(Usage {
                input_tokens,
                total,
                total_cost_usd: cost,
                ..Usage::default()
            })
        };
        let mut all = vec![used(5, false, None), used(6, false, None)];
        assert_eq!(course(&all).usage.unwrap().input_tokens, 11);
        all.push(used(100, true, Some(0.5)));
        all.push(used(7, false, None));
        let usage = course(&all).usage.unwrap();
        assert_eq!((usage.input_tokens, usage.total_cost_usd), (107, Some(0.5)));
    }
}
