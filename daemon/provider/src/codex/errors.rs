//! Codex's error texts. It prints no status and no code, so sentences are all there is: those of
//! its own making are matched as a whole or by their beginning, never by a loose word.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::connection;
use crate::evidence::{self, Cause};
use crate::json::Object;
use crate::judge::{self, Problem};
use crate::outcome::Outcome;
use crate::reset::{self, Clock};

/// Sentences of codex (`codex-rs/protocol/src/error.rs` at 098a47f) and of the API behind it, by
/// their beginnings.
const BEGINNINGS: &[(&str, Outcome)] = &[
    (
        "Quota exceeded. Check your plan and billing details",
        Outcome::CreditExhausted,
    ),
    ("You exceeded your current quota", Outcome::CreditExhausted),
    (
        "To use Codex with your ChatGPT plan, upgrade",
        Outcome::CreditExhausted,
    ),
    (
        "Your workspace is out of credits.",
        Outcome::CreditExhausted,
    ),
    ("You hit your spend cap set ", Outcome::CreditExhausted),
    ("Rate limit reached for ", Outcome::RateLimited),
    ("Rate limit is exceeded.", Outcome::RateLimited),
    ("Our servers are currently overloaded.", Outcome::Overloaded),
    (
        "Codex ran out of room in the model's context window",
        Outcome::ContextExceeded,
    ),
    (
        "Your input exceeds the context window of this model",
        Outcome::ContextExceeded,
    ),
    ("Selected model is at capacity", Outcome::Overloaded),
    ("Missing environment variable: `", Outcome::Auth),
    ("Your access token could not be refreshed", Outcome::Auth),
    ("Not logged in", Outcome::Auth),
];

/// Sentences that begin with the model's name, by their ends.
const MODEL_ENDS: &[&str] = &[
    "does not exist or you do not have access to it.",
    "model is not supported when using Codex with a ChatGPT account.",
];

/// Of a session that it cannot resume.
const UNKNOWN_SESSIONS: [&str; 2] = ["no rollout found", "thread not loaded: "];

/// What follows says when a plan's limit goes away.
const TRY_AGAIN_AT: &str = "ry again at ";
const TRY_AGAIN_IN: &str = "ry again in ";

/// Stands before what ended an answer that had begun: a sentence of the API, or how the connection
/// was lost.
const STREAM: &str = "stream disconnected before completion: ";

/// Sentences of codex of an API that gave no answer, or none to its end, by their beginnings.
const LOST: &[&str] = &[
    "Connection failed: ",
    "Error while reading the server response: ",
    "Transport error: ",
    "stream closed before ",
    "websocket closed ",
    "idle timeout waiting for ",
];

/// Its sentence for a plain 500, whatever it says of demand (an overload has one of its own), and the
/// API's for an answer that it broke off.
const SERVER_ERRORS: [&str; 2] = [
    "We're currently experiencing high demand",
    "An error occurred while processing your request.",
];

/// What an error text amounts to.
pub(super) fn problem(message: &str, clock: Clock<'_>) -> Problem {
    let said = Said::of(message.trim());
    let outcome = said.outcome();
    let is_limit = outcome == Outcome::RateLimited;
    Problem {
        resets_at_ms: is_limit.then(|| resets_at(&said.text, clock)).flatten(),
        http_status: said.status.and_then(evidence::http_status),
        cause: said.is_lost().then_some(Cause::Unreachable),
        ..Problem::new(outcome, said.text)
    }
}

/// What a start that failed says on stderr beyond its outcome: `Error: thread/resume: thread/resume
/// failed: no rollout found for thread id … (code -32600)`.
pub(super) fn cause(line: &str) -> Option<Cause> {
    let said = line.strip_prefix("Error: ")?;
    let said = said.rsplit(" failed: ").next()?;
    UNKNOWN_SESSIONS
        .iter()
        .any(|beginning| said.starts_with(beginning))
        .then_some(Cause::UnknownSession)
}

/// `… or try again at Nov 23rd, 2026 2:13 AM.`, in the zone of its own clock; older ones say
/// `Try again in 3 days 2 hours.`
fn resets_at(message: &str, clock: Clock<'_>) -> Option<i64> {
    let at = || clock.time(reset::after(message, TRY_AGAIN_AT)?);
    let span = || clock.span(reset::after(message, TRY_AGAIN_IN)?);
    at().or_else(span)
}

/// An error text, taken apart.
struct Said<'m> {
    /// For people: a body of the API in it is replaced by what that says.
    text: Cow<'m, str>,
    /// Of the API's answer.
    status: Option<u64>,
    /// Where the sentence begins.
    begins: usize,
}

