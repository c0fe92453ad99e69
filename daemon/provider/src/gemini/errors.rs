//! Gemini's errors: an HTTP status where there is one, in the message's JSON, in a stack trace or
//! cut to eight bits in the exit code; else the sentences of Google's API.

use serde_json::value::RawValue;

use crate::activity::Stamp;
use crate::connection;
use crate::evidence::{self, Cause};
use crate::json::Object;
use crate::judge::{self, Problem};
use crate::outcome::Outcome;
use crate::reset::{self, Clock};

/// The CLI's own exit code for missing credentials.
const EXIT_AUTH: i32 = 41;

/// What follows says how long to wait: of the API, of the CLI, of its plans.
const WAITS: [&str; 3] = [
    "Please retry in ",
    "Suggested retry after ",
    "Your quota will reset after ",
];

/// What an error message amounts to.
pub(super) fn problem(message: &str, clock: Clock<'_>) -> Problem {
    let Some(error) = embedded(message) else {
        if connection::is_lost(&bare(message)) {
            return Problem::unreachable(bare(message));
        }
        let outcome = of_sentence(message).unwrap_or(Outcome::Failed);
        return Problem {
            resets_at_ms: resets_at(outcome, message, clock),
            ..Problem::new(outcome, bare(message))
        };
    };
    let said = error.str("message").unwrap_or_default();
    let status = error.str("status").unwrap_or_default();
    let code = error.u64("code");
    let outcome = of_reasons(&error)
        .or_else(|| of_sentence(&said))
        .or_else(|| judge::outcome_of_status(code?))
        .or_else(|| of_grpc_status(&status))
        .unwrap_or(Outcome::Failed);
    let number = code.map(|code| code.to_string()).unwrap_or_default();
    let origin = [number.as_str(), &status].join(" ");
    let text = match (said.trim(), origin.trim()) {
        ("", _) => bare(message),
        (said, "") => said.to_owned(),
        (said, origin) => format!("{said} ({origin})"),
    };
    let told = clock.of_google(&error).filter(|_| is_limit(outcome));
    Problem {
        resets_at_ms: told.or_else(|| resets_at(outcome, &said, clock)),
        http_status: code.and_then(evidence::http_status),
        ..Problem::new(outcome, text)
    }
}

/// What its sentences say of when to come back.
fn resets_at(outcome: Outcome, said: &str, clock: Clock<'_>) -> Option<i64> {
    let spans = WAITS.iter().filter_map(|wait| reset::after(said, wait));
    spans
        .filter(|_| is_limit(outcome))
        .find_map(|rest| clock.span(rest))
}

fn is_limit(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::RateLimited | Outcome::Overloaded)
}

/// The status that an exit code above 143 stands for.
pub(super) fn status_of_exit(code: i32) -> Option<u16> {
    let is_status = (144..=255).contains(&code);
    u16::try_from(code)
        .ok()
        .filter(|_| is_status)
        .map(|it| it + 256)
}

/// What a start that failed says beyond its outcome.
pub(super) fn cause(line: &str) -> Option<Cause> {
    line.starts_with("Error resuming session: ")
        .then_some(Cause::UnknownSession)
}

/// What the exit code adds. Codes above 128 are statuses from 400 to 511 without their high bits.
pub(super) fn of_exit(code: i32) -> Option<Outcome> {
    match code {
        EXIT_AUTH => Some(Outcome::Auth),
        144..=255 => judge::outcome_of_status(u64::try_from(code).ok()? + 256),
        _ => None,
    }
}

/// Why it tries again, in a word.
pub(super) fn reason(message: &str, status: Option<u64>) -> &'static str {
    let said = || problem(message, Clock::at(Stamp::default()));
    let known = status.and_then(judge::outcome_of_status);
    let Problem { outcome, cause, .. } = match known {
        Some(outcome) => Problem::new(outcome, ""),
        None => said(),
    };
    match (outcome, status) {
        _ if cause == Some(Cause::Unreachable) => "reconnect",
        (_, Some(408 | 500 | 504 | 520..=524)) => "server_error",
        (Outcome::RateLimited | Outcome::CreditExhausted, _) => "rate_limit",
        (Outcome::Overloaded, _) => "overloaded",
        (Outcome::Auth, _) => "auth",
        (_, Some(500..=599)) => "server_error",
        _ => "error",
    }
}

