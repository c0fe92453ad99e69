//! Everything that is answered at once and in JSON. What the daemon refuses is refused in its words,
//! with a fitting status; its objects have the keys that `steroidsctl --json` prints.

mod asked;
mod control;
mod health;
mod holds;
mod invocations;
mod log;
mod projects;
mod session;
mod timeline;
mod usage;

use axum::Router;
use axum::response::IntoResponse as _;
use axum::routing::{delete, get, post};
use http::StatusCode;

use crate::Rooms;
use crate::answer::Answer;
pub(crate) use timeline::Stories;

/// Its paths.
pub(crate) fn routes() -> Router<Rooms> {
    let task = "/api/tasks/{task}";
    let invocation = "/api/tasks/{task}/invocations/{id}";
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/metrics", get(health::metrics))
        .route("/api/status", get(health::status))
        .route("/api/projects", get(projects::list))
        .route("/api/tasks", get(projects::tasks))
        .route("/api/usage", get(usage::sums))
        .route("/api/invocations", get(invocations::list))
        .route("/api/holds", get(holds::list).post(holds::set))
        .route("/api/holds/{provider}", delete(holds::lift))
        .route(task, get(projects::task))
        .route(&format!("{task}/timeline"), get(timeline::timeline))
        .route(&format!("{task}/invocations"), post(control::start))
        .route(invocation, get(invocations::show))
        .route(&format!("{invocation}/outline"), get(log::outline))
        .route(&format!("{invocation}/lines"), get(log::lines))
        .route(&format!("{invocation}/stop"), post(control::stop))
        .route(&format!("{invocation}/retry"), post(control::retry))
        .route(&format!("{invocation}/input"), post(control::input))
        .route("/api/session", post(session::trade))
        .route("/api/codes", post(session::code))
        .route("/api/token/rotate", post(session::rotate))
        .fallback(async || {
            // The guard knows every path there is; this is for one that it knows alone.
            Answer::bad(StatusCode::NOT_FOUND, "there is nothing here").into_response()
        })
}
