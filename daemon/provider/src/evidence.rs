//! What a verdict rests on, for who wants to see it: the provider's own final event, the line of
//! stderr that decided, the status of the API's answer, and a word where the outcome is too wide.

use std::fmt;
use std::str::FromStr;

use serde_json::value::RawValue;

/// Of a final event, how much a parser keeps until the end: room for its secrets to be found as
/// what they are, in whole JSON, before it is cut to what is shown.
const KEPT_LIMIT: usize = 64 * 1024;

/// Of a final event, how much is shown: a table of models and counts, or an API's whole answer.
const SHOWN_LIMIT: usize = 4 * 1024;

/// What an end was judged by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The provider's own final event, as it was printed.
    pub final_event: Option<String>,
    /// The lines of stderr that decided.
    pub stderr: Vec<String>,
    /// Of the API's answer, where that is why it ended.
    pub http_status: Option<u16>,
    /// Why it did not succeed, where that is more than its outcome says.
    pub cause: Option<Cause>,
}

/// A reason that is narrower than an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The session that was to be resumed is not known to the CLI.
    UnknownSession,
    /// There was no connection to the provider, or it was lost.
    Unreachable,
}

impl Cause {
    /// The word as it stands in the log, the database and every answer.
    pub fn as_str(self) -> &'static str {
        match self {
            Cause::UnknownSession => "unknown_session",
            Cause::Unreachable => "unreachable",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no cause.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a cause")]
pub struct UnknownCause(String);

impl FromStr for Cause {
    type Err = UnknownCause;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "unknown_session" => Ok(Cause::UnknownSession),
            "unreachable" => Ok(Cause::Unreachable),
            other => Err(UnknownCause(other.to_owned())),
        }
    }
}

/// An event as it is kept until the end.
pub(crate) fn kept(event: &RawValue) -> String {
    let text = event.get();
    text[..text.floor_char_boundary(KEPT_LIMIT)].to_owned()
}

/// An event as it is shown: its beginning, and how much is missing.
pub(crate) fn shown(mut event: String) -> String {
    let most = event.floor_char_boundary(SHOWN_LIMIT);
    let missing = event.len() - most;
    if missing > 0 {
        event.truncate(most);
        event.push_str(&format!("… [{missing} more bytes]"));
    }
    event
}

/// A status that an HTTP answer can have.
pub(crate) fn http_status(number: u64) -> Option<u16> {
    u16::try_from(number)
        .ok()
        .filter(|status| (100..600).contains(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_event_is_cut_at_a_character_and_says_so() {
        let long = "é".repeat(SHOWN_LIMIT);
        let cut = shown(long);
        assert!(cut.ends_with("… [4096 more bytes]"), "{}", &cut[4000..]);
        assert_eq!(shown("{}".to_owned()), "{}");
    }

    #[test]
    fn a_cause_reads_back_from_its_word() {
        for cause in [Cause::UnknownSession, Cause::Unreachable] {
            assert_eq!(cause.as_str().parse::<Cause>().unwrap(), cause);
        }
        assert!("session".parse::<Cause>().is_err());
    }
}
