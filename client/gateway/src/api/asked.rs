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
use tonic::Status;

use crate::answer::{Answer, NO_PROJECT, bad_request, is_no_project, no_project_named};
use crate::guard::LONGEST_BODY;
use steroids_client::Refusal;

/// How long a body may take: as long as a head.
const BODY: Duration = Duration::from_secs(10);

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

    /// The value under a name, read as what it should be.
    pub(super) fn value<T: FromStr>(&self, name: &str) -> Result<Option<T>, Answer> {
        let read = |text: &str| {
            text.parse()
                .map_err(|_| bad_request(&format!("Invalid query parameter: {name}")))
        };
        self.text(name).map(read).transpose()
    }

    /// Yes (`1`, `true`) or no (`0`, `false`).
    pub(super) fn yes(&self, name: &str) -> Result<Option<bool>, Answer> {
        match self.text(name) {
            None => Ok(None),
            Some("1" | "true") => Ok(Some(true)),
            Some("0" | "false") => Ok(Some(false)),
            Some(_) => Err(bad_request(&format!("Invalid query parameter: {name}"))),
        }
    }

    /// The project, without which nothing of a project can be said.
    pub(super) fn project(&self) -> Result<&str, Answer> {
        self.text("project").ok_or_else(no_project_named)
    }
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
        serde_json::from_slice(&body)
            .map(Body)
            // Where in it, and never what is in it.
            .map_err(|error| bad_request(&wrong(&error)))
    }
}

fn wrong(error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    if !error.is_data() {
        return format!("the body is no JSON (line {line}, column {column})");
    }
    // A missing field has a name of ours; else the last words are what there should be, and what is
    // before them is quoted.
    let text = error.to_string();
    let wanted = match text.rsplit_once(", expected ") {
        Some((_, wanted)) => format!("expected {wanted}"),
        None if text.starts_with("missing field") => text,
        None => format!("it does not fit at line {line} column {column}"),
    };
    format!("the body: {wanted}")
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

/// What the daemon says about a project, in the words of the older tool where there is none.
pub(super) fn of_project(project: &str) -> impl Fn(Status) -> Answer {
    move |status| {
        if is_no_project(&Refusal::of(&status)) {
            Answer::bad(StatusCode::NOT_FOUND, NO_PROJECT).with("project", project)
        } else {
            status.into()
        }
    }
}
