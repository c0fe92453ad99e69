//! The log of one invocation, as far as it is kept for looking at: its newest lines, laid out as
//! `stream` does, and where in them one looks. Nothing is asked for here.

use std::collections::VecDeque;

use steroids_client::v1;
use unicode_width::UnicodeWidthChar as _;

use super::app::LogNews;
use super::row::Key;
use crate::clean::clean_line;
use crate::format;
use crate::render::{Prefix, Renderer};
use crate::terminal::Style;

/// Lines kept: what a person scrolls back through; the whole log is `stream`'s.
const LINES: usize = 5_000;
/// Bytes of them kept: an agent's lines may be long.
const BYTES: usize = 8 * 1024 * 1024;
/// Bytes of one line that are shown.
const LONGEST: usize = 16 * 1024;
/// Where the text of an activity begins, and so its further rows.
const INDENT: usize = 20;
/// Narrower than this there is no room for an indent.
const NARROW: usize = 50;
const TAB: &str = "    ";

/// A piece of a line.
pub(super) type Piece = (String, Style);

/// A log that is looked at.
pub(super) struct Log {
    key: Key,
    title: String,
    renderer: Renderer,
    lines: VecDeque<Vec<Piece>>,
    bytes: usize,
    /// Lines before the first one kept.
    passed: u64,
    /// Rows between the last one shown and the newest; 0 follows.
    up: usize,
    /// Width and height of what was last drawn.
    width: usize,
    height: usize,
    /// Why no lines come just now.
    pub(super) trouble: Option<String>,
    /// How the invocation ended.
    pub(super) ended: Option<String>,
    /// All lines were given.
    is_whole: bool,
}

impl Log {
    pub(super) fn new(it: &v1::Invocation) -> Log {
        let model = format::model(it);
        let title = format!("#{} {} {} {model}", it.id, it.task_id, it.provider);
        Log {
            key: Key::of(it),
            title: clean_line(&title),
            // In colour it tells its styles, which `pieces` reads; what is drawn is decided there.
            renderer: Renderer::new(true, false, Prefix::None),
            lines: VecDeque::new(),
            bytes: 0,
            passed: 0,
            up: 0,
            width: 80,
            height: 1,
            trouble: None,
            ended: None,
            is_whole: false,
        }
    }

    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    pub(super) fn title(&self) -> &str {
        &self.title
    }

    /// Lines that are not shown, before the first.
    pub(super) fn passed(&self) -> u64 {
        self.passed
    }

    /// True while new lines are shown as they come.
    pub(super) fn is_following(&self) -> bool {
        self.up == 0
    }

    /// Rows below the last one shown.
    pub(super) fn below(&self) -> usize {
        self.up
    }

    /// What goes on, for the title.
    pub(super) fn doing(&self) -> String {
        match (&self.ended, &self.trouble) {
            (Some(how), _) if self.is_whole => format!("ended: {how}"),
            (_, Some(trouble)) => trouble.clone(),
            (Some(how), None) => format!("ended: {how}"),
            (None, None) if self.is_whole => "ended".to_owned(),
            (None, None) if self.lines.is_empty() => "waiting for the first line".to_owned(),
            (None, None) => self.renderer.status(),
        }
    }

    pub(super) fn hear(&mut self, news: LogNews) {
        match news {
            LogNews::Passed(lines) => self.passed = lines,
            LogNews::Events(events) => {
                self.trouble = None;
                for event in &events {
                    self.add(event);
                }
            }
            LogNews::Live => self.trouble = None,
            LogNews::Broken(why) | LogNews::Refused(why) => self.trouble = Some(clean_line(&why)),
            LogNews::Ended => {
                self.trouble = None;
                self.is_whole = true;
            }
        }
    }

