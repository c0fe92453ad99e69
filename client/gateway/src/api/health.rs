//! How the gateway is, for those who watch over it.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use steroids_client::{json, v1};

use crate::Rooms;
use crate::answer::Answer;
use crate::metrics::{self, Metrics};

/// It answers in milliseconds, and in four seconds where a disk of a project's does not: twice it looks in
/// vain for two. One that is frozen takes connections all the same. Shorter than the ten seconds that what
/// scrapes or asks for a service's health mostly waits for.
const PATIENCE: Duration = Duration::from_secs(6);

/// Whether the daemon answers. Needs no token, and so tells nothing else.
pub(super) async fn healthz(State(rooms): State<Rooms>) -> Answer {
    match ask(&rooms).await {
        Ok(_) => Answer::good().with("daemon", "live"),
        Err(_) => Answer::bad(StatusCode::SERVICE_UNAVAILABLE, "the daemon is away")
            .with("daemon", "away"),
    }
}

/// How the daemon is, and what may be done here.
pub(super) async fn status(State(rooms): State<Rooms>) -> Answer {
    let answer = match ask(&rooms).await {
        Ok(status) => Answer::good()
            .with("daemon", "live")
            .with_all(json::status(&status)),
        // The page has to know what it may do also while there is nobody to ask.
        Err(_) => Answer::good()
            .with("daemon", "away")
            .with("version", env!("CARGO_PKG_VERSION")),
    };
    answer
        .with("control", rooms.config.control)
        .with("auth", rooms.config.auth.as_str())
}

async fn ask(rooms: &Rooms) -> Result<v1::StatusResponse, Answer> {
    let asking = async {
        let client = rooms.daemon.client().await?;
        let answer = client.status(v1::StatusRequest {}).await;
        Ok(rooms.daemon.noted(answer)?)
    };
    let answer = tokio::time::timeout(PATIENCE, asking).await;
    answer.unwrap_or_else(|_| {
        let late = "the daemon did not answer in time";
        Err(Answer::bad(StatusCode::GATEWAY_TIMEOUT, late))
    })
}

/// What was counted here, and what the daemon says of itself; while it does not answer, that.
pub(super) async fn metrics(State(rooms): State<Rooms>) -> Response {
    let mut text = rooms.metrics.text();
    text.push_str(&metrics::daemon(ask(&rooms).await.ok()));
    let mut answer = text.into_response();
    let kind = HeaderValue::from_static(Metrics::TEXT);
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}
