//! Answers in JSON: what was asked for, or what is wrong with it. Keys come in the order in which
//! they are put, `success` first; what the daemon sends as JSON goes through byte for byte.

use axum::body::Body;
use axum::response::IntoResponse;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;
use steroids_client::{ConnectError, Refusal};
use tonic::{Code, Status};

/// What a daemon that is away leaves to say.
const AWAY: &str = "the daemon is away";
/// A command that looks at how it was installed, and at the paths that are set where it runs.
const AWAY_HINT: &str = "steroidsctl doctor says why, and what starts it";

/// An answer as it is put together.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    text: Vec<u8>,
    closes: bool,
}

impl Answer {
    /// `{"success":true…}`
    pub(crate) fn good() -> Answer {
        Answer {
            status: StatusCode::OK,
            text: br#"{"success":true"#.to_vec(),
            closes: false,
        }
    }

    /// `{"success":false,"error":"…"}`
    pub(crate) fn bad(status: StatusCode, error: &str) -> Answer {
        Answer {
            status,
            text: br#"{"success":false"#.to_vec(),
            closes: false,
        }
        .with("error", error)
    }

    /// Adds a key.
    pub(crate) fn with(mut self, key: &str, value: impl Serialize) -> Answer {
        self.key(key);
        // What is put here is made of texts, numbers and lists of them, which always become JSON.
        if serde_json::to_writer(&mut self.text, &value).is_err() {
            self.text.extend_from_slice(b"null");
        }
        self
    }

    /// Adds the keys of an object.
    pub(crate) fn with_all(mut self, value: impl Serialize) -> Answer {
        let object = serde_json::to_vec(&value).unwrap_or_default();
        let inner = object
            .strip_prefix(b"{")
            .and_then(|rest| rest.strip_suffix(b"}"))
            .unwrap_or_default();
        if !inner.is_empty() {
            self.text.push(b',');
            self.text.extend_from_slice(inner);
        }
        self
    }

    /// Adds a list of what is JSON already, to be written item by item.
    pub(crate) fn with_list<T>(
        mut self,
        key: &str,
        items: impl IntoIterator<Item = T>,
        write: impl Fn(&T, &mut Vec<u8>),
    ) -> Answer {
        self.key(key);
        self.text.push(b'[');
        for (count, item) in items.into_iter().enumerate() {
            if count > 0 {
                self.text.push(b',');
            }
            write(&item, &mut self.text);
        }
        self.text.push(b']');
        self
    }

    /// Has the connection closed behind it.
    pub(crate) fn closing(mut self) -> Answer {
        self.closes = true;
        self
    }

    fn key(&mut self, key: &str) {
        self.text.extend_from_slice(b",\"");
        self.text.extend_from_slice(key.as_bytes());
        self.text.extend_from_slice(b"\":");
    }
}

