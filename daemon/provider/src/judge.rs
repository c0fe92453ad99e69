//! The part of judging that no provider does differently: who ended it, by what, and whether the
//! final event came. What a provider itself said went wrong is handed in as a [`Problem`].
//!
//! ```text
//! ended by us?  stop -> cancelled   wall, silence -> timeout_*   shutdown -> interrupted
//!               post_result -> as its result says, exit forced
//! otherwise     SIGKILL, or not 0, with processes killed for their memory -> failed
//!               signal            -> interrupted
//!               exit 0            -> success, if the final event came and was good
//!                                    interrupted, if it should have come and did not, or a message
//!                                    came after it that was not answered
//!               the final event or anything else told of a problem -> that
//!               exit not 0        -> failed
//! ```

use crate::bounds::one_line;
use crate::evidence::{Cause, Evidence};
use crate::outcome::Outcome;
use crate::parser::{EndedBy, Exit, OverMemory, Verdict};
use crate::signal;

/// By which the kernel ends who has too much memory.
const SIGKILL: i32 = 9;

/// Whether the CLI gave its final event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Final {
    /// This format has none: the exit says it all.
    #[default]
    None,
    /// It should have come and did not.
    Missing,
    /// It came, and is no error.
    Good,
    /// It came, and is one.
    Bad,
}

/// What the provider said went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// What it amounts to.
    pub(crate) outcome: Outcome,
    /// In the provider's words.
    pub(crate) error: String,
    /// When it goes away, where that was told; in epoch milliseconds.
    pub(crate) resets_at_ms: Option<i64>,
    /// Of the API's answer.
    pub(crate) http_status: Option<u16>,
    /// Why, where that is more than its outcome says.
    pub(crate) cause: Option<Cause>,
    /// The line of stderr that told of it, where one did.
    pub(crate) stderr: Option<String>,
}

impl Problem {
    /// One of which nothing more is known.
    pub(crate) fn new(outcome: Outcome, error: impl Into<String>) -> Problem {
        Problem {
            outcome,
            error: error.into(),
            resets_at_ms: None,
            http_status: None,
            cause: None,
            stderr: None,
        }
    }

    /// The API gave no answer, as there was no connection to it.
    pub(crate) fn unreachable(error: impl Into<String>) -> Problem {
        Problem {
            cause: Some(Cause::Unreachable),
            ..Problem::new(Outcome::Overloaded, error)
        }
    }
}

/// What a parser found out about the end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Findings {
    /// Whether the final event came.
    pub(crate) last: Final,
    /// A message came after a final event, and none after that.
    pub(crate) is_unanswered: bool,
    /// What the provider said went wrong, where it did.
    pub(crate) problem: Option<Problem>,
    /// A line it printed on stderr, often the only reason given: the last, or the first where what
    /// follows it is usage and hints.
    pub(crate) stderr: Option<String>,
    /// The final event, as it was printed.
    pub(crate) event: Option<String>,
    /// Why it failed, in a word of its own.
    pub(crate) cause: Option<Cause>,
}

/// What it amounts to; fields of the verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// In one word.
    pub(crate) outcome: Outcome,
    /// One line: why it did not succeed.
    pub(crate) error: Option<String>,
    /// Its final result was there and it had to be ended.
    pub(crate) exit_forced: bool,
    /// When the limit goes away that ended it.
    pub(crate) resets_at_ms: Option<i64>,
    /// What that rests on.
    pub(crate) evidence: Evidence,
}

impl Judgement {
    /// The verdict of a CLI that said neither its session nor what it used.
    pub(crate) fn verdict(self, response: Option<String>) -> Verdict {
        Verdict {
            outcome: self.outcome,
            error: self.error,
            exit_forced: self.exit_forced,
            resets_at_ms: self.resets_at_ms,
            evidence: self.evidence,
            session_id: None,
            usage: None,
            response,
        }
    }
}

