//! One way to say no: what is wrong, a stable word for the reason, which field, and what to do; as a
//! status with the rich details of `google.rpc`.

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// The reasons' name space, as `ErrorInfo` wants one.
const DOMAIN: &str = "steroids.v1";

/// A no, not yet a status.
#[derive(Debug)]
pub(super) struct Refusal {
    code: Code,
    reason: &'static str,
    message: String,
    field: Option<&'static str>,
    todo: Option<String>,
}

impl Refusal {
    /// Says no with a code, a stable word, and what is wrong.
    pub(super) fn new(code: Code, reason: &'static str, message: impl Into<String>) -> Refusal {
        Refusal {
            code,
            reason,
            message: message.into(),
            field: None,
            todo: None,
        }
    }

    /// Names the request's field that is at fault.
    pub(super) fn field(mut self, field: &'static str) -> Refusal {
        self.field = Some(field);
        self
    }

    /// Says what to do about it.
    pub(super) fn todo(mut self, todo: impl Into<String>) -> Refusal {
        self.todo = Some(todo.into());
        self
    }

    /// Says what to do about it, if there is something.
    pub(super) fn todo_if(mut self, todo: Option<&'static str>) -> Refusal {
        self.todo = todo.map(str::to_owned);
        self
    }
}

/// Says that a field of the request makes no sense. A reason that begins with a word of its own in backticks stands
/// behind a colon.
pub(super) fn invalid(field: &'static str, reason: impl AsRef<str>) -> Status {
    let reason = reason.as_ref();
    let colon = if reason.starts_with('`') { ":" } else { "" };
    Refusal::new(
        Code::InvalidArgument,
        "INVALID_FIELD",
        format!("{field}{colon} {reason}"),
    )
    .field(field)
    .into()
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Status {
        let mut details = ErrorDetails::new();
        details.set_error_info(refusal.reason, DOMAIN, HashMap::new());
        if let Some(field) = refusal.field {
            details.add_bad_request_violation(field, refusal.message.clone());
        }
        if let Some(todo) = refusal.todo {
            details.add_help_link(todo, "");
        }
        Status::with_error_details(refusal.code, refusal.message, details)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_named_in_front_of_what_is_wrong_with_it() {
        let said = |reason| invalid("outcomes", reason).message().to_owned();
        assert_eq!(said("is missing"), "outcomes is missing");
        assert_eq!(said("`foo` is none"), "outcomes: `foo` is none");
    }

    #[test]
    fn a_refusal_tells_what_which_field_and_what_to_do() {
        let status: Status = Refusal::new(Code::NotFound, "NO_PROJECT", "no project at /x")
            .field("project")
            .todo("run `steroidsctl init` there")
            .into();
        assert_eq!(
            (status.code(), status.message()),
            (Code::NotFound, "no project at /x")
        );
        let details = status.get_error_details();
        assert_eq!(details.error_info().unwrap().reason, "NO_PROJECT");
        assert_eq!(
            details.bad_request().unwrap().field_violations[0].field,
            "project"
        );
        assert_eq!(
            details.help().unwrap().links[0].description,
            "run `steroidsctl init` there"
        );
    }
}
