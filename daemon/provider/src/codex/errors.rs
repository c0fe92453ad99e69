//! Codex's error texts. It prints no status and no code, so sentences are all there is: those of
//! its own making are matched as a whole or by their beginning, never by a loose word.

use crate::evidence::{self, Cause};
use crate::judge::{self, Problem};
use crate::outcome::Outcome;
use crate::reset::{self, Clock};

/// Sentences of codex and of the API behind it, by their beginnings.
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

/// Its sentence for a plain 500, whatever it says of demand; an overload has one of its own.
const SERVER_ERROR: &str = "We're currently experiencing high demand";

/// What an error text amounts to.
pub(super) fn problem(message: &str, clock: Clock<'_>) -> Problem {
    let outcome = outcome(message);
    let is_limit = outcome == Outcome::RateLimited;
    Problem {
        resets_at_ms: is_limit.then(|| resets_at(message, clock)).flatten(),
        http_status: status(message.trim()).and_then(evidence::http_status),
        ..Problem::new(outcome, message)
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

fn outcome(message: &str) -> Outcome {
    let message = message.trim().replace('\u{2019}', "'");
    if message.starts_with("You've hit your usage limit") {
        let tells_when = message.contains(TRY_AGAIN_AT) || message.contains(TRY_AGAIN_IN);
        return if tells_when {
            Outcome::RateLimited
        } else {
            Outcome::CreditExhausted
        };
    }
    let status = status(&message);
    let sentence = match status {
        Some(_) => message.split_once(": ").map_or("", |(_, body)| body),
        None => message.as_str(),
    };
    let known = BEGINNINGS
        .iter()
        .find(|(beginning, _)| sentence.starts_with(beginning))
        .map(|(_, outcome)| *outcome);
    known
        .or_else(|| names_no_model(sentence).then_some(Outcome::ModelNotFound))
        .or_else(|| judge::outcome_of_status(status?))
        .unwrap_or(Outcome::Failed)
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
    pub(super) attempt: u32,
    pub(super) reason: &'static str,
}

/// Reads `Reconnecting... 2/5 (why)`; the reason is not always there.
pub(super) fn retry(message: &str) -> Option<Retry> {
    let rest = message.strip_prefix("Reconnecting... ")?;
    let (attempt, rest) = rest.split_once('/')?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let why = rest[digits..]
        .trim()
        .strip_prefix('(')
        .and_then(|why| why.strip_suffix(')'));
    (digits > 0).then_some(Retry {
        attempt: attempt.parse().ok()?,
        reason: why.map_or("reconnect", reason),
    })
}

fn reason(why: &str) -> &'static str {
    match outcome(why) {
        Outcome::RateLimited => "rate_limit",
        Outcome::Overloaded => "overloaded",
        Outcome::Auth => "auth",
        _ if why.replace('\u{2019}', "'").starts_with(SERVER_ERROR) => "server_error",
        _ => "reconnect",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    #[test]
    fn its_sentences_are_told_apart() {
        let cases = [
            (
                "unexpected status 401 Unauthorized: Incorrect API key provided: sk-dummy., url: http://x",
                Outcome::Auth,
            ),
            (
                "Missing environment variable: `MOCK_API_KEY`.",
                Outcome::Auth,
            ),
            (
                "exceeded retry limit, last status: 429 Too Many Requests",
                Outcome::RateLimited,
            ),
            (
                "exceeded retry limit, last status: 503 Service Unavailable",
                Outcome::Overloaded,
            ),
            (
                "exceeded retry limit, last status: 500 Internal Server Error",
                Outcome::Failed,
            ),
            (
                "You’ve hit your usage limit. Upgrade to Pro or try again at Nov 23rd, 2026 2:13 AM.",
                Outcome::RateLimited,
            ),
            (
                "You've hit your usage limit. Try again at 4:10 PM.",
                Outcome::RateLimited,
            ),
            (
                "You've hit your usage limit. Try again in 3 days 2 hours.",
                Outcome::RateLimited,
            ),
            (
                "You've hit your usage limit. Try again later.",
                Outcome::CreditExhausted,
            ),
            (
                "Quota exceeded. Check your plan and billing details.",
                Outcome::CreditExhausted,
            ),
            (
                "unexpected status 429 Too Many Requests: You exceeded your current quota, please check",
                Outcome::CreditExhausted,
            ),
            (
                "unexpected status 404 Not Found: The model `x` does not exist or you do not have access to it., url: http://x",
                Outcome::ModelNotFound,
            ),
            (
                "unexpected status 404 Not Found: nothing here",
                Outcome::Failed,
            ),
            (
                "We’re currently experiencing high demand, which may cause temporary errors.",
                Outcome::Failed,
            ),
            (
                "Codex ran out of room in the model's context window. Start a new thread",
                Outcome::ContextExceeded,
            ),
            (
                "stream disconnected before completion: 429 in passing",
                Outcome::Failed,
            ),
            ("the file auth.rs mentions a rate limit", Outcome::Failed),
            ("", Outcome::Failed),
        ];
        for (message, expected) in cases {
            assert_eq!(outcome(message), expected, "{message}");
        }
    }

    #[test]
    fn a_plans_limit_tells_when_it_goes_away() {
        let resets = |message: &str| problem(message, Clock::at(at(0))).resets_at_ms;
        let cases = [
            (
                "You’ve hit your usage limit. Upgrade to Pro or try again at Jan 2nd, 1970 2:13 AM.",
                Some(26 * 3_600_000 + 13 * 60_000),
            ),
            (
                "You've hit your usage limit. Try again at 4:10 PM.",
                Some(16 * 3_600_000 + 10 * 60_000),
            ),
            (
                "You've hit your usage limit. Try again in 3 days 2 hours.",
                Some(74 * 3_600_000),
            ),
            ("You've hit your usage limit. Try again later.", None),
            (
                "exceeded retry limit, last status: 429 Too Many Requests",
                None,
            ),
            (
                "Selected model is at capacity. Please try again in 5s.",
                None,
            ),
        ];
        for (message, expected) in cases {
            assert_eq!(resets(message), expected, "{message}");
        }
    }

    #[test]
    fn an_unknown_session_is_known_by_the_end_of_its_sentence() {
        let unknown = Some(Cause::UnknownSession);
        for (line, expected) in [
            (
                "Error: thread/resume: thread/resume failed: no rollout found for thread id 019e (code -32600)",
                unknown,
            ),
            (
                "Error: thread/read: thread/read failed: thread not loaded: bc0d (code -32600)",
                unknown,
            ),
            ("Error: No such file or directory (os error 2)", None),
            ("it says that no rollout found is an error", None),
        ] {
            assert_eq!(cause(line), expected, "{line}");
        }
    }

    #[test]
    fn a_retry_tells_its_attempt_and_reason() {
        let cases = [
            (
                "Reconnecting... 2/5 (exceeded retry limit, last status: 429 Too Many Requests)",
                Some((2, "rate_limit")),
            ),
            (
                "Reconnecting... 5/5 (We’re currently experiencing high demand, which may)",
                Some((5, "server_error")),
            ),
            (
                "Reconnecting... 1/5 (unexpected status 401 Unauthorized: x (y), url: z)",
                Some((1, "auth")),
            ),
            ("Reconnecting... 3/10", Some((3, "reconnect"))),
            ("Reconnecting... soon", None),
            ("Reconnecting... 1/", None),
            ("reconnected", None),
        ];
        for (message, expected) in cases {
            let expected = expected.map(|(attempt, reason)| Retry { attempt, reason });
            assert_eq!(retry(message), expected, "{message}");
        }
    }
}
