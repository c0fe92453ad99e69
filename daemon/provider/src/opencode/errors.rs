//! What kind of error opencode reports: its own name for it first, then the kind in the answer of
//! the API, then sentences that are known from their beginning on, then the HTTP status. Words
//! that merely occur in a text decide nothing: an agent writes about rate limits too.

use serde_json::value::RawValue;

use crate::bounds::one_line;
use crate::connection;
use crate::evidence::{self, Cause};
use crate::json::Object;
use crate::judge::{self, Problem};
use crate::outcome::Outcome;
use crate::reset::{self, Clock};

/// Kinds of errors in answers of APIs (`error.type`, `error.code` or `error.status`): OpenAI's and
/// those that answer like it, Anthropic's, Google's, and opencode's own models (Zen).
const KINDS: &[(&str, Outcome)] = &[
    ("insufficient_quota", Outcome::CreditExhausted),
    ("billing_hard_limit_reached", Outcome::CreditExhausted),
    ("billing_not_active", Outcome::CreditExhausted),
    ("billing_error", Outcome::CreditExhausted),
    ("CreditsError", Outcome::CreditExhausted),
    ("MonthlyLimitError", Outcome::CreditExhausted),
    ("UserLimitError", Outcome::CreditExhausted),
    ("FreeUsageLimitError", Outcome::CreditExhausted),
    ("GoUsageLimitError", Outcome::CreditExhausted),
    ("invalid_api_key", Outcome::Auth),
    ("authentication_error", Outcome::Auth),
    ("permission_error", Outcome::Auth),
    ("AuthError", Outcome::Auth),
    ("UNAUTHENTICATED", Outcome::Auth),
    ("PERMISSION_DENIED", Outcome::Auth),
    ("context_length_exceeded", Outcome::ContextExceeded),
    ("model_not_found", Outcome::ModelNotFound),
    ("ModelError", Outcome::ModelNotFound),
    ("overloaded_error", Outcome::Overloaded),
    ("server_is_overloaded", Outcome::Overloaded),
    ("UNAVAILABLE", Outcome::Overloaded),
    ("rate_limit_exceeded", Outcome::RateLimited),
    ("rate_limit_error", Outcome::RateLimited),
    ("RESOURCE_EXHAUSTED", Outcome::RateLimited),
];

/// Kinds of an API that failed, rather than refused: within a stream they come without a status, and with
/// one that says it.
const SERVER_ERRORS: [&str; 4] = ["server_error", "api_error", "timeout_error", "INTERNAL"];

/// Sentences of opencode and of APIs, by their beginnings.
const BEGINNINGS: &[(&str, Outcome)] = &[
    ("Model not found: ", Outcome::ModelNotFound),
    ("Rate limit reached for ", Outcome::RateLimited),
    ("Incorrect API key provided: ", Outcome::Auth),
    ("Invalid API key", Outcome::Auth),
    ("invalid x-api-key", Outcome::Auth),
    (
        "API key not valid. Please pass a valid API key.",
        Outcome::Auth,
    ),
    ("Your credit balance is too low", Outcome::CreditExhausted),
    ("Insufficient balance", Outcome::CreditExhausted),
    ("prompt is too long: ", Outcome::ContextExceeded),
    (
        "input length and `max_tokens` exceed context limit",
        Outcome::ContextExceeded,
    ),
    (
        "Your input exceeds the context window of this model",
        Outcome::ContextExceeded,
    ),
    (
        "This model's maximum context length is ",
        Outcome::ContextExceeded,
    ),
];

/// What follows says how long to wait, in sentences of OpenAI's API and of Google's.
const WAITS: [&str; 2] = ["Please try again in ", "Please retry in "];

