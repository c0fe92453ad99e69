//! How an invocation is doing, noted while its lines are made: what it did last, how many tools it
//! called, what it used so far. A line costs a comparison or two, and a copy of the beginning of a
//! text that a person would look at, into memory that is there already; it is made readable only
//! for who asks.

use std::sync::Arc;

use steroids_provider::activity::{Activity, PlanItem, PlanStatus, Stamp, Stream, Usage};
use steroids_provider::encode::type_of;
use steroids_provider::parser::Vitals;
use steroids_provider::waits::{Wait, Waiting, Waits};
use steroids_shim::spool::{Control, Limited, NO_MORE_INPUT};

use crate::domain::{Asking, Live, Stall, Stalls, UsageTotals, Zone, is_question, without_escapes};

/// The word of one that has answered and takes another message.
pub const MESSAGE: &str = "message";

const HAS_ANSWERED: &str = "has answered and waits for your message";

/// Bytes of the last text that are kept.
const TEXT: usize = 200;

/// Bytes of a text that are looked at for those.
const LOOK: usize = 1024;

/// Bytes of a line without an end that are looked at for those: longer tokens are of no use to anybody.
const LINE: usize = 8 * 1024;

/// The course of one invocation so far.
#[derive(Debug, Default)]
pub(super) struct Course {
    // But for its text, and for what it waits for.
    live: Live,
    // The beginning of the last text, as it came.
    text: String,
    usage: Option<Usage>,
    waits: Waits,
    stalls: Stalls,
    // Since when it is being ended.
    ending_ms: Option<u64>,
    messages: Option<Messages>,
    // Where in the spool stdout and stderr printed last,
    printed: [i64; 2],
    // and where it came to have answered.
    answered: Option<i64>,
    // Once it was told to end, or its input was closed: where the wait began in which it was then.
    left: Option<Option<i64>>,
}

/// Of one that takes messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Messages {
    /// So long after an answer its input is closed, in milliseconds.
    pub(super) within_ms: Option<u64>,
    /// When its time to run is over, in epoch milliseconds.
    pub(super) over_ms: Option<u64>,
}

impl Course {
    pub(super) fn new(waits: Waits, messages: Option<Messages>) -> Course {
        Course {
            waits,
            messages,
            ..Course::default()
        }
    }

    /// How it is doing now, with what its parser knows, and what it has printed of a line that has no end yet.
    pub(super) fn live(
        &self,
        vitals: Vitals,
        unfinished: impl Fn() -> Option<(Stream, String)>,
    ) -> Live {
        let mut live = Live {
            last_text: one_line(&self.text),
            open_tools: self.waits.open() as u64,
            ..self.live.clone()
        };
        if let Some(since) = self.ending_ms {
            live.waits_for = "ending";
            live.waits_since_ms = signed(since);
            return live;
        }
        let Waiting { mut what, since_ms } = self.waits.now(vitals);
        if let (Wait::Output | Wait::Model, Some((stream, text))) = (&what, unfinished()) {
            what = what.within_line();
            live.waits_raw = is_question(&text).then(|| self.printed[pipe(stream)]);
            live.waits_on = text;
        }
        live.waits_for = what.word();
        live.waits_since_ms = signed(since_ms);
        let messages = self.messages.filter(|_| !self.live.input_closed);
        if let (Wait::ResultSent, Some(messages)) = (&what, messages) {
            // What comes next is up to who talks with it.
            live.waits_for = MESSAGE;
            live.waits_raw = Some(self.answered.unwrap_or_default());
            let within = messages.within_ms.map(|ms| since_ms.saturating_add(ms));
            let until = within.into_iter().chain(messages.over_ms).min();
            live.waits_until_ms = until.map(signed);
        }
        match what {
            Wait::Tool { name } => live.waits_on = name,
            Wait::Retry { until_ms } => live.waits_until_ms = until_ms.map(signed),
            Wait::Output | Wait::Line | Wait::Model | Wait::Background | Wait::ResultSent => {}
        }
        if let Some(stall) = self.stalls.next() {
            live.limit = stall.limit;
            live.limit_at_ms = Some(stall.ends_ms);
        }
        live
    }

    /// Which limits are near, and whom it waits for, as it now is.
    pub(super) fn stalls(&self, now: impl FnOnce() -> Option<Asking>) -> Stalls {
        Stalls {
            tells_waiting: self.left.is_none(),
            waiting: match self.left {
                Some(left) => left.map(Asking::of_before),
                None => now(),
            },
            ..self.stalls.clone()
        }
    }

    /// Notes that something was printed, whether or not a line comes of it.
    pub(super) fn printed(&mut self, at: Stamp, stream: Stream) {
        self.waits.printed(at);
        self.printed[pipe(stream)] = signed(at.raw);
        self.live.last_activity_ms = signed(at.wall_ms);
        // The last words of one that is being ended do not save it.
        if self.ending_ms.is_none() {
            self.stalls.silence = None;
            self.stalls.went_on = None;
        }
    }

