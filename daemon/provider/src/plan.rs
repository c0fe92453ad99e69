//! A plan as gemini's and opencode's todo tools write it: all of it each time.

use crate::activity::{PlanItem, PlanStatus};
use crate::json::Object;

/// The items of a call's input, their texts under that key; `None` if it holds no list.
pub(crate) fn of_todos(input: &Object<'_>, text_key: &str) -> Option<Vec<PlanItem>> {
    let mut items = Vec::new();
    input
        .each_object("todos", |todo| {
            let text = todo.str(text_key).unwrap_or_default();
            let (status, text) = match todo.str("status").as_deref() {
                Some("completed") => (PlanStatus::Completed, text.into_owned()),
                Some("in_progress") => (PlanStatus::InProgress, text.into_owned()),
                Some("pending") | None => (PlanStatus::Pending, text.into_owned()),
                // `cancelled`, `blocked`: the log has three words, so the text tells.
                Some(other) => (PlanStatus::Pending, format!("{text} ({other})")),
            };
            items.push(PlanItem { text, status });
        })
        .then_some(items)
}
