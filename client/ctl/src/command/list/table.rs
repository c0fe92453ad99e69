//! Invocations as a table. At a terminal it keeps to its width, calls projects by the end of their paths, and
//! says below what ended badly why, and what one asks; into a pipe go rows alone, and all of each.

use std::collections::BTreeMap;

use steroids_client::v1;

use crate::clean::clean_line;
use crate::table::{Column, Table, cut};
use crate::terminal::Style;
use crate::{format, waits};

/// In front of why one ended badly, or what it asks.
const INDENT: &str = "    ";

const COLUMNS: [Column; 9] = [
    Column::right("ID"),
    Column::flexible("TASK"),
    Column::flexible("ROLE").giving_way(0),
    Column::flexible("PROVIDER").giving_way(3),
    Column::left("STATE"),
    Column::right("STARTED").giving_way(5),
    Column::right("TIME").giving_way(4),
    Column::right("TOKENS").giving_way(2),
    Column::right("COST").giving_way(1),
];

const WITH_PROJECT: [Column; 10] = [
    Column::flexible("PROJECT"),
    COLUMNS[0],
    COLUMNS[1],
    COLUMNS[2],
    COLUMNS[3],
    COLUMNS[4],
    COLUMNS[5],
    COLUMNS[6],
    COLUMNS[7],
    COLUMNS[8],
];

/// What it is shown on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// Of all projects.
    pub(super) all: bool,
    pub(super) now: i64,
    /// `None`: no terminal.
    pub(super) width: Option<usize>,
    pub(super) colour: bool,
}

/// The table, and below it what is waited for.
pub(super) fn lines(invocations: &[v1::Invocation], look: Look) -> Vec<String> {
    let short = match look.width {
        Some(_) => format::tails(invocations.iter().map(|it| &*it.project)),
        None => BTreeMap::new(),
    };
    let project = |it: &v1::Invocation| {
        let name = short.get(&*it.project).copied();
        name.unwrap_or(&it.project).to_owned()
    };
    let mut table = Table::new(if look.all { &WITH_PROJECT } else { &COLUMNS });
    for it in invocations {
        let project = look.all.then(|| (project(it), Style::Plain));
        table.row(project.into_iter().chain(row(it, look)).collect());
    }
    let mut rows = table.lines(look.width, look.colour).into_iter();
    let mut lines = Vec::new();
    lines.extend(rows.next());
    for (it, row) in invocations.iter().zip(rows) {
        lines.push(row);
        lines.extend(look.width.and_then(|width| below(it, width, look)));
    }
    for it in invocations.iter().filter(|it| !it.waiting.is_empty()) {
        let why = clean_line(&format::by_clock(&it.waiting));
        let of = match look.all {
            true => format!("{}: ", clean_line(&project(it))),
            false => String::new(),
        };
        lines.push(format!("{of}{} waits: {why}", it.id));
    }
    lines
}

fn row(it: &v1::Invocation, look: Look) -> [(String, Style); 9] {
    let Look { now, width, .. } = look;
    let started = it.started_at_ms.map(|at| format::ago(at, now));
    let (mut state, style) = state(it, now);
    if let Some(next) = it.retried_by.filter(|_| width.is_some()) {
        state = format!("{state} · retried by {next}");
    }
    [
        (it.id.to_string(), Style::Bold),
        (it.task_id.clone(), Style::Plain),
        (it.role.clone(), Style::Plain),
        (provider(it), Style::Plain),
        (state, style),
        (started.unwrap_or_default(), Style::Plain),
        (time(it, now), Style::Plain),
        (
            spent(it).map_or_else(String::new, format::all_tokens),
            Style::Dim,
        ),
        (cost(it).unwrap_or_default(), Style::Dim),
    ]
}

/// Why it ended badly, or what it asks, on a line of the terminal.
fn below(it: &v1::Invocation, width: usize, look: Look) -> Option<String> {
    let asked = it
        .live
        .as_ref()
        .and_then(|it| waits::question(it, look.now));
    let is_bad = style(format::standing(it)) == Style::Bad;
    let said = clean_line(asked.or(is_bad.then_some(&*it.error))?.trim());
    if said.is_empty() {
        return None;
    }
    let line = cut(&format!("{INDENT}{said}"), width);
    Some(Style::Dim.paint(look.colour, line))
}

fn provider(it: &v1::Invocation) -> String {
    match format::model(it) {
        "" => it.provider.clone(),
        model => format!("{} {model}", it.provider),
    }
}

/// `running`, and what it waits for: `running · tool 12m`.
fn state(it: &v1::Invocation, now: i64) -> (String, Style) {
    let mut word = format::standing(it).to_owned();
    let mut style = style(&word);
    if !it.alarm.is_empty() {
        word.push_str(" (!)");
        style = Style::Warn;
    }
    if let Some(live) = &it.live {
        if let Some(waits) = waits::brief(live, now) {
            word = format!("{word} · {waits}");
        }
        if waits::is_near(live) || waits::question(live, now).is_some() {
            style = Style::Warn;
        }
    }
    (word, style)
}

/// Of what runs, has done well, or has not.
pub(in crate::command) fn style(standing: &str) -> Style {
    match standing {
        "running" | "queued" => Style::Accent,
        "success" | "completed" => Style::Good,
        _ => Style::Bad,
    }
}

/// How long it took, or has been going on.
fn time(it: &v1::Invocation, now: i64) -> String {
    let so_far = || {
        format::is_open(it)
            .then(|| it.started_at_ms.map(|at| now - at))
            .flatten()
    };
    it.duration_ms
        .or_else(so_far)
        .map_or_else(String::new, format::duration)
}

