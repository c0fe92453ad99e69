//! The token: how a browser gets it, and how it is replaced.

use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use tracing::{error, info};

use super::asked::Body;
use crate::Rooms;
use crate::access::CODE_LIFE;
use crate::answer::Answer;

/// What a browser brings.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Code {
    code: String,
}

/// Trades a code for the token, once.
pub(super) async fn trade(
    State(rooms): State<Rooms>,
    Body(Code { code }): Body<Code>,
) -> Result<Answer, Answer> {
    match rooms.access.trade(&code) {
        Some(token) => Ok(Answer::good().with("token", token)),
        None => {
            rooms.metrics.refused("code");
            let error = "this code is not good: it was used, or is older than a minute";
            let hint = "get another with: steroidsctl web";
            Err(Answer::bad(StatusCode::UNAUTHORIZED, error).with("hint", hint))
        }
    }
}

/// A code for a browser.
pub(super) async fn code(State(rooms): State<Rooms>) -> Answer {
    Answer::good()
        .with("code", rooms.access.new_code())
        .with("expiresInSeconds", CODE_LIFE.as_secs())
}

/// A new token in the place of the old one, whose streams end.
pub(super) async fn rotate(State(rooms): State<Rooms>) -> Result<Answer, Answer> {
    let access = rooms.access.clone();
    let rotating = tokio::task::spawn_blocking(move || access.rotate());
    let failed = |reason: &dyn std::fmt::Display| {
        error!(%reason, "the token could not be replaced");
        let error = "the token could not be replaced; see the gateway's log";
        Answer::bad(StatusCode::INTERNAL_SERVER_ERROR, error)
    };
    let token = rotating
        .await
        .map_err(|error| failed(&error))?
        .map_err(|error| failed(&error))?;
    info!("token replaced");
    Ok(Answer::good().with("token", token))
}
