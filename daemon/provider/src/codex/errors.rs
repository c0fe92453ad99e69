//! Codex's error texts. It prints no status and no code, so sentences are all there is: those of
//! its own making are matched as a whole or by their beginning, never by a loose word.

use std::borrow::Cow;

use serde_json::value::RawValue;

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

/// Its sentence for a plain 500, whatever it says of demand; an overload has one of its own.
const SERVER_ERROR: &str = "We're currently experiencing high demand";

/// What an error text amounts to.
pub(super) fn problem(message: &str, clock: Clock<'_>) -> Problem {
    let said = Said::of(message.trim());
    let outcome = said.outcome();
    let is_limit = outcome == Outcome::RateLimited;
    Problem {
        resets_at_ms: is_limit.then(|| resets_at(&said.text, clock)).flatten(),
        http_status: said.status.and_then(evidence::http_status),
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

fn outcome(message: &str) -> Outcome {
    Said::of(message.trim()).outcome()
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
            .unwrap_or(Outcome::Failed)
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
            (
                "stream disconnected before completion: stream closed before response.completed",
                Outcome::Failed,
            ),
            (
                "stream disconnected before completion: error on Rate limit reached for x",
                Outcome::Failed,
            ),
            (
                "stream disconnected before completion: Rate limit reached for gpt-5.5 in organization org-x on tokens per min (TPM): Limit 250000",
                Outcome::RateLimited,
            ),
            (
                "stream disconnected before completion: Rate limit is exceeded. Try again in 11 seconds.",
                Outcome::RateLimited,
            ),
            (
                "stream disconnected before completion: Our servers are currently overloaded. Please try again later.",
                Outcome::Overloaded,
            ),
            (
                "Your workspace is out of credits. Add credits to continue.",
                Outcome::CreditExhausted,
            ),
            (
                "Your workspace is out of credits. Ask your workspace owner to refill in order to continue.",
                Outcome::CreditExhausted,
            ),
            (
                "You hit your spend cap set by the owner of your workspace. Ask an owner to increase your spend cap to continue.",
                Outcome::CreditExhausted,
            ),
            (
                "You hit your spend cap set in your workspace. Increase your spend cap to continue.",
                Outcome::CreditExhausted,
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
            (
                "stream disconnected before completion: Rate limit reached for gpt-5.5 in organization org-x on tokens per min (TPM): Limit 250000, Used 250000, Requested 58487. Please try again in 14.036s. Visit https://x",
                Some(14_036),
            ),
            (
                "stream disconnected before completion: Rate limit is exceeded. Try again in 11 seconds.",
                Some(11_000),
            ),
        ];
        for (message, expected) in cases {
            assert_eq!(resets(message), expected, "{message}");
        }
    }

    #[test]
    fn a_body_of_the_api_is_told_as_what_it_says() {
        let model = "The 'x' model is not supported when using Codex with a ChatGPT account.";
        let cases = [
            (
                format!(
                    r#"{{"type":"error","status":400,"error":{{"type":"invalid_request_error","message":"{model}"}}}}"#
                ),
                (Outcome::ModelNotFound, Some(400), model.to_owned()),
            ),
            (
                format!(
                    r#"unexpected status 400 Bad Request: {{"detail":"{model}"}}, url: https://x/{{}}"#
                ),
                (
                    Outcome::ModelNotFound,
                    Some(400),
                    format!("unexpected status 400 Bad Request: {model}, url: https://x/{{}}"),
                ),
            ),
            (
                format!(r#"stream disconnected before completion: {{"detail":"{model}"}}"#),
                (
                    Outcome::ModelNotFound,
                    None,
                    format!("stream disconnected before completion: {model}"),
                ),
            ),
            (
                r#"{"status":429,"error":{"message":"slow \"down\""}}"#.to_owned(),
                (Outcome::RateLimited, Some(429), r#"slow "down""#.to_owned()),
            ),
        ];
        for (message, expected) in cases {
            let Problem {
                outcome,
                http_status,
                error,
                ..
            } = problem(&message, Clock::at(at(0)));
            assert_eq!((outcome, http_status, error), expected, "{message}");
        }
        for message in [
            r#"{"type":"error","status":"#,
            r#"{"error":{"code":5},"detail":[]}"#,
            "[1]",
            r#"it printed {"detail":"Quota exceeded. Check your plan and billing details."}"#,
        ] {
            let problem = problem(message, Clock::at(at(0)));
            assert_eq!(problem.outcome, Outcome::Failed, "{message}");
            assert_eq!(problem.error, message);
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
            (
                "Reconnecting... 1/5 (stream disconnected before completion: Rate limit reached for x on tokens per min (TPM))",
                Some((1, "rate_limit")),
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