impl IntoResponse for Answer {
    fn into_response(mut self) -> Response<Body> {
        self.text.push(b'}');
        let mut answer = Response::new(Body::from(self.text));
        *answer.status_mut() = self.status;
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.closes {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }
}

impl From<Status> for Answer {
    fn from(status: Status) -> Answer {
        if Refusal::is_timeout(&status) {
            let late = "the daemon did not answer in time";
            return Answer::bad(StatusCode::GATEWAY_TIMEOUT, late);
        }
        if Refusal::is_broken(&status) {
            return away();
        }
        let refusal = Refusal::of(&status);
        let code = match is_folder_gone(&refusal) {
            // The daemon is there: what is waited for is a person's doing.
            true => StatusCode::CONFLICT,
            false => status_of(refusal.code),
        };
        let mut answer = Answer::bad(code, &refusal.what());
        if let Some(hint) = &refusal.hint {
            answer = answer.with("hint", hint);
        }
        if let Some(reason) = &refusal.reason {
            answer = answer.with("reason", reason);
        }
        if refusal.code == Code::OutOfRange {
            answer = answer.with("gap", true);
        }
        answer
    }
}

impl From<ConnectError> for Answer {
    fn from(error: ConnectError) -> Answer {
        match error {
            ConnectError::NoDaemon { .. } | ConnectError::Refused { .. } => away(),
            other => Answer::bad(StatusCode::SERVICE_UNAVAILABLE, &other.to_string()),
        }
    }
}

fn away() -> Answer {
    Answer::bad(StatusCode::SERVICE_UNAVAILABLE, AWAY).with("hint", AWAY_HINT)
}

fn status_of(code: Code) -> StatusCode {
    match code {
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::InvalidArgument => StatusCode::BAD_REQUEST,
        Code::FailedPrecondition | Code::AlreadyExists | Code::OutOfRange => StatusCode::CONFLICT,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unavailable | Code::Aborted | Code::Cancelled => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Ok
        | Code::Unknown
        | Code::Internal
        | Code::DataLoss
        // The daemon asks for no token; who may connect may call.
        | Code::Unauthenticated => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// What the older tool says where there is no project.
pub(crate) const NO_PROJECT: &str = "Project database not found";

/// True if there is no such project, or none that the daemon serves.
pub(crate) fn is_no_project(refusal: &Refusal) -> bool {
    let reason = refusal.reason.as_deref();
    matches!(
        reason,
        Some("NOT_A_PROJECT" | "NOT_REGISTERED" | "PROJECT_MISSING" | "NO_DATABASE")
    )
}

/// True if a project's folder was moved or deleted while something runs in it.
pub(crate) fn is_folder_gone(refusal: &Refusal) -> bool {
    refusal.reason.as_deref() == Some("FOLDER_GONE")
}

/// What the daemon says about a project, in the words of the older tool where there is none.
pub(crate) fn of_project(project: &str) -> impl Fn(Status) -> Answer {
    move |status| {
        if is_no_project(&Refusal::of(&status)) {
            Answer::bad(StatusCode::NOT_FOUND, NO_PROJECT).with("project", project)
        } else {
            status.into()
        }
    }
}

/// What stands among JSON for a line of a log that is no JSON object, another tool's or a damaged
/// one: its text in an object. `None` of one that can stand there itself.
pub(crate) fn in_place_of(line: &[u8], invocation: i64) -> Option<String> {
    let is_object = line.trim_ascii_start().starts_with(b"{");
    if is_object && serde_json::from_slice::<&RawValue>(line).is_ok() {
        return None;
    }
    Some(stand_in(line, invocation))
}

/// An object that holds a line's text.
pub(crate) fn stand_in(line: &[u8], invocation: i64) -> String {
    let text = String::from_utf8_lossy(line);
    json!({"invocationId": invocation, "type": "unknown", "data": text}).to_string()
}

/// A request about a project that names none.
pub(crate) fn no_project_named() -> Answer {
    bad_request("Missing required query parameter: project")
}

/// What is wrong with a request in itself.
pub(crate) fn bad_request(error: &str) -> Answer {
    Answer::bad(StatusCode::BAD_REQUEST, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(answer: Answer) -> String {
        let mut text = String::from_utf8(answer.text).unwrap();
        text.push('}');
        text
    }

    #[test]
    fn keys_stand_in_the_order_in_which_they_were_put() {
        let answer = Answer::good()
            .with("zebra", "a \"b\"\u{2028}")
            .with_all(serde_json::json!({"n": 1}))
            .with_all(serde_json::json!({}))
            .with_list("raw", ["{ \"x\":1 }", "2"], |item, out| {
                out.extend_from_slice(item.as_bytes());
            });
        assert_eq!(
            text(answer),
            "{\"success\":true,\"zebra\":\"a \\\"b\\\"\u{2028}\",\"n\":1,\"raw\":[{ \"x\":1 },2]}"
        );
    }

    #[test]
    fn a_no_of_the_daemon_has_a_fitting_status() {
        for (code, status) in [
            (Code::NotFound, 404),
            (Code::FailedPrecondition, 409),
            (Code::InvalidArgument, 400),
            (Code::Unavailable, 503),
            (Code::ResourceExhausted, 429),
            (Code::DeadlineExceeded, 504),
            (Code::Internal, 500),
        ] {
            let answer = Answer::from(Status::new(code, "no"));
            assert_eq!(answer.status.as_u16(), status);
            assert!(text(answer).starts_with(r#"{"success":false,"error":"no""#));
        }
    }

    #[test]
    fn a_gap_is_what_the_daemon_says_of_a_cursor_and_no_answer_that_is_too_long() {
        use tonic_types::{ErrorDetails, StatusExt as _};

        for reason in ["CURSOR_OUT_OF_RANGE", "GAP"] {
            let mut details = ErrorDetails::new();
            details.set_error_info(reason, "steroidsd", std::collections::HashMap::new());
            let status = Status::with_error_details(Code::OutOfRange, "gone", details);
            let answer = Answer::from(status);
            assert_eq!(answer.status.as_u16(), 409);
            assert!(text(answer).contains(r#""gap":true"#));
        }
        let too_long = Answer::from(Status::out_of_range("message length too large"));
        assert_eq!(too_long.status.as_u16(), 500);
        assert!(!text(too_long).contains("gap"));
    }

    #[test]
    fn what_is_no_object_stands_among_others_as_its_text() {
        for line in [
            &b"{\"a\":\"\xff\"}"[..],
            b"{\"torn\":",
            b"plain",
            b"",
            b"} ] \"",
            b"\"a text\"",
            b"[{\"type\":\"error\"}]",
            b"null",
            b"17",
        ] {
            let shown = in_place_of(line, 4).unwrap();
            let object: serde_json::Value = serde_json::from_str(&shown).unwrap();
            assert_eq!(object["invocationId"], 4);
            assert_eq!(object["type"], "unknown");
            assert_eq!(object["data"], String::from_utf8_lossy(line).as_ref());
        }
        assert_eq!(in_place_of(br#" {"ts": 1.50,"msg":"\u003c"}"#, 4), None);
    }

    #[test]
    fn a_broken_connection_is_a_daemon_that_is_away() {
        let mut status = Status::unknown("h2 protocol error");
        status.set_source(std::sync::Arc::new(std::io::Error::other("broken pipe")));
        let answer = Answer::from(status);
        assert_eq!(answer.status.as_u16(), 503);
        let said = text(answer);
        assert!(said.contains(AWAY) && said.contains(AWAY_HINT), "{said}");
    }
}