/// Judges an end.
pub(crate) fn judge(exit: &Exit, findings: Findings) -> Judgement {
    let forced = exit.ended_by == Some(EndedBy::PostResult)
        && matches!(findings.last, Final::Good | Final::Bad);
    let mut resets_at_ms = None;
    let mut evidence = Evidence::default();
    let (outcome, error) = match exit.ended_by {
        Some(EndedBy::Stop) => (Outcome::Cancelled, Some("stopped on request".to_owned())),
        Some(EndedBy::Wall) => (
            Outcome::TimeoutWall,
            Some("ran longer than its wall limit".to_owned()),
        ),
        Some(EndedBy::Silence) => (
            Outcome::TimeoutSilence,
            Some("printed nothing for longer than its silence limit".to_owned()),
        ),
        Some(EndedBy::Shutdown) => (
            Outcome::Interrupted,
            Some("ended because the host is shutting down".to_owned()),
        ),
        Some(EndedBy::PostResult) if findings.last == Final::Good => (Outcome::Success, None),
        Some(EndedBy::PostResult) | None => match decisive(exit, &findings) {
            Some(problem) => {
                resets_at_ms = problem.resets_at_ms;
                evidence.http_status = problem.http_status;
                evidence.cause = problem.cause;
                evidence.stderr.extend(problem.stderr.clone());
                (problem.outcome, Some(problem.error.clone()))
            }
            None => {
                evidence.stderr.extend(words(exit, &findings));
                by_itself(exit, &findings)
            }
        },
    };
    let cause = findings.cause.filter(|_| outcome == Outcome::Failed);
    evidence.cause = evidence.cause.or(cause);
    evidence.final_event = findings.event;
    Judgement {
        outcome,
        error: error.map(|error| one_line(&error)),
        exit_forced: forced,
        resets_at_ms,
        evidence,
    }
}

/// The problem that is why it ended: its final event told of it, or its exit bears it out.
fn decisive<'e>(exit: &Exit, findings: &'e Findings) -> Option<&'e Problem> {
    let failed = exit.signal.is_none() && exit.code != Some(0);
    let problem = findings.problem.as_ref();
    problem.filter(|_| findings.last == Final::Bad || failed)
}

fn by_itself(exit: &Exit, findings: &Findings) -> (Outcome, Option<String>) {
    if let Some(told) = exit.over_memory.and_then(|over| over_memory(exit, &over)) {
        return (Outcome::Failed, Some(told));
    }
    match (exit.code, exit.signal, findings.last) {
        (_, Some(number), _) => {
            let name = signal::name(number);
            (Outcome::Interrupted, Some(format!("ended by {name}")))
        }
        (Some(0), None, Final::Missing) if findings.is_unanswered => (
            Outcome::Interrupted,
            Some("exited with 0 without an answer to the last message it was sent".to_owned()),
        ),
        (Some(0), None, Final::Missing) => (
            Outcome::Interrupted,
            Some(
                "exited with 0 without its final event: the end of its output is missing"
                    .to_owned(),
            ),
        ),
        (Some(0), None, Final::Bad) => (
            Outcome::Failed,
            Some("its final event is an error".to_owned()),
        ),
        (Some(0), None, Final::Good | Final::None) => (Outcome::Success, None),
        (Some(code), None, _) => (Outcome::Failed, Some(exit_text(code, findings))),
        (None, None, _) => (
            Outcome::Interrupted,
            Some("ended without an exit code or a signal".to_owned()),
        ),
    }
}

/// Why it ended, if it was for the memory it had: one that goes on without some of its processes, and
/// well, did not.
fn over_memory(exit: &Exit, over: &OverMemory) -> Option<String> {
    let limit = size(over.max);
    match (exit.code, exit.signal) {
        (_, Some(SIGKILL)) => Some(format!(
            "killed by the kernel: its processes had reached the memory limit of {limit}"
        )),
        (Some(code), None) if code != 0 => {
            let killed = over.killed;
            Some(format!(
                "exited with code {code}; at its memory limit of {limit} the kernel had killed {killed} of its processes"
            ))
        }
        _ => None,
    }
}

