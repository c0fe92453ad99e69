//! Trying again what has ended: from the wire to what is asked of the supervisor.

use steroids_proto::v1;
use tonic::Status;

use super::{convert, resources};
use crate::domain::{Again, StartRequest};

/// Reads what is to be tried again, and with what of it otherwise.
pub(super) fn request(request: v1::RetryRequest) -> Result<StartRequest, Status> {
    let request_id = convert::name(request.request_id, "request_id")?;
    Ok(StartRequest {
        project: convert::project(&request.project, "project")?,
        again: Some(Again {
            of: convert::id(request.id)?,
            is_anew: request.anew,
        }),
        model: convert::argument(request.model, "model")?,
        env: convert::env(request.env)?,
        caller_env: convert::caller_env(request.caller_env),
        request_id: Some(request_id).filter(|id| !id.is_empty()),
        limits: convert::limits(request.limits.unwrap_or_default())?,
        budget: convert::budget(request.budget.unwrap_or_default())?,
        resources: resources::start(
            request.memory_max_bytes,
            request.cpu_quota_percent,
            request.tasks_max,
        )?,
        retry: request.retry.map(convert::retry).transpose()?,
        no_queue: request.no_queue,
        ..StartRequest::default()
    })
}
