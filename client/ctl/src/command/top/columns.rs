//! Which columns fit, how wide each is, and what stands in them.

use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use steroids_client::v1;
use unicode_width::UnicodeWidthStr as _;

use super::app::App;
use super::draw::Theme;
use super::row::{self, Sort, Standing};
use crate::clean::clean_line;
use crate::format;
use crate::table::cut;
use crate::terminal::Style;

/// What an agent does is told in no less than this, while there is another column to give way.
const LEAST_DOING: usize = 16;
/// Names are cut beyond this, on a terminal that is not wide.
const LONGEST_NAME: usize = 12;
/// On a wide one.
const LONGEST_NAME_WIDE: usize = 28;
const WIDE: usize = 120;

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Id,
    Project,
    Task,
    Provider,
    Model,
    State,
    Activity,
    Time,
    Tokens,
    Cost,
    Cpu,
    Memory,
    Doing,
}

const COLUMNS: [Column; 13] = [
    Column::Id,
    Column::Project,
    Column::Task,
    Column::Provider,
    Column::Model,
    Column::State,
    Column::Activity,
    Column::Time,
    Column::Tokens,
    Column::Cost,
    Column::Cpu,
    Column::Memory,
    Column::Doing,
];

/// Which give way first where there is no room; the others are always there.
const GIVE_WAY: [Column; 7] = [
    Column::Model,
    Column::Cost,
    Column::Provider,
    Column::Project,
    Column::Memory,
    Column::Cpu,
    Column::Tokens,
];

impl Column {
    fn heading(self) -> &'static str {
        match self {
            Column::Id => "ID",
            Column::Project => "PROJECT",
            Column::Task => "TASK",
            Column::Provider => "PROVIDER",
            Column::Model => "MODEL",
            Column::State => "STATE",
            Column::Activity => "LAST",
            Column::Time => "TIME",
            Column::Tokens => "TOKENS",
            Column::Cost => "COST",
            Column::Cpu => "CPU%",
            Column::Memory => "MEM",
            Column::Doing => "DOES",
        }
    }

    fn sort(self) -> Option<Sort> {
        match self {
            Column::Id => Some(Sort::Id),
            Column::Task => Some(Sort::Task),
            Column::State => Some(Sort::State),
            Column::Activity => Some(Sort::Activity),
            Column::Time => Some(Sort::Time),
            Column::Tokens => Some(Sort::Tokens),
            Column::Cost => Some(Sort::Cost),
            Column::Cpu => Some(Sort::Cpu),
            Column::Memory => Some(Sort::Memory),
            Column::Project | Column::Provider | Column::Model | Column::Doing => None,
        }
    }

    fn is_right(self) -> bool {
        matches!(
            self,
            Column::Id
                | Column::Activity
                | Column::Time
                | Column::Tokens
                | Column::Cost
                | Column::Cpu
                | Column::Memory
        )
    }

    fn is_name(self) -> bool {
        matches!(
            self,
            Column::Project | Column::Task | Column::Provider | Column::Model
        )
    }

    fn cell(self, app: &App, it: &v1::Invocation) -> (String, Style) {
        let age = |at: Option<i64>| at.map_or_else(String::new, |at| short(app.now - at));
        match self {
            Column::Id => (it.id.to_string(), Style::Plain),
            Column::Project => (row::project(it), Style::Plain),
            Column::Task => (clean_line(&it.task_id), Style::Bold),
            Column::Provider => (clean_line(&it.provider), Style::Plain),
            Column::Model => (clean_line(format::model(it)), Style::Plain),
            Column::State => state(app, it),
            Column::Activity => (age(row::last_activity(it)), Style::Plain),
            Column::Time => (age(row::since(it)), Style::Plain),
            Column::Tokens => (some(row::tokens(it), format::count), Style::Plain),
            Column::Cost => {
                let cost = row::cost(it).filter(|cost| *cost > 0.0);
                let estimated = it.usage.as_ref().is_some_and(|usage| usage.estimated);
                let text = cost.map(|cost| format::cost_of(cost, estimated));
                (text.unwrap_or_default(), Style::Plain)
            }
            Column::Cpu => {
                let cpu = row::used(it).cpu.map(|cpu| format!("{cpu:.0}"));
                (cpu.unwrap_or_default(), Style::Plain)
            }
            Column::Memory => {
                let memory = row::used(it).memory.map(memory);
                (memory.unwrap_or_default(), Style::Plain)
            }
            Column::Doing => (row::doing(it, app.now), Style::Dim),
        }
    }
}

