//! Outlines and passages of real files.

mod gaps;

use std::fs;
use std::io::Write as _;

use tempfile::TempDir;

use super::lines::Log;
use super::*;
use crate::activity_log::ActivityLogs;

/// A log that the test writes.
struct Written {
    _dir: TempDir,
    log: Log,
}

impl Written {
    fn ours() -> Written {
        Written::new(Some(0))
    }

    fn foreign() -> Written {
        Written::new(None)
    }

    fn new(rebuilt: Option<u32>) -> Written {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::File::open(dir.path()).unwrap();
        let logs = ActivityLogs::open(root.into(), dir.path());
        logs.create_folder().unwrap();
        let log = Log {
            logs,
            id: InvocationId::new(7).unwrap(),
            rebuilt,
            is_ended: false,
        };
        Written { _dir: dir, log }
    }

    fn write(&self, text: &str) {
        let path = self.log.logs.path(self.log.id);
        let mut options = fs::OpenOptions::new();
        let mut file = options.append(true).create(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn at(&self, field: &'static str, cursor: &str) -> Result<Option<Position>, BrowseError> {
        position(field, cursor, self.log.id)
    }

    fn try_outline(&self, query: OutlineQuery) -> Result<Outline, BrowseError> {
        let after = self.at("after", &query.after)?;
        let until = self.at("until", &query.until)?;
        let matcher = query.filter.compile()?;
        let mut survey = Survey::open(&self.log, after, until, matcher, query.max_places)?;
        while !survey.advance()? {}
        Ok(survey.finish())
    }

    fn outline(&self, after: &str, until: &str, max_places: usize) -> Outline {
        let (after, until) = (after.to_owned(), until.to_owned());
        let filter = Filter::default();
        self.try_outline(OutlineQuery {
            filter,
            after,
            until,
            max_places,
        })
        .unwrap()
    }

    fn try_read(&self, query: ReadQuery) -> Result<Passage, BrowseError> {
        let after = self.at("after", &query.after)?;
        let matcher = query.filter.compile()?;
        passage::read(&self.log, after, &matcher, query.limit, query.with_results)
    }

    fn read(&self, after: &str, limit: usize) -> Passage {
        self.try_read(ReadQuery {
            after: after.to_owned(),
            limit,
            ..ReadQuery::default()
        })
        .unwrap()
    }
}

fn of_type(kind: &str) -> Filter {
    Filter {
        types: vec![kind.to_owned()],
        ..Filter::default()
    }
}

fn line(n: usize) -> String {
    format!("{{\"ts\":{n},\"type\":\"output\",\"msg\":\"line {n}\",\"raw\":{n}}}\n")
}

fn lines(range: std::ops::Range<usize>) -> String {
    range.map(line).collect()
}

fn tool(call: &str) -> String {
    format!("{{\"ts\":1,\"type\":\"tool\",\"cmd\":\"ls\",\"callId\":\"{call}\",\"raw\":1}}\n")
}

fn result(call: &str, msg: &str) -> String {
    format!(
        "{{\"ts\":2,\"type\":\"tool_result\",\"callId\":\"{call}\",\"ok\":true,\"msg\":\"{msg}\",\"raw\":2}}\n"
    )
}

const COMPLETE: &str = "{\"ts\":99,\"type\":\"complete\",\"success\":true,\"raw\":99}\n";

fn text(lines: &[Line]) -> String {
    let line = |line: &Line| String::from_utf8(line.bytes.to_vec()).unwrap() + "\n";
    lines.iter().map(line).collect()
}

#[test]
fn every_place_begins_with_its_line_and_every_cursor_goes_on_behind_its_own() {
    for written in [Written::ours(), Written::foreign()] {
        written.write(&lines(0..100));
        let outline = written.outline("", "", 30);
        assert_eq!((outline.lines, outline.stride), (100, 4));
        for (at, place) in outline.places.iter().enumerate() {
            let passage = written.read(&place.cursor, 2);
            assert_eq!(text(&passage.lines), lines(at * 4..at * 4 + 2));
            assert_eq!(i64::try_from(at * 4).unwrap(), place.ts);
            let rest = written.read(&passage.lines[0].cursor, 1);
            assert_eq!(text(&rest.lines), line(at * 4 + 1));
        }
        let end = written.read(&outline.end, 1);
        assert_eq!((end.lines.len(), end.more), (0, false));
        assert_eq!(end.next, outline.end);
    }
}

#[test]
fn an_outline_goes_on_where_another_ended_and_up_to_where_it_is_told() {
    let written = Written::ours();
    written.write(&lines(0..10));
    let first = written.outline("", "", 100);
    written.write(&lines(10..15));
    assert_eq!(written.outline(&first.end, "", 100).lines, 5);
    assert_eq!(written.outline("", &first.end, 100), first);
    let fourth = &first.places[3].cursor;
    let some = written.outline(fourth, &first.end, 100);
    assert_eq!(some.places, first.places[3..]);
    assert_eq!(written.outline(&first.end, fourth, 100).lines, 0);
    assert_eq!(written.outline("", "7:0:0", 100).lines, 0);
}

#[test]
fn a_torn_last_line_is_no_line_yet() {
    let written = Written::ours();
    let (half, rest) = (line(3), line(4));
    let (begun, ended) = half.split_at(10);
    written.write(&(lines(0..3) + begun));
    let outline = written.outline("", "", 100);
    assert_eq!(outline.lines, 3);
    let passage = written.read("", 100);
    assert_eq!((passage.lines.len(), passage.more), (3, false));
    assert_eq!(passage.next, outline.end);
    written.write(&(ended.to_owned() + &rest));
    assert_eq!(text(&written.read(&outline.end, 9).lines), half + &rest);
}

#[test]
fn a_log_that_is_not_there_is_empty_while_it_may_come_and_missing_after() {
    for mut written in [Written::ours(), Written::foreign()] {
        let outline = written.outline("", "", 100);
        assert_eq!(
            (outline.lines, outline.stride, outline.places.len()),
            (0, 1, 0)
        );
        let passage = written.read(&outline.end, 10);
        assert_eq!((passage.lines.len(), passage.more), (0, false));
        assert!(passage.no_log);
        written.log.is_ended = true;
        let missing = written.try_outline(OutlineQuery::default()).unwrap_err();
        assert!(matches!(missing, BrowseError::NoLog { .. }), "{missing:?}");
        written.log.is_ended = false;
        written.write("");
        assert!(
            !written.read("", 10).no_log,
            "a file without a line is a log"
        );
        written.write(&lines(0..2));
        assert_eq!(written.outline(&outline.end, "", 100).lines, 2);
    }
}

#[test]
fn our_log_ends_with_its_terminal_line_and_the_other_tools_where_the_file_does() {
    for (written, count) in [(Written::ours(), 3), (Written::foreign(), 4)] {
        written.write(&(lines(0..2) + COMPLETE + &line(3)));
        assert_eq!(written.outline("", "", 100).lines, count);
        let passage = written.read("", 100);
        assert_eq!(passage.lines.len() as u64, count);
        assert!(!passage.more);
        let behind = &passage.lines[2].cursor;
        assert_eq!(written.read("", 3).more, count == 4, "{behind}");
    }
}

#[test]
fn what_somebody_else_wrote_into_our_running_log_is_not_shown() {
    let mut written = Written::ours();
    written.write(&(lines(0..2) + "{\"type\":\"output\"}\n" + &line(3)));
    assert_eq!(written.outline("", "", 100).lines, 2);
    assert_eq!(written.read("", 100).lines.len(), 2);
    // Nobody will put it right any more.
    written.log.is_ended = true;
    assert_eq!(written.read("", 100).lines.len(), 4);
}

#[test]
fn a_passage_is_bounded_by_its_text_and_goes_on_without_a_loss() {
    let written = Written::ours();
    let long = |n: usize| {
        let msg = "x".repeat(300 * 1024);
        format!("{{\"ts\":{n},\"type\":\"output\",\"msg\":\"{msg}\",\"raw\":{n}}}\n")
    };
    let all: String = (0..10).map(long).collect();
    written.write(&all);
    let (mut next, mut given) = (String::new(), String::new());
    loop {
        let passage = written.read(&next, 1000);
        assert!(!passage.lines.is_empty() && passage.lines.len() <= 3);
        given += &text(&passage.lines);
        next = passage.next;
        if !passage.more {
            break;
        }
    }
    assert!(given == all, "{} of {} bytes", given.len(), all.len());
}

#[test]
fn one_call_looks_at_a_bounded_part_and_says_where_to_go_on() {
    let written = Written::ours();
    let line = |kind: &str, n: usize| {
        let msg = "x".repeat(1000 * 1000);
        format!("{{\"ts\":{n},\"type\":\"{kind}\",\"msg\":\"{msg}\",\"raw\":{n}}}\n")
    };
    for n in 0..70 {
        written.write(&line("output", n));
    }
    written.write(&line("notice", 70));
    let read = |after: String| {
        let query = ReadQuery {
            filter: of_type("notice"),
            after,
            limit: 1,
            ..ReadQuery::default()
        };
        written.try_read(query).unwrap()
    };
    let first = read(String::new());
    assert_eq!((first.lines.len(), first.more), (0, true));
    let second = read(first.next);
    assert_eq!((second.lines.len(), second.more), (1, false));
}

#[test]
fn results_come_with_their_calls_wherever_they_stand_near() {
    let written = Written::ours();
    let before = result("c0", "of no call given");
    let log = [
        &before,
        &tool("c1"),
        &result("c1", "one"),
        &tool("c2"),
        &line(1),
        &tool("c3"),
        &result("c2", "two"),
        &line(2),
        &result("c3", "three"),
    ];
    written.write(&log.map(String::as_str).concat());
    let read = |filter: Filter, limit: usize, with_results: bool| {
        let query = ReadQuery {
            filter,
            limit,
            with_results,
            ..ReadQuery::default()
        };
        written.try_read(query).unwrap()
    };
    let passage = read(of_type("tool"), 2, true);
    assert_eq!(text(&passage.lines), tool("c1") + &tool("c2"));
    let results = result("c1", "one") + &result("c2", "two");
    assert_eq!(text(&passage.results), results);
    // They change nothing about where to go on.
    assert!(passage.more);
    let rest = written.read(&passage.next, 1);
    assert_eq!(text(&rest.lines), line(1));
    // One that is among the lines is not given twice.
    let all = read(Filter::default(), 4, true);
    assert_eq!(text(&all.results), result("c2", "two"));
    assert!(read(of_type("tool"), 3, false).results.is_empty());
}

#[test]
fn a_result_far_behind_its_call_is_not_sought() {
    for (far, found) in [(3 * 1024, 1), (5 * 1024, 0)] {
        let written = Written::ours();
        written.write(&tool("c1"));
        let msg = "x".repeat(1024 - line(0).len());
        for n in 0..far {
            let line = line(n % 10).replace("line", &("line".to_owned() + &msg));
            written.write(&line);
        }
        written.write(&result("c1", "far"));
        let query = ReadQuery {
            limit: 1,
            with_results: true,
            ..ReadQuery::default()
        };
        assert_eq!(written.try_read(query).unwrap().results.len(), found);
    }
}

#[test]
fn a_foreign_line_too_long_for_a_message_is_neither_counted_nor_given() {
    let written = Written::foreign();
    let long = "x".repeat(crate::activity_log::MAX_LINE + 1);
    written.write(&(line(0) + &long + "\n" + &line(1)));
    assert_eq!(written.outline("", "", 100).lines, 2);
    assert_eq!(text(&written.read("", 100).lines), lines(0..2));
}
