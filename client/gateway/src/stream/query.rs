//! What a stream is asked for: the query, and where the client says it left off.

use std::sync::Arc;

use axum::http::HeaderMap;
use serde::Deserialize;

use super::target::Target;
use crate::answer::{Answer, bad_request, no_project_named};

/// What the daemon gives at most.
const LONGEST_TAIL: u32 = 100_000;

/// The parameters of the streams, all of them text until each is looked at.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    project: Option<String>,
    invocation: Option<String>,
    follow: Option<String>,
    after: Option<String>,
    tail: Option<String>,
    wait: Option<String>,
}

impl Asked {
    /// The project's path, which every stream needs.
    pub(super) fn project(&self) -> Result<Arc<str>, Answer> {
        match self.project.as_deref() {
            // Refused here, as the api's requests are: a stream that has begun can only end.
            Some(project) if project.starts_with('/') => Ok(project.into()),
            Some(project) if !project.is_empty() => {
                Err(bad_request("project must be an absolute path"))
            }
            _ => Err(no_project_named()),
        }
    }

    /// What a task's stream is asked for.
    pub(super) fn target(&self, task: String, headers: &HeaderMap) -> Result<Target, Answer> {
        let project = self.project()?;
        let invocation = match self.invocation.as_deref() {
            None | Some("") => None,
            Some(id) => match id.parse() {
                Ok(id) if id > 0 => Some(id),
                _ => return Err(bad_request("invocation is not a number")),
            },
        };
        let is_following = match self.follow.as_deref() {
            None | Some("") => false,
            Some("task") => true,
            Some(_) => return Err(bad_request("follow can only be task")),
        };
        Ok(Target {
            project,
            task,
            invocation,
            is_following,
            after: self.after(headers)?,
            tail: self.tail()?,
            is_placed: false,
        })
    }

    /// The last cursor the client has: a browser that comes back says so in a header, and its URL
    /// still says where it began.
    pub(super) fn after(&self, headers: &HeaderMap) -> Result<String, Answer> {
        let all = headers.get_all("last-event-id").iter();
        let mut named = all.filter(|id| !id.is_empty());
        match (named.next(), named.next()) {
            (Some(id), None) => match id.to_str() {
                Ok(id) => Ok(id.to_owned()),
                Err(_) => Err(bad_request("the cursor is malformed")),
            },
            (Some(_), Some(_)) => Err(bad_request("there must be one Last-Event-ID")),
            (None, _) => Ok(self.after.clone().unwrap_or_default()),
        }
    }

    /// With how many last lines to begin where there is no cursor; `None`: with the first.
    pub(super) fn tail(&self) -> Result<Option<u32>, Answer> {
        let Some(tail) = self.tail.as_deref().filter(|tail| !tail.is_empty()) else {
            return Ok(None);
        };
        match tail.parse() {
            Ok(lines) if lines <= LONGEST_TAIL => Ok(Some(lines)),
            _ => Err(bad_request("tail is not a number of lines up to 100000")),
        }
    }

    /// For how many seconds to wait, at most a minute.
    pub(super) fn wait(&self) -> Result<u64, Answer> {
        match self.wait.as_deref() {
            None | Some("") => Ok(20),
            Some(wait) => match wait.parse::<u64>() {
                Ok(wait) => Ok(wait.min(60)),
                Err(_) => Err(bad_request("wait is not a number of seconds")),
            },
        }
    }
}
