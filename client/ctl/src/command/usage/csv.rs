//! Sums as comma-separated values: a line of names, then a line for each group.

use serde_json::Value;
use steroids_client::json::usage::value;
use steroids_client::v1;

const NUMBERS: [&str; 12] = [
    "invocations",
    "running",
    "withoutUsage",
    "withoutCost",
    "estimated",
    "cumulative",
    "inputTokens",
    "outputTokens",
    "cachedInputTokens",
    "cacheCreationTokens",
    "totalCostUsd",
    "estimatedCostUsd",
];

/// Stands in place of each key of what is beyond the groups; an empty one is a model that is not known.
const REST: &str = "(rest)";

/// All lines. With that of what is beyond the groups they come to the total.
pub(super) fn text(used: &v1::UsageResponse, by: &[v1::UsageKey]) -> String {
    let none = v1::UsageGroup::default();
    let names = by.iter().map(|key| value(&none, *key).0);
    let mut text = line(names.chain(NUMBERS).map(str::to_owned));
    for group in &used.groups {
        let keys = by.iter().map(|key| match value(group, *key).1 {
            Value::String(word) => word,
            other => other.to_string(),
        });
        text.push_str(&line(keys.chain(numbers(group.spent.as_ref()))));
    }
    if used.rest.is_some() {
        let keys = by.iter().map(|_| REST.to_owned());
        text.push_str(&line(keys.chain(numbers(used.rest.as_ref()))));
    }
    text
}

fn numbers(spent: Option<&v1::Spent>) -> [String; 12] {
    let it = spent.copied().unwrap_or_default();
    [
        it.invocations.to_string(),
        it.running.to_string(),
        it.without_usage.to_string(),
        it.without_cost.to_string(),
        it.estimated.to_string(),
        it.cumulative.to_string(),
        it.input_tokens.to_string(),
        it.output_tokens.to_string(),
        it.cached_input_tokens.to_string(),
        it.cache_creation_tokens.to_string(),
        it.cost_usd.to_string(),
        it.estimated_usd.to_string(),
    ]
}

fn line(fields: impl Iterator<Item = String>) -> String {
    let fields: Vec<String> = fields.map(|field| quoted(&field)).collect();
    format!("{}\n", fields.join(","))
}

/// In quotes where it would be taken for several fields, or for a part of one.
fn quoted(field: &str) -> String {
    match field.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_to_the_total_and_fields_stay_apart() {
        let spent = |invocations| {
            Some(v1::Spent {
                invocations,
                cost_usd: 0.25,
                ..v1::Spent::default()
            })
        };
        let used = v1::UsageResponse {
            groups: vec![v1::UsageGroup {
                task_id: "say \"a,b\"".to_owned(),
                spent: spent(2),
                ..v1::UsageGroup::default()
            }],
            rest: spent(3),
            rest_groups: 1,
            ..v1::UsageResponse::default()
        };
        let text = text(&used, &[v1::UsageKey::Task]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("taskId,invocations,running,"));
        assert_eq!(lines[1], "\"say \"\"a,b\"\"\",2,0,0,0,0,0,0,0,0,0,0.25,0");
        assert_eq!(lines[2], "(rest),3,0,0,0,0,0,0,0,0,0,0.25,0");
        assert_eq!(lines.len(), 3);
    }
}
