use super::*;
use crate::testing::at;

fn outcome(message: &str) -> Outcome {
    problem(message, Clock::at(at(0))).outcome
}

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
            Outcome::Overloaded,
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
            Outcome::Overloaded,
        ),
        (
            "unexpected status 504 Gateway Timeout: upstream request timeout, url: http://x",
            Outcome::Overloaded,
        ),
        (
            "stream disconnected before completion: An error occurred while processing your request. You can retry your request",
            Outcome::Overloaded,
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
            Outcome::Overloaded,
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

/// A status without a name of its own is printed so by the library below.
#[test]
fn an_api_that_a_gateway_does_not_reach_is_overloaded() {
    let unnamed = |status| (status, "<unknown status code>");
    let unnamed = (520..=524).map(unnamed);
    for (status, name) in unnamed.chain([(408, "Request Timeout")]) {
        for message in [
            format!(
                "unexpected status {status} {name}: error code: {status}, url: https://chatgpt.com/backend-api/codex/responses, cf-ray: 9a0-FRA"
            ),
            format!("exceeded retry limit, last status: {status} {name}, request id: x"),
        ] {
            let told = problem(&message, Clock::at(at(0)));
            assert_eq!(told.outcome, Outcome::Overloaded, "{message}");
            assert_eq!(told.http_status, Some(status), "{message}");
            assert_eq!(told.cause, None, "{message}");
        }
    }
}

#[test]
fn a_lost_connection_is_told_as_one() {
    let cause = |message: &str| {
        let problem = problem(message, Clock::at(at(0)));
        (problem.outcome, problem.cause)
    };
    for message in [
        "Connection failed: error sending request for url (https://chatgpt.com/backend-api/codex/responses)",
        "stream disconnected before completion: error sending request for url (https://x)",
        "stream disconnected before completion: failed to lookup address information: Try again",
        "stream disconnected before completion: Transport error: network error: error decoding response body",
        "stream disconnected before completion: idle timeout waiting for SSE",
        "Error while reading the server response: error decoding response body, request id: x",
        "request timed out",
    ] {
        let lost = (Outcome::Overloaded, Some(Cause::Unreachable));
        assert_eq!(cause(message), lost, "{message}");
    }
    for message in [
        "exceeded retry limit, last status: 503 Service Unavailable",
        "unexpected status 502 Bad Gateway: connect ECONNREFUSED 10.0.0.1:80, url: http://x",
    ] {
        assert_eq!(cause(message), (Outcome::Overloaded, None), "{message}");
    }
    let spoken = "the test printed: Connection failed: error sending request";
    assert_eq!(cause(spoken), (Outcome::Failed, None));
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
            Some((Some(2), "rate_limit")),
        ),
        (
            "Reconnecting... 5/5 (We’re currently experiencing high demand, which may)",
            Some((Some(5), "server_error")),
        ),
        (
            "Reconnecting... 1/5 (unexpected status 401 Unauthorized: x (y), url: z)",
            Some((Some(1), "auth")),
        ),
        (
            "Reconnecting... 1/5 (stream disconnected before completion: Rate limit reached for x on tokens per min (TPM))",
            Some((Some(1), "rate_limit")),
        ),
        (
            "Reconnecting... 2/5 (stream disconnected before completion: error sending request for url (https://x))",
            Some((Some(2), "reconnect")),
        ),
        (
            "Reconnecting... waiting for network (Connection failed: error sending request)",
            Some((None, "reconnect")),
        ),
        ("Reconnecting... 3/10", Some((Some(3), "reconnect"))),
        ("Reconnecting... soon", None),
        ("Reconnecting... 1/", None),
        ("reconnected", None),
    ];
    for (message, expected) in cases {
        let expected = expected.map(|(attempt, reason)| Retry { attempt, reason });
        assert_eq!(retry(message), expected, "{message}");
    }
}