/// What an `error` event tells; `None` if it has none of the fields of one.
pub(super) fn problem(error: &Object<'_>, clock: Clock<'_>) -> Option<Problem> {
    let name = error.str("name");
    let data = error.object("data").unwrap_or_default();
    let said = data.str("message").or_else(|| error.str("message"));
    if name.is_none() && said.is_none() {
        return None;
    }
    let name = name.unwrap_or_default();
    let said = said.unwrap_or_default();
    let status = data.u64("statusCode");
    let answer = data.str("responseBody").unwrap_or_default();
    let answer = Answer::of(&answer, clock);
    let is_unanswered = status.is_none();
    let is_lost = is_unanswered && (connection::is_lost(&said) || has_lost_code(&data));
    let is_broken_off = is_unanswered && answer.is_server_error();
    let outcome = of_name(&name)
        .or_else(|| answer.outcome(&said))
        .or_else(|| of_sentence(&said))
        .or_else(|| judge::outcome_of_status(status?))
        .or_else(|| (is_lost || is_broken_off).then_some(Outcome::Overloaded));
    let number = status.map(|status| status.to_string()).unwrap_or_default();
    let origin = [number.as_str(), answer.kind()].join(" ");
    let outcome = outcome.unwrap_or(Outcome::Failed);
    let resets_at_ms = is_limit(outcome)
        .then(|| {
            answer
                .resets_at_ms
                .or_else(|| of_headers(&data, clock))
                .or_else(|| of_wait(&said, clock))
        })
        .flatten();
    let error = match (said.trim(), origin.trim()) {
        ("", _) => name.into_owned(),
        (said, "") => said.to_owned(),
        (said, origin) => format!("{said} ({origin})"),
    };
    Some(Problem {
        resets_at_ms,
        http_status: status.and_then(evidence::http_status),
        cause: (is_lost && outcome == Outcome::Overloaded).then_some(Cause::Unreachable),
        ..Problem::new(outcome, error)
    })
}

/// Whether the system's code beside a sentence is that of a lost connection.
fn has_lost_code(data: &Object<'_>) -> bool {
    let metadata = data.object("metadata");
    let code = metadata.and_then(|metadata| metadata.str("code").map(|code| code.into_owned()));
    code.is_some_and(|code| connection::is_code(&code))
}

/// Outcomes that pass with time.
fn is_limit(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::RateLimited | Outcome::Overloaded)
}

/// `retry-after` of the API's answer: seconds, or a date.
fn of_headers(data: &Object<'_>, clock: Clock<'_>) -> Option<i64> {
    let headers = data.object("responseHeaders")?;
    let in_ms = || clock.in_ms(headers.str("retry-after-ms")?.trim().parse().ok()?);
    in_ms().or_else(|| clock.word(&headers.str("retry-after")?))
}

/// What an API's sentence says of when to come back.
fn of_wait(said: &str, clock: Clock<'_>) -> Option<i64> {
    let spans = WAITS.iter().filter_map(|wait| reset::after(said, wait));
    spans.into_iter().find_map(|rest| clock.span(rest))
}

/// What a line of stderr tells, its `Error: ` taken off.
pub(super) fn of_line(said: &str, clock: Clock<'_>) -> Problem {
    let is_lost = connection::is_lost(said);
    let otherwise = match is_lost {
        true => Outcome::Overloaded,
        false => Outcome::Failed,
    };
    let outcome = of_sentence(said).unwrap_or(otherwise);
    let wait = of_wait(said, clock);
    Problem {
        resets_at_ms: wait.filter(|_| is_limit(outcome)),
        cause: is_lost.then_some(Cause::Unreachable),
        stderr: Some(one_line(said)),
        ..Problem::new(outcome, said)
    }
}

/// What an error says beyond its outcome.
pub(super) fn cause(said: &str) -> Option<Cause> {
    said.trim_start()
        .starts_with("Session not found")
        .then_some(Cause::UnknownSession)
}

