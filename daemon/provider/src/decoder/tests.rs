mod too_long;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::encode::{LINE_LIMIT, encode_line};
use crate::evidence::Evidence;
use crate::outcome::Outcome;
use crate::parser::EndedBy;

const FORMATS: [Format; 2] = [Format::Json, Format::Text];

/// Decodes chunks; the log, and the tally.
fn decode(
    kind: Kind,
    format: Format,
    chunks: &[(Stream, Vec<u8>)],
    exit: &Exit,
) -> (String, Tally) {
    let mut decoder = Decoder::new(kind, format);
    let mut log = Vec::new();
    let mut sink = |at: Stamp, activity: &Activity<'_>| encode_line(&mut log, at, activity);
    let mut raw = 0;
    for (stream, bytes) in chunks {
        decoder.feed(*stream, stamp(raw), bytes, &mut sink);
        raw += bytes.len() as u64;
    }
    decoder.end(stamp(raw), exit, &mut sink);
    (String::from_utf8(log).unwrap(), decoder.tally().clone())
}

fn stamp(raw: u64) -> Stamp {
    Stamp {
        wall_ms: 1,
        mono_ms: 1,
        raw,
    }
}

fn values(log: &str) -> Vec<Value> {
    log.lines()
        .map(|line| {
            assert!(line.len() < LINE_LIMIT);
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
        })
        .collect()
}

/// One terminal line, the last; `raw` never falls; every line has its place in the tally.
fn check(log: &str, tally: &Tally) {
    let lines = values(log);
    let terminal = lines
        .iter()
        .filter(|line| line["type"] == "complete")
        .count();
    assert_eq!(terminal, 1);
    assert_eq!(lines.last().unwrap()["type"], "complete");
    assert!(lines.is_sorted_by_key(|line| line["raw"].as_u64().unwrap()));
    assert_eq!(tally.activities, lines.len() as u64);
    let apart: u64 = tally.held.values().chain(tally.ignored.values()).sum();
    assert_eq!(tally.lines, tally.shown + apart);
}

#[test]
fn raw_is_where_the_newline_stands() {
    let chunks = [
        (Stream::Stdout, b"ab\ncd".to_vec()),
        (Stream::Stderr, b"x\n".to_vec()),
        (Stream::Stdout, b"e\n".to_vec()),
        (Stream::Stderr, b"rest".to_vec()),
        (Stream::Stdout, b"last".to_vec()),
    ];
    let (log, tally) = decode(Kind::Command, Format::Text, &chunks, &Exit::default());
    let lines = values(&log);
    let seen: Vec<(&str, u64)> = lines
        .iter()
        .map(|line| {
            (
                line["msg"].as_str().unwrap_or("-"),
                line["raw"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("ab", 2),
            ("x", 6),
            ("cde", 8),
            ("last", 17),
            ("rest", 17),
            ("-", 17)
        ]
    );
    assert_eq!((tally.lines, tally.shown), (5, 5));
}

#[test]
fn a_last_line_has_the_time_of_its_bytes_unless_that_is_before_the_line_in_front_of_it() {
    let ended = |says: &[(Stream, &str)], shown: Option<u64>| {
        let mut decoder = Decoder::new(Kind::Command, Format::Text);
        let mut log = Vec::new();
        let mut sink = |at: Stamp, activity: &Activity<'_>| encode_line(&mut log, at, activity);
        let at = |second: u64| Stamp {
            wall_ms: second * 1000,
            mono_ms: second * 1000,
            raw: second,
        };
        for (second, (stream, bytes)) in (1..).zip(says) {
            decoder.feed(*stream, at(second), bytes.as_bytes(), &mut sink);
        }
        if let Some(shown) = shown {
            decoder.shown(shown);
        }
        decoder.end(at(90), &Exit::default(), &mut sink);
        let lines = values(&String::from_utf8(log).unwrap());
        let told = lines
            .iter()
            .map(|line| (line["ts"].as_u64(), line["raw"].as_u64()));
        told.map(|(ts, raw)| (ts.unwrap(), raw.unwrap()))
            .collect::<Vec<_>>()
    };
    let (out, err) = (Stream::Stdout, Stream::Stderr);
    let asked = ended(&[(out, "one\nGo "), (out, "on?")], None);
    assert_eq!(asked, [(1000, 4), (2000, 90), (90_000, 90)]);
    let both = ended(&[(err, "late"), (out, "on?"), (err, "r")], None);
    assert_eq!(both, [(2000, 90), (3000, 90), (90_000, 90)]);
    let behind = ended(&[(out, "on?"), (err, "line\n")], None);
    assert_eq!(behind, [(2000, 6), (2000, 90), (90_000, 90)]);
    let warned = ended(&[(out, "on?")], Some(70_000));
    assert_eq!(warned, [(70_000, 90), (90_000, 90)]);
    let outlived = ended(&[(out, "on?")], Some(95_000));
    assert_eq!(outlived, [(95_000, 90), (95_000, 90)]);
}

#[test]
fn a_last_line_of_text_in_a_json_mode_is_text_and_half_an_event_is_unknown() {
    let last = |kind, bytes: &[u8]| {
        let chunks = [(Stream::Stdout, bytes.to_vec())];
        let (log, tally) = decode(kind, Format::Json, &chunks, &Exit::default());
        check(&log, &tally);
        let first = values(&log)[0].clone();
        let text = first["msg"].as_str().or(first["data"].as_str());
        let text = text.unwrap_or_default().to_owned();
        (first["type"].as_str().unwrap().to_owned(), text)
    };
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Command) {
        for text in ["Continue? [y/N] ", "[Y/n] ", "Error: no", "\u{FEFF}nul"] {
            let found = last(kind, text.as_bytes());
            assert_eq!(found, ("output".to_owned(), text.to_owned()), "{kind}");
        }
        for half in [r#"{"type":"#, r#" {"type":"x""#, "\u{FEFF}{", "{"] {
            let found = last(kind, half.as_bytes());
            assert_eq!(found, ("unknown".to_owned(), half.to_owned()), "{kind}");
        }
    }
}

#[test]
fn the_beginning_of_a_line_is_told_unless_it_may_become_an_event() {
    let told = |format, stream, bytes: &str| {
        let mut decoder = Decoder::new(Kind::Claude, format);
        decoder.feed(stream, stamp(0), bytes.as_bytes(), &mut |_: Stamp,
                                                               _: &Activity<
            '_,
        >| {});
        let found = decoder.unfinished();
        found.map(|(stream, bytes)| (stream, String::from_utf8_lossy(bytes).into_owned()))
    };
    let asked = "Continue? [y/N] ";
    for format in FORMATS {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let expected = Some((stream, asked.to_owned()));
            let bytes = format!("before\n{asked}");
            assert_eq!(told(format, stream, &bytes), expected, "{format:?}");
        }
    }
    for half in [r#"{"type":"#, "  {", " ", "\u{FEFF}{"] {
        assert_eq!(told(Format::Json, Stream::Stdout, half), None, "{half}");
    }
    assert!(told(Format::Json, Stream::Stderr, "{").is_some());
}

