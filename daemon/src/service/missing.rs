//! What is told to who asks for something that is not there. Where it is but for a moment, as its database was
//! deleted or replaced under what runs in it, that is to come again, whatever was asked.

use std::error::Error;
use std::path::Path;

use tonic::{Code, Status};

use super::refusal::Refusal;
use super::status;
use crate::browse::BrowseError;
use crate::domain::InvocationId;
use crate::follow::FollowError;
use crate::projects::ProjectError;
use crate::supervise::{Cared, InputError, ReprojectError, StopError};

/// What there is not.
#[derive(Clone, Copy)]
pub(super) enum Missing<'a> {
    Project,
    /// Nor anything else at its path: that is not for us to make.
    Folder(&'a Path),
    Invocation(InvocationId),
    Task(&'a str),
}

/// An error that may say that something is not there.
pub(super) trait Denial: Error {
    /// What, if it says so.
    fn missing(&self) -> Option<Missing<'_>>;

    /// What it is to a client otherwise.
    fn status(self) -> Status;
}

/// There is no such row.
#[derive(Debug, thiserror::Error)]
#[error("there is no invocation {id} in this project")]
pub(super) struct Absent {
    /// The one asked for.
    pub(super) id: InvocationId,
}

/// An error to a client. `cared` is what was in our care before anything was looked for.
pub(super) fn refusal(cared: &Cared, error: impl Denial) -> Status {
    let missing = error.missing();
    if let Some(Missing::Folder(path)) = missing
        && cared.goes_on()
    {
        return status::gone(path, &error.to_string());
    }
    let is_put_back = missing.is_some_and(|missing| match missing {
        Missing::Project | Missing::Folder(_) => cared.has_project(),
        Missing::Invocation(id) => cared.has(id),
        Missing::Task(task) => cared.has_task(task),
    });
    match is_put_back {
        true => status::put_back(&error.to_string()),
        false => error.status(),
    }
}

impl Denial for Absent {
    fn missing(&self) -> Option<Missing<'_>> {
        Some(Missing::Invocation(self.id))
    }

    fn status(self) -> Status {
        Refusal::new(Code::NotFound, "NO_INVOCATION", self.to_string())
            .field("id")
            .todo("see `steroidsctl list`")
            .into()
    }
}

impl Denial for ProjectError {
    fn missing(&self) -> Option<Missing<'_>> {
        match self {
            ProjectError::Missing { path } => Some(Missing::Folder(path)),
            other => other.is_gone().then_some(Missing::Project),
        }
    }

    fn status(self) -> Status {
        status::project(self)
    }
}

impl Denial for FollowError {
    fn missing(&self) -> Option<Missing<'_>> {
        match self {
            FollowError::Project(error) => error.missing(),
            FollowError::NoInvocation { id } => Some(Missing::Invocation(*id)),
            FollowError::NoTask { task } => Some(Missing::Task(task)),
            _ => None,
        }
    }

    fn status(self) -> Status {
        status::follow(self)
    }
}

impl Denial for BrowseError {
    fn missing(&self) -> Option<Missing<'_>> {
        match self {
            BrowseError::NoInvocation { id } => Some(Missing::Invocation(*id)),
            _ => None,
        }
    }

    fn status(self) -> Status {
        status::browse(self)
    }
}

impl Denial for InputError {
    fn missing(&self) -> Option<Missing<'_>> {
        match self {
            InputError::Project(error) => error.missing(),
            InputError::NotFound { id, .. } => Some(Missing::Invocation(*id)),
            _ => None,
        }
    }

    fn status(self) -> Status {
        status::input(self)
    }
}

impl Denial for StopError {
    fn missing(&self) -> Option<Missing<'_>> {
        match self {
            StopError::Project(error) => error.missing(),
            StopError::NotFound { id, .. } => Some(Missing::Invocation(*id)),
            _ => None,
        }
    }

    fn status(self) -> Status {
        status::stop(self)
    }
}

impl Denial for ReprojectError {
    fn missing(&self) -> Option<Missing<'_>> {
        match self {
            ReprojectError::Project(error) => error.missing(),
            ReprojectError::NotFound { id, .. } => Some(Missing::Invocation(*id)),
            _ => None,
        }
    }

    fn status(self) -> Status {
        status::reproject(self)
    }
}
