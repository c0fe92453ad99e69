//! What was used, summed.

use axum::extract::State;
use steroids_client::{json, v1};

use super::asked::{Asked, MOMENT, NUMBER, invalid};
use crate::Rooms;
use crate::answer::{Answer, of_project};

/// Sums over invocations that have something in common: `by=task,model`.
pub(super) async fn sums(State(rooms): State<Rooms>, asked: Asked) -> Result<Answer, Answer> {
    let words = asked.text("by").unwrap_or_default().split(',');
    let by = words
        .filter(|word| !word.is_empty())
        .map(|word| json::usage::key(word).ok_or_else(|| invalid("by", &some_of_keys())))
        .collect::<Result<Vec<_>, _>>()?;
    let text = |name: &str| asked.text(name).unwrap_or_default().to_owned();
    let project = text("project");
    let request = v1::UsageRequest {
        by: by.iter().map(|key| (*key).into()).collect(),
        since_ms: asked.value("since", MOMENT)?,
        until_ms: asked.value("until", MOMENT)?,
        task_id: text("task"),
        provider: text("provider"),
        model: asked.text("model").map(str::to_owned),
        zone: text("zone"),
        max_groups: asked.value("limit", NUMBER)?.unwrap_or_default(),
        project: project.clone(),
    };
    let client = rooms.daemon.client().await?;
    let used = client.usage(request).await;
    let used = used.map_err(of_project(&project))?;
    Ok(Answer::good().with_all(json::usage::Usages::new(&used, &by)))
}

fn some_of_keys() -> String {
    let words: Vec<_> = json::usage::KEYS.iter().map(|(word, _)| *word).collect();
    format!("some of {}, with commas between", words.join(", "))
}
