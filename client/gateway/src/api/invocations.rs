//! One invocation, which has to be of the task it is asked for under.

use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use http::StatusCode;
use steroids_client::{Client, json, v1};

use super::asked::{Asked, Place, place};
use crate::Rooms;
use crate::answer::{Answer, of_project};

/// As long is waited for word of whose it is, where something is to be done that does not depend on it.
const GLANCE: Duration = Duration::from_secs(5);

/// Everything about it.
pub(super) async fn show(
    State(rooms): State<Rooms>,
    path: Result<Path<Place>, PathRejection>,
    asked: Asked,
) -> Result<Answer, Answer> {
    let place = place(path)?;
    let project = asked.project()?;
    let client = rooms.daemon.client().await?;
    let request = v1::GetRequest {
        terms: true,
        ..request(project, &place)
    };
    let invocation = get(&client, request, &place).await?;
    Ok(Answer::good().with("invocation", json::Invocation::from(&invocation)))
}

/// The invocation of this task with this number.
pub(super) async fn find(
    client: &Client,
    project: &str,
    place: &Place,
) -> Result<v1::Invocation, Answer> {
    get(client, request(project, place), place).await
}

async fn get(
    client: &Client,
    request: v1::GetRequest,
    place: &Place,
) -> Result<v1::Invocation, Answer> {
    let project = request.project.clone();
    let found = client.get(request).await;
    let found = found.map_err(of_project(&project))?.invocation;
    found
        .filter(|it| it.task_id == place.task)
        .ok_or_else(|| not_of_this_task(place))
}

/// Refuses what is known to be another task's. Where nobody can say, as its project is gone or its disk
/// hangs, it is taken for this one's: its number is nobody else's in the project.
pub(super) async fn refuse_anothers(
    client: &Client,
    project: &str,
    place: &Place,
) -> Result<(), Answer> {
    let asked = tokio::time::timeout(GLANCE, client.get(request(project, place)));
    match asked.await {
        Ok(Ok(v1::GetResponse {
            invocation: Some(found),
        })) if found.task_id != place.task => Err(not_of_this_task(place)),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn request(project: &str, place: &Place) -> v1::GetRequest {
    v1::GetRequest {
        project: project.to_owned(),
        id: place.id,
        terms: false,
    }
}

fn not_of_this_task(place: &Place) -> Answer {
    let error = format!("there is no invocation {} of this task", place.id);
    Answer::bad(StatusCode::NOT_FOUND, &error)
}