#[test]
fn a_line_nobody_answers_for_is_unknown() {
    let mut course = Course::default();
    let mut log = Vec::new();
    let mut sink = |at: Stamp, activity: &Activity<'_>| encode_line(&mut log, at, activity);
    let json = Cut {
        bytes: br#"{"type":"quiet"}"#,
        truncated_bytes: 0,
    };
    course.line(
        &mut Silent,
        line(Stream::Stdout, &json, stamp(3), true),
        &mut sink,
    );
    assert_eq!(course.tally.unknown, 1);
    let log = String::from_utf8(log).unwrap();
    assert_eq!(values(&log)[0]["data"]["type"], "quiet");
}

struct Silent;

impl Parser for Silent {
    fn line(&mut self, _line: &Line<'_>, _out: &mut dyn Sink) {}

    fn vitals(&self) -> Vitals {
        Vitals::default()
    }

    fn end(&mut self, _at: Stamp, _exit: &Exit, _out: &mut dyn Sink) -> Verdict {
        Verdict {
            outcome: Outcome::Success,
            error: None,
            exit_forced: false,
            resets_at_ms: None,
            evidence: Evidence::default(),
            session_id: None,
            usage: None,
            response: None,
        }
    }
}

#[test]
fn a_line_over_its_bound_keeps_its_beginning_and_the_next_is_whole() {
    let long = b"x".repeat(9 * 1024 * 1024);
    let chunks: Vec<(Stream, Vec<u8>)> = long
        .chunks(60_000)
        .map(|chunk| (Stream::Stdout, chunk.to_vec()))
        .chain([(Stream::Stdout, b"\nnext\n".to_vec())])
        .collect();
    for kind in Kind::ALL {
        for format in FORMATS {
            let (log, tally) = decode(kind, format, &chunks, &Exit::default());
            check(&log, &tally);
            let lines = values(&log);
            let first = &lines[0];
            let is_json = format == Format::Json && kind != Kind::Command;
            let (expected, text) = match is_json {
                true => ("unknown", &first["data"]),
                false => ("output", &first["msg"]),
            };
            assert_eq!(first["type"], expected, "{kind} {format:?}");
            assert_eq!(text.as_str().unwrap().len(), TEXT_LIMIT);
            assert_eq!(first["truncatedBytes"], long.len() - TEXT_LIMIT);
            assert_eq!(lines[1]["msg"], "next", "{kind} {format:?}");
        }
    }
}

#[test]
fn bytes_that_are_no_text_come_out_as_json_and_say_so() {
    let bytes =
        b"a\xFF\x00\x1b[1m\xED\xA0\x80\r\n{\"t\":\"\\ud800\"}\n\xEF\xBB\xBFbom\xE2\x80\xA8x\n";
    for kind in Kind::ALL {
        for format in FORMATS {
            let chunks = [
                (Stream::Stdout, bytes.to_vec()),
                (Stream::Stderr, bytes.to_vec()),
            ];
            let (log, tally) = decode(kind, format, &chunks, &Exit::default());
            check(&log, &tally);
            assert_eq!(values(&log)[0]["lossy"], true, "{kind} {format:?}");
        }
    }
}

#[test]
fn an_event_that_nobody_knows_says_that_bytes_of_it_were_replaced() {
    let bytes =
        b"{\"type\":\"news\",\"text\":\"caf\xE9\"}\n{\"type\":\"news\",\"text\":\"caf\xC3\xA9\"}\n";
    for kind in Kind::ALL {
        let chunks = [(Stream::Stdout, bytes.to_vec())];
        let (log, _) = decode(kind, Format::Json, &chunks, &Exit::default());
        let lossy: Vec<_> = values(&log)[..2]
            .iter()
            .map(|line| line["lossy"] == true)
            .collect();
        assert_eq!(lossy, [true, false], "{kind}");
    }
}

fn exits() -> impl Strategy<Value = Exit> {
    let ended_by = prop_oneof![
        Just(None),
        Just(Some(EndedBy::Stop)),
        Just(Some(EndedBy::PostResult)),
        Just(Some(EndedBy::Silence)),
    ];
    (any::<Option<i32>>(), any::<Option<i32>>(), ended_by).prop_map(|(code, signal, ended_by)| {
        Exit {
            code,
            signal,
            ended_by,
            duration_ms: 5,
            leftovers: 0,
            ..Exit::default()
        }
    })
}

/// Pieces of what the CLIs print, in an order in which they never would.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: &[&str] = &[
        "\n",
        "\n",
        "\n",
        "\r\n",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "null",
        "5",
        "true",
        "\\ud800",
        "é",
        r#"{"type":"#,
        r#""assistant","#,
        r#""message":{"#,
        r#""content":["#,
        r#"{"type":"text","text":"x"}"#,
        r#"{"type":"tool_use","id":"a","name":"Edit","input":{"old_string":"a","new_string":"b"}}"#,
        "{\"type\":\"result\",\"is_error\":true}\n",
        "{\"type\":\"result\",\"status\":\"success\"}\n",
        "{\"type\":\"message\",\"role\":\"assistant\",\"content\":\"ab c\",\"delta\":true}\n",
        "{\"type\":\"message\",\"role\":\"assistant\",\"content\":\"\\n\",\"delta\":true}\n",
        "{\"type\":\"item.started\",\"item\":{\"id\":\"i\",\"type\":\"command_execution\",\"command\":\"bash -lc 'x\"}}\n",
        "{\"type\":\"item.completed\",\"item\":{\"id\":\"i\",\"id\":3,\"type\":\"todo_list\",\"items\":[{}]}}\n",
        "{\"type\":\"error\",\"message\":\"Reconnecting... 1/5\"}\n",
        "{\"type\":\"turn.failed\"}\n",
        "{\"type\":\"system\",\"subtype\":\"api_retry\",\"retry_delay_ms\":1e300}\n",
        "{\"type\":\"tool_use\",\"tool_id\":\"a\",\"parameters\":{\"todos\":[1]}}\n",
        "{\"type\":\"tool_result\",\"tool_id\":\"a\"}\n",
        "Attempt 1 failed",
        "exec\n",
        "codex\n",
        "tokens used\n1,000\n",
        "API Error: 500 x\n",
        "ERROR: ",
        " exited 3 in 0ms:\n",
        "--------\n",
    ];
    prop_oneof![
        6 => prop::sample::select(PIECES).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ]
}

