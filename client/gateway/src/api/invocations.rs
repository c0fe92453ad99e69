//! Invocations: a list of them, and one, which has to be of the task it is asked for under.

use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use http::StatusCode;
use steroids_client::{Client, json, v1};

use super::asked::{Asked, MOMENT, NUMBER, Place, invalid, place};
use crate::Rooms;
use crate::answer::{Answer, of_project};

/// As long is waited for word of whose it is, where something is to be done that does not depend on it.
const GLANCE: Duration = Duration::from_secs(5);

/// The states there are to ask for.
const STATES: [v1::State; 5] = [
    v1::State::Queued,
    v1::State::Running,
    v1::State::Completed,
    v1::State::Failed,
    v1::State::Timeout,
];

/// Those of a project, or of all, that are as they are asked for: a page of them, newest first.
pub(super) async fn list(State(rooms): State<Rooms>, asked: Asked) -> Result<Answer, Answer> {
    let text = |name: &str| asked.text(name).unwrap_or_default().to_owned();
    let states = words(&asked, "status").map(|word| {
        let mut states = STATES.into_iter().map(i32::from);
        let state = states.find(|state| json::state(*state) == word);
        state.ok_or_else(|| {
            invalid(
                "status",
                "some of queued, running, completed, failed, timeout, with commas between",
            )
        })
    });
    let limit = asked.value::<u32>("limit", NUMBER)?;
    let project = text("project");
    let request = v1::ListRequest {
        task_id: text("task"),
        states: states.collect::<Result<_, _>>()?,
        outcomes: words(&asked, "outcome").map(str::to_owned).collect(),
        unresolved: asked.yes("unresolved")?.unwrap_or_default(),
        provider: text("provider"),
        since_ms: asked.value("since", MOMENT)?,
        until_ms: asked.value("until", MOMENT)?,
        page_size: i32::try_from(limit.unwrap_or_default()).unwrap_or(i32::MAX),
        page_token: text("page"),
        project: project.clone(),
    };
    let client = rooms.daemon.client().await?;
    let page = client.list(request).await.map_err(of_project(&project))?;
    let shapes: Vec<_> = page
        .invocations
        .iter()
        .map(json::Invocation::from)
        .collect();
    let mut answer = Answer::good().with("invocations", shapes);
    if !page.next_page_token.is_empty() {
        answer = answer.with("nextPage", page.next_page_token);
    }
    if !page.unread.is_empty() {
        answer = answer.with("unread", page.unread);
    }
    if !page.gone.is_empty() {
        answer = answer.with("gone", page.gone);
    }
    Ok(answer)
}

/// The words of a parameter that may name several.
fn words<'a>(asked: &'a Asked, name: &str) -> impl Iterator<Item = &'a str> {
    let all = asked.text(name).unwrap_or_default().split(',');
    all.filter(|word| !word.is_empty())
}

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
