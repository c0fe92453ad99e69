use super::*;
use crate::command::top::app::tests::running;
use unicode_width::UnicodeWidthStr as _;

fn log() -> Log {
    Log::new(&running("app", 7, "T1"))
}

fn said(text: &str) -> v1::Event {
    let line = serde_json::json!({ "ts": 0, "type": "output", "msg": text }).to_string();
    v1::Event {
        ts: crate::format::now_ms(),
        r#type: "output".to_owned(),
        line: line.into(),
        ..Default::default()
    }
}

fn shown(log: &mut Log, width: usize, height: usize) -> Vec<String> {
    let rows = log.rows(width, height).into_iter();
    rows.map(|row| row.into_iter().map(|(text, _)| text).collect())
        .collect()
}

fn fill(log: &mut Log, numbers: std::ops::Range<u32>) {
    let events = numbers.map(|number| said(&format!("n {number}"))).collect();
    log.hear(LogNews::Events(events));
}

#[test]
fn a_long_line_goes_on_below_its_text_and_no_row_is_too_wide() {
    let mut log = log();
    log.hear(LogNews::Events(vec![said(&format!(
        "{} 漢字\ttab",
        "x".repeat(60)
    ))]));
    let rows = shown(&mut log, 60, 10);
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert!(rows.iter().all(|row| row.width() <= 60), "{rows:?}");
    assert!(rows[1].starts_with(&" ".repeat(20)) && rows[1].ends_with("漢字    tab"));
    assert!(shown(&mut log, 1, 500).iter().all(|row| row.width() <= 2));
}

#[test]
fn the_styles_are_the_renderers_and_no_escape_is_left() {
    let mut log = log();
    log.hear(LogNews::Events(vec![said(
        "\u{1b}[31mred\u{1b}[0m \u{1b}]0;t\u{7}x",
    )]));
    let rows = log.rows(80, 5);
    assert_eq!(rows[0][0].1, Style::Dim, "the time");
    let text: String = rows[0].iter().map(|(text, _)| text.as_str()).collect();
    assert!(
        text.ends_with("red x") && !text.contains('\u{1b}'),
        "{text:?}"
    );
}

#[test]
fn who_reads_further_up_stays_there_while_lines_come() {
    let mut log = log();
    fill(&mut log, 0..50);
    assert!(shown(&mut log, 80, 10)[9].ends_with("n 49"));
    log.scroll(-5);
    assert!(shown(&mut log, 80, 10)[9].ends_with("n 44"));
    fill(&mut log, 50..60);
    assert!(shown(&mut log, 80, 10)[9].ends_with("n 44"));
    assert!(!log.is_following());
    log.scroll(isize::MAX / 2);
    assert!(shown(&mut log, 80, 10)[9].ends_with("n 59"));
    log.scroll(-isize::MAX / 2);
    assert!(shown(&mut log, 80, 10)[0].ends_with("n 0"));
}

#[test]
fn only_the_newest_lines_are_kept_and_the_others_counted() {
    let mut log = log();
    log.hear(LogNews::Passed(7));
    let many = u32::try_from(LINES).unwrap() + 10;
    fill(&mut log, 0..many);
    assert_eq!((log.lines.len(), log.passed()), (LINES, 17));
    let long = (0..2000).map(|_| said(&"x".repeat(20_000))).collect();
    log.hear(LogNews::Events(long));
    assert!(log.bytes <= BYTES, "{}", log.bytes);
    let sum: usize = log.lines.iter().map(|line| size(line)).sum();
    assert_eq!(sum, log.bytes);
}

#[test]
fn its_title_says_what_is_waited_for_and_how_it_ended() {
    let mut log = log();
    assert_eq!(log.doing(), "waiting for the first line");
    log.hear(LogNews::Broken("the daemon is away".to_owned()));
    assert_eq!(log.doing(), "the daemon is away");
    fill(&mut log, 0..1);
    assert_eq!(log.doing(), "");
    log.hear(LogNews::Ended);
    assert_eq!(log.doing(), "ended");
    log.ended = Some("success".to_owned());
    assert_eq!(log.doing(), "ended: success");
}
