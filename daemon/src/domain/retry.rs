//! Trying again: after which ends, how often, and how long after.

use std::time::Duration;

use steroids_provider::outcome::Outcome;

use super::hold::{Backoff, LONGEST, chance};

/// When an invocation is tried again by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetryPolicy {
    /// After these ends.
    pub on: Vec<Outcome>,
    /// At most so often.
    pub max: u32,
}

/// What a request says of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StartRetry {
    /// After these ends.
    pub on: Vec<Outcome>,
    /// At most so often; `None`: as configured.
    pub max: Option<u32>,
}

impl From<RetryPolicy> for StartRetry {
    fn from(policy: RetryPolicy) -> Self {
        StartRetry {
            on: policy.on,
            max: Some(policy.max),
        }
    }
}

/// Why a word names nothing to try again after.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotRetried {
    /// It is no outcome.
    #[error("`{word}` is not an outcome; there are {}", RetryPolicy::outcomes())]
    NoOutcome {
        /// As it was said.
        word: String,
    },
    /// It is one after which nothing is.
    #[error("`{outcome}` {why}")]
    Never {
        /// Which.
        outcome: Outcome,
        /// Why, to be read behind it.
        why: &'static str,
    },
}

impl RetryPolicy {
    /// The outcome that a word names, if it is one to try again after.
    ///
    /// # Errors
    /// When it is not.
    pub fn outcome(word: &str) -> Result<Outcome, NotRetried> {
        let outcome = word.parse().map_err(|_| NotRetried::NoOutcome {
            word: word.to_owned(),
        })?;
        match RetryPolicy::check(outcome) {
            Ok(()) => Ok(outcome),
            Err(why) => Err(NotRetried::Never { outcome, why }),
        }
    }

    /// All that may be tried again after, in words.
    fn outcomes() -> String {
        let all = Outcome::ALL.into_iter();
        let retried = all.filter(|outcome| RetryPolicy::check(*outcome).is_ok());
        retried.map(Outcome::as_str).collect::<Vec<_>>().join(", ")
    }

    /// Why an outcome is none to try again after.
    pub fn check(outcome: Outcome) -> Result<(), &'static str> {
        match outcome {
            Outcome::Success => Err("needs no further attempt"),
            Outcome::Cancelled => Err("is what a person wanted"),
            _ => Ok(()),
        }
    }
}

/// How long after a failure it is tried again, where no hold says when: the provider answered that it
/// is busy, which is over sooner than a limit.
pub const PAUSE: Backoff = Backoff {
    first: Duration::from_secs(10),
    most: Duration::from_secs(60 * 60),
};

/// How fast pauses grow where nobody was reached. A busy provider is back within minutes, and a network that is
/// gone at night within an hour: as many attempts as are made by default (3) begin after 10 s, 3 min and an hour.
const UNREACHABLE_GROWS: u32 = 20;

/// What is known of an end when it is asked whether another attempt follows.
#[derive(Debug, Clone, Copy)]
pub struct Failure<'a> {
    /// Names the attempt.
    pub uuid: &'a str,
    /// Counted from 1.
    pub attempt: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// There was no connection to the provider, or it was lost.
    pub is_unreachable: bool,
    /// Somebody asked for its end.
    pub was_stopped: bool,
    /// When the limit is over, as the provider says.
    pub resets_at_ms: Option<i64>,
    /// A hold of its provider says when the next attempt may begin.
    pub is_held: bool,
}

