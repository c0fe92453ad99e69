//! What kind of error opencode reports: its own name for it first, then the kind in the answer of
//! the API, then sentences that are known from their beginning on, then the HTTP status. Words
//! that merely occur in a text decide nothing: an agent writes about rate limits too.

use serde_json::value::RawValue;

use crate::json::Object;
use crate::judge::{self, Problem};
use crate::outcome::Outcome;

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

/// What an `error` event tells; `None` if it has none of the fields of one.
pub(super) fn problem(error: &Object<'_>) -> Option<Problem> {
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
    let answer = Answer::of(&answer);
    let outcome = of_name(&name)
        .or_else(|| answer.outcome(&said))
        .or_else(|| of_sentence(&said))
        .or_else(|| judge::outcome_of_status(status?));
    let number = status.map(|status| status.to_string()).unwrap_or_default();
    let origin = [number.as_str(), answer.kind()].join(" ");
    let error = match (said.trim(), origin.trim()) {
        ("", _) => name.into_owned(),
        (said, "") => said.to_owned(),
        (said, origin) => format!("{said} ({origin})"),
    };
    Some(Problem {
        outcome: outcome.unwrap_or(Outcome::Failed),
        error,
    })
}

/// What a line of stderr tells, its `Error: ` taken off.
pub(super) fn of_line(said: &str) -> Problem {
    Problem {
        outcome: of_sentence(said).unwrap_or(Outcome::Failed),
        error: said.to_owned(),
    }
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
    tells_when: bool,
}

impl Answer {
    fn of(body: &str) -> Answer {
        let mut answer = Answer {
            kinds: Vec::new(),
            tells_when: false,
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
            answer.tells_when =
                error.f64("resets_at").is_some() || error.f64("resets_in_seconds").is_some();
        }
        answer
    }

    fn outcome(&self, said: &str) -> Option<Outcome> {
        self.kinds.iter().find_map(|kind| match kind.as_str() {
            "not_found_error" if said.starts_with("model:") => Some(Outcome::ModelNotFound),
            // Of a ChatGPT plan.
            "usage_limit_reached" if self.tells_when => Some(Outcome::RateLimited),
            "usage_limit_reached" => Some(Outcome::CreditExhausted),
            kind => {
                let known = KINDS.iter().find(|(known, _)| *known == kind);
                known.map(|(_, outcome)| *outcome)
            }
        })
    }

    /// The narrowest, to be shown beside the status.
    fn kind(&self) -> &str {
        self.kinds.first().map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(error: &str) -> Problem {
        let raw: &RawValue = serde_json::from_str(error).unwrap();
        problem(&Object::parse(raw, false).unwrap()).unwrap()
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
            (500, "", Outcome::Failed),
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
    fn an_error_is_told_with_its_status_and_kind() {
        let refused = api(401, "Bad key.", r#"{"error":{"code":"invalid_api_key"}}"#);
        assert_eq!(of(&refused).error, "Bad key. (401 invalid_api_key)");
        assert_eq!(of(&api(500, "Broken.", "{}")).error, "Broken. (500)");
        let bare = of(r#"{"name":"MessageOutputLengthError","data":{}}"#);
        assert_eq!(bare.error, "MessageOutputLengthError");
        let raw: &RawValue = serde_json::from_str("{}").unwrap();
        assert_eq!(problem(&Object::parse(raw, false).unwrap()), None);
    }
}
