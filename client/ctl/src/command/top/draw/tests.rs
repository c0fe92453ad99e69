use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use steroids_client::v1;

use super::*;
use crate::command::top::app::LogNews;
use crate::command::top::app::News;
use crate::command::top::app::tests::{NOW, app, running, told};
use crate::command::top::row::{Key, Sort};

const COLOURS: Theme = Theme { colour: true };

fn buffer(app: &mut App, theme: Theme, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(app, theme, frame)).unwrap();
    terminal.backend().buffer().clone()
}

/// What is on the screen, line by line; times of day depend on the zone.
fn screen(app: &mut App, width: u16, height: u16) -> String {
    let buffer = buffer(app, COLOURS, width, height);
    let rows = (0..height).map(|y| {
        let mut row = String::new();
        let mut x = 0;
        while x < width {
            let symbol = buffer[(x, y)].symbol();
            row.push_str(symbol);
            // Behind a wide letter stands a cell that is not drawn.
            x += u16::try_from(symbol.width()).unwrap().max(1);
        }
        row.trim_end().to_owned()
    });
    let text = rows.collect::<Vec<_>>().join("\n");
    let clock = |ms| crate::format::clock(ms);
    text.replace(&clock(NOW + 600_000), "HH:MM:SS")
        .replace(&clock(NOW), "hh:mm:ss")
}

fn full() -> App {
    let mut app = app();
    app.load = "0.52 0.40 0.31".to_owned();
    let mut wide = running(
        "a-project-with-a-long-name",
        4,
        "漢字のタスクは長い名前です",
    );
    wide.provider = "opencode".to_owned();
    wide.model = "anthropic/claude-sonnet-4-5".to_owned();
    wide.live.as_mut().unwrap().last_text = "echo 漢字 \u{1b}[2J\u{7} && rm -rf target".to_owned();
    app.hear(told(vec![wide]));
    app
}

#[test]
fn before_the_daemon_has_answered_nothing_is_known() {
    let shown = screen(&mut App::new(None, NOW), 80, 24);
    assert!(shown.contains("running ? · queued ?"), "{shown}");
    assert!(shown.contains("nothing is known yet"), "{shown}");
    assert!(!shown.contains("nothing runs"), "{shown}");
}

#[test]
fn the_list_at_80x24() {
    insta::assert_snapshot!(screen(&mut full(), 80, 24));
}

#[test]
fn the_list_at_200x50() {
    let mut app = full();
    app.sort_by(Sort::Tokens);
    insta::assert_snapshot!(screen(&mut app, 200, 50));
}

#[test]
fn a_log_at_80x24() {
    let mut app = full();
    app.open();
    let events = [
        r#"{"type":"tool","cmd":"cargo test --workspace --all-targets -- --nocapture a_rather_long_name_of_a_test","callId":"a"}"#,
        r#"{"type":"tool_result","ok":false,"exitCode":101,"duration":61000,"msg":"error: test failed\nsee above","callId":"a"}"#,
        r#"{"type":"output","msg":"I look at the \u001b[31mfailing\u001b[0m test 漢字."}"#,
        r#"{"type":"usage","inputTokens":1200,"outputTokens":34}"#,
    ];
    let events = events.map(|line| v1::Event {
        ts: NOW,
        r#type: line.split('"').nth(3).unwrap().to_owned(),
        line: line.into(),
        ..Default::default()
    });
    app.hear(News::Log(1, LogNews::Passed(8000)));
    app.hear(News::Log(1, LogNews::Events(events.into())));
    let text = screen(&mut app, 80, 24);
    // The day of the fixed time, in whatever zone.
    insta::assert_snapshot!(text.replace(&crate::format::day(NOW), "YYYY-MM-DD"));
}

#[test]
fn questions_help_and_messages_stand_below() {
    let mut app = full();
    let last = |app: &mut App| screen(app, 80, 24).lines().last().unwrap().to_owned();
    app.ask_to_stop();
    let asked = last(&mut app);
    assert_eq!(
        asked,
        "stop invocation 12 of T3 in app? y stops, any other key does not"
    );
    app.mode = Mode::Help;
    insta::assert_snapshot!("help", screen(&mut app, 80, 24));
    app.mode = Mode::Filter;
    app.seek(|filter| filter.push_str("nothing such"));
    assert_eq!(last(&mut app), "/nothing such");
    assert!(screen(&mut app, 80, 24).contains("none of 6 matches `nothing such`"));
    app.mode = Mode::List;
    assert_eq!(
        last(&mut app),
        "/nothing such: 0 of 6  Esc shows all  ? help  q quit"
    );
}

