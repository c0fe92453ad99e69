//! Providers of which nothing is started for now.

use axum::extract::{Path, State};
use serde::Deserialize;
use steroids_client::{json, v1};

use super::asked::{Asked, Body};
use super::control::said;
use crate::Rooms;
use crate::answer::Answer;

/// Until when to start nothing of which provider.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Hold {
    #[serde(deserialize_with = "said")]
    provider: String,
    until_ms: i64,
}

/// All there are.
pub(super) async fn list(State(rooms): State<Rooms>) -> Result<Answer, Answer> {
    let client = rooms.daemon.client().await?;
    let found = client.list_holds(v1::ListHoldsRequest {}).await?;
    Ok(all(&found.holds))
}

/// Holds a provider, whatever somebody has set before; answers with all that are held then.
pub(super) async fn set(
    State(rooms): State<Rooms>,
    Body(body): Body<Hold>,
) -> Result<Answer, Answer> {
    let client = rooms.daemon.client().await?;
    let request = v1::SetHoldRequest {
        provider: body.provider,
        until_ms: body.until_ms,
    };
    Ok(all(&client.set_hold(request).await?.holds))
}

/// Ends a hold before its time, or of it only what was set by hand.
pub(super) async fn lift(
    State(rooms): State<Rooms>,
    Path(provider): Path<String>,
    asked: Asked,
) -> Result<Answer, Answer> {
    let by_hand = asked.yes("byHand")?.unwrap_or_default();
    let client = rooms.daemon.client().await?;
    let request = v1::LiftHoldRequest { provider, by_hand };
    let lifted = client.lift_hold(request).await?.lifted;
    Ok(Answer::good().with("lifted", lifted))
}

fn all(holds: &[v1::Hold]) -> Answer {
    let holds: Vec<_> = holds.iter().map(json::Hold::from).collect();
    Answer::good().with("holds", holds)
}
