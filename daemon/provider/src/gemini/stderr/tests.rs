use super::*;
use crate::outcome::Outcome;
use crate::testing::{at, line};

fn read(lines: &[&str]) -> (Vec<String>, Stderr) {
    let mut stderr = Stderr::default();
    let mut seen = Vec::new();
    let mut sink = |at: Stamp, activity: &Activity<'_>| {
        seen.push(match activity {
            Activity::Retry {
                reason,
                attempt,
                delay_ms,
                msg,
            } => {
                let lines = msg.text.lines().count();
                format!("{} retry {reason} {attempt:?} {delay_ms:?} {lines}", at.raw)
            }
            Activity::Notice { msg, .. } => format!("{} notice {}", at.raw, msg.text),
            Activity::Output { msg, .. } => format!("{} output {}", at.raw, msg.text),
            other => format!("{other:?}"),
        });
    };
    for (raw, text) in (1..).zip(lines) {
        let line = line(Stream::Stderr, text.as_bytes(), at(raw));
        stderr.line(&line, &mut sink);
    }
    stderr.flush(at(99), &mut sink);
    (seen, stderr)
}

#[test]
fn a_retry_is_read_over_its_lines() {
    let (seen, _) = read(&[
        "Attempt 1 failed: Resource has been exhausted (e.g. check quota).",
        "Suggested retry after 2s.. Retrying after 5787ms...",
        "Attempt 2 failed with status 500. Retrying with backoff... _ApiError: {\"error\":{}}",
        "    at x",
    ]);
    let expected = [
        "2 retry rate_limit Some(1) Some(5787) 2",
        "3 retry server_error Some(2) None 1",
        "4 output     at x",
    ];
    assert_eq!(seen, expected);
}

#[test]
fn giving_up_is_no_retry() {
    let (seen, _) = read(&["Attempt 3 failed: x. Max attempts reached"]);
    assert_eq!(seen, ["1 notice Attempt 3 failed: x. Max attempts reached"]);
}

#[test]
fn an_attempt_without_end_is_given_out_at_the_next_and_at_the_end() {
    let (seen, _) = read(&["Attempt 1 failed: a", "b", "Attempt 2 failed: c"]);
    let expected = [
        "3 retry error Some(1) None 2",
        "99 retry error Some(2) None 1",
    ];
    assert_eq!(seen, expected);
    let long = vec!["Attempt 1 failed: x"; 1]
        .into_iter()
        .chain(vec!["more"; 40])
        .collect::<Vec<_>>();
    let (seen, _) = read(&long);
    assert_eq!(seen.len(), 1 + (41 - ATTEMPT_LINES));
}

#[test]
fn start_up_noise_is_no_reason_for_a_failure() {
    let (seen, mut stderr) = read(&[
        "YOLO mode is enabled. All tool calls will be automatically approved.",
        "[STARTUP] Phase 'cleanup_ops' was started but never ended. Skipping metrics.",
        "When using Gemini API, you must specify the GEMINI_API_KEY environment variable.",
        "Update your environment and try again",
    ]);
    assert_eq!(seen.len(), 2);
    let first = stderr.take_first().unwrap();
    assert!(first.starts_with("When using Gemini API"), "{first}");
}

#[test]
fn a_stack_trace_tells_the_problem() {
    let (seen, mut stderr) = read(&[
        "Error when talking to Gemini API Full report available at: /tmp/x.json _ApiError: {\"error\":{\"code\":401,\"message\":\"Bad.\",\"status\":\"UNAUTHENTICATED\"}}",
        "    at x {",
        "  status: 401",
    ]);
    assert_eq!(seen.len(), 3);
    let problem = stderr.take_problem().unwrap();
    assert_eq!(problem.outcome, Outcome::Auth);
    assert_eq!(problem.error, "Bad. (401 UNAUTHENTICATED)");
}

#[test]
fn a_login_without_a_connection_is_told_as_one() {
    let line = "Failed to login. Message: request to https://cloudcode-pa.googleapis.com/v1internal:loadCodeAssist failed, reason: getaddrinfo EAI_AGAIN cloudcode-pa.googleapis.com";
    let (seen, mut stderr) = read(&[line]);
    assert_eq!(seen.len(), 1);
    let problem = stderr.take_problem().unwrap();
    let lost = (Outcome::Overloaded, Some(Cause::Unreachable));
    assert_eq!((problem.outcome, problem.cause), lost);
    assert_eq!(problem.stderr.as_deref(), Some(line));
    let refused = "Failed to login. Message: Your account may not.";
    assert_eq!(read(&[refused]).1.take_problem(), None);
}

#[test]
fn an_unknown_session_is_told_apart() {
    let line = "Error resuming session: Invalid session identifier \"s-gone\".";
    let (seen, mut stderr) = read(&[line, "  Use --list-sessions to see available sessions."]);
    assert_eq!(seen.len(), 2);
    assert_eq!(stderr.cause(), Some(Cause::UnknownSession));
    assert_eq!(stderr.take_first().as_deref(), Some(line));
    assert_eq!(read(&["Unknown arguments: x"]).1.cause(), None);
}