/// The `error` object of the JSON inside `[API Error: {"error":{…}}]` and the like.
fn embedded(message: &str) -> Option<Object<'_>> {
    let json = &message[message.find("{\"error\":")?..];
    // What follows the object is text again.
    let raw = serde_json::Deserializer::from_str(json)
        .into_iter::<&RawValue>()
        .next()?
        .ok()?;
    Object::parse(raw, false)?.object("error")
}

/// The message without the brackets around its first part.
fn bare(message: &str) -> String {
    message
        .strip_prefix("[API Error: ")
        .and_then(|rest| rest.rsplit_once(']'))
        .map_or_else(
            || message.to_owned(),
            |(said, advice)| [said, advice].concat(),
        )
}

fn of_reasons(error: &Object<'_>) -> Option<Outcome> {
    let mut outcome = None;
    error.each_object("details", |detail| {
        if detail.str("reason").as_deref() == Some("API_KEY_INVALID") {
            outcome = Some(Outcome::Auth);
        }
    });
    outcome
}

fn of_grpc_status(status: &str) -> Option<Outcome> {
    match status {
        "UNAUTHENTICATED" | "PERMISSION_DENIED" => Some(Outcome::Auth),
        "RESOURCE_EXHAUSTED" => Some(Outcome::RateLimited),
        "UNAVAILABLE" | "INTERNAL" | "DEADLINE_EXCEEDED" => Some(Outcome::Overloaded),
        _ => None,
    }
}

