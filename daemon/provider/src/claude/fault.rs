//! What kind of error Claude Code reports. Its shape decides first (HTTP status, error kind, a
//! rejected limit), then texts that are known word for word from their beginning on. Words that
//! merely occur in a text decide nothing: an agent writes about rate limits too.

use jiff::Timestamp;

use crate::evidence;
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
    Problem {
        resets_at_ms,
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

/// Whether a text is one that the CLI prints in place of an answer.
pub(super) fn is_error_text(text: &str) -> bool {
    text.starts_with("API Error: ") || phrase(text).is_some()
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
        .unwrap_or(Outcome::Failed)
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
    status: Option<u64>,
    kind: Option<String>,
    message: &'a str,
}

impl<'a> Body<'a> {
    fn of(text: &'a str) -> Body<'a> {
        let mut body = Body {
            status: None,
            kind: None,
            message: text,
        };
        let Some(rest) = text.strip_prefix("API Error: ") else {
            return body;
        };
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
mod tests {
    use super::*;
    use crate::testing::at;

    fn clock() -> Clock<'static> {
        Clock::at(at(1))
    }

    fn of(status: Option<u64>, kind: Option<&str>, text: &str) -> Outcome {
        let shape = Shape {
            status,
            kind,
            limit: None,
        };
        problem(&shape, text, clock()).outcome
    }

    #[test]
    fn the_shape_decides_before_the_text() {
        assert_eq!(
            of(Some(529), Some("server_error"), "Overloaded"),
            Outcome::Overloaded
        );
        assert_eq!(
            of(Some(500), Some("server_error"), "API Error: 500 x"),
            Outcome::Failed
        );
        assert_eq!(
            of(Some(429), Some("rate_limit"), "slow down"),
            Outcome::RateLimited
        );
        assert_eq!(of(Some(403), None, ""), Outcome::Auth);
        assert_eq!(
            of(None, Some("billing_error"), ""),
            Outcome::CreditExhausted
        );
        assert_eq!(
            of(None, None, "API Error: 503 try later"),
            Outcome::Overloaded
        );
        assert_eq!(
            of(None, None, "API Error: Connection error."),
            Outcome::Failed
        );
    }

    #[test]
    fn a_limit_without_a_reset_is_exhausted_credit() {
        let limited = |resets_at| {
            let shape = Shape {
                status: Some(429),
                kind: Some("rate_limit"),
                limit: Some(Limit { resets_at }),
            };
            problem(&shape, "You've hit your session limit", clock())
        };
        assert_eq!(limited(None).outcome, Outcome::CreditExhausted);
        let with = limited(Some(1_795_400_000));
        assert_eq!(with.outcome, Outcome::RateLimited);
        assert_eq!(
            with.error,
            "You've hit your session limit (resets 2026-11-23T02:13:20Z)"
        );
        assert_eq!(with.resets_at_ms, Some(1_795_400_000_000));
        assert_eq!(limited(None).resets_at_ms, None);
        assert_eq!(limited(Some(i64::MAX)).outcome, Outcome::RateLimited);
        assert_eq!(limited(Some(i64::MAX)).resets_at_ms, None);
        let in_ms = limited(Some(1_795_400_000_000));
        assert_eq!(
            (in_ms.error, in_ms.resets_at_ms),
            (with.error, Some(1_795_400_000_000))
        );
        let text = "You've hit your weekly limit · resets Monday";
        assert_eq!(
            of(Some(429), Some("rate_limit"), text),
            Outcome::RateLimited
        );
        for text in [
            "You've hit your usage limit",
            "You're out of usage credits",
            "Your org is out of usage · add funds to continue",
        ] {
            let outcome = of(Some(429), Some("rate_limit"), text);
            assert_eq!(outcome, Outcome::CreditExhausted, "{text}");
        }
        assert_eq!(
            of(None, None, "5-hour limit reached ∙ resets 3am"),
            Outcome::RateLimited
        );
    }

    #[test]
    fn a_sentence_with_a_time_tells_when_a_limit_goes_away() {
        let resets = |text: &str| problem(&Shape::default(), text, clock()).resets_at_ms;
        let hours = |hours: i64| Some(hours * 3_600_000);
        assert_eq!(
            resets("You've hit your session limit · resets 3pm (UTC)"),
            hours(15)
        );
        assert_eq!(
            resets("You've hit your weekly limit · resets Jan 3 at 1am (UTC)"),
            hours(49)
        );
        assert_eq!(
            resets("Claude AI usage limit reached|1795400000"),
            Some(1_795_400_000_000)
        );
        // The first day was a Thursday.
        assert_eq!(
            resets("You've hit your weekly limit · resets Mon 12:00am"),
            hours(96)
        );
        assert_eq!(
            resets("You're out of usage credits · resets 8pm (UTC)"),
            hours(20)
        );
        assert_eq!(
            resets("You've hit your session limit · resets in 2h 30m"),
            Some(2 * 3_600_000 + 30 * 60_000 + 10)
        );
        assert_eq!(
            resets("Weekly limit reached · resets 10am (UTC)"),
            hours(10)
        );
        assert_eq!(resets("5-hour limit reached ∙ resets 3am"), hours(3));
        assert_eq!(resets("You've hit your weekly limit · resets Monday"), None);
        let unread = Shape {
            status: Some(429),
            limit: Some(Limit {
                resets_at: Some(i64::MAX),
            }),
            ..Shape::default()
        };
        let text = "You've hit your session limit · resets 3pm (UTC)";
        assert_eq!(problem(&unread, text, clock()).resets_at_ms, hours(15));
        assert_eq!(resets("The quota resets 3pm (UTC)"), None);
    }

    #[test]
    fn bodies_of_the_api_are_read() {
        let body = r#"API Error: 400 {"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 2 tokens > 1 maximum"}}"#;
        assert_eq!(
            of(Some(400), Some("invalid_request"), body),
            Outcome::ContextExceeded
        );
        let body = r#"API Error: 404 {"type":"error","error":{"type":"not_found_error","message":"model: nope"}}"#;
        assert_eq!(of(Some(404), None, body), Outcome::ModelNotFound);
        let body = r#"API Error: 400 {"error":{"type":"overloaded_error","message":"\u0041"}}"#;
        assert_eq!(of(None, None, body), Outcome::Overloaded);
    }

    #[test]
    fn words_that_merely_occur_decide_nothing() {
        for text in [
            "I fixed the rate limit",
            "5-hour limit reached is what it prints; it resets 3am",
            "Limit reached",
            "the prompt is too long: cut it",
            "model: not found",
            "Add auth; credit balance is too low is printed",
        ] {
            assert_eq!(of(None, None, text), Outcome::Failed, "{text}");
            assert!(!is_error_text(text));
        }
    }
}
