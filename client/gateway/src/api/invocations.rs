//! One invocation, which has to be of the task it is asked for under.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use http::StatusCode;
use steroids_client::{Client, json, v1};

use super::asked::{Asked, Place, of_project, place};
use crate::Rooms;
use crate::answer::Answer;

/// Everything about it.
pub(super) async fn show(
    State(rooms): State<Rooms>,
    path: Result<Path<Place>, PathRejection>,
    asked: Asked,
) -> Result<Answer, Answer> {
    let place = place(path)?;
    let project = asked.project()?;
    let client = rooms.daemon.client().await?;
    let invocation = find(&client, project, &place).await?;
    Ok(Answer::good().with("invocation", json::Invocation::from(&invocation)))
}

/// The invocation of this task with this number.
pub(super) async fn find(
    client: &Client,
    project: &str,
    place: &Place,
) -> Result<v1::Invocation, Answer> {
    let request = v1::GetRequest {
        project: project.to_owned(),
        id: place.id,
    };
    let found = client.get(request).await.map_err(of_project(project))?;
    found
        .invocation
        .filter(|it| it.task_id == place.task)
        .ok_or_else(|| {
            let error = format!("there is no invocation {} of this task", place.id);
            Answer::bad(StatusCode::NOT_FOUND, &error)
        })
}
