//! What the keys do.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::draw::Theme;
use crate::terminal::Style;

const KEYS: [(&str, &str); 18] = [
    ("↑ ↓  k j", "the row above, below"),
    ("PgUp PgDn", "a page up, down"),
    ("Home End  g G", "the first, the last"),
    ("Enter →", "follow what it does, as steroidsctl stream"),
    ("Esc ←", "back; in the list: show all again"),
    ("/  F3", "show only rows with these words"),
    ("s  F9", "stop it, after y"),
    ("<  >  F6", "order by the column before, after"),
    ("P M T", "order by CPU, memory, time"),
    ("r  I", "the other way round"),
    ("Ctrl-L", "draw anew"),
    ("Ctrl-Z", "to the shell; fg comes back"),
    ("q  F10  Ctrl-C", "leave; agents go on"),
    ("", ""),
    (
        "stalled",
        "four fifths of a limit have passed, or something is wrong",
    ),
    ("asking", "it waits for you: for a message, or an answer"),
    ("held", "it waits, as a limit of its provider was reached"),
    ("ending", "it was told to end, or has given its result"),
];

/// Draws them.
pub(super) fn draw(theme: Theme, frame: &mut Frame<'_>, area: Rect) {
    let lines = KEYS.iter().map(|(key, does)| {
        let padding = " ".repeat(16usize.saturating_sub(key.chars().count()));
        Line::from_iter([
            theme.span(format!("  {key}{padding}"), Style::Bold),
            theme.span(*does, Style::Plain),
        ])
    });
    let lines: Vec<Line<'_>> = lines.collect();
    frame.render_widget(Paragraph::new(lines), area);
}
