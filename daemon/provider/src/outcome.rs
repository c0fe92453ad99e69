//! How an invocation ended, in one word, and what that word means for the row.

use std::fmt;
use std::str::FromStr;

/// How an invocation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Ended by itself, with its final event where the CLI has one.
    Success,
    /// Ended, and said that it failed.
    Failed,
    /// A person, or a client, stopped it.
    Cancelled,
    /// Ran longer than `wall`.
    TimeoutWall,
    /// Printed nothing for `silence`.
    TimeoutSilence,
    /// A limit that goes away by itself at a known time, or a plain 429.
    RateLimited,
    /// A limit without a reset time.
    CreditExhausted,
    /// Credentials are missing or refused.
    Auth,
    /// The conversation no longer fits the model.
    ContextExceeded,
    /// The provider does not know the model.
    ModelNotFound,
    /// The provider answered 408, 500, 502 to 504, 520 to 524 or 529, or could not be asked.
    Overloaded,
    /// Ended without its final event, or by a signal that was not ours.
    Interrupted,
    /// The shim died, or the host was restarted.
    Lost,
    /// The provider could not be started.
    NeverStarted,
}

/// The words the older schema's CHECK allows for an ended row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RowStatus {
    /// `completed`.
    Completed,
    /// `failed`.
    Failed,
    /// `timeout`.
    Timeout,
}

impl Outcome {
    /// Every outcome, in the order of the documentation.
    pub const ALL: [Outcome; 14] = [
        Outcome::Success,
        Outcome::Failed,
        Outcome::Cancelled,
        Outcome::TimeoutWall,
        Outcome::TimeoutSilence,
        Outcome::RateLimited,
        Outcome::CreditExhausted,
        Outcome::Auth,
        Outcome::ContextExceeded,
        Outcome::ModelNotFound,
        Outcome::Overloaded,
        Outcome::Interrupted,
        Outcome::Lost,
        Outcome::NeverStarted,
    ];

    /// The word as it stands in the log, the database and every answer.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Success => "success",
            Outcome::Failed => "failed",
            Outcome::Cancelled => "cancelled",
            Outcome::TimeoutWall => "timeout_wall",
            Outcome::TimeoutSilence => "timeout_silence",
            Outcome::RateLimited => "rate_limited",
            Outcome::CreditExhausted => "credit_exhausted",
            Outcome::Auth => "auth",
            Outcome::ContextExceeded => "context_exceeded",
            Outcome::ModelNotFound => "model_not_found",
            Outcome::Overloaded => "overloaded",
            Outcome::Interrupted => "interrupted",
            Outcome::Lost => "lost",
            Outcome::NeverStarted => "never_started",
        }
    }

    /// The row's status.
    pub fn row_status(self) -> RowStatus {
        match self {
            Outcome::Success => RowStatus::Completed,
            Outcome::TimeoutWall | Outcome::TimeoutSilence => RowStatus::Timeout,
            _ => RowStatus::Failed,
        }
    }

    /// True for [`Outcome::Success`] alone.
    pub fn is_success(self) -> bool {
        self == Outcome::Success
    }
}

impl RowStatus {
    /// The word the column takes.
    pub fn as_str(self) -> &'static str {
        match self {
            RowStatus::Completed => "completed",
            RowStatus::Failed => "failed",
            RowStatus::Timeout => "timeout",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no outcome.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not an outcome")]
pub struct UnknownOutcome(String);

impl FromStr for Outcome {
    type Err = UnknownOutcome;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Outcome::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == word)
            .ok_or_else(|| UnknownOutcome(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_reads_back_from_its_word() {
        for outcome in Outcome::ALL {
            assert_eq!(outcome.as_str().parse::<Outcome>().unwrap(), outcome);
        }
        assert!("error".parse::<Outcome>().is_err());
    }

    #[test]
    fn only_success_completes_and_only_limits_time_out() {
        for outcome in Outcome::ALL {
            let expected = match outcome {
                Outcome::Success => "completed",
                Outcome::TimeoutWall | Outcome::TimeoutSilence => "timeout",
                _ => "failed",
            };
            assert_eq!(outcome.row_status().as_str(), expected);
        }
    }
}