fn state(app: &App, it: &v1::Invocation) -> (String, Style) {
    let standing = app.standing(it);
    let style = match standing {
        Standing::Stalled | Standing::Asking | Standing::Held => Style::Warn,
        Standing::Ending => Style::Bad,
        Standing::Running => Style::Good,
        Standing::Queued => Style::Accent,
    };
    if standing.waits() && it.place > 0 {
        (format!("{} {}", standing.word(), it.place), style)
    } else {
        (standing.word().to_owned(), style)
    }
}

fn some(number: u64, shown: impl Fn(u64) -> String) -> String {
    if number == 0 {
        String::new()
    } else {
        shown(number)
    }
}

/// `4s`, `3m05s`, `2h05m`, `3d04h`.
pub(super) fn short(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// `812K`, `12M`, `1.2G`.
pub(super) fn memory(bytes: u64) -> String {
    let kib = bytes / 1024;
    match kib {
        0..1024 => format!("{kib}K"),
        1024..1_048_576 => format!("{}M", kib / 1024),
        _ => format!("{}.{}G", kib / 1_048_576, kib % 1_048_576 * 10 / 1_048_576),
    }
}

/// The columns of one drawing, with their widths.
pub(super) struct Columns {
    columns: Vec<(Column, usize)>,
    gap: &'static str,
}

impl Columns {
    /// What fits; a column that would be empty takes no room.
    pub(super) fn fit(app: &App, shown: &[&v1::Invocation], width: usize) -> Columns {
        let is_wide = width >= WIDE;
        let longest = if is_wide {
            LONGEST_NAME_WIDE
        } else {
            LONGEST_NAME
        };
        let mut columns: Vec<(Column, usize)> = Vec::new();
        for column in COLUMNS {
            let cells = shown.iter().map(|it| column.cell(app, it).0.width());
            let most = cells.max().unwrap_or(0);
            let is_needed = match column {
                Column::Project => app.project.is_none(),
                Column::Cpu | Column::Memory | Column::Cost | Column::Model => most > 0,
                _ => true,
            };
            if !is_needed {
                continue;
            }
            // The heading has room for the arrow.
            let arrow = usize::from(column.sort() == Some(app.sort));
            let wanted = most.max(column.heading().len() + arrow);
            let wanted = if column.is_name() {
                wanted.min(longest)
            } else {
                wanted
            };
            columns.push((column, wanted));
        }
        let gap = if is_wide { "  " } else { " " };
        let room = |columns: &[(Column, usize)]| {
            let fixed = columns
                .iter()
                .filter(|(column, _)| *column != Column::Doing);
            let fixed: usize = fixed.map(|(_, width)| width + gap.len()).sum();
            width.saturating_sub(fixed)
        };
        for column in GIVE_WAY {
            if room(&columns) >= LEAST_DOING {
                break;
            }
            columns.retain(|(other, _)| *other != column);
        }
        let rest = room(&columns);
        for (column, width) in &mut columns {
            if *column == Column::Doing {
                *width = rest;
            }
        }
        Columns { columns, gap }
    }

    /// The headings; an arrow at the one that rows are ordered by.
    pub(super) fn headings(&self, app: &App) -> Line<'static> {
        let arrow = if app.is_reversed { '↑' } else { '↓' };
        let cells = self.columns.iter().map(|(column, width)| {
            let mut text = column.heading().to_owned();
            if column.sort() == Some(app.sort) {
                text.push(arrow);
            }
            Span::raw(self.padded(*column, *width, &text))
        });
        Line::from_iter(cells)
    }

    /// One row; the selected one stands out also where there are no colours.
    pub(super) fn row(
        &self,
        app: &App,
        it: &v1::Invocation,
        theme: Theme,
        is_selected: bool,
    ) -> Line<'static> {
        let cells = self.columns.iter().map(|(column, width)| {
            let (text, style) = column.cell(app, it);
            let text = self.padded(*column, *width, &text);
            if is_selected {
                Span::raw(text)
            } else {
                Span::styled(text, theme.style(style))
            }
        });
        let line = Line::from_iter(cells);
        if is_selected {
            line.style(Modifier::REVERSED)
        } else {
            line
        }
    }

    fn padded(&self, column: Column, width: usize, text: &str) -> String {
        let text = cut(text, width);
        let padding = " ".repeat(width.saturating_sub(text.width()));
        if column.is_right() {
            format!("{padding}{text}{}", self.gap)
        } else {
            format!("{text}{padding}{}", self.gap)
        }
    }
}
