//! What kind of error Claude Code reports. Its shape decides first (HTTP status, error kind, a
//! rejected limit), then texts that are known word for word from their beginning on. Words that
//! merely occur in a text decide nothing: an agent writes about rate limits too.

use jiff::Timestamp;

use crate::connection;
use crate::evidence::{self, Cause};
use crate::json::Object;
use crate::judge::{Problem, outcome_of_status};
use crate::outcome::Outcome;
use crate::reset::{self, Clock};

/// A usage limit that was reached, as `rate_limit_event` tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit {
    /// When it goes away, in epoch seconds or milliseconds, as it was told.
    pub(super) resets_at: Option<i64>,
}

/// What an error looks like from outside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Shape<'a> {
    /// The API's answer.
    pub(super) status: Option<u64>,
    /// The CLI's word for it: `authentication_failed`, `rate_limit`, …
    pub(super) kind: Option<&'a str>,
    /// The limit this run had reached.
    pub(super) limit: Option<Limit>,
}

/// Texts of the CLI and the API, from their beginning.
const PHRASES: [(&str, Outcome); 17] = [
    ("Prompt is too long", Outcome::ContextExceeded),
    ("prompt is too long:", Outcome::ContextExceeded),
    (
        "input length and `max_tokens` exceed context limit",
        Outcome::ContextExceeded,
    ),
    ("Conversation too long", Outcome::ContextExceeded),
    ("Credit balance is too low", Outcome::CreditExhausted),
    ("Your credit balance is too low", Outcome::CreditExhausted),
    ("Invalid API key", Outcome::Auth),
    ("Not logged in", Outcome::Auth),
    ("Please run /login", Outcome::Auth),
    ("Failed to authenticate", Outcome::Auth),
    ("OAuth token revoked", Outcome::Auth),
    ("OAuth token has expired", Outcome::Auth),
    (
        "There's an issue with the selected model",
        Outcome::ModelNotFound,
    ),
    ("Request rejected (429)", Outcome::RateLimited),
    (LIMIT_WITH_SECONDS, Outcome::RateLimited),
    ("Repeated 529 Overloaded errors", Outcome::Overloaded),
    ("Repeated server overload", Outcome::Overloaded),
];

/// Texts of the CLI, from their beginning, of an API that gave no answer, or none to its end.
const LOST: [&str; 9] = [
    "Unable to connect to API",
    "Connection refused",
    "Connection closed",
    "Connection reset",
    "Response stalled",
    "The response stopped arriving",
    "Socket is closed",
    "SSL certificate error",
    "Your computer went to sleep",
];

/// Of one that failed within its answer, which has no status then.
const BUSY: [&str; 2] = ["Server error mid-response", "Overloaded"];

/// Stands before what went wrong with a request.
const API_ERROR: &str = "API Error: ";

/// The time of its reset follows, in epoch seconds.
const LIMIT_WITH_SECONDS: &str = "Claude AI usage limit reached|";

/// Texts that tell of a usage limit, with the time of its reset or without one.
const LIMIT_PHRASES: [&str; 4] = [
    "You've hit your ",
    "You're out of extra usage",
    "You're out of usage credits",
    "Your org is out of usage",
];

/// Those of 2.0, which are followed by ` ∙ resets ` or ` · resets `.
const LIMITS_REACHED: [&str; 5] = [
    "5-hour limit reached",
    "Session limit reached",
    "Weekly limit reached",
    "Opus weekly limit reached",
    "Limit reached",
];

/// Names an error that ended a run.
pub(super) fn problem(shape: &Shape<'_>, text: &str, clock: Clock<'_>) -> Problem {
    let outcome = outcome(shape, text);
    let mut error = if text.is_empty() {
        "failed without saying why"
    } else {
        text
    }
    .to_owned();
    let reset = shape.limit.and_then(|limit| reset_text(limit.resets_at));
    if let (Outcome::RateLimited, Some(reset)) = (outcome, reset) {
        error = format!("{error} ({reset})");
    }
    let resets_at_ms = (outcome == Outcome::RateLimited)
        .then(|| resets_at(shape, text, clock))
        .flatten();
    let is_lost = outcome == Outcome::Overloaded && is_lost(shape, &Body::of(text));
    Problem {
        resets_at_ms,
        cause: is_lost.then_some(Cause::Unreachable),
        http_status: shape
            .status
            .or(Body::of(text).status)
            .and_then(evidence::http_status),
        ..Problem::new(outcome, error)
    }
}

/// When a limit goes away: its event says so, else the sentence may.
fn resets_at(shape: &Shape<'_>, text: &str, clock: Clock<'_>) -> Option<i64> {
    let told = shape.limit.and_then(|limit| limit.resets_at);
    told.and_then(reset::epoch)
        .or_else(|| sentence_resets_at(Body::of(text).message, clock))
}

fn sentence_resets_at(message: &str, clock: Clock<'_>) -> Option<i64> {
    if let Some(seconds) = message.strip_prefix(LIMIT_WITH_SECONDS) {
        let digits = seconds.trim_end_matches(|c: char| !c.is_ascii_digit());
        return reset::seconds(digits.parse().ok()?);
    }
    let rest = limit_text(message)??;
    match rest.strip_prefix("in ") {
        Some(span) => clock.span(span),
        None => clock.time(rest.strip_prefix("at ").unwrap_or(rest)),
    }
}

