//! From the exit record and the parser's verdict to what the row is to hold. Pure.

use steroids_provider::outcome::Outcome;
use steroids_provider::parser::Verdict;
use steroids_provider::redact::Redactor;
use steroids_shim::exit::{End, ExitRecord};

use super::live::totals;
use crate::domain::Evidence;
use crate::store::{Ending, Rusage};

/// Why and how an invocation without a process ended.
pub(super) fn failure(end: &End) -> (String, Outcome) {
    match end {
        End::NeverStarted { error, .. } => (error.clone(), Outcome::NeverStarted),
        End::Cancelled { error } => (error.clone(), Outcome::Cancelled),
        End::Lost { error } => (error.clone(), Outcome::Lost),
        // Only asked where nothing can be projected: mostly no process ran.
        End::Ran { .. } => (
            "it has ended, and what it came to cannot be told: its specification is damaged"
                .to_owned(),
            Outcome::Interrupted,
        ),
    }
}

/// What the row is to hold. `verdict` is `None` where nothing was ever decoded.
pub fn ending_of(exit: &ExitRecord, verdict: Option<&Verdict>, created_ms: u64) -> Ending {
    let (outcome, error) = match verdict {
        Some(verdict) => (verdict.outcome, verdict.error.clone()),
        None => {
            let (error, outcome) = failure(&exit.end);
            // Without a state folder there is no word of which values are secret.
            let error = Redactor::of_shapes().text(&error).into_owned();
            (outcome, Some(error))
        }
    };
    let (exit_code, duration_ms, leftovers) = match &exit.end {
        End::Ran {
            code,
            signal,
            duration_ms,
            leftovers,
            ..
        } => (
            code.or(signal.map(|signal| signal.saturating_add(128)))
                .unwrap_or(-1),
            *duration_ms,
            Some(*leftovers),
        ),
        End::NeverStarted { .. } | End::Cancelled { .. } => (-1, 0, None),
        // Nobody measured it; the wall clock may have been set since, so never below zero.
        End::Lost { .. } => (-1, exit.ended_ms.saturating_sub(created_ms), None),
    };
    let usage = verdict.and_then(|verdict| verdict.usage);
    Ending {
        outcome,
        error,
        exit_code,
        duration_ms: signed(duration_ms),
        completed_ms: signed(exit.ended_ms),
        response: verdict.and_then(|verdict| verdict.response.clone()),
        session_id: verdict.and_then(|verdict| verdict.session_id.clone()),
        usage: usage.map(totals),
        price: None,
        rusage: exit.rusage.map(|used| Rusage {
            user_us: used.user_us,
            system_us: used.system_us,
            max_rss_kib: used.max_rss_kib,
            peak_bytes: used.peak_bytes,
            cpu_us: used.cpu_us,
        }),
        leftovers,
        resets_at_ms: verdict.and_then(|verdict| verdict.resets_at_ms),
        http_status: verdict.and_then(|verdict| verdict.evidence.http_status),
        cause: verdict.and_then(|verdict| verdict.evidence.cause),
        evidence: evidence(exit, verdict),
        // The verdict does not say it.
        answering_model: None,
        frees_request: matches!(
            exit.end,
            End::NeverStarted {
                lacks_room: true,
                ..
            }
        ),
    }
}

fn evidence(exit: &ExitRecord, verdict: Option<&Verdict>) -> Evidence {
    let facts = exit.facts().unwrap_or_default();
    let found = verdict.map(|verdict| verdict.evidence.clone());
    let found = found.unwrap_or_default();
    Evidence {
        ended_by: facts.ended_by.map(|by| by.as_str().to_owned()),
        signal: facts.signal_name(),
        final_event: found.final_event,
        stderr: found.stderr,
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(end: End) -> ExitRecord {
        ExitRecord {
            proto: 1,
            end,
            ended_ms: 5_000,
            spool_length: 0,
            rusage: None,
        }
    }

    fn ran(code: Option<i32>, signal: Option<i32>) -> ExitRecord {
        record(End::Ran {
            code,
            signal,
            ended_by: None,
            duration_ms: 1_234,
            leftovers: 2,
        })
    }

    #[test]
    fn a_code_above_128_is_not_a_signal_and_a_signal_is_128_more() {
        assert_eq!(ending_of(&ran(Some(173), None), None, 0).exit_code, 173);
        assert_eq!(ending_of(&ran(None, Some(9)), None, 0).exit_code, 137);
        // A record that says so is damaged, and read all the same.
        let most = ran(None, Some(i32::MAX));
        assert_eq!(ending_of(&most, None, 0).exit_code, i32::MAX);
    }

    #[test]
    fn what_never_ran_has_no_exit_code_and_says_why() {
        let ending = ending_of(
            &record(End::never_started("claude: No such file or directory")),
            None,
            4_000,
        );
        assert_eq!(ending.exit_code, -1);
        assert_eq!(ending.outcome, Outcome::NeverStarted);
        assert_eq!(ending.duration_ms, 0);
        assert!(ending.error.is_some_and(|error| error.contains("claude")));
    }

    #[test]
    fn a_lost_one_never_lasted_less_than_nothing() {
        let lost = record(End::Lost {
            error: "host restarted".into(),
        });
        assert_eq!(ending_of(&lost, None, 9_000).duration_ms, 0);
        assert_eq!(ending_of(&lost, None, 4_000).duration_ms, 1_000);
    }
}
