//! What a key does, by what is on the screen.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::app::{App, Ask, Mode};
use super::log::Log;
use super::row::Sort;
use crate::clean::clean_line;

/// Further than any list is long.
const FAR: isize = isize::MAX / 2;

/// Takes in what a person did.
pub(super) fn hear(app: &mut App, event: Event) -> Option<Ask> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => press(app, key),
        Event::Paste(text) if app.mode == Mode::Filter => {
            app.seek(|filter| filter.push_str(&clean_line(&text)));
            None
        }
        _ => None,
    }
}

fn press(app: &mut App, key: KeyEvent) -> Option<Ask> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        match key.code {
            KeyCode::Char('c') => return Some(Ask::Quit),
            KeyCode::Char('z') => return Some(Ask::Suspend),
            KeyCode::Char('l') => return Some(Ask::Repaint),
            KeyCode::Char('u') if app.mode == Mode::Filter => app.seek(String::clear),
            KeyCode::Char('h') if app.mode == Mode::Filter => app.seek(pop),
            KeyCode::Char('d') => scroll(app, Scroll::Page(1)),
            KeyCode::Char('u') => scroll(app, Scroll::Page(-1)),
            _ => {}
        }
        return None;
    }
    match app.mode.clone() {
        Mode::Filter => {
            filter(app, key.code);
            None
        }
        Mode::Confirm(asked) => {
            app.mode = Mode::List;
            match key.code {
                KeyCode::Char('y' | 'Y') => Some(app.stop(asked)),
                _ => {
                    app.say("not stopped");
                    None
                }
            }
        }
        Mode::Help => {
            app.mode = Mode::List;
            None
        }
        Mode::List => look(app, key.code),
    }
}

fn filter(app: &mut App, key: KeyCode) {
    match key {
        KeyCode::Enter => app.mode = Mode::List,
        KeyCode::Esc => {
            app.mode = Mode::List;
            app.seek(String::clear);
        }
        KeyCode::Backspace => app.seek(pop),
        KeyCode::Up => app.select_by(-1),
        KeyCode::Down => app.select_by(1),
        KeyCode::Char(c) => app.seek(|filter| filter.push(c)),
        _ => {}
    }
}

fn pop(filter: &mut String) {
    filter.pop();
}

/// In the list, or in a log.
fn look(app: &mut App, key: KeyCode) -> Option<Ask> {
    match key {
        KeyCode::Char('q') | KeyCode::F(10) => return Some(Ask::Quit),
        KeyCode::Char('?') | KeyCode::F(1) => app.mode = Mode::Help,
        KeyCode::Char('s') | KeyCode::F(9) => app.ask_to_stop(),
        KeyCode::Up | KeyCode::Char('k') => scroll(app, Scroll::Line(-1)),
        KeyCode::Down | KeyCode::Char('j') => scroll(app, Scroll::Line(1)),
        KeyCode::PageUp | KeyCode::Char('b') => scroll(app, Scroll::Page(-1)),
        KeyCode::PageDown | KeyCode::Char(' ') => scroll(app, Scroll::Page(1)),
        KeyCode::Home | KeyCode::Char('g') => scroll(app, Scroll::Line(-FAR)),
        KeyCode::End | KeyCode::Char('G') => scroll(app, Scroll::Line(FAR)),
        _ if app.log.is_some() => {
            if matches!(key, KeyCode::Esc | KeyCode::Left | KeyCode::Backspace) {
                return app.close();
            }
        }
        KeyCode::Enter | KeyCode::Right => return app.open(),
        KeyCode::Char('/') | KeyCode::F(3 | 4) => {
            app.message = None;
            app.mode = Mode::Filter;
        }
        KeyCode::Esc => {
            app.message = None;
            app.seek(String::clear);
        }
        _ => order(app, key),
    }
    None
}

/// As in htop.
fn order(app: &mut App, key: KeyCode) {
    match key {
        KeyCode::Char('<' | ',') => app.sort_by(app.sort.moved(-1)),
        KeyCode::Char('>' | '.') | KeyCode::F(6) => app.sort_by(app.sort.moved(1)),
        KeyCode::Char('P') => app.sort_by(Sort::Cpu),
        KeyCode::Char('M') => app.sort_by(Sort::Memory),
        KeyCode::Char('T') => app.sort_by(Sort::Time),
        KeyCode::Char('I' | 'r') => {
            app.is_reversed = !app.is_reversed;
            app.sort_by(app.sort);
        }
        _ => {}
    }
}

enum Scroll {
    Line(isize),
    Page(isize),
}

fn scroll(app: &mut App, by: Scroll) {
    let page = app.page.max(1).cast_signed();
    let by = match by {
        Scroll::Line(by) => by,
        Scroll::Page(by) => by * page,
    };
    match &mut app.log {
        Some((log, _)) => Log::scroll(log, by),
        None => app.select_by(by),
    }
}

#[cfg(test)]
mod tests;