/// opencode's own names that mean one thing only. `APIError` and `UnknownError` do not.
fn of_name(name: &str) -> Option<Outcome> {
    match name {
        "ProviderAuthError" => Some(Outcome::Auth),
        "ContextOverflowError" => Some(Outcome::ContextExceeded),
        "ProviderModelNotFoundError" => Some(Outcome::ModelNotFound),
        // By another client of its server, as nobody here asked for it.
        "MessageAbortedError" => Some(Outcome::Interrupted),
        _ => None,
    }
}

fn of_sentence(said: &str) -> Option<Outcome> {
    let said = said.trim_start();
    if said.starts_with("You exceeded your current quota") {
        return Some(match said.contains("Please retry in ") {
            true => Outcome::RateLimited,
            false => Outcome::CreditExhausted,
        });
    }
    if said.starts_with("The input token count")
        && said.contains("exceeds the maximum number of tokens")
    {
        return Some(Outcome::ContextExceeded);
    }
    if said.starts_with("models/") && said.contains(" is not found for API version") {
        return Some(Outcome::ModelNotFound);
    }
    if said.trim_end() == "Overloaded" {
        return Some(Outcome::Overloaded);
    }
    let known = BEGINNINGS
        .iter()
        .find(|(beginning, _)| said.starts_with(beginning));
    known.map(|(_, outcome)| *outcome)
}

/// The kinds that an API's answer names, from the narrowest to the widest.
struct Answer {
    kinds: Vec<String>,
    resets_at_ms: Option<i64>,
}

impl Answer {
    fn of(body: &str, clock: Clock<'_>) -> Answer {
        let mut answer = Answer {
            kinds: Vec::new(),
            resets_at_ms: None,
        };
        let error = serde_json::from_str::<&RawValue>(body)
            .ok()
            .and_then(|raw| Object::parse(raw, false)?.object("error"));
        if let Some(error) = error {
            for key in ["code", "type", "status"] {
                answer
                    .kinds
                    .extend(error.str(key).map(|kind| kind.into_owned()));
            }
            let in_seconds = || clock.in_ms(error.f64("resets_in_seconds")? * 1000.0);
            answer.resets_at_ms = error
                .i64("resets_at")
                .and_then(reset::seconds)
                .or_else(in_seconds)
                .or_else(|| clock.of_google(&error));
        }
        answer
    }

    fn outcome(&self, said: &str) -> Option<Outcome> {
        self.kinds.iter().find_map(|kind| match kind.as_str() {
            "not_found_error" if said.starts_with("model:") => Some(Outcome::ModelNotFound),
            // Of a ChatGPT plan.
            "usage_limit_reached" if self.resets_at_ms.is_some() => Some(Outcome::RateLimited),
            "usage_limit_reached" => Some(Outcome::CreditExhausted),
            kind => {
                let known = KINDS.iter().find(|(known, _)| *known == kind);
                known.map(|(_, outcome)| *outcome)
            }
        })
    }

    fn is_server_error(&self) -> bool {
        let mut kinds = self.kinds.iter();
        kinds.any(|kind| SERVER_ERRORS.contains(&kind.as_str()))
    }

    /// The narrowest, to be shown beside the status.
    fn kind(&self) -> &str {
        self.kinds.first().map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    fn clock() -> Clock<'static> {
        Clock::at(at(0))
    }

    fn of_line(said: &str) -> Problem {
        super::of_line(said, clock())
    }

    fn of(error: &str) -> Problem {
        let raw: &RawValue = serde_json::from_str(error).unwrap();
        problem(&Object::parse(raw, false).unwrap(), clock()).unwrap()
    }

    /// An answer of an API, as it stands in an `error` event.
    fn api(status: u64, message: &str, body: &str) -> String {
        let data = serde_json::json!({
            "message": message, "statusCode": status, "isRetryable": false, "responseBody": body,
        });
        serde_json::json!({"name": "APIError", "data": data}).to_string()
    }