/// What it cost, also of a CLI that tells of no tokens; nothing where it never came to either.
fn cost(it: &v1::Invocation) -> Option<String> {
    let usage = it.usage.as_ref()?;
    let usd = usage.total_cost_usd?;
    (usd > 0.0 || spent(it).is_some()).then(|| format::cost_of(usd, usage.estimated))
}

/// The tokens that it used; nothing where it never came to that.
fn spent(it: &v1::Invocation) -> Option<&v1::Usage> {
    it.usage
        .as_ref()
        .filter(|usage| format::all_tokens(usage) != "0")
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr as _;

    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    fn ended(id: i64, project: &str, outcome: &str) -> v1::Invocation {
        v1::Invocation {
            id,
            project: project.to_owned(),
            task_id: "port-the-parser-of-dates".to_owned(),
            role: "coder".to_owned(),
            provider: "claude".to_owned(),
            model: "claude-sonnet-4-5-20250929".to_owned(),
            state: v1::State::Failed.into(),
            outcome: outcome.to_owned(),
            error: match outcome {
                "success" => String::new(),
                _ => format!("usage limit\u{1b}[31m reached, {}", "and so on ".repeat(20)),
            },
            started_at_ms: Some(NOW - 7_200_000),
            duration_ms: Some(60_000),
            usage: Some(v1::Usage {
                input_tokens: 12_300,
                total_cost_usd: Some(1.25),
                ..v1::Usage::default()
            }),
            ..v1::Invocation::default()
        }
    }

    fn shown(invocations: &[v1::Invocation], width: Option<usize>) -> Vec<String> {
        let look = Look {
            all: true,
            now: NOW,
            width,
            colour: false,
        };
        lines(invocations, look)
    }

    #[test]
    fn at_a_terminal_a_row_says_in_one_line_each_which_project_how_and_why() {
        let mut retried = ended(7, "/home/ada/work/app", "rate_limited");
        retried.retried_by = Some(9);
        let mut runs = ended(8, "/home/ada/copy/app", "");
        runs.state = v1::State::Running.into();
        runs.live = Some(v1::Live {
            waits_for: "tool".to_owned(),
            waits_since_ms: NOW - 720_000,
            ..v1::Live::default()
        });
        let all = [ended(9, "/home/ada/site", "success"), runs, retried];
        let lines = shown(&all, Some(80));
        assert_eq!(lines.len(), 5, "{lines:#?}");
        assert!(lines.iter().all(|line| line.width() <= 80), "{lines:#?}");
        let [head, success, runs, failed, why] = &lines[..] else {
            panic!("{lines:#?}");
        };
        assert!(head.starts_with("PROJECT   ID  TASK "), "{head}");
        assert!(head.contains("STATE") && !head.contains("ROLE"), "{head}");
        assert!(success.starts_with("site       9  port-the-"), "{success}");
        assert!(runs.starts_with("copy/app   8  "), "{runs}");
        assert!(runs.contains("running · tool 12m"), "{runs}");
        assert!(failed.starts_with("work/app   7  "), "{failed}");
        assert!(failed.contains("rate_limited · retried by 9"), "{failed}");
        assert!(
            why.starts_with("    usage limit reached, and so on"),
            "{why}"
        );
        assert!(why.ends_with('…'), "{why}");
        for width in 1..200 {
            let lines = shown(&all, Some(width));
            let fits = lines.iter().all(|line| line.width() <= width);
            assert!(fits, "{width}: {lines:#?}");
        }
    }

    #[test]
    fn who_asks_stands_with_its_question_below_as_far_as_there_is_room() {
        let mut asks = ended(7, "/home/ada/app", "");
        asks.state = v1::State::Running.into();
        asks.error = String::new();
        asks.live = Some(v1::Live {
            waits_for: "unfinished_line".to_owned(),
            waits_on: "Overwrite \u{1b}[1mall\u{1b}[m of it, and never ask again? [y/N]".to_owned(),
            waits_since_ms: NOW - 720_000,
            waits_for_person: true,
            ..v1::Live::default()
        });
        let all = [asks];
        let lines = shown(&all, Some(100));
        assert!(lines[1].contains("running · asks 12m"), "{lines:#?}");
        let question = "    Overwrite all of it, and never ask again? [y/N]";
        assert_eq!(lines[2..], [question]);
        let narrow = shown(&all, Some(30));
        assert!(
            narrow[2].ends_with('…') && narrow[2].width() <= 30,
            "{narrow:#?}"
        );
        let piped = shown(&all, None);
        assert_eq!(piped.len(), 2, "{piped:#?}");
    }

    #[test]
    fn into_a_pipe_go_rows_alone_in_full() {
        let mut failed = ended(7, "/home/ada/work/app", "rate_limited");
        failed.retried_by = Some(9);
        assert_eq!(
            shown(&[failed], None)[1..],
            [
                "/home/ada/work/app   7  port-the-parser-of-dates  coder  claude \
                 claude-sonnet-4-5-20250929  rate_limited  2 h ago  1m 00s   12.3k  $1.25"
            ]
        );
    }

    #[test]
    fn what_it_cost_is_shown_also_of_who_tells_of_no_tokens() {
        let mut costs = ended(7, "/p", "success");
        let usage = costs.usage.as_mut().unwrap();
        usage.input_tokens = 0;
        let row = |it: &v1::Invocation| shown(std::slice::from_ref(it), None)[1].clone();
        assert!(
            row(&costs).ends_with("1m 00s          $1.25"),
            "{}",
            row(&costs)
        );
        // Who never came to that.
        costs.usage.as_mut().unwrap().total_cost_usd = Some(0.0);
        assert!(row(&costs).ends_with("1m 00s"), "{}", row(&costs));
    }
}