impl<'m> Said<'m> {
    fn of(message: &'m str) -> Said<'m> {
        let mut said = Said {
            text: Cow::Borrowed(message),
            status: status(message),
            begins: match status(message) {
                Some(_) => message.find(": ").map_or(message.len(), |at| at + 2),
                None if message.starts_with(STREAM) => STREAM.len(),
                None => 0,
            },
        };
        let (before, body) = message.split_at(said.begins);
        if let Some((status, sentence, behind)) = of_body(body) {
            said.text = Cow::Owned(format!("{before}{sentence}{behind}"));
            said.status = said.status.or(status);
        }
        said
    }

    fn outcome(&self) -> Outcome {
        let sentence = self.text[self.begins..].replace('\u{2019}', "'");
        if sentence.starts_with("You've hit your usage limit") {
            let tells_when = sentence.contains(TRY_AGAIN_AT) || sentence.contains(TRY_AGAIN_IN);
            return if tells_when {
                Outcome::RateLimited
            } else {
                Outcome::CreditExhausted
            };
        }
        let known = BEGINNINGS
            .iter()
            .find(|(beginning, _)| sentence.starts_with(beginning))
            .map(|(_, outcome)| *outcome);
        known
            .or_else(|| names_no_model(&sentence).then_some(Outcome::ModelNotFound))
            .or_else(|| judge::outcome_of_status(self.status?))
            .or_else(|| self.is_lost().then_some(Outcome::Overloaded))
            .or_else(|| self.is_server_error().then_some(Outcome::Overloaded))
            .unwrap_or(Outcome::Failed)
    }

    /// Whether it says that there was no connection, or that it was lost.
    fn is_lost(&self) -> bool {
        let sentence = &self.text[self.begins..];
        let begins = || LOST.iter().any(|it| sentence.starts_with(it));
        self.status.is_none() && (begins() || connection::is_lost(sentence))
    }

    /// Whether the API failed, rather than refused.
    fn is_server_error(&self) -> bool {
        let sentence = self.text[self.begins..].replace('\u{2019}', "'");
        let begins = || SERVER_ERRORS.iter().any(|it| sentence.starts_with(it));
        matches!(self.status, Some(408 | 500 | 504 | 520..=524)) || begins()
    }
}

/// The status of an answer whose body codex hands on as it came, its sentence, and what is behind
/// it: `{"type":"error","status":400,"error":{"message":…}}`, `{"detail":…}, url: https://…`.
fn of_body(text: &str) -> Option<(Option<u64>, Cow<'_, str>, &str)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let body = Object::parse(values.next()?.ok()?, false)?;
    let sentence = body
        .object("error")
        .and_then(|error| error.str("message"))
        .or_else(|| body.str("detail"))?;
    Some((body.u64("status"), sentence, &text[values.byte_offset()..]))
}

/// The status in `unexpected status 401 Unauthorized: …` and in
/// `exceeded retry limit, last status: 429 Too Many Requests`.
fn status(message: &str) -> Option<u64> {
    let after = message
        .strip_prefix("unexpected status ")
        .or_else(|| message.strip_prefix("exceeded retry limit, last status: "))?;
    after.get(..3)?.parse().ok()
}

fn names_no_model(sentence: &str) -> bool {
    // The address follows: `…, url: http://…`.
    let sentence = sentence.split(", url: ").next().unwrap_or(sentence);
    MODEL_ENDS.iter().any(|end| sentence.ends_with(end))
}

/// A notice that it connects again.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Retry {
    /// Counted from 1; none where it goes on for as long as it takes.
    pub(super) attempt: Option<u32>,
    pub(super) reason: &'static str,
}

/// Reads `Reconnecting... 2/5 (why)`, where the reason is not always there, and `Reconnecting... waiting
/// for network (why)`, which newer ones print until there is one.
pub(super) fn retry(message: &str) -> Option<Retry> {
    let rest = message.strip_prefix("Reconnecting... ")?;
    if rest.starts_with("waiting for network") {
        return Some(Retry {
            attempt: None,
            reason: "reconnect",
        });
    }
    let (attempt, rest) = rest.split_once('/')?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let why = rest[digits..]
        .trim()
        .strip_prefix('(')
        .and_then(|why| why.strip_suffix(')'));
    (digits > 0).then_some(Retry {
        attempt: Some(attempt.parse().ok()?),
        reason: why.map_or("reconnect", reason),
    })
}

fn reason(why: &str) -> &'static str {
    let said = Said::of(why.trim());
    match said.outcome() {
        Outcome::RateLimited => "rate_limit",
        Outcome::Overloaded if said.is_lost() => "reconnect",
        Outcome::Overloaded if said.is_server_error() => "server_error",
        Outcome::Overloaded => "overloaded",
        Outcome::Auth => "auth",
        _ => "reconnect",
    }
}

#[cfg(test)]
mod tests;
