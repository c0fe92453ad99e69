//! Asks a daemon that runs, for as long as who pressed Tab waits.

use std::cmp::Reverse;
use std::time::Duration;

use steroids_client::{Client, holder, v1};

use super::typed;
use crate::session::{self, Session};

/// More than a screen holds; who has typed a digit or two gets those of the newest that fit.
const INVOCATIONS: i32 = 200;
/// Enough to find one by its first letters.
const TASKS: i32 = 1000;

/// A daemon that runs, and the project in which Tab was pressed.
pub(super) struct Asked {
    client: Client,
    project: Option<String>,
}

/// Asks, unless no daemon runs; nothing is known if it does not answer in time.
pub(super) fn within<T, F>(patience: Duration, question: impl FnOnce(Asked) -> F) -> Option<T>
where
    F: Future<Output = Option<T>>,
{
    let session = Session::new(&typed::global(std::env::args_os()));
    let paths = session.found().ok()?.paths;
    if !holder::is_served(&paths.socket) {
        return None;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .ok()?;
    let answer = async {
        // Without a word: what it says would stand in the command line.
        let client = session::reach(&paths).await.ok()?;
        let project = session.project().ok();
        question(Asked { client, project }).await
    };
    runtime
        .block_on(async { tokio::time::timeout(patience, answer).await })
        .ok()?
}

/// The project's newest invocations of each of these states, or of any, newest first: what runs may be older than
/// all that waits.
pub(super) async fn invocations(asked: Asked, states: &[v1::State]) -> Option<Vec<v1::Invocation>> {
    let mut request = v1::ListRequest {
        project: asked.project?,
        page_size: INVOCATIONS,
        ..v1::ListRequest::default()
    };
    if states.is_empty() {
        return Some(asked.client.list(request).await.ok()?.invocations);
    }
    let mut found = Vec::new();
    for &state in states {
        request.states = vec![state.into()];
        found.extend(asked.client.list(request.clone()).await.ok()?.invocations);
    }
    found.sort_unstable_by_key(|it| Reverse(it.id));
    Some(found)
}

/// The project's tasks.
pub(super) async fn tasks(asked: Asked) -> Option<Vec<v1::Task>> {
    let request = v1::ListTasksRequest {
        project: asked.project?,
        page_size: TASKS,
        ..v1::ListTasksRequest::default()
    };
    Some(asked.client.tasks(request).await.ok()?.tasks)
}

/// The paths of all projects.
pub(super) async fn projects(asked: Asked) -> Option<Vec<String>> {
    let answer = asked.client.projects(v1::ListProjectsRequest {}).await;
    let projects = answer.ok()?.projects.into_iter();
    Some(projects.map(|project| project.path).collect())
}

/// The configured providers.
pub(super) async fn providers(asked: Asked) -> Option<Vec<v1::Provider>> {
    let answer = asked.client.status(v1::StatusRequest {}).await;
    Some(answer.ok()?.providers)
}

/// The configured hooks.
pub(super) async fn hooks(asked: Asked) -> Option<Vec<v1::Hook>> {
    let answer = asked.client.hooks(v1::ListHooksRequest {}).await;
    Some(answer.ok()?.hooks)
}
