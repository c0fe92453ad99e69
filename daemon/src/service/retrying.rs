//! Trying again what has ended: from the wire to what is asked of the supervisor.

use steroids_proto::v1;
use tonic::Status;

use super::refusal::invalid;
use super::{convert, resources};
use crate::domain::retry::{RetryPolicy, StartRetry};
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
        retry: request.retry.map(policy).transpose()?,
        no_queue: request.no_queue,
        ..StartRequest::default()
    })
}

/// When it is to be tried again by itself.
pub(super) fn policy(policy: v1::RetryPolicy) -> Result<StartRetry, Status> {
    let on = policy.on.iter().map(|word| {
        let outcome = RetryPolicy::outcome(word);
        outcome.map_err(|error| invalid("retry.on", error.to_string()))
    });
    let max = policy.max.map(u32::try_from).transpose();
    Ok(StartRetry {
        on: on.collect::<Result<_, _>>()?,
        max: max.map_err(|_| invalid("retry.max", "must not be negative"))?,
    })
}
