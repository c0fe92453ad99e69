use super::*;
use crate::command::top::app::tests::{app, running, told};
use crate::command::top::row::Key;

fn key(code: KeyCode) -> Event {
    Event::Key(KeyEvent::new(code, KeyModifiers::NONE))
}

fn control(letter: char) -> Event {
    Event::Key(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL))
}

/// Types letters; what the last of them asks for.
fn typed(app: &mut App, text: &str) -> Option<Ask> {
    let mut ask = None;
    for letter in text.chars() {
        ask = hear(app, key(KeyCode::Char(letter)));
    }
    ask
}

#[test]
fn only_y_stops() {
    let mut app = app();
    assert_eq!(typed(&mut app, "sn"), None);
    assert_eq!(app.message.as_ref().unwrap().text, "not stopped");
    let _ = typed(&mut app, "s");
    assert_eq!(hear(&mut app, key(KeyCode::Enter)), None);
    assert_eq!(app.mode, Mode::List);
    let stopped = Key {
        project: "/home/dev/app".to_owned(),
        id: 12,
    };
    assert_eq!(typed(&mut app, "sy"), Some(Ask::Stop(stopped)));
}

#[test]
fn what_is_asked_about_is_what_is_stopped_though_another_takes_its_row() {
    let mut app = app();
    let _ = typed(&mut app, "s");
    let mut urgent = running("web", 1, "T0");
    urgent.alarm = "shim does not answer".to_owned();
    urgent.started_at_ms = Some(0);
    app.hear(told(vec![urgent]));
    let Some(Ask::Stop(key)) = typed(&mut app, "y") else {
        panic!("it stops");
    };
    assert_eq!(key.id, 12);
}

#[test]
fn letters_of_a_filter_are_no_commands() {
    let mut app = app();
    assert_eq!(typed(&mut app, "/sq?"), None);
    assert_eq!(app.filter, "sq?");
    hear(&mut app, key(KeyCode::Backspace));
    hear(&mut app, Event::Paste("a\u{1b}[2J\nb".to_owned()));
    assert_eq!(app.filter, "sqa b");
    hear(&mut app, key(KeyCode::Enter));
    assert_eq!((&app.mode, app.filter.as_str()), (&Mode::List, "sqa b"));
    hear(&mut app, key(KeyCode::Esc));
    assert_eq!(app.filter, "");
    hear(&mut app, Event::Paste("sy".to_owned()));
    assert_eq!((&app.mode, app.filter.as_str()), (&Mode::List, ""));
}

#[test]
fn leaving_is_q_in_the_list_and_in_a_log_and_control_c_anywhere() {
    let mut app = app();
    assert_eq!(typed(&mut app, "q"), Some(Ask::Quit));
    let _ = hear(&mut app, key(KeyCode::Enter));
    assert_eq!(typed(&mut app, "q"), Some(Ask::Quit));
    let _ = typed(&mut app, "s");
    assert_eq!(hear(&mut app, control('c')), Some(Ask::Quit));
    assert_eq!(hear(&mut app, control('z')), Some(Ask::Suspend));
}

#[test]
fn enter_opens_a_log_and_escape_closes_it() {
    let mut app = app();
    assert!(matches!(
        hear(&mut app, key(KeyCode::Enter)),
        Some(Ask::Follow(..))
    ));
    assert_eq!(hear(&mut app, key(KeyCode::Enter)), None);
    assert_eq!(hear(&mut app, key(KeyCode::Esc)), Some(Ask::Unfollow));
    assert!(app.log.is_none());
    let _ = typed(&mut app, "?");
    assert_eq!(app.mode, Mode::Help);
    assert_eq!(typed(&mut app, "q"), None);
    assert_eq!(app.mode, Mode::List);
}

#[test]
fn orders_are_chosen_as_in_htop() {
    let mut app = app();
    let _ = typed(&mut app, ">");
    assert_eq!(app.sort, Sort::Id);
    let _ = typed(&mut app, "<<");
    assert_eq!(app.sort, Sort::Memory);
    let _ = typed(&mut app, "Tr");
    assert_eq!((app.sort, app.is_reversed), (Sort::Time, true));
}
