//! Sums of what was used: what `usage` prints and the gateway answers.

use serde::Serialize;
use serde_json::Value;

use super::is_zero;
use crate::v1;

/// Groups, what is beyond them, and the whole.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Usages<'a> {
    usage: Vec<Group<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rest: Option<Rest>,
    total: Spent,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    unread: &'a [String],
    #[serde(skip_serializing_if = "str::is_empty")]
    zone: &'a str,
}

/// Of groups that did not fit.
#[derive(Debug, Serialize)]
struct Rest {
    groups: i64,
    #[serde(flatten)]
    spent: Spent,
}

/// A sum.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Spent {
    invocations: i64,
    #[serde(skip_serializing_if = "is_zero")]
    running: i64,
    #[serde(skip_serializing_if = "is_zero")]
    without_usage: i64,
    #[serde(skip_serializing_if = "is_zero")]
    without_cost: i64,
    #[serde(skip_serializing_if = "is_zero")]
    estimated: i64,
    #[serde(skip_serializing_if = "is_zero")]
    cumulative: i64,
    input_tokens: u64,
    output_tokens: u64,
    cached_input_tokens: u64,
    cache_creation_tokens: u64,
    total_cost_usd: f64,
    estimated_cost_usd: f64,
}

impl From<&v1::Spent> for Spent {
    fn from(it: &v1::Spent) -> Self {
        Spent {
            invocations: it.invocations,
            running: it.running,
            without_usage: it.without_usage,
            without_cost: it.without_cost,
            estimated: it.estimated,
            cumulative: it.cumulative,
            input_tokens: it.input_tokens,
            output_tokens: it.output_tokens,
            cached_input_tokens: it.cached_input_tokens,
            cache_creation_tokens: it.cache_creation_tokens,
            total_cost_usd: it.cost_usd,
            estimated_cost_usd: it.estimated_usd,
        }
    }
}

impl<'a> Usages<'a> {
    /// The answer to a request that asked for these keys.
    pub fn new(it: &'a v1::UsageResponse, by: &[v1::UsageKey]) -> Usages<'a> {
        let sum = |spent: Option<&v1::Spent>| Spent::from(spent.unwrap_or(&v1::Spent::default()));
        Usages {
            usage: it.groups.iter().map(|it| Group::new(it, by)).collect(),
            rest: it.rest.as_ref().map(|rest| Rest {
                groups: it.rest_groups,
                spent: Spent::from(rest),
            }),
            total: sum(it.total.as_ref()),
            unread: &it.unread,
            zone: &it.zone,
        }
    }
}

/// What a group has in common, and its sum. A key that was asked for is there, also if it is empty.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Group<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    day: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invocation_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    #[serde(flatten)]
    spent: Spent,
}

impl<'a> Group<'a> {
    fn new(it: &'a v1::UsageGroup, by: &[v1::UsageKey]) -> Group<'a> {
        let asked = |key, text: &'a str| by.contains(&key).then_some(text);
        let named = Some(it.project.as_str()).filter(|project| !project.is_empty());
        Group {
            day: asked(v1::UsageKey::Day, &it.day),
            project: asked(v1::UsageKey::Project, &it.project).or(named),
            task_id: asked(v1::UsageKey::Task, &it.task_id),
            invocation_id: by
                .contains(&v1::UsageKey::Invocation)
                .then_some(it.invocation_id),
            provider: asked(v1::UsageKey::Provider, &it.provider),
            model: asked(v1::UsageKey::Model, &it.model),
            role: asked(v1::UsageKey::Role, &it.role),
            spent: Spent::from(&it.spent.unwrap_or_default()),
        }
    }
}

/// A key's name in JSON, and what it is in this group.
pub fn value(group: &v1::UsageGroup, key: v1::UsageKey) -> (&'static str, Value) {
    match key {
        v1::UsageKey::Invocation => ("invocationId", group.invocation_id.into()),
        v1::UsageKey::Task => ("taskId", group.task_id.as_str().into()),
        v1::UsageKey::Project => ("project", group.project.as_str().into()),
        v1::UsageKey::Provider => ("provider", group.provider.as_str().into()),
        v1::UsageKey::Model => ("model", group.model.as_str().into()),
        v1::UsageKey::Day => ("day", group.day.as_str().into()),
        v1::UsageKey::Role => ("role", group.role.as_str().into()),
        v1::UsageKey::Unspecified => ("", Value::Null),
    }
}

/// What may be asked for, by its word.
pub const KEYS: [(&str, v1::UsageKey); 7] = [
    ("invocation", v1::UsageKey::Invocation),
    ("task", v1::UsageKey::Task),
    ("project", v1::UsageKey::Project),
    ("provider", v1::UsageKey::Provider),
    ("model", v1::UsageKey::Model),
    ("day", v1::UsageKey::Day),
    ("role", v1::UsageKey::Role),
];

/// The key of this word: `task`.
pub fn key(word: &str) -> Option<v1::UsageKey> {
    let (_, key) = KEYS.iter().find(|(known, _)| *known == word)?;
    Some(*key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_was_asked_for_is_there_also_if_it_is_empty() {
        let answer = v1::UsageResponse {
            groups: vec![v1::UsageGroup {
                spent: Some(v1::Spent {
                    invocations: 2,
                    input_tokens: 7,
                    cost_usd: 0.25,
                    ..v1::Spent::default()
                }),
                ..v1::UsageGroup::default()
            }],
            ..v1::UsageResponse::default()
        };
        let shape = serde_json::to_value(Usages::new(&answer, &[v1::UsageKey::Model])).unwrap();
        let group = &shape["usage"][0];
        assert_eq!(group["model"], "");
        assert_eq!(group["inputTokens"], 7);
        assert_eq!(group["totalCostUsd"], 0.25);
        assert_eq!(group.get("running"), None);
        assert_eq!(group.get("project"), None);
        assert_eq!(shape["total"]["invocations"], 0);
        assert_eq!(shape.get("rest"), None);
    }
}