    fn add(&mut self, event: &v1::Event) {
        let text = self.renderer.event(event);
        for line in text.lines() {
            let pieces = pieces(line);
            self.bytes += size(&pieces);
            if !self.is_following() {
                // Who reads further up stays there.
                self.up += wrapped(&pieces, self.width).len();
            }
            self.lines.push_back(pieces);
        }
        while self.lines.len() > LINES || self.bytes > BYTES {
            let Some(gone) = self.lines.pop_front() else {
                break;
            };
            self.bytes -= size(&gone);
            self.passed += 1;
        }
    }

    /// Moves by so many rows; below the newest there is nothing.
    pub(super) fn scroll(&mut self, by: isize) {
        let up = self.up.saturating_add_signed(by.saturating_neg());
        self.up = up.min(self.furthest(up));
    }

    /// How far up one may go; counts no more rows than are asked about.
    fn furthest(&self, wanted: usize) -> usize {
        let enough = wanted.saturating_add(self.height);
        let mut rows = 0;
        for line in self.lines.iter().rev() {
            rows += wrapped(line, self.width).len();
            if rows >= enough {
                return wanted;
            }
        }
        rows.saturating_sub(self.height)
    }

    /// The rows to be shown, at most `height`; oldest first.
    pub(super) fn rows(&mut self, width: usize, height: usize) -> Vec<Vec<Piece>> {
        (self.width, self.height) = (width.max(1), height.max(1));
        self.up = self.up.min(self.furthest(self.up));
        let mut rows: VecDeque<Vec<Piece>> = VecDeque::new();
        let mut below = self.up;
        for line in self.lines.iter().rev() {
            for row in wrapped(line, self.width).into_iter().rev() {
                if below > 0 {
                    below -= 1;
                } else if rows.len() < height {
                    rows.push_front(row);
                }
            }
            if rows.len() >= height {
                break;
            }
        }
        rows.into()
    }
}

fn size(line: &[Piece]) -> usize {
    line.iter().map(|(text, _)| text.len()).sum()
}

/// A line of the renderer's as pieces. The only escape sequences in it are the renderer's own: an
/// agent's were taken out.
fn pieces(line: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut style = Style::Plain;
    let mut left = LONGEST;
    for (at, part) in line.split('\u{1b}').enumerate() {
        let text = if at == 0 {
            part
        } else {
            let Some((code, text)) = part.split_once('m') else {
                continue;
            };
            style = styled(code);
            text
        };
        if text.is_empty() {
            continue;
        }
        let kept = &text[..text.floor_char_boundary(left)];
        left -= kept.len();
        let mut kept_text = kept.replace('\t', TAB);
        if kept.len() < text.len() {
            kept_text.push('…');
            pieces.push((kept_text, style));
            break;
        }
        pieces.push((kept_text, style));
    }
    pieces
}

fn styled(code: &str) -> Style {
    let all = [
        Style::Dim,
        Style::Bold,
        Style::Good,
        Style::Bad,
        Style::Warn,
        Style::Accent,
    ];
    let is_it = |style: &Style| style.paint(true, "").starts_with(&format!("\u{1b}{code}m"));
    all.into_iter().find(is_it).unwrap_or(Style::Plain)
}

/// A line as rows no wider than `width`; further rows stand below the text.
fn wrapped(line: &[Piece], width: usize) -> Vec<Vec<Piece>> {
    let indent = if width >= NARROW { INDENT } else { 0 };
    let mut rows = vec![Vec::new()];
    let mut used = 0;
    for (text, style) in line {
        let mut piece = String::new();
        for c in text.chars() {
            let wide = c.width().unwrap_or(0);
            if used + wide > width && used > indent {
                push(&mut rows, std::mem::take(&mut piece), *style);
                rows.push(vec![(" ".repeat(indent), Style::Plain)]);
                used = indent;
            }
            used += wide;
            piece.push(c);
        }
        push(&mut rows, piece, *style);
    }
    rows
}

fn push(rows: &mut [Vec<Piece>], text: String, style: Style) {
    if let Some(row) = rows.last_mut()
        && !text.is_empty()
    {
        row.push((text, style));
    }
}

#[cfg(test)]
mod tests;
