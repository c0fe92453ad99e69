//! Which projects and tasks there are.

use axum::extract::{Path, State};
use http::StatusCode;
use steroids_client::{Client, json, v1};

use super::asked::Asked;
use crate::Rooms;
use crate::answer::{Answer, of_project};

/// Rows of one answer of the daemon's.
const PAGE: i32 = 1000;
/// Rows of one answer of ours; more of them nobody looks through, and they would have to be held.
const MOST_ROWS: usize = 20_000;
/// Pages through which a task is looked for: a million tasks.
const MOST_PAGES: usize = 1000;

/// All projects.
pub(super) async fn list(State(rooms): State<Rooms>) -> Result<Answer, Answer> {
    let client = rooms.daemon.client().await?;
    let found = client.projects(v1::ListProjectsRequest {}).await?;
    let projects: Vec<_> = found.projects.iter().map(json::Project::from).collect();
    Ok(Answer::good().with("projects", projects))
}

/// All tasks of a project.
pub(super) async fn tasks(State(rooms): State<Rooms>, asked: Asked) -> Result<Answer, Answer> {
    let project = asked.project()?;
    let client = rooms.daemon.client().await?;
    let found = all_tasks(&client, project).await?;
    let tasks: Vec<_> = found.iter().map(json::Task::from).collect();
    Ok(Answer::good().with("tasks", tasks))
}

/// One task with its invocations, oldest first.
pub(super) async fn task(
    State(rooms): State<Rooms>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Answer, Answer> {
    let project = asked.project()?;
    let client = rooms.daemon.client().await?;
    let task = find_task(&client, project, &id).await?;
    let invocations = all_invocations(&client, project, &id).await?;
    let shapes: Vec<_> = invocations.iter().map(json::Invocation::from).collect();
    Ok(Answer::good()
        .with("task", json::Task::from(&task))
        .with("invocations", shapes))
}

/// What to say of a task that is not there.
pub(super) fn no_task() -> Answer {
    Answer::bad(StatusCode::NOT_FOUND, "Task not found")
}

/// Looks for a task page by page, of which one is held at a time.
async fn find_task(client: &Client, project: &str, id: &str) -> Result<v1::Task, Answer> {
    let mut request = tasks_of(project);
    for _ in 0..MOST_PAGES {
        let page = client
            .tasks(request.clone())
            .await
            .map_err(of_project(project))?;
        if let Some(task) = page.tasks.into_iter().find(|task| task.id == id) {
            return Ok(task);
        }
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    Err(no_task())
}

fn tasks_of(project: &str) -> v1::ListTasksRequest {
    v1::ListTasksRequest {
        project: project.to_owned(),
        page_size: PAGE,
        page_token: String::new(),
    }
}

async fn all_tasks(client: &Client, project: &str) -> Result<Vec<v1::Task>, Answer> {
    let mut request = tasks_of(project);
    let mut tasks = Vec::new();
    loop {
        let page = client
            .tasks(request.clone())
            .await
            .map_err(of_project(project))?;
        tasks.extend(page.tasks);
        if page.next_page_token.is_empty() || tasks.len() >= MOST_ROWS {
            return Ok(tasks);
        }
        request.page_token = page.next_page_token;
    }
}

/// A task's invocations, oldest first; of very many, the newest.
async fn all_invocations(
    client: &Client,
    project: &str,
    task: &str,
) -> Result<Vec<v1::Invocation>, Answer> {
    let mut request = v1::ListRequest {
        project: project.to_owned(),
        task_id: task.to_owned(),
        page_size: PAGE,
        ..v1::ListRequest::default()
    };
    let mut invocations = Vec::new();
    loop {
        let page = client
            .list(request.clone())
            .await
            .map_err(of_project(project))?;
        invocations.extend(page.invocations);
        if page.next_page_token.is_empty() || invocations.len() >= MOST_ROWS {
            invocations.reverse();
            return Ok(invocations);
        }
        request.page_token = page.next_page_token;
    }
}
