//! Which session a start goes on with. `last` is looked up here, once, when the request is new: a
//! request that is repeated finds its invocation, whatever session is the last by then.

use super::StartError;
use super::supervisor::Inner;
use crate::domain::StartRequest;
use crate::projects::Project;

/// Stands for the newest session of the same task and provider.
pub(super) const LAST: &str = "last";

/// The session to go on with; `None` is a new one, or that there is none to go on with.
pub(super) async fn session(
    inner: &Inner,
    project: &Project,
    request: &StartRequest,
) -> Result<Option<String>, StartError> {
    match request.resume.as_deref() {
        Some(LAST) => {
            let settings = inner.settings();
            let (provider, _) = super::prepare::provider(&settings, request)?;
            let (task, provider) = (request.task.clone(), provider.to_owned());
            Ok(project.store.last_session(task, provider).await?)
        }
        asked => Ok(asked.map(str::to_owned)),
    }
}

/// Refuses a start that was to go on with a session where there is none.
pub(super) fn check(
    request: &StartRequest,
    provider: &str,
    session: Option<&str>,
) -> Result<(), StartError> {
    match session {
        None if request.resume.is_some() => Err(StartError::NothingToResume {
            task: request.task.clone(),
            provider: provider.to_owned(),
        }),
        _ => Ok(()),
    }
}
