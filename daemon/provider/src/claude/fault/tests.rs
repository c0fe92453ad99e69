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
        Outcome::Overloaded
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
        of(None, None, "API Error: 504 upstream request timeout"),
        Outcome::Overloaded
    );
}

#[test]
fn a_lost_connection_is_told_as_one() {
    let of = |status, kind, text: &str| {
        let limit = None;
        let shape = Shape {
            status,
            kind,
            limit,
        };
        let problem = problem(&shape, text, clock());
        (problem.outcome, problem.cause)
    };
    let lost = (Outcome::Overloaded, Some(Cause::Unreachable));
    for text in [
        "API Error: Unable to connect to API (ENOTFOUND)",
        "API Error: Unable to connect to API: Self-signed certificate detected",
        "API Error: Connection error.",
        "API Error: Connection refused — a firewall or proxy may be blocking it (ConnectionRefused)",
        "API Error: Connection closed mid-response. The response above may be incomplete.",
        "API Error: Response stalled while thinking, before producing a response. Try again.",
        "API Error: Request timed out.",
        "API Error: fetch failed",
        "API Error: read ECONNRESET",
    ] {
        assert_eq!(of(None, None, text), lost, "{text}");
        assert_eq!(of(None, Some("server_error"), text), lost, "{text}");
    }
    let bare = "Unable to connect to API (ECONNREFUSED)";
    assert_eq!(of(None, Some("unknown"), bare), lost);
    let broken_off = "API Error: Server error mid-response. The response above may be incomplete.";
    assert_eq!(of(None, None, broken_off), (Outcome::Overloaded, None));
    for text in [
        "Unable to connect to API (ECONNREFUSED) is what it prints",
        "Connection error.",
        "I fixed the ECONNREFUSED: API Error: Connection error.",
        "API Error: the ECONNREFUSED of the proxy",
    ] {
        assert_eq!(of(None, None, text), (Outcome::Failed, None), "{text}");
    }
    let refused = "API Error: 400 fetch failed";
    assert_eq!(of(Some(400), None, refused), (Outcome::Failed, None));
}

#[test]
fn a_limit_whose_event_says_no_time_goes_away_when_its_sentence_says() {
    let shape = Shape {
        limit: Some(Limit { resets_at: None }),
        ..Shape::default()
    };
    let text = "You've hit your session limit · resets 2:13am (UTC)";
    let found = problem(&shape, text, clock());
    assert_eq!(found.outcome, Outcome::RateLimited);
    assert!(found.resets_at_ms.is_some());
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

#[test]
fn an_api_that_a_gateway_does_not_reach_is_overloaded() {
    for status in [408, 520, 521, 522, 523, 524] {
        for text in [
            format!("API Error: {status} error code: {status}"),
            format!("API Error: {status} status code (no body)"),
            format!(
                "API Error: {status} <!DOCTYPE html><title>api.anthropic.com | {status}: Connection timed out</title>"
            ),
        ] {
            // By the text alone, and by the field that newer releases have, too.
            for told in [None, Some(status)] {
                let shape = Shape {
                    status: told,
                    kind: Some("server_error"),
                    limit: None,
                };
                let problem = problem(&shape, &text, clock());
                assert_eq!(problem.outcome, Outcome::Overloaded, "{text}");
                assert_eq!(problem.http_status.map(u64::from), Some(status), "{text}");
                assert_eq!(problem.cause, None, "{text}");
            }
        }
    }
}
