//! What a request says: its query, its body, and the places in its path. Each is read within bounds,
//! and what makes no sense is named.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http_body_util::{BodyExt as _, Limited};
use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};

use crate::answer::{Answer, bad_request, no_project_named};
use crate::guard::LONGEST_BODY;

/// How long a body may take: as long as a head.
const BODY: Duration = Duration::from_secs(10);

/// What a parameter is that counts.
pub(super) const NUMBER: &str = "a whole number";
/// And one that is a time.
pub(super) const MOMENT: &str = "a moment in epoch milliseconds, such as 1793534400000";

/// A query by its names.
pub(super) struct Asked(HashMap<String, String>);

impl<S: Sync> FromRequestParts<S> for Asked {
    type Rejection = Answer;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Answer> {
        Query::try_from_uri(&parts.uri)
            .map(|Query(values)| Asked(values))
            .map_err(|_| bad_request("the query makes no sense"))
    }
}

impl Asked {
    /// The text under a name; an empty one is none.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|text| !text.is_empty())
    }

    /// The value under a name, read as what it should be, which these words are for.
    pub(super) fn value<T: FromStr>(&self, name: &str, wanted: &str) -> Result<Option<T>, Answer> {
        let read = |text: &str| text.parse().map_err(|_| invalid(name, wanted));
        self.text(name).map(read).transpose()
    }

    /// Yes (`1`, `true`) or no (`0`, `false`).
    pub(super) fn yes(&self, name: &str) -> Result<Option<bool>, Answer> {
        match self.text(name) {
            None => Ok(None),
            Some("1" | "true") => Ok(Some(true)),
            Some("0" | "false") => Ok(Some(false)),
            Some(_) => Err(invalid(name, "1, true, 0 or false")),
        }
    }

    /// The project, without which nothing of a project can be said.
    pub(super) fn project(&self) -> Result<&str, Answer> {
        self.text("project").ok_or_else(no_project_named)
    }
}

/// A parameter that makes no sense, and what would.
pub(super) fn invalid(name: &str, wanted: &str) -> Answer {
    bad_request(&format!("Invalid query parameter: {name}; it is {wanted}"))
}

/// A body that is a JSON object of this shape.
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Answer;

    async fn from_request(request: Request, _: &S) -> Result<Self, Answer> {
        // A form of another page can send text, and no JSON without asking first.
        let is_json = request
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .and_then(|kind| kind.split(';').next())
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
        if !is_json {
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            let error = "the body must be JSON, with Content-Type: application/json";
            return Err(Answer::bad(status, error));
        }
        let most = usize::try_from(LONGEST_BODY).unwrap_or(usize::MAX);
        let reading = Limited::new(request.into_body(), most).collect();
        let body = match tokio::time::timeout(BODY, reading).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(_)) => return Err(bad_request("the body is not complete")),
            Err(_) => {
                let error = "the body takes too long";
                return Err(Answer::bad(StatusCode::REQUEST_TIMEOUT, error).closing());
            }
        };
        if body.trim_ascii_start().first() != Some(&b'{') {
            // serde would take a list for the fields in their order.
            return Err(bad_request("the body must be a JSON object"));
        }
        read(&body).map(Body).map_err(|error| bad_request(&error))
    }
}

/// A body's fields, or where in it something is wrong, and never what is in it.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let fields = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| wrong(Some(error.path()), error.inner()))?;
    json.end().map_err(|error| wrong(None, &error))?;
    Ok(fields)
}

fn wrong(path: Option<&Path>, error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    if !error.is_data() {
        return format!("the body is no JSON (line {line}, column {column})");
    }
    // A missing field has a name of ours; else the last words are what there should be, and what is
    // before them is quoted.
    let text = error.to_string();
    let at = format!(" at line {line} column {column}");
    let is_unknown = text.starts_with("unknown field");
    let wanted = match text.rsplit_once(", expected ") {
        Some((_, wanted)) => {
            let wanted = wanted.strip_suffix(&*at).unwrap_or(wanted);
            let known = TYPES.iter().find(|(of_serde, _)| *of_serde == wanted);
            format!("expected {}{at}", known.map_or(wanted, |(_, ours)| ours))
        }
        None if text.starts_with("missing field") => text,
        None => format!("it does not fit{at}"),
    };
    let key = path.map(|path| key(path, is_unknown));
    match key.filter(|key| !key.is_empty()) {
        Some(key) => format!("the body: {key}: {wanted}"),
        None => format!("the body: {wanted}"),
    }
}