fn chunks() -> impl Strategy<Value = Vec<(Stream, Vec<u8>)>> {
    let stream = prop_oneof![3 => Just(Stream::Stdout), 1 => Just(Stream::Stderr)];
    prop::collection::vec((stream, piece()), 0..60)
}

proptest! {
    #[test]
    fn anything_at_all_gives_valid_lines_and_one_terminal_line(
        chunks in chunks(),
        exit in exits(),
        kind in prop::sample::select(&Kind::ALL[..]),
        format in prop::sample::select(&FORMATS[..]),
    ) {
        let (log, tally) = decode(kind, format, &chunks, &exit);
        check(&log, &tally);
    }

    #[test]
    fn cutting_the_same_bytes_otherwise_changes_nothing(
        chunks in chunks(),
        exit in exits(),
        kind in prop::sample::select(&Kind::ALL[..]),
        format in prop::sample::select(&FORMATS[..]),
        cuts in prop::collection::vec(1usize..30, 1..20),
    ) {
        let bytes: Vec<u8> = chunks.into_iter().flat_map(|(_, bytes)| bytes).collect();
        let mut rest = &bytes[..];
        let mut pieces = Vec::new();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break; }
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            pieces.push((Stream::Stdout, piece.to_vec()));
            rest = after;
        }
        let whole = decode(kind, format, &[(Stream::Stdout, bytes.clone())], &exit);
        prop_assert_eq!(decode(kind, format, &pieces, &exit), whole);
    }
}