/// Of a text that tells of a usage limit, what it says of its reset, if anything.
fn limit_text(message: &str) -> Option<Option<&str>> {
    if LIMIT_PHRASES.into_iter().any(|it| message.starts_with(it)) {
        return Some(reset::after(message, " resets "));
    }
    let mut reached = LIMITS_REACHED.into_iter();
    let rest = reached.find_map(|it| message.strip_prefix(it))?;
    let mut dots = [" ∙ resets ", " · resets "].into_iter();
    dots.find_map(|it| rest.strip_prefix(it)).map(Some)
}

/// Whether a text tells when its limit goes away.
fn says_when(message: &str) -> bool {
    message.starts_with(LIMIT_WITH_SECONDS) || matches!(limit_text(message), Some(Some(_)))
}

/// Whether a text is one that the CLI prints in place of an answer.
pub(super) fn is_error_text(text: &str) -> bool {
    text.starts_with(API_ERROR) || phrase(text).is_some()
}

/// `resets 2026-11-23T02:13:20Z`.
pub(super) fn reset_text(resets_at: Option<i64>) -> Option<String> {
    let time = Timestamp::from_millisecond(reset::epoch(resets_at?)?).ok()?;
    Some(format!("resets {time}"))
}

fn outcome(shape: &Shape<'_>, text: &str) -> Outcome {
    let body = Body::of(text);
    let status = shape.status.or(body.status);
    if let Some(limit) = shape.limit
        && status.is_none_or(|status| status == 429)
    {
        return match limit.resets_at {
            Some(_) => Outcome::RateLimited,
            None if says_when(body.message) => Outcome::RateLimited,
            None => Outcome::CreditExhausted,
        };
    }
    of_kind(shape.kind)
        .or_else(|| phrase(body.message))
        .or_else(|| {
            body.kind
                .as_deref()
                .and_then(|kind| of_api_kind(kind, body.message))
        })
        .or_else(|| outcome_of_status(status?))
        .or_else(|| (shape.kind == Some("rate_limit")).then_some(Outcome::RateLimited))
        .or_else(|| is_lost(shape, &body).then_some(Outcome::Overloaded))
        .or_else(|| is_server_error(shape, &body).then_some(Outcome::Overloaded))
        .unwrap_or(Outcome::Failed)
}

/// Whether a request got no answer. Only where the CLI says that this is an error of a request.
fn is_lost(shape: &Shape<'_>, body: &Body<'_>) -> bool {
    let is_unanswered = shape.status.or(body.status).is_none();
    let is_told = body.is_api_error || shape.kind.is_some();
    let begins = || LOST.iter().any(|it| body.message.starts_with(it));
    is_unanswered && is_told && (begins() || connection::is_lost(body.message))
}

/// Whether the API failed, rather than refused; a status would say which it was.
fn is_server_error(shape: &Shape<'_>, body: &Body<'_>) -> bool {
    let is_kind = matches!(body.kind.as_deref(), Some("api_error" | "timeout_error"));
    let begins = || BUSY.iter().any(|it| body.message.starts_with(it));
    let is_unanswered = shape.status.or(body.status).is_none();
    is_unanswered && body.is_api_error && (is_kind || begins())
}

/// The CLI's words that mean one thing only. `rate_limit` and `server_error` do not.
fn of_kind(kind: Option<&str>) -> Option<Outcome> {
    match kind? {
        "authentication_failed" | "oauth_org_not_allowed" => Some(Outcome::Auth),
        "billing_error" => Some(Outcome::CreditExhausted),
        "model_not_found" => Some(Outcome::ModelNotFound),
        _ => None,
    }
}

/// The API's words.
fn of_api_kind(kind: &str, message: &str) -> Option<Outcome> {
    match kind {
        "authentication_error" | "permission_error" => Some(Outcome::Auth),
        "billing_error" => Some(Outcome::CreditExhausted),
        "rate_limit_error" => Some(Outcome::RateLimited),
        "overloaded_error" => Some(Outcome::Overloaded),
        "not_found_error" if message.starts_with("model:") => Some(Outcome::ModelNotFound),
        _ => None,
    }
}

fn phrase(message: &str) -> Option<Outcome> {
    if let Some(reset) = limit_text(message) {
        return Some(match reset {
            Some(_) => Outcome::RateLimited,
            None => Outcome::CreditExhausted,
        });
    }
    let mut known = PHRASES.iter();
    let known = known.find(|(beginning, _)| message.starts_with(beginning));
    known.map(|(_, outcome)| *outcome)
}

/// `API Error: 400 {"type":"error","error":{…}}`, taken apart; or just a text.
struct Body<'a> {
    /// It says that it is of a request to the API.
    is_api_error: bool,
    status: Option<u64>,
    kind: Option<String>,
    message: &'a str,
}

impl<'a> Body<'a> {
    fn of(text: &'a str) -> Body<'a> {
        let mut body = Body {
            is_api_error: false,
            status: None,
            kind: None,
            message: text,
        };
        let Some(rest) = text.strip_prefix(API_ERROR) else {
            return body;
        };
        body.is_api_error = true;
        body.message = rest;
        if let Some((status, rest)) = rest.split_once(' ')
            && status.len() == 3
            && let Ok(status) = status.parse()
        {
            body.status = Some(status);
            body.message = rest;
        }
        // Escapes in the message keep it from being lent; the texts of interest have none.
        if let Ok(raw) = serde_json::from_str(body.message)
            && let Some(error) = Object::parse(raw, false).and_then(|object| object.object("error"))
        {
            body.kind = error.str("type").map(String::from);
            body.message = match error.str("message") {
                Some(std::borrow::Cow::Borrowed(message)) => message,
                _ => "",
            };
        }
        body
    }
}

#[cfg(test)]
mod tests;