/// When the next attempt may begin, in epoch milliseconds; `None` if there is to be none.
pub fn next(
    on: &[String],
    max: u32,
    pause: Backoff,
    failure: &Failure<'_>,
    now_ms: i64,
) -> Option<i64> {
    let word = failure.outcome.as_str();
    let is_meant = on.iter().any(|each| each == word);
    let is_never = RetryPolicy::check(failure.outcome).is_err() || failure.was_stopped;
    if !is_meant || is_never || failure.attempt > max {
        return None;
    }
    if failure.is_held {
        return Some(now_ms);
    }
    let chance = chance(failure.uuid);
    let after = match failure.is_unreachable {
        true => pause.growing(UNREACHABLE_GROWS, failure.attempt, chance),
        false => pause.after(failure.attempt, chance),
    };
    let paused = now_ms.saturating_add(i64::try_from(after.as_millis()).unwrap_or(i64::MAX));
    // Later than anybody is held the line would take it for a clock that was set back, and not wait at all.
    let latest = now_ms.saturating_add(i64::try_from(LONGEST.as_millis()).unwrap_or(i64::MAX));
    Some(match failure.resets_at_ms {
        Some(at) if at > paused => at.min(latest),
        _ => paused,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    fn failed(attempt: u32, outcome: Outcome) -> Failure<'static> {
        Failure {
            uuid: "u",
            attempt,
            outcome,
            is_unreachable: false,
            was_stopped: false,
            resets_at_ms: None,
            is_held: false,
        }
    }

    fn asked(failure: &Failure<'_>) -> Option<i64> {
        let on = ["overloaded".to_owned(), "cancelled".to_owned()];
        next(&on, 3, PAUSE, failure, NOW)
    }

    #[test]
    fn it_is_tried_again_as_often_as_was_said_and_only_after_what_was_said() {
        let times: Vec<_> = (1..=4)
            .map(|attempt| asked(&failed(attempt, Outcome::Overloaded)))
            .collect();
        for (n, time) in times[..3].iter().enumerate() {
            let wait = time.unwrap() - NOW;
            let plain = 10_000_i64 << n;
            assert!(
                (plain * 3 / 4..=plain * 5 / 4).contains(&wait),
                "{n}: {wait}"
            );
        }
        assert_eq!(times[3], None);
        assert_eq!(asked(&failed(1, Outcome::Failed)), None);
    }

    #[test]
    fn where_nobody_was_reached_the_default_attempts_cover_an_hour_and_the_first_comes_as_soon() {
        let lost = |attempt| Failure {
            is_unreachable: true,
            ..failed(attempt, Outcome::Overloaded)
        };
        let pauses = [1, 2, 3].map(|attempt| (asked(&lost(attempt)).unwrap() - NOW) / 1000);
        assert_eq!(asked(&lost(1)), asked(&failed(1, Outcome::Overloaded)));
        assert!((150..=250).contains(&pauses[1]), "{pauses:?}");
        assert!((45 * 60..=60 * 60).contains(&pauses[2]), "{pauses:?}");
        let all = |max| next(&["overloaded".to_owned()], max, PAUSE, &lost(max), NOW);
        // However many were asked for, none waits longer than the longest.
        assert!(all(100).unwrap() - NOW <= 3_600_000);
    }

    #[test]
    fn a_word_that_is_none_to_try_again_after_is_told_which_are() {
        let refused = |word: &str| RetryPolicy::outcome(word).unwrap_err().to_string();
        assert_eq!(RetryPolicy::outcome("overloaded"), Ok(Outcome::Overloaded));
        let said = refused("network");
        assert!(
            said.starts_with("`network` is not an outcome; there are failed, timeout_wall, "),
            "{said}"
        );
        assert!(
            said.contains(", overloaded, ") && !said.contains("success"),
            "{said}"
        );
        assert_eq!(refused("success"), "`success` needs no further attempt");
    }

    #[test]
    fn never_after_a_persons_stop() {
        assert_eq!(asked(&failed(1, Outcome::Cancelled)), None);
        let stopped = Failure {
            was_stopped: true,
            ..failed(1, Outcome::Overloaded)
        };
        assert_eq!(asked(&stopped), None);
    }

    #[test]
    fn a_hold_or_the_providers_own_word_says_when() {
        let held = Failure {
            is_held: true,
            ..failed(1, Outcome::Overloaded)
        };
        assert_eq!(asked(&held), Some(NOW));
        let later = Failure {
            resets_at_ms: Some(NOW + 3_600_000),
            ..failed(1, Outcome::Overloaded)
        };
        assert_eq!(asked(&later), Some(NOW + 3_600_000));
        let much_later = Failure {
            resets_at_ms: Some(NOW + 30 * 86_400_000),
            ..failed(1, Outcome::Overloaded)
        };
        assert_eq!(asked(&much_later), Some(NOW + 8 * 86_400_000));
    }
}
