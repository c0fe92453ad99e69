//! What a daemon's "no" says: the code, what is wrong, with which field, and what to do about it,
//! gathered from the status message and its rich details.

use std::error::Error;

use tonic::{Code, Status};
use tonic_types::StatusExt;

/// An error answer, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The gRPC code.
    pub code: Code,
    /// What is wrong.
    pub message: String,
    /// Fields of the request, each with what is wrong with it.
    pub fields: Vec<(String, String)>,
    /// What to do about it.
    pub hint: Option<String>,
    /// A stable word for the reason, where the daemon gives one.
    pub reason: Option<String>,
}

impl Refusal {
    /// Takes a status apart. Details that cannot be read are left out.
    pub fn of(status: &Status) -> Self {
        let details = status.check_error_details().unwrap_or_default();
        let fields = details.bad_request().map_or_else(Vec::new, |bad| {
            bad.field_violations
                .iter()
                .map(|violation| (violation.field.clone(), violation.description.clone()))
                .collect()
        });
        let hint = hints(&details);
        let reason = details
            .error_info()
            .map(|info| info.reason.clone())
            .filter(|reason| !reason.is_empty());
        // In tonic's words (0.14, codec), as nothing else tells it from what a service says.
        let is_too_long = status.message().contains("message length too large");
        if status.code() == Code::OutOfRange && reason.is_none() && is_too_long {
            return Refusal::too_long(status);
        }
        Refusal {
            code: status.code(),
            message: status.message().to_owned(),
            fields,
            hint,
            reason,
        }
    }

    // The transport's word, and about nobody's cursor or flag.
    fn too_long(status: &Status) -> Self {
        Refusal {
            code: Code::Internal,
            message: format!(
                "the daemon's answer is longer than a message may be: {}",
                status.message()
            ),
            fields: Vec::new(),
            hint: Some("ask for less at once, as one project or fewer rows".to_owned()),
            reason: None,
        }
    }

    /// The code as a word: `not_found`, `failed_precondition`.
    pub fn code_word(&self) -> &'static str {
        match self.code {
            Code::Ok => "ok",
            Code::Cancelled => "cancelled",
            Code::Unknown => "unknown",
            Code::InvalidArgument => "invalid_argument",
            Code::DeadlineExceeded => "deadline_exceeded",
            Code::NotFound => "not_found",
            Code::AlreadyExists => "already_exists",
            Code::PermissionDenied => "permission_denied",
            Code::ResourceExhausted => "resource_exhausted",
            Code::FailedPrecondition => "failed_precondition",
            Code::Aborted => "aborted",
            Code::OutOfRange => "out_of_range",
            Code::Unimplemented => "unimplemented",
            Code::Internal => "internal",
            Code::Unavailable => "unavailable",
            Code::DataLoss => "data_loss",
            Code::Unauthenticated => "unauthenticated",
        }
    }

    /// The message, and what is wrong with each field where the message does not say so itself.
    pub fn what(&self) -> String {
        let mut what = self.message.clone();
        for (field, description) in &self.fields {
            let said = match description.as_str() {
                "" => self.message.contains(field.as_str()),
                description => self.message.contains(description),
            };
            if said {
                continue;
            }
            if !what.is_empty() {
                what.push_str("; ");
            }
            what.push_str(field);
            if !description.is_empty() {
                what.push_str(": ");
                what.push_str(description);
            }
        }
        if what.is_empty() {
            what.push_str(self.code.description());
        }
        what
    }

    /// True if the connection broke, or never was, rather than the daemon saying no.
    pub fn is_broken(status: &Status) -> bool {
        // A status that came over the wire has no source; one that was made here has.
        status.source().is_some()
    }

    /// True if the same request may succeed later without anybody's doing: the daemon is away,
    /// starts, stops or is busy. All else would be answered the same again.
    pub fn passes(status: &Status) -> bool {
        let busy = [Code::Unavailable, Code::Aborted, Code::ResourceExhausted];
        busy.contains(&status.code()) || Refusal::is_broken(status)
    }

    /// True if this side gave up waiting for an answer: the time for it is over, or the other end of the
    /// connection does not even say that it lives.
    pub fn is_timeout(status: &Status) -> bool {
        let is_silence = |error: &hyper::Error| error.is_timeout();
        is_caused_by::<tonic::TimeoutExpired>(status)
            || caused_by::<hyper::Error>(status).is_some_and(is_silence)
    }

    /// True if the daemon says that it is about to go.
    pub fn is_stopping(status: &Status) -> bool {
        Refusal::of(status).reason.as_deref() == Some("STOPPING")
    }
}

