//! What the daemon tells besides logs, as objects of a stream, in the keys of `steroidsctl --json`.

use serde::Serialize;
use steroids_client::json::{Hold, Invocation, Project};
use steroids_client::v1;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Lifecycle<'a> {
    #[serde(rename = "type")]
    kind_of_object: &'static str,
    kind: &'a str,
    project: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    task_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    invocation_id: Option<i64>,
    ts: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    invocation: Option<Invocation<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Overview<'a> {
    Snapshot {
        projects: Vec<Project<'a>>,
        running: Vec<Invocation<'a>>,
        recent: Vec<Invocation<'a>>,
        holds: Vec<Hold<'a>>,
    },
    Invocation {
        project: &'a str,
        invocation: Box<Invocation<'a>>,
    },
    Projects {
        projects: Vec<Project<'a>>,
    },
    Holds {
        holds: Vec<Hold<'a>>,
    },
}

/// A lifecycle event.
pub(super) fn lifecycle(event: &v1::LifecycleEvent) -> String {
    text(&Lifecycle {
        kind_of_object: "lifecycle",
        kind: &event.kind,
        project: &event.project,
        task_id: &event.task_id,
        invocation_id: event.invocation_id,
        ts: event.ts,
        message: &event.message,
        invocation: event.invocation.as_ref().map(Invocation::from),
    })
}

/// Everything an overview begins with.
pub(super) fn snapshot<'a>(
    projects: &'a [v1::Project],
    running: impl Iterator<Item = &'a v1::Invocation>,
    recent: impl Iterator<Item = &'a v1::Invocation>,
    holds: &'a [v1::Hold],
) -> String {
    text(&Overview::Snapshot {
        projects: projects.iter().map(Project::from).collect(),
        running: running.map(Invocation::from).collect(),
        recent: recent.map(Invocation::from).collect(),
        holds: holds.iter().map(Hold::from).collect(),
    })
}

/// One invocation, as it is now.
pub(super) fn invocation(it: &v1::Invocation) -> String {
    text(&Overview::Invocation {
        project: &it.project,
        invocation: Box::new(Invocation::from(it)),
    })
}

/// The projects, as they are now.
pub(super) fn projects(projects: &[v1::Project]) -> String {
    text(&Overview::Projects {
        projects: projects.iter().map(Project::from).collect(),
    })
}

/// Of which providers nothing is started, as it is now.
pub(super) fn holds(holds: &[v1::Hold]) -> String {
    text(&Overview::Holds {
        holds: holds.iter().map(Hold::from).collect(),
    })
}

fn text(object: &impl Serialize) -> String {
    // Texts, numbers and lists of them always become JSON.
    serde_json::to_string(object).unwrap_or_default()
}
