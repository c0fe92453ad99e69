//! From what is known to what is on the screen: a pure function of the state and the screen's size.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Modifier, Style as Look};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use unicode_width::UnicodeWidthStr as _;

use super::app::{App, Mode};
use super::columns::{Columns, short};
use super::head;
use super::help;
use super::log::{Log, Piece};
use crate::table::cut;
use crate::terminal::Style;

/// How styles look on this terminal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Theme {
    /// Whether there are colours.
    pub(super) colour: bool,
}

impl Theme {
    /// Without colours what stands out is bold, and what went wrong too.
    pub(super) fn style(self, style: Style) -> Look {
        let look = Look::new();
        match style {
            Style::Plain => look,
            Style::Dim => look.add_modifier(Modifier::DIM),
            Style::Bold => look.add_modifier(Modifier::BOLD),
            Style::Good if self.colour => look.fg(Color::Green),
            Style::Bad if self.colour => look.fg(Color::Red),
            Style::Warn if self.colour => look.fg(Color::Yellow),
            Style::Accent if self.colour => look.fg(Color::Cyan),
            Style::Bad | Style::Warn => look.add_modifier(Modifier::BOLD),
            Style::Good | Style::Accent => look,
        }
    }

    pub(super) fn span(self, text: impl Into<String>, style: Style) -> Span<'static> {
        Span::styled(text.into(), self.style(style))
    }
}

/// Draws everything.
pub(super) fn draw(app: &mut App, theme: Theme, frame: &mut Frame<'_>) {
    let area = frame.area();
    if area.height == 0 || area.width == 0 {
        return;
    }
    let head = head::lines(app, theme, area.width.into());
    // The rows come first: a low screen has less above and below them.
    let above = match area.height {
        0..6 => 0,
        6..10 => 1,
        _ => head.len().min(usize::from(area.height) / 3),
    };
    let above = u16::try_from(above).unwrap_or(0);
    let foot = u16::from(area.height > 2);
    for (line, y) in head.into_iter().zip(0..above) {
        frame.render_widget(line, row(area, y));
    }
    let body = Rect {
        y: area.y + above,
        height: area.height - above - foot,
        ..area
    };
    match (&app.mode, app.log.is_some()) {
        (Mode::Help, _) => help::draw(theme, frame, body),
        (_, true) => log(app, theme, frame, body),
        (_, false) => list(app, theme, frame, body),
    }
    if foot > 0 {
        footer(app, theme, frame, row(area, area.height - 1));
    }
}

fn row(area: Rect, y: u16) -> Rect {
    Rect {
        y: area.y + y,
        height: 1,
        ..area
    }
}

fn list(app: &mut App, theme: Theme, frame: &mut Frame<'_>, body: Rect) {
    let shown = app.shown();
    let columns = Columns::fit(app, &shown, body.width.into());
    let headings = if body.height > 1 { 1 } else { 0 };
    if headings > 0 {
        let line = columns.headings(app).style(bar());
        frame.render_widget(Paragraph::new(line).style(bar()), row(body, 0));
    }
    let height = usize::from(body.height - headings);
    if shown.is_empty() {
        let text = nothing(app);
        if height > 0 {
            let line = Line::from(theme.span(text, Style::Dim));
            frame.render_widget(line, row(body, headings));
        }
    }
    let selected = app.selected(&shown).unwrap_or(0);
    // The selected row is always seen; the list moves no more than for that.
    let first = selected.saturating_sub(height.saturating_sub(1));
    let rows = shown.iter().enumerate().skip(first).take(height);
    for ((at, it), y) in rows.zip(headings..) {
        let line = columns.row(app, it, theme, at == selected);
        frame.render_widget(Paragraph::new(line), row(body, y));
    }
    app.page = height;
}

fn nothing(app: &App) -> String {
    if app.count() > 0 {
        format!(
            "none of {} matches `{}`: Esc shows all",
            app.count(),
            app.filter
        )
    } else if app.away.is_some() {
        "nothing is known while the daemon is away".to_owned()
    } else if app.status.is_none() {
        "nothing is known yet: the daemon has not answered so far".to_owned()
    } else if app.project.is_none() {
        "nothing runs in any project: steroidsctl start --task T1 --prompt 'what to do'".to_owned()
    } else {
        "nothing runs in this project: steroidsctl start --task T1 --prompt 'what to do'".to_owned()
    }
}

fn bar() -> Look {
    Look::new().add_modifier(Modifier::REVERSED)
}

