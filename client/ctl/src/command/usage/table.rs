//! Sums as a table, the whole in its last line.

use std::collections::BTreeMap;

use serde_json::Value;
use steroids_client::json::usage::value;
use steroids_client::v1;

use crate::format;
use crate::table::{Column, Table};
use crate::terminal::Style;

/// What stands for a model that nobody named.
pub(super) const UNNAMED: &str = "(default)";

/// Its lines.
pub(super) fn lines(
    used: &v1::UsageResponse,
    by: &[v1::UsageKey],
    width: Option<usize>,
    colour: bool,
) -> Vec<String> {
    let has_notes = used.total.is_some_and(|total| !note(&total).is_empty());
    let mut columns: Vec<Column> = by.iter().map(|key| heading(*key)).collect();
    columns.extend([
        Column::right("RUNS"),
        Column::right("NEW INPUT"),
        Column::right("CACHED").giving_way(0),
        Column::right("OUTPUT").giving_way(1),
        Column::right("COST"),
    ]);
    if has_notes {
        columns.push(Column::flexible("OF THESE"));
    }
    let mut table = Table::new(&columns);
    // At a terminal a project is called by the end of its path.
    let short = match width {
        Some(_) => format::tails(used.groups.iter().map(|group| &*group.project)),
        None => BTreeMap::new(),
    };
    for group in &used.groups {
        let keys = by.iter().map(|key| {
            let name = match key {
                v1::UsageKey::Project => short.get(&*group.project).map(|name| (*name).to_owned()),
                _ => None,
            };
            (name.unwrap_or_else(|| word(group, *key)), Style::Plain)
        });
        table.row(row(keys, &group.spent.unwrap_or_default(), Style::Plain));
    }
    if let Some(rest) = &used.rest {
        let title = format!("({} more)", used.rest_groups);
        table.row(row(titled(&title, by), rest, Style::Dim));
    }
    if !by.is_empty() {
        let total = used.total.unwrap_or_default();
        table.row(row(titled("total", by), &total, Style::Bold));
    }
    table.lines(width, colour)
}

fn heading(key: v1::UsageKey) -> Column {
    match key {
        v1::UsageKey::Invocation => Column::right("ID"),
        v1::UsageKey::Task => Column::flexible("TASK"),
        v1::UsageKey::Project => Column::flexible("PROJECT"),
        v1::UsageKey::Provider => Column::flexible("PROVIDER"),
        v1::UsageKey::Model => Column::flexible("MODEL"),
        v1::UsageKey::Day => Column::left("DAY"),
        v1::UsageKey::Role => Column::flexible("ROLE"),
        v1::UsageKey::Unspecified => Column::left(""),
    }
}

fn word(group: &v1::UsageGroup, key: v1::UsageKey) -> String {
    match value(group, key).1 {
        Value::String(word) if word.is_empty() && key == v1::UsageKey::Model => UNNAMED.to_owned(),
        Value::String(word) => word,
        other => other.to_string(),
    }
}

/// A title in the place of the first key.
fn titled(title: &str, by: &[v1::UsageKey]) -> impl Iterator<Item = (String, Style)> {
    let title = (title.to_owned(), Style::Dim);
    let blank = || (String::new(), Style::Plain);
    std::iter::once(title)
        .chain(std::iter::repeat_with(blank))
        .take(by.len())
}

fn row(
    keys: impl Iterator<Item = (String, Style)>,
    spent: &v1::Spent,
    style: Style,
) -> Vec<(String, Style)> {
    let input = spent
        .input_tokens
        .saturating_add(spent.cache_creation_tokens);
    let numbers = [
        spent.invocations.to_string(),
        format::count(input),
        format::count(spent.cached_input_tokens),
        format::count(spent.output_tokens),
        cost(spent),
    ];
    let mut cells: Vec<_> = keys.collect();
    cells.extend(numbers.map(|number| (number, style)));
    cells.push((note(spent), Style::Dim));
    cells
}

/// `~$1.20` where some of it is estimated; nothing where nobody knows what it cost.
fn cost(spent: &v1::Spent) -> String {
    let unknown = spent.without_cost + spent.without_usage >= spent.invocations;
    if unknown && spent.cost_usd == 0.0 {
        return String::new();
    }
    format::cost_of(spent.cost_usd, spent.estimated > 0)
}

fn note(spent: &v1::Spent) -> String {
    let parts = [
        (spent.running, "running"),
        (spent.without_usage, "without usage"),
        (spent.without_cost, "without a price"),
        (spent.cumulative, "with an earlier run"),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr as _;

    use super::*;

    #[test]
    fn the_table_ends_with_the_whole_and_marks_what_is_estimated() {
        let spent = v1::Spent {
            invocations: 3,
            running: 1,
            without_usage: 1,
            estimated: 1,
            input_tokens: 5715,
            output_tokens: 120,
            cached_input_tokens: 3000,
            cost_usd: 1.2,
            estimated_usd: 0.2,
            ..v1::Spent::default()
        };
        let stated = v1::Spent {
            invocations: 1,
            input_tokens: 10,
            cost_usd: 0.5,
            ..v1::Spent::default()
        };
        let group = |model: &str, spent| v1::UsageGroup {
            model: model.to_owned(),
            spent: Some(spent),
            ..v1::UsageGroup::default()
        };
        let used = v1::UsageResponse {
            groups: vec![group("", spent), group("opus", stated)],
            total: Some(v1::Spent {
                invocations: 4,
                cost_usd: 1.7,
                ..spent
            }),
            ..v1::UsageResponse::default()
        };
        assert_eq!(
            lines(&used, &[v1::UsageKey::Model], None, false),
            [
                "MODEL      RUNS  NEW INPUT  CACHED  OUTPUT    COST  OF THESE",
                "(default)     3       5.7k    3.0k     120  ~$1.20  1 running, 1 without usage",
                "opus          1         10       0       0   $0.50",
                "total         4       5.7k    3.0k     120  ~$1.70  1 running, 1 without usage",
            ]
        );
    }

    #[test]
    fn at_a_terminal_it_keeps_to_its_width_and_tells_projects_apart() {
        let group = |project: &str| v1::UsageGroup {
            project: project.to_owned(),
            task_id: "port-the-parser-of-dates-and-times".to_owned(),
            spent: Some(v1::Spent {
                invocations: 3,
                without_usage: 1,
                running: 1,
                input_tokens: 5715,
                ..v1::Spent::default()
            }),
            ..v1::UsageGroup::default()
        };
        let used = v1::UsageResponse {
            groups: vec![group("/home/ada/work/app"), group("/home/ada/site")],
            total: group("").spent,
            ..v1::UsageResponse::default()
        };
        let by = [v1::UsageKey::Project, v1::UsageKey::Task];
        let rows = |width| lines(&used, &by, width, false);
        assert!(rows(None)[1].starts_with("/home/ada/work/app  port-the-"));
        assert!(rows(Some(80))[1].starts_with("app      port-the-"));
        for width in 1..120 {
            let lines = rows(Some(width));
            let fits = lines.iter().all(|line| line.width() <= width);
            assert!(fits, "{width}: {lines:#?}");
        }
    }
}