    #[test]
    fn the_kind_in_the_answer_is_narrower_than_its_status() {
        let cases = [
            (
                429,
                r#"{"error":{"type":"insufficient_quota","code":"insufficient_quota"}}"#,
                Outcome::CreditExhausted,
            ),
            (
                429,
                r#"{"error":{"type":"tokens","code":"rate_limit_exceeded"}}"#,
                Outcome::RateLimited,
            ),
            (
                429,
                r#"{"error":{"type":"usage_limit_reached","resets_in_seconds":60}}"#,
                Outcome::RateLimited,
            ),
            (
                429,
                r#"{"error":{"type":"usage_limit_reached"}}"#,
                Outcome::CreditExhausted,
            ),
            (
                429,
                r#"{"type":"error","error":{"type":"FreeUsageLimitError"}}"#,
                Outcome::CreditExhausted,
            ),
            (
                401,
                r#"{"type":"error","error":{"type":"CreditsError"}}"#,
                Outcome::CreditExhausted,
            ),
            (
                400,
                r#"{"error":{"code":"context_length_exceeded"}}"#,
                Outcome::ContextExceeded,
            ),
            (
                500,
                r#"{"type":"error","error":{"type":"overloaded_error"}}"#,
                Outcome::Overloaded,
            ),
            (
                400,
                r#"{"error":{"code":400,"status":"UNAUTHENTICATED"}}"#,
                Outcome::Auth,
            ),
            (403, r#"{"error":{"code":[],"type":{}}}"#, Outcome::Auth),
            (429, "not json", Outcome::RateLimited),
            (500, "", Outcome::Overloaded),
            (504, "", Outcome::Overloaded),
            (400, r#"{"error":{"type":"api_error"}}"#, Outcome::Failed),
        ];
        for (status, body, expected) in cases {
            assert_eq!(of(&api(status, "x", body)).outcome, expected, "{body}");
        }
        let missing = api(
            404,
            "model: gpt-9",
            r#"{"error":{"type":"not_found_error"}}"#,
        );
        assert_eq!(of(&missing).outcome, Outcome::ModelNotFound);
    }

    #[test]
    fn an_api_that_a_gateway_does_not_reach_is_overloaded() {
        for status in [408, 520, 521, 522, 523, 524] {
            let body = format!("error code: {status}");
            let told = of(&api(status, &body, &body));
            assert_eq!(told.outcome, Outcome::Overloaded, "{body}");
            assert_eq!(told.http_status.map(u64::from), Some(status), "{body}");
        }
        let html = of(&api(
            522,
            "",
            "<!DOCTYPE html><title>522: Connection timed out</title>",
        ));
        assert_eq!(html.outcome, Outcome::Overloaded);
    }

    #[test]
    fn a_lost_connection_is_told_as_one() {
        let lost = (Outcome::Overloaded, Some(Cause::Unreachable));
        let judged = |problem: Problem| (problem.outcome, problem.cause);
        for error in [
            r#"{"name":"APIError","data":{"message":"Cannot connect to API: Unable to connect. Is the computer able to access the url?","isRetryable":true}}"#,
            r#"{"name":"APIError","data":{"message":"Connection reset by server","isRetryable":true,"metadata":{"code":"ECONNRESET","syscall":"read"}}}"#,
            r#"{"name":"APIError","data":{"message":"reset","metadata":{"code":"ECONNRESET"}}}"#,
            r#"{"name":"UnknownError","data":{"message":"Error: Unable to connect. Is the computer able to access the url?"}}"#,
        ] {
            assert_eq!(judged(of(error)), lost, "{error}");
        }
        assert_eq!(judged(of_line("fetch failed")), lost);
        let spoken = of_line("the test printed fetch failed");
        assert_eq!(judged(spoken), (Outcome::Failed, None));
        let answered = of(&api(400, "fetch failed", ""));
        assert_eq!(judged(answered), (Outcome::Failed, None));
        let broken_off = r#"{"name":"APIError","data":{"message":"x","responseBody":"{\"error\":{\"type\":\"server_error\"}}"}}"#;
        assert_eq!(judged(of(broken_off)), (Outcome::Overloaded, None));
    }

    #[test]
    fn its_own_names_and_whole_sentences_are_known() {
        let named = |name: &str| of(&format!(r#"{{"name":"{name}","data":{{"message":"x"}}}}"#));
        assert_eq!(named("ProviderAuthError").outcome, Outcome::Auth);
        assert_eq!(
            named("ContextOverflowError").outcome,
            Outcome::ContextExceeded
        );
        assert_eq!(named("UnknownError").outcome, Outcome::Failed);
        let cases = [
            ("Model not found: mock/coder-9.", Outcome::ModelNotFound),
            (
                "You exceeded your current quota, please check",
                Outcome::CreditExhausted,
            ),
            (
                "You exceeded your current quota. Please retry in 27s.",
                Outcome::RateLimited,
            ),
            (
                "Your credit balance is too low to access",
                Outcome::CreditExhausted,
            ),
            (
                "prompt is too long: 200001 tokens",
                Outcome::ContextExceeded,
            ),
            ("Overloaded", Outcome::Overloaded),
            ("Session not found", Outcome::Failed),
            (
                "fix the auth rate limit of 429, Overloaded",
                Outcome::Failed,
            ),
        ];
        for (said, expected) in cases {
            assert_eq!(of_line(said).outcome, expected, "{said}");
        }
    }

    #[test]
    fn a_limit_tells_when_it_goes_away() {
        let resets = |body: &str| of(&api(429, "x", body)).resets_at_ms;
        let limit = |key: &str| {
            resets(&format!(
                r#"{{"error":{{"type":"usage_limit_reached",{key}}}}}"#
            ))
        };
        assert_eq!(limit(r#""resets_at":1795400000"#), Some(1_795_400_000_000));
        assert_eq!(limit(r#""resets_in_seconds":90"#), Some(90_000));
        assert_eq!(limit(r#""resets_at":"soon""#), None);
        assert_eq!(
            resets(r#"{"error":{"details":[{"retryDelay":"27s"}]}}"#),
            Some(27_000)
        );
        let said = "Rate limit reached for coder-1. Please try again in 3.8s.";
        assert_eq!(of_line(said).resets_at_ms, Some(3_800));
        assert_eq!(of(&api(429, said, "")).resets_at_ms, Some(3_800));
        assert_eq!(of(&api(500, said, "")).resets_at_ms, Some(3_800));
        let headers = |headers: &str| {
            of(&format!(
                r#"{{"name":"APIError","data":{{"message":"{said}","statusCode":429,"responseHeaders":{headers}}}}}"#
            ))
            .resets_at_ms
        };
        assert_eq!(headers(r#"{"retry-after":"2"}"#), Some(2_000));
        assert_eq!(
            headers(r#"{"retry-after-ms":"70","retry-after":"2"}"#),
            Some(70)
        );
        assert_eq!(
            headers(r#"{"retry-after":"Thu, 01 Jan 1970 00:01:00 GMT"}"#),
            Some(60_000)
        );
        assert_eq!(headers(r#"{"retry-after":"soon"}"#), Some(3_800));
    }

    #[test]
    fn an_error_is_told_with_its_status_and_kind() {
        let refused = api(401, "Bad key.", r#"{"error":{"code":"invalid_api_key"}}"#);
        assert_eq!(of(&refused).error, "Bad key. (401 invalid_api_key)");
        assert_eq!(of(&api(500, "Broken.", "{}")).error, "Broken. (500)");
        let bare = of(r#"{"name":"MessageOutputLengthError","data":{}}"#);
        assert_eq!(bare.error, "MessageOutputLengthError");
        let raw: &RawValue = serde_json::from_str("{}").unwrap();
        assert_eq!(problem(&Object::parse(raw, false).unwrap(), clock()), None);
    }
}