/// Whether an error of this type stands among a status's causes.
pub(crate) fn is_caused_by<E: Error + 'static>(status: &Status) -> bool {
    caused_by::<E>(status).is_some()
}

fn caused_by<E: Error + 'static>(status: &Status) -> Option<&E> {
    let mut cause = status.source();
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

/// What to do, wherever the daemon put it; the same advice in two places is given once.
fn hints(details: &tonic_types::ErrorDetails) -> Option<String> {
    let metadata = details.error_info().map(|info| &info.metadata);
    let named = metadata
        .into_iter()
        .flat_map(|metadata| ["hint", "todo", "fix"].map(|key| metadata.get(key)))
        .flatten();
    let preconditions = details
        .precondition_failure()
        .into_iter()
        .flat_map(|failure| failure.violations.iter().map(|it| &it.description));
    let help = details
        .help()
        .into_iter()
        .flat_map(|help| help.links.iter().map(|link| &link.description));
    let localized = details.localized_message().map(|it| &it.message);

    let mut hints: Vec<&str> = Vec::new();
    for hint in named.chain(help).chain(localized).chain(preconditions) {
        let hint = hint.trim();
        if !hint.is_empty() && !hints.contains(&hint) {
            hints.push(hint);
        }
    }
    (!hints.is_empty()).then(|| hints.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use tonic_types::ErrorDetails;

    #[test]
    fn details_tell_the_field_and_what_to_do() {
        let mut details = ErrorDetails::new();
        details
            .add_bad_request_violation("limits.wall", "must not be negative")
            .add_help_link("give a duration such as 2h", "")
            .set_error_info(
                "BAD_LIMIT",
                "steroidsd",
                HashMap::from([("hint".to_owned(), "give a duration such as 2h".to_owned())]),
            );
        let status = Status::with_error_details(Code::InvalidArgument, "bad limit", details);
        let refusal = Refusal::of(&status);
        assert_eq!(
            refusal.what(),
            "bad limit; limits.wall: must not be negative"
        );
        assert_eq!(refusal.hint.as_deref(), Some("give a duration such as 2h"));
        assert_eq!(refusal.reason.as_deref(), Some("BAD_LIMIT"));
        assert_eq!(refusal.code_word(), "invalid_argument");
    }

    #[test]
    fn a_status_without_details_or_text_still_says_something() {
        let refusal = Refusal::of(&Status::new(Code::Internal, ""));
        assert!(!refusal.what().is_empty());
        assert_eq!(refusal.hint, None);
    }

    #[test]
    fn what_a_daemon_that_is_away_or_busy_says_passes_and_nothing_else_does() {
        for code in (0..=16).map(Code::from_i32) {
            let said = Status::new(code, "as it came over the wire");
            let is_busy = matches!(
                code,
                Code::Unavailable | Code::Aborted | Code::ResourceExhausted
            );
            assert_eq!(Refusal::passes(&said), is_busy, "{code:?}");
        }
        let mut broken = Status::unknown("h2 protocol error");
        broken.set_source(std::sync::Arc::new(std::io::Error::other("broken pipe")));
        assert!(Refusal::passes(&broken));
    }

    #[test]
    fn an_answer_that_is_too_long_is_not_what_is_out_of_range() {
        const SAID: &str = "Error, decoded message length too large: found 5000266 bytes";
        let too_long = Refusal::of(&Status::out_of_range(SAID));
        assert_eq!(too_long.code, Code::Internal);
        assert!(too_long.what().ends_with(": found 5000266 bytes"));
        let plain = Refusal::of(&Status::out_of_range("of another log"));
        assert_eq!(plain.code, Code::OutOfRange);
        let mut details = ErrorDetails::new();
        details.set_error_info("GAP", "steroidsd", HashMap::new());
        let gap = Status::with_error_details(Code::OutOfRange, "gone", details);
        assert_eq!(Refusal::of(&gap).code, Code::OutOfRange);
    }

    #[test]
    fn garbage_in_the_details_is_left_out() {
        let status = Status::with_details(Code::NotFound, "no such task", vec![0xff; 9].into());
        assert_eq!(Refusal::of(&status).what(), "no such task");
    }
}