/// A number of bytes in the largest unit that leaves nothing over.
fn size(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let fits = units
        .iter()
        .find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit));
    match fits {
        Some((unit, name)) => format!("{} {name}", bytes / unit),
        None => format!("{bytes} bytes"),
    }
}

/// The line of stderr by which an exit code is explained.
fn words(exit: &Exit, findings: &Findings) -> Option<String> {
    let failed = exit.signal.is_none() && exit.code.is_some_and(|code| code != 0);
    findings.stderr.clone().filter(|_| failed)
}

fn exit_text(code: i32, findings: &Findings) -> String {
    match &findings.stderr {
        Some(line) => format!("exit code {code}: {line}"),
        None if findings.last == Final::Good => format!("exit code {code} after a good result"),
        None => format!("exit code {code}"),
    }
}

/// What an HTTP status means, where it means one thing only.
pub(crate) fn outcome_of_status(status: u64) -> Option<Outcome> {
    match status {
        401 | 403 => Some(Outcome::Auth),
        402 => Some(Outcome::CreditExhausted),
        429 => Some(Outcome::RateLimited),
        // A request that was given up, and what Cloudflare says of an API that it does not reach, or not in time.
        408 | 520..=524 => Some(Outcome::Overloaded),
        500 | 502 | 503 | 504 | 529 => Some(Outcome::Overloaded),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(code: Option<i32>, signal: Option<i32>, ended_by: Option<EndedBy>) -> Exit {
        Exit {
            code,
            signal,
            ended_by,
            ..Exit::default()
        }
    }

    fn outcome(exit: Exit, last: Final, problem: Option<Outcome>) -> Outcome {
        let problem = problem.map(|outcome| Problem::new(outcome, "it said"));
        let findings = Findings {
            last,
            problem,
            ..Findings::default()
        };
        judge(&exit, findings).outcome
    }

    #[test]
    fn who_had_too_much_memory_is_told_the_limit_and_who_did_well_without_is_not() {
        let over = OverMemory {
            max: 512 << 20,
            killed: 2,
        };
        let judged = |code, signal, ended_by| {
            let exit = Exit {
                over_memory: Some(over),
                ..exit(code, signal, ended_by)
            };
            let judged = judge(&exit, Findings::default());
            (judged.outcome, judged.error.unwrap_or_default())
        };
        let (outcome, error) = judged(None, Some(9), None);
        assert_eq!(outcome, Outcome::Failed);
        assert!(error.ends_with("the memory limit of 512 MiB"), "{error}");
        let (outcome, error) = judged(Some(101), None, None);
        assert_eq!(outcome, Outcome::Failed);
        assert!(
            error.contains("512 MiB") && error.contains("killed 2"),
            "{error}"
        );
        assert_eq!(judged(Some(0), None, None).0, Outcome::Success);
        assert_eq!(
            judged(None, Some(9), Some(EndedBy::Wall)).0,
            Outcome::TimeoutWall
        );
        assert_eq!(size(3 << 30), "3 GiB");
        assert_eq!(size((1 << 30) + 1), "1073741825 bytes");
    }

    #[test]
    fn who_ended_it_comes_before_what_it_said() {
        for last in [Final::None, Final::Missing, Final::Good, Final::Bad] {
            let by = |ended_by| {
                outcome(
                    exit(Some(1), None, Some(ended_by)),
                    last,
                    Some(Outcome::Auth),
                )
            };
            assert_eq!(by(EndedBy::Stop), Outcome::Cancelled);
            assert_eq!(by(EndedBy::Wall), Outcome::TimeoutWall);
            assert_eq!(by(EndedBy::Silence), Outcome::TimeoutSilence);
            assert_eq!(by(EndedBy::Shutdown), Outcome::Interrupted);
        }
    }

    #[test]
    fn an_end_forced_after_the_result_is_what_the_result_says() {
        let forced = exit(None, Some(9), Some(EndedBy::PostResult));
        assert_eq!(outcome(forced, Final::Good, None), Outcome::Success);
        assert_eq!(
            outcome(forced, Final::Bad, Some(Outcome::Auth)),
            Outcome::Auth
        );
        assert_eq!(outcome(forced, Final::Missing, None), Outcome::Interrupted);
        let findings = Findings {
            last: Final::Good,
            ..Findings::default()
        };
        assert!(judge(&forced, findings.clone()).exit_forced);
        assert!(!judge(&exit(Some(0), None, None), findings).exit_forced);
    }

    #[test]
    fn exit_zero_needs_the_final_event_where_there_is_one() {
        let zero = exit(Some(0), None, None);
        assert_eq!(outcome(zero, Final::None, None), Outcome::Success);
        assert_eq!(outcome(zero, Final::Good, None), Outcome::Success);
        assert_eq!(outcome(zero, Final::Missing, None), Outcome::Interrupted);
        assert_eq!(
            outcome(zero, Final::Missing, Some(Outcome::Auth)),
            Outcome::Interrupted
        );
        assert_eq!(
            outcome(zero, Final::Bad, Some(Outcome::Overloaded)),
            Outcome::Overloaded
        );
        assert_eq!(outcome(zero, Final::Bad, None), Outcome::Failed);
        let unanswered = Findings {
            last: Final::Missing,
            is_unanswered: true,
            ..Findings::default()
        };
        let judgement = judge(&zero, unanswered);
        assert_eq!(judgement.outcome, Outcome::Interrupted);
        assert!(judgement.error.unwrap().contains("last message"));
    }

    #[test]
    fn codes_above_128_are_codes_and_signals_interrupt() {
        assert_eq!(
            outcome(exit(Some(143), None, None), Final::Missing, None),
            Outcome::Failed
        );
        assert_eq!(
            outcome(exit(None, Some(15), None), Final::Good, None),
            Outcome::Interrupted
        );
        assert_eq!(
            outcome(exit(Some(1), None, None), Final::Good, None),
            Outcome::Failed
        );
    }

    #[test]
    fn the_time_of_a_reset_is_told_where_the_limit_is_why_it_ended() {
        let resets = |exit: Exit, last| {
            let problem = Some(Problem {
                resets_at_ms: Some(7),
                ..Problem::new(Outcome::RateLimited, "limit")
            });
            let findings = Findings {
                last,
                problem,
                ..Findings::default()
            };
            judge(&exit, findings).resets_at_ms
        };
        assert_eq!(resets(exit(Some(0), None, None), Final::Bad), Some(7));
        assert_eq!(resets(exit(Some(1), None, None), Final::Missing), Some(7));
        assert_eq!(resets(exit(Some(0), None, None), Final::Good), None);
        assert_eq!(resets(exit(None, Some(9), None), Final::Missing), None);
        let stopped = exit(Some(1), None, Some(EndedBy::Stop));
        assert_eq!(resets(stopped, Final::Bad), None);
    }

    #[test]
    fn an_exit_code_is_explained_by_the_last_line_of_stderr() {
        let findings = Findings {
            last: Final::Missing,
            stderr: Some("error: unknown option".to_owned()),
            cause: Some(Cause::UnknownSession),
            ..Findings::default()
        };
        let judgement = judge(&exit(Some(2), None, None), findings.clone());
        assert_eq!(
            judgement.error.unwrap(),
            "exit code 2: error: unknown option"
        );
        assert_eq!(judgement.evidence.stderr, ["error: unknown option"]);
        assert_eq!(judgement.evidence.cause, Some(Cause::UnknownSession));
        let stopped = exit(Some(2), None, Some(EndedBy::Stop));
        assert_eq!(judge(&stopped, findings).evidence, Evidence::default());
    }
}
