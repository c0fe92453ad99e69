//! Aligned columns. Where a terminal sets a width, names shrink, the widest first, and say so with an
//! ellipsis; before they say too little, whole columns give way, the least useful first. No line is
//! longer than the terminal is wide. Into a pipe everything goes in full.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::clean::clean_line;
use crate::terminal::Style;

/// Between columns.
const GAP: &str = "  ";
/// Down to this a name shrinks while there is another column to give way.
const READABLE: usize = 12;
/// Below this a column tells nothing any more.
const NARROWEST: usize = 6;

/// A column's heading and how it behaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    heading: &'static str,
    right: bool,
    shrinks: bool,
    gives_way: Option<u8>,
}

impl Column {
    /// Aligned left, shown in full.
    pub(crate) const fn left(heading: &'static str) -> Self {
        Column {
            heading,
            right: false,
            shrinks: false,
            gives_way: None,
        }
    }

    /// Numbers: aligned right.
    pub(crate) const fn right(heading: &'static str) -> Self {
        Column {
            heading,
            right: true,
            shrinks: false,
            gives_way: None,
        }
    }

    /// Aligned left, and cut where there is no room.
    pub(crate) const fn flexible(heading: &'static str) -> Self {
        Column {
            heading,
            right: false,
            shrinks: true,
            gives_way: None,
        }
    }

    /// Is left out where there is no room, that with the lowest number first.
    pub(crate) const fn giving_way(mut self, order: u8) -> Self {
        self.gives_way = Some(order);
        self
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
    pub(crate) fn lines(&self, bound: Option<usize>, colour: bool) -> Vec<String> {
        let shown = self.shown(bound);
        let headings: Vec<(String, Style)> = self
            .columns
            .iter()
            .map(|column| (column.heading.to_owned(), Style::Bold))
            .collect();
        std::iter::once(&headings)
            .chain(&self.rows)
            .map(|cells| self.line(cells, &shown, bound, colour))
            .collect()
    }

    /// The columns that there is room for, each by its place and with its width.
    fn shown(&self, bound: Option<usize>) -> Vec<(usize, usize)> {
        let widths = (0..self.columns.len()).map(|at| (at, self.widest(at)));
        let mut shown: Vec<(usize, usize)> = widths.collect();
        let Some(bound) = bound else {
            return shown;
        };
        let least = |(at, width): &(usize, usize)| match self.columns[*at].shrinks {
            true => READABLE.min(*width),
            false => *width,
        };
        while whole(&shown, least) > bound {
            let order = |(at, _): &(usize, usize)| self.columns[*at].gives_way;
            let Some(first) = shown.iter().filter_map(order).min() else {
                break;
            };
            shown.retain(|column| order(column) != Some(first));
        }
        while whole(&shown, |(_, width)| *width) > bound {
            let shrinks =
                |(at, width): &&mut (usize, usize)| self.columns[*at].shrinks && *width > NARROWEST;
            match shown.iter_mut().filter(shrinks).max_by_key(|it| it.1) {
                Some((_, width)) => *width -= 1,
                None => break,
            }
        }
        shown
    }

    fn widest(&self, at: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(at));
        let widest = cells.map(|(text, _)| text.width()).max().unwrap_or(0);
        widest.max(self.columns[at].heading.width())
    }

    fn line(
        &self,
        cells: &[(String, Style)],
        shown: &[(usize, usize)],
        bound: Option<usize>,
        colour: bool,
    ) -> String {
        let mut line = String::new();
        let mut used = 0;
        for (at, width) in shown {
            let (column, Some((text, style))) = (&self.columns[*at], cells.get(*at)) else {
                continue;
            };
            let gap = if used == 0 { "" } else { GAP };
            // What cannot shrink is cut where the terminal ends.
            let room = bound.map_or(*width, |bound| bound.saturating_sub(used + gap.len()));
            let width = room.min(*width);
            if width == 0 {
                break;
            }
            line.push_str(gap);
            used += gap.len() + width;
            let text = cut(text, width);
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

/// Of all columns and what is between them.
fn whole(shown: &[(usize, usize)], width: impl Fn(&(usize, usize)) -> usize) -> usize {
    let gaps = GAP.len() * shown.len().saturating_sub(1);
    shown.iter().map(width).sum::<usize>() + gaps
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
    fn columns_give_way_before_names_say_nothing_and_no_line_is_too_long() {
        const GIVING: [Column; 3] = [
            COLUMNS[0].giving_way(1),
            COLUMNS[1],
            COLUMNS[2].giving_way(0),
        ];
        let mut all = table();
        all.columns = &GIVING;
        assert_eq!(all.lines(Some(26), false)[1], " 7  a-task-with-…  running");
        assert_eq!(all.lines(Some(22), false)[1], " 7  a-task-with-a-lon…");
        assert_eq!(all.lines(Some(14), false)[1], "a-task-with-a…");
        for width in 1..40 {
            let lines = all.lines(Some(width), false);
            assert!(lines.iter().all(|line| line.width() <= width), "{lines:?}");
        }
    }

    #[test]
    fn what_cannot_shrink_is_cut_by_the_terminal() {
        let lines = table().lines(Some(14), false);
        assert_eq!(lines[1], " 7  a-tas…  r…");
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