/// What serde calls by the names of Rust.
const TYPES: [(&str, &str); 5] = [
    ("u32", "a whole number from 0 to 4294967295"),
    ("u64", "a whole number from 0 on"),
    ("i32", "a whole number"),
    ("i64", "a whole number"),
    ("f64", "a number"),
];

/// The key at fault, as far as its names are ours: `limits.wallMs`, `after[2]`. The body's own words are not
/// repeated: the name of a variable, and, last in the path, a key that `is_unknown`.
fn key(path: &Path, is_unknown: bool) -> String {
    let mut key = String::new();
    let known = path.iter().len().saturating_sub(usize::from(is_unknown));
    for segment in path.iter().take(known) {
        match segment {
            Segment::Map { .. } if key == "env" => break,
            Segment::Map { key: name } => {
                if !key.is_empty() {
                    key.push('.');
                }
                key.push_str(name);
            }
            Segment::Seq { index } => key.push_str(&format!("[{index}]")),
            _ => break,
        }
    }
    key
}

/// A task of a path, and an invocation of it.
#[derive(serde::Deserialize)]
pub(super) struct Place {
    pub(super) task: String,
    pub(super) id: i64,
}

/// A number in a path.
pub(super) fn place(
    path: Result<axum::extract::Path<Place>, axum::extract::rejection::PathRejection>,
) -> Result<Place, Answer> {
    match path {
        Ok(path) if path.0.id > 0 => Ok(path.0),
        _ => Err(bad_request("Invalid invocation id")),
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;

    use super::super::control::{Input, Start};
    use super::*;

    fn wrong_with(body: &str) -> String {
        match read::<Start>(body.as_bytes()) {
            Ok(_) => "nothing".to_owned(),
            Err(error) => error,
        }
    }

    #[test]
    fn what_is_wrong_with_a_body_is_said_with_its_key_and_without_its_value() {
        for (body, said) in [
            (r#"{"role":"coder"}"#, "nothing"),
            (
                r#"{"limits":{"wallMs":"5s"}}"#,
                "the body: limits.wallMs: expected a whole number from 0 to 4294967295 at line 1 column 24",
            ),
            (
                r#"{"after":[1,"x, expected u32"]}"#,
                "the body: after[1]: expected a whole number at line 1 column 29",
            ),
            (
                r#"{"env":{"a key":7}}"#,
                "the body: env: expected a string at line 1 column 17",
            ),
            (
                r#"{"budget":{"euro":7}}"#,
                "the body: budget: expected one of `usd`, `tokens`, `stop` at line 1 column 17",
            ),
            (
                r#"{"requestId":""}"#,
                "the body: requestId: expected a text that is not empty, or no such key at line 1 column 16",
            ),
            (
                r#"{"provider":"","prompt":"x"}"#,
                "the body: provider: expected a text that is not empty, or no such key at line 1 column 14",
            ),
            (
                r#"{"retry":{"max":3}}"#,
                "the body: retry: missing field `on` at line 1 column 18",
            ),
            (
                r#"{"role":"coder"} x"#,
                "the body is no JSON (line 1, column 18)",
            ),
            (r#"{"role":"#, "the body is no JSON (line 1, column 8)"),
        ] {
            assert_eq!(wrong_with(body), said, "{body}");
        }
        let sent = read::<Input>(br#"{"text":"x","messageId":""}"#);
        let said = sent.err().unwrap_or_default();
        assert!(said.starts_with("the body: messageId: "), "{said}");
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_parameter_is_said_with_what_it_is() {
        let asked = |name: &str, value: &str| Asked([(name.to_owned(), value.to_owned())].into());
        let limit = asked("limit", "x").value::<i32>("limit", NUMBER);
        let ok = asked("ok", "maybe").yes("ok");
        for (refused, said) in [
            (limit.err(), "limit; it is a whole number"),
            (ok.err(), "ok; it is 1, true, 0 or false"),
        ] {
            let answer = refused.unwrap().into_response();
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            let text = String::from_utf8(body.to_vec()).unwrap();
            let said = format!("\"Invalid query parameter: {said}\"");
            assert!(text.contains(&said), "{text}");
        }
    }
}