    /// Notes what was done to it; what its record says is kept as `shown` has it.
    pub(super) fn control(&mut self, at: Stamp, control: &Control, shown: impl Fn(&str) -> String) {
        match control {
            Control::Limit {
                limit,
                ends_ms: Some(ends_ms),
                msg,
            } => {
                let stall = Stall {
                    raw: signed(at.raw),
                    limit: limit.as_str(),
                    ends_ms: signed(*ends_ms),
                    msg: shown(msg),
                };
                match limit {
                    Limited::Silence | Limited::ToolSilence => self.stalls.silence = Some(stall),
                    Limited::Wall => self.stalls.wall = Some(stall),
                }
            }
            Control::Limit {
                limit: Limited::Silence | Limited::ToolSilence,
                ends_ms: None,
                msg,
            } => {
                self.stalls.silence = None;
                self.stalls.went_on = Some(shown(msg));
            }
            // It has something to do again, and its silence is counted anew.
            Control::Input { .. } if self.ending_ms.is_none() => {
                self.waits.printed(at);
                self.stalls.silence = None;
                self.stalls.went_on = Some("it was sent a message".to_owned());
            }
            Control::Stop { .. } => self.ending_ms = Some(at.wall_ms),
            Control::Notice { msg, .. } if msg.starts_with(NO_MORE_INPUT) => {
                self.live.input_closed = true;
            }
            Control::Limit { .. }
            | Control::Input { .. }
            | Control::Notice { .. }
            | Control::Other(_) => {}
        }
    }

    /// Notes whether it has answered, of one that takes messages, by what its parser knows after a record.
    pub(super) fn settle(&mut self, at: Stamp, vitals: impl FnOnce() -> Vitals) {
        if self.messages.is_none() {
            return;
        }
        let has_answered = self.waits.now(vitals()).what == Wait::ResultSent;
        let since = self.answered.unwrap_or(signed(at.raw));
        self.answered = has_answered.then_some(since);
    }

    /// Notes that from now on it waits for nobody, as it did; the first time counts. What it prints on its way
    /// out is no answer to anybody's.
    pub(super) fn leave(&mut self, waits_since: Option<i64>) {
        self.left.get_or_insert(waits_since);
    }

    /// Notes one line.
    pub(super) fn note(&mut self, at: Stamp, activity: &Activity<'_>) {
        self.live.lines += 1;
        self.live.last_activity_ms = signed(at.wall_ms);
        self.waits.note(at, activity);
        match activity {
            Activity::Tool { cmd, .. } => {
                self.live.tools += 1;
                self.last(activity, &cmd.text);
            }
            // The first line: from then on it is waited for.
            Activity::Start { .. } => self.waits.printed(at),
            Activity::Output { msg, .. }
            | Activity::Thinking { msg }
            | Activity::Notice { msg, .. } => self.last(activity, &msg.text),
            Activity::Retry { reason, msg, .. } => {
                let is_said = !msg.text.trim().is_empty();
                self.last(activity, if is_said { &msg.text } else { reason });
            }
            Activity::Plan { items } => self.last(activity, current(items)),
            Activity::Usage(usage) => self.count(*usage),
            Activity::Session { session_id, .. } => {
                self.live.session_id = Some(Arc::from(&**session_id));
            }
            Activity::ToolResult { .. }
            | Activity::Input { .. }
            | Activity::Unknown { .. }
            | Activity::Complete(_)
            | Activity::Error { .. } => {}
        }
    }

    fn last(&mut self, activity: &Activity<'_>, text: &str) {
        let beginning = &text[..text.floor_char_boundary(LOOK)];
        if without_escapes(beginning).chars().all(is_blank) {
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
        uncosted: usage.uncosted,
        estimated: false,
        cumulative: usage.cumulative,
    }
}

/// The item at work, or the next one.
fn current(items: &[PlanItem]) -> &str {
    let of = |status| items.iter().find(|item| item.status == status);
    let item = of(PlanStatus::InProgress).or_else(|| of(PlanStatus::Pending));
    item.or(items.last()).map_or("", |item| &item.text)
}

/// The end of what was printed of a line, as a person sees it: what a `\r` has taken back is gone.
pub(super) fn unfinished(bytes: &[u8], shown: impl Fn(&str) -> String) -> Option<String> {
    let bytes = bytes.trim_ascii_end();
    let begins = memchr::memrchr(b'\r', bytes).map_or(0, |at| at + 1);
    let mut bytes = &bytes[begins..];
    if bytes.len() > LINE {
        // A secret is known by its beginning.
        bytes = &bytes[bytes.len() - LINE..];
        bytes = &bytes[bytes.iter().position(u8::is_ascii_whitespace)?..];
    }
    let text = shown(&String::from_utf8_lossy(bytes));
    let text = one_line(&text[text.ceil_char_boundary(text.len().saturating_sub(TEXT))..]);
    (!text.is_empty()).then_some(text)
}

/// The wait for a person in which it is.
pub(super) fn asking(live: &Live, zone: &Zone) -> Option<Asking> {
    let raw = live.waits_raw?;
    let is_certain = live.waits_for == MESSAGE;
    let msg = match (is_certain, live.waits_until_ms) {
        (false, _) => format!("asks: {}", live.waits_on),
        (true, None) => HAS_ANSWERED.to_owned(),
        (true, Some(until)) => {
            let until = zone.time_text(until, live.waits_since_ms);
            format!("{HAS_ANSWERED}, until {until}")
        }
    };
    Some(Asking {
        raw,
        msg,
        is_certain,
    })
}

/// True of a record behind which nobody is waited for: it is to end, or its input is closed.
pub(super) fn is_leaving(control: &Control) -> bool {
    match control {
        Control::Stop { .. } => true,
        Control::Notice { msg, .. } => msg.starts_with(NO_MORE_INPUT),
        Control::Limit { .. } | Control::Input { .. } | Control::Other(_) => false,
    }
}

fn pipe(stream: Stream) -> usize {
    usize::from(stream == Stream::Stderr)
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

/// The beginning of a text on one line, without escape sequences and control characters.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    let mut is_apart = false;
    for c in without_escapes(text).chars() {
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

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