fn log(app: &mut App, theme: Theme, frame: &mut Frame<'_>, body: Rect) {
    let page = usize::from(body.height.saturating_sub(1));
    app.page = page;
    let now = app.now;
    let key = app.log.as_ref().map(|(log, _)| log.key().clone());
    let standing = key.and_then(|key| {
        let it = app.row(&key)?;
        let time = super::row::since(it).map(|at| short(now - at));
        let word = app.standing(it).word();
        Some(format!("{word} {}", time.unwrap_or_default()))
    });
    let Some((log, _)) = &mut app.log else {
        return;
    };
    let rows = log.rows(body.width.into(), page);
    let title = title(log, standing, body.width.into());
    frame.render_widget(Paragraph::new(title).style(bar()), row(body, 0));
    for (pieces, y) in rows.into_iter().zip(1..body.height) {
        let line = Line::from_iter(
            pieces
                .into_iter()
                .map(|(text, style): Piece| theme.span(text, style)),
        );
        frame.render_widget(line, row(body, y));
    }
}

fn title(log: &Log, standing: Option<String>, width: usize) -> String {
    let mut parts = vec![log.title().to_owned()];
    parts.extend(standing);
    parts.push(log.doing());
    if log.passed() > 0 {
        parts.push(format!(
            "{} earlier lines: steroidsctl stream {}",
            log.passed(),
            log.key().id
        ));
    }
    parts.retain(|part| !part.is_empty());
    cut(&parts.join(" · "), width)
}

fn footer(app: &App, theme: Theme, frame: &mut Frame<'_>, area: Rect) {
    let width = usize::from(area.width);
    let line = match (&app.mode, &app.message) {
        (Mode::Filter, _) => {
            let text = cut(&format!("/{}", app.filter), width.saturating_sub(1));
            let x = u16::try_from(text.width()).unwrap_or(area.width);
            frame.set_cursor_position(Position::new(area.x + x.min(area.width - 1), area.y));
            Line::from(theme.span(text, Style::Bold))
        }
        (Mode::Confirm(key), _) => {
            let (task, project) = app.row(key).map_or_else(Default::default, |it| {
                let task = crate::clean::clean_line(&it.task_id);
                (task, super::row::project(it))
            });
            let text = question(key.id, &task, &project, width);
            Line::from(theme.span(text, Style::Warn))
        }
        (Mode::Help, _) => Line::from(theme.span("any key goes back", Style::Dim)),
        (Mode::List, Some(message)) => {
            let style = if message.is_bad {
                Style::Bad
            } else {
                Style::Good
            };
            Line::from(theme.span(cut(&message.text, width), style))
        }
        (Mode::List, None) => keys(app, theme, width),
    };
    frame.render_widget(line, area);
}

/// Asks before a stop, in as many words as there is room for. What is never cut away for others: the id, the keys, and of
/// the task's name as much as can be.
fn question(id: i64, task: &str, project: &str, width: usize) -> String {
    const KEYS: &str = "? y stops, any other key does not";
    let said = [
        format!("stop invocation {id} of {task} in {project}, with all it started{KEYS}"),
        format!("stop invocation {id} of {task} in {project}{KEYS}"),
        format!("stop {id} of {task} in {project}{KEYS}"),
        format!("stop {id} of {task}{KEYS}"),
    ];
    let said = said.into_iter().find(|said| said.width() <= width);
    said.unwrap_or_else(|| {
        let (before, keys) = (format!("stop {id} of "), "? y/n");
        let task = cut(task, width.saturating_sub(before.len() + keys.len()));
        cut(&format!("{before}{task}{keys}"), width)
    })
}

fn keys(app: &App, theme: Theme, width: usize) -> Line<'static> {
    let text = match &app.log {
        Some((log, _)) if log.is_following() => {
            "Esc back  ↑↓ PgUp PgDn scroll  s stop  ? help  q quit".to_owned()
        }
        Some((log, _)) => format!(
            "{} rows below: End follows  Esc back  s stop  ? help  q quit",
            log.below()
        ),
        None if app.filter.is_empty() => {
            "Enter follow  / filter  s stop  < > order  r reverse  ? help  q quit".to_owned()
        }
        None => {
            let (shown, all) = (app.shown().len(), app.count());
            let filter = crate::clean::clean_line(&app.filter);
            format!("/{filter}: {shown} of {all}  Esc shows all  ? help  q quit")
        }
    };
    Line::from(theme.span(cut(&text, width), Style::Dim))
}

#[cfg(test)]
mod tests;
