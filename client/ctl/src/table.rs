//! Aligned columns. Where a terminal sets a width, the columns that may shrink give way, the
//! widest first, and say so with an ellipsis; into a pipe everything goes in full.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::clean::clean_line;
use crate::terminal::Style;

/// Between columns.
const GAP: &str = "  ";
/// Below this a column tells nothing any more.
const NARROWEST: usize = 6;

/// A column's heading and how it behaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    heading: &'static str,
    right: bool,
    shrinks: bool,
}

impl Column {
    /// Aligned left, shown in full.
    pub(crate) const fn left(heading: &'static str) -> Self {
        Column {
            heading,
            right: false,
            shrinks: false,
        }
    }

    /// Numbers: aligned right.
    pub(crate) const fn right(heading: &'static str) -> Self {
        Column {
            heading,
            right: true,
            shrinks: false,
        }
    }

    /// Aligned left, and cut where there is no room.
    pub(crate) const fn flexible(heading: &'static str) -> Self {
        Column {
            heading,
            right: false,
            shrinks: true,
        }
    }
}

/// Rows under headings.
pub(crate) struct Table<'a> {
    columns: &'a [Column],
    rows: Vec<Vec<(String, Style)>>,
}

impl<'a> Table<'a> {
    /// A table without rows.
    pub(crate) fn new(columns: &'a [Column]) -> Self {
        Table {
            columns,
            rows: Vec::new(),
        }
    }

    /// Adds a row of cells, each with its style; a daemon's text is cleaned here.
    pub(crate) fn row(&mut self, cells: Vec<(String, Style)>) {
        let cells = cells
            .into_iter()
            .map(|(text, style)| (clean_line(&text), style))
            .collect();
        self.rows.push(cells);
    }

    /// The lines, headings first.
    pub(crate) fn lines(&self, width: Option<usize>, colour: bool) -> Vec<String> {
        let widths = self.widths(width);
        let headings: Vec<(String, Style)> = self
            .columns
            .iter()
            .map(|column| (column.heading.to_owned(), Style::Bold))
            .collect();
        std::iter::once(&headings)
            .chain(&self.rows)
            .map(|cells| self.line(cells, &widths, colour))
            .collect()
    }

    fn widths(&self, bound: Option<usize>) -> Vec<usize> {
        let mut widths: Vec<usize> = self
            .columns
            .iter()
            .enumerate()
            .map(|(index, column)| {
                let cells = self.rows.iter().filter_map(|row| row.get(index));
                cells
                    .map(|(text, _)| text.width())
                    .max()
                    .unwrap_or(0)
                    .max(column.heading.width())
            })
            .collect();
        let Some(bound) = bound else {
            return widths;
        };
        let gaps = GAP.len() * self.columns.len().saturating_sub(1);
        while widths.iter().sum::<usize>() + gaps > bound {
            let widest = (0..widths.len())
                .filter(|index| self.columns[*index].shrinks && widths[*index] > NARROWEST)
                .max_by_key(|index| widths[*index]);
            match widest {
                Some(index) => widths[index] -= 1,
                None => break,
            }
        }
        widths
    }

    fn line(&self, cells: &[(String, Style)], widths: &[usize], colour: bool) -> String {
        let mut line = String::new();
        for ((column, (text, style)), width) in self.columns.iter().zip(cells).zip(widths) {
            if !line.is_empty() {
                line.push_str(GAP);
            }
            let text = cut(text, *width);
            let padding = " ".repeat(width.saturating_sub(text.width()));
            let painted = style.paint(colour, &text);
            if column.right {
                line.push_str(&padding);
                line.push_str(&painted);
            } else {
                line.push_str(&painted);
                line.push_str(&padding);
            }
        }
        line.trim_end().to_owned()
    }
}

/// The text, or as much of it as fits with an ellipsis.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        kept.push(c);
    }
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 3] = [
        Column::right("ID"),
        Column::flexible("TASK"),
        Column::left("STATE"),
    ];

    fn table() -> Table<'static> {
        let mut table = Table::new(&COLUMNS);
        for (id, task) in [("7", "a-task-with-a-long-name"), ("12", "kurz 漢字")] {
            table.row(vec![
                (id.to_owned(), Style::Plain),
                (task.to_owned(), Style::Plain),
                ("running".to_owned(), Style::Good),
            ]);
        }
        table
    }

    #[test]
    fn columns_line_up_whatever_the_letters() {
        assert_eq!(
            table().lines(None, false),
            [
                "ID  TASK                     STATE",
                " 7  a-task-with-a-long-name  running",
                "12  kurz 漢字                running",
            ]
        );
    }

    #[test]
    fn flexible_columns_give_way_to_the_terminal() {
        let lines = table().lines(Some(24), false);
        assert!(lines.iter().all(|line| line.width() <= 24), "{lines:?}");
        assert!(lines[1].contains('…'));
    }

    #[test]
    fn a_terminal_too_narrow_for_anything_still_shows_all_columns() {
        let lines = table().lines(Some(3), false);
        assert!(lines[1].contains("running"));
    }

    #[test]
    fn what_a_daemon_sends_cannot_break_the_table() {
        let mut table = Table::new(&COLUMNS);
        table.row(vec![
            ("1".to_owned(), Style::Plain),
            ("a\nb\u{1b}[31m".to_owned(), Style::Plain),
            (String::new(), Style::Plain),
        ]);
        assert_eq!(table.lines(None, false)[1], " 1  a b");
    }
}