#[test]
fn an_away_daemon_is_said_with_the_time_and_the_rows_stay() {
    let mut app = full();
    app.hear(News::Away("agents go on".to_owned()));
    app.now += 65_000;
    let text = screen(&mut app, 80, 24);
    let first = text.lines().next().unwrap();
    assert_eq!(
        first,
        "daemon away, since hh:mm:ss (1m05s) · agents go on · load 0.52 0.40 0.31"
    );
    assert!(text.contains("stalled"));
}

#[test]
fn a_daemon_that_owes_an_answer_is_not_called_serving() {
    let mut app = full();
    app.now += 16_000;
    app.hear(News::Overdue);
    let text = screen(&mut app, 80, 24);
    let first = text.lines().next().unwrap();
    assert_eq!(
        first,
        "daemon does not answer, since hh:mm:ss (16s) · agents go on · load 0.52 0.40 0.…"
    );
}

#[test]
fn what_stands_above_is_of_all_also_of_those_that_a_filter_hides() {
    let mut app = full();
    let second = |app: &mut App| {
        let text = screen(app, 200, 24);
        text.lines().nth(1).unwrap_or_default().to_owned()
    };
    let all = second(&mut app);
    assert!(all.contains("26.1k tokens") && all.contains("memory "));
    app.seek(|filter| filter.push_str("T3"));
    assert_eq!(app.shown().len(), 1);
    assert_eq!(second(&mut app), all);
}

#[test]
fn of_one_project_what_stands_above_says_so_and_tells_no_bounds_of_all() {
    let mut app = full();
    app.project = Some("/home/dev/my-\u{1b}[2Japp".to_owned());
    let text = screen(&mut app, 80, 24);
    let second = text.lines().nth(1).unwrap_or_default();
    assert!(
        second.starts_with("my-app: running 4 · queued 2 · stalled 1"),
        "{text}"
    );
}

#[test]
fn without_colours_nothing_is_coloured_and_the_selected_row_still_stands_out() {
    let mut app = full();
    let buffer = buffer(&mut app, Theme { colour: false }, 80, 24);
    for cell in buffer.content() {
        assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset));
    }
    let reversed = |y| buffer[(0, y)].modifier.contains(Modifier::REVERSED);
    let rows: Vec<u16> = (0..24).filter(|y| reversed(*y)).collect();
    assert_eq!(rows, [3, 4], "the headings, and the first row");
}

#[test]
fn no_size_is_too_small_and_the_selected_row_is_always_seen() {
    let mut app = full();
    let rows = (100..160).map(|id| running("app", id, "T7")).collect();
    app.hear(told(rows));
    for (width, height) in (0..30).flat_map(|w| (0..12).map(move |h| (w, h))) {
        buffer(&mut app, COLOURS, width, height);
    }
    for at in 0..66 {
        let id = Key::of(app.shown()[at]).id.to_string();
        let text = screen(&mut app, 80, 12);
        assert!(
            text.contains(&format!(" {id} ")) || text.contains(&format!("\n{id} ")),
            "{id}: {text}"
        );
        app.select_by(1);
    }
    app.open();
    for (width, height) in (0..30).flat_map(|w| (0..12).map(move |h| (w, h))) {
        buffer(&mut app, COLOURS, width, height);
    }
}

#[test]
fn a_question_before_a_stop_names_it_and_its_keys_however_narrow_the_screen_is() {
    let task = "PAY-1234-move-the-ledger-to-the-new-schema";
    let asked = |width| question(5_120, task, "a-project-with-a-long-name", width);
    let keys = "? y stops, any other key does not";
    assert_eq!(
        asked(200),
        format!(
            "stop invocation 5120 of {task} in a-project-with-a-long-name, with all it started{keys}"
        )
    );
    assert_eq!(asked(90), format!("stop 5120 of {task}{keys}"));
    assert_eq!(asked(80), format!("stop 5120 of {task}? y/n"));
    assert_eq!(asked(40), "stop 5120 of PAY-1234-move-the-led…? y/n");
    for width in 0..200 {
        let said = asked(width);
        assert!(said.width() <= width.max(1), "{width}: {said}");
        assert!(width < 20 || said.starts_with("stop "), "{width}: {said}");
        assert!(width < 20 || said.contains("? y"), "{width}: {said}");
    }
    // Of wide letters as much as there is room for.
    assert_eq!(
        question(4, "漢字のタスクは長い名前です", "x", 24),
        "stop 4 of 漢字のタ…? y/n"
    );
    // It has ended meanwhile, and is not known any more.
    assert!(question(4, "", "", 80).starts_with("stop invocation 4"));
}