fn of_sentence(message: &str) -> Option<Outcome> {
    let message = bare(message);
    let begins = |sentence: &str| message.starts_with(sentence);
    if begins("You exceeded your current quota, please check your plan and billing details") {
        let tells_when = message.contains("Please retry in ");
        return Some(if tells_when {
            Outcome::RateLimited
        } else {
            Outcome::CreditExhausted
        });
    }
    if begins("Resource has been exhausted (e.g. check quota).")
        || begins("You have exhausted your capacity on this model.")
    {
        return Some(Outcome::RateLimited);
    }
    if begins("API key not valid. Please pass a valid API key.") {
        return Some(Outcome::Auth);
    }
    if begins("The input token count") && message.contains("exceeds the maximum number of tokens") {
        return Some(Outcome::ContextExceeded);
    }
    if begins("models/") && message.contains(" is not found for API version") {
        return Some(Outcome::ModelNotFound);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(message: &str) -> Problem {
        super::problem(message, Clock::at(Stamp::default()))
    }

    #[test]
    fn the_json_inside_a_message_decides() {
        let found = problem(
            "[API Error: {\"error\":{\"code\":401,\"message\":\"Bad credentials.\",\"status\":\"UNAUTHENTICATED\"}}]",
        );
        assert_eq!(found.outcome, Outcome::Auth);
        assert_eq!(found.error, "Bad credentials. (401 UNAUTHENTICATED)");
        let cases = [
            (
                r#"{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}"#,
                Outcome::Overloaded,
            ),
            (
                r#"{"error":{"code":500,"message":"x","status":"INTERNAL"}} after"#,
                Outcome::Overloaded,
            ),
            (
                r#"{"error":{"code":504,"message":"Deadline expired","status":"DEADLINE_EXCEEDED"}}"#,
                Outcome::Overloaded,
            ),
            (
                r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","details":[{"reason":"API_KEY_INVALID"}]}}"#,
                Outcome::Auth,
            ),
            (
                r#"{"error":{"code":404,"message":"models/gemini-9 is not found for API version v1beta, or"}}"#,
                Outcome::ModelNotFound,
            ),
            (
                r#"{"error":{"code":400,"message":"The input token count (2000000) exceeds the maximum number of tokens allowed"}}"#,
                Outcome::ContextExceeded,
            ),
            (
                r#"{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details."}}"#,
                Outcome::CreditExhausted,
            ),
            (
                r#"{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details. Please retry in 27s."}}"#,
                Outcome::RateLimited,
            ),
            (
                r#"{"error":{"message":"x","status":"RESOURCE_EXHAUSTED"}}"#,
                Outcome::RateLimited,
            ),
            (r#"{"error":"odd"}"#, Outcome::Failed),
            (r#"{"error":{"code":"#, Outcome::Failed),
        ];
        for (message, expected) in cases {
            assert_eq!(problem(message).outcome, expected, "{message}");
        }
    }

    #[test]
    fn without_json_only_whole_sentences_count() {
        let exhausted = "[API Error: Resource has been exhausted (e.g. check quota).\nSuggested retry after 2s.]\nPlease wait";
        let found = problem(exhausted);
        assert_eq!(found.outcome, Outcome::RateLimited);
        assert!(
            found.error.ends_with("after 2s.\nPlease wait"),
            "{}",
            found.error
        );
        assert_eq!(
            problem("the quota of auth.rs is 429").outcome,
            Outcome::Failed
        );
        assert_eq!(problem("[API Error: quota]").error, "quota");
    }

    #[test]
    fn a_lost_connection_is_told_as_one() {
        let judged = |message: &str| {
            let found = problem(message);
            (found.outcome, found.cause)
        };
        let lost = (Outcome::Overloaded, Some(Cause::Unreachable));
        for message in [
            "[API Error: exception TypeError: fetch failed sending request]",
            "[API Error: request to https://cloudcode-pa.googleapis.com/v1internal:streamGenerateContent?alt=sse failed, reason: getaddrinfo ENOTFOUND cloudcode-pa.googleapis.com]",
            "[API Error: terminated]",
            "exception TypeError: fetch failed sending request",
        ] {
            assert_eq!(judged(message), lost, "{message}");
        }
        for message in ["[API Error: the fetch failed]", "terminated by the user"] {
            assert_eq!(judged(message), (Outcome::Failed, None), "{message}");
        }
    }

    #[test]
    fn a_limit_tells_how_long_to_wait() {
        let cases = [
            (
                r#"{"error":{"code":429,"message":"Slow down. Please retry in 9s.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"27s"}]}}"#,
                Some(27_000),
            ),
            (
                r#"{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details. Please retry in 26.5s."}}"#,
                Some(26_500),
            ),
            (
                "[API Error: You have exhausted your capacity on this model. Your quota will reset after 1h2m5s.]",
                Some(3_725_000),
            ),
            ("Resource has been exhausted (e.g. check quota).", None),
            (
                r#"{"error":{"code":400,"message":"Please retry in 9s."}}"#,
                None,
            ),
        ];
        for (message, expected) in cases {
            assert_eq!(problem(message).resets_at_ms, expected, "{message}");
        }
    }

    #[test]
    fn an_api_that_a_gateway_does_not_reach_is_overloaded() {
        for status in [408, 520, 521, 522, 523, 524] {
            let body = format!("error code: {status}");
            let error = serde_json::json!({"code": status, "message": body, "status": ""});
            let message = format!("[API Error: {}]", serde_json::json!({ "error": error }));
            let told = problem(&message);
            assert_eq!(told.outcome, Outcome::Overloaded, "{message}");
            assert_eq!(told.http_status, Some(status), "{message}");
        }
        assert_eq!(of_exit(408 - 256), Some(Outcome::Overloaded));
    }

    #[test]
    fn exit_codes_are_statuses_without_their_high_bits() {
        assert_eq!(of_exit(41), Some(Outcome::Auth));
        assert_eq!(of_exit(145), Some(Outcome::Auth));
        assert_eq!(of_exit(173), Some(Outcome::RateLimited));
        assert_eq!(of_exit(247), Some(Outcome::Overloaded));
        assert_eq!(of_exit(244), Some(Outcome::Overloaded));
        for code in [0, 1, 42, 130, 137, 143, 148, 256, -1] {
            assert_eq!(of_exit(code), None, "{code}");
        }
    }

    #[test]
    fn a_retry_has_a_reason_in_a_word() {
        assert_eq!(
            reason("Resource has been exhausted (e.g. check quota).", None),
            "rate_limit"
        );
        assert_eq!(reason("", Some(500)), "server_error");
        assert_eq!(reason("", Some(503)), "overloaded");
        for status in [408, 504, 520, 524] {
            assert_eq!(reason("", Some(status)), "server_error", "{status}");
        }
        assert_eq!(reason("fetch failed", None), "reconnect");
        assert_eq!(reason("it stopped", None), "error");
    }
}
