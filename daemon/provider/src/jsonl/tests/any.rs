//! Any mapping, any bytes.

use proptest::prelude::*;

use super::*;
use crate::decoder::{Decoder, Tally};
use crate::encode::encode_line;
use crate::kind::{Format, Kind};
use crate::mapping::{Flag, Is, Pointer};
use crate::parser::EndedBy;

fn pointer() -> impl Strategy<Value = Pointer> {
    let step = prop::sample::select(vec!["/a", "/b", "/c", "/0", "/1", ""]);
    prop::collection::vec(step, 0..3).prop_map(|steps| steps.concat().parse().unwrap())
}

fn rule() -> impl Strategy<Value = Rule> {
    let is = prop_oneof![
        any::<bool>().prop_map(Is::Bool),
        (0i64..3).prop_map(Is::Number),
        "[ab]{0,2}".prop_map(Is::Text),
    ];
    let when = prop::collection::btree_map(pointer(), prop::collection::vec(is, 1..3), 0..2);
    let fields = prop::collection::btree_map(
        prop::sample::select(&Field::ALL[..]),
        prop::collection::vec(pointer(), 1..3),
        0..14,
    );
    let flag = prop::option::of(prop_oneof![
        any::<bool>().prop_map(Flag::Always),
        prop::collection::vec(pointer(), 1..3).prop_map(Flag::At),
    ]);
    let each = prop::option::of(pointer());
    (when, each, fields, flag, any::<[bool; 5]>()).prop_map(|(when, each, fields, is_error, on)| {
        Rule {
            when,
            each,
            fields,
            is_error,
            is_final: on[0] && on[1],
            is_delta: on[1],
            is_total: on[2],
            is_input_with_cached: on[3],
            is_ignored: on[3] && on[4],
        }
    })
}

/// Not only such mappings as the configuration takes: a specification is a file like any other.
fn mapping() -> impl Strategy<Value = Mapping> {
    let errors = prop::collection::btree_map(
        "auth|overloaded|x",
        prop::collection::vec("[ab]{0,2}", 0..3),
        0..3,
    );
    (prop::collection::vec(rule(), 0..6), errors)
        .prop_map(|(events, errors)| Mapping { events, errors })
}

/// JSON that such pointers find something in.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "1",
        "0",
        "null",
        "true",
        "false",
        "\"a\"",
        "\"b\"",
        "\"\"",
        "-2.5e9",
        "\"x\\ny\"",
        r#""{\"a\":[1,\"b\"]}""#,
        r#""\ud800""#,
    ]);
    leaf.prop_map(str::to_owned)
        .prop_recursive(3, 12, 3, |inner| {
            let key = prop::sample::select(vec!["a", "b", "c", ""]);
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3)
                    .prop_map(|list| format!("[{}]", list.join(","))),
                prop::collection::vec((key, inner), 0..4).prop_map(|fields| {
                    let fields = fields
                        .iter()
                        .map(|(key, value)| format!("\"{key}\":{value}"));
                    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
                }),
            ]
        })
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => value().prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..30),
        1 => value().prop_map(|value| value.as_bytes()[..value.len() / 2].to_vec()),
    ]
}

struct Decoded {
    log: String,
    tally: Tally,
    outputs: Vec<String>,
}

fn decode(mapping: &Mapping, bytes: &[u8], size: usize, exit: &Exit) -> Decoded {
    let run = Run {
        mapping: Some(mapping.clone()),
        ..Run::default()
    };
    let mut decoder = Decoder::of_run(Kind::Jsonl, Format::Json, run);
    let (mut log, mut outputs) = (Vec::new(), Vec::new());
    let mut sink = |at: Stamp, activity: &Activity<'_>| {
        encode_line(&mut log, at, activity);
        if let Activity::Output { msg, .. } = activity {
            outputs.push(msg.text.to_string());
        }
    };
    let mut raw = 0;
    for chunk in bytes.chunks(size) {
        let at = Stamp {
            raw,
            ..Stamp::default()
        };
        decoder.feed(Stream::Stdout, at, chunk, &mut sink);
        raw += chunk.len() as u64;
    }
    let at = Stamp {
        raw,
        ..Stamp::default()
    };
    decoder.end(at, exit, &mut sink);
    Decoded {
        log: String::from_utf8(log).unwrap(),
        tally: decoder.tally().clone(),
        outputs,
    }
}

proptest! {
    // Little each, and a mapping has many sides.
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn any_bytes_with_any_mapping_give_a_whole_log_and_lose_no_line(
        mapping in mapping(),
        lines in prop::collection::vec(line(), 0..8),
        size in 1usize..50,
        code in prop::option::of(0..3),
        ended_by in prop::option::of(Just(EndedBy::PostResult)),
    ) {
        let bytes = lines.join(&b'\n');
        let exit = Exit { code, ended_by, ..Exit::default() };
        let whole = decode(&mapping, &bytes, usize::MAX, &exit);
        let cut = decode(&mapping, &bytes, size, &exit);
        prop_assert_eq!(&whole.log, &cut.log);
        let tally = &whole.tally;
        let apart: u64 = tally.held.values().chain(tally.ignored.values()).sum();
        prop_assert_eq!(tally.lines, tally.shown + apart);
        let lines: Vec<serde_json::Value> =
            whole.log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let ends = lines.iter().filter(|line| line["type"] == "complete").count();
        prop_assert_eq!((ends, &lines[lines.len() - 1]["type"]), (1, &"complete".into()));
        // Through the specification it stays the same.
        let written = serde_json::to_string(&mapping).unwrap();
        prop_assert_eq!(serde_json::from_str::<Mapping>(&written).unwrap(), mapping);
    }

    #[test]
    fn what_a_mapping_does_not_match_is_shown_byte_for_byte(
        mapping in mapping(),
        lines in prop::collection::vec(value(), 0..8),
    ) {
        let mut mapping = mapping;
        let never = [("/never".parse().unwrap(), vec![Is::Bool(true)])];
        for rule in &mut mapping.events {
            rule.when.extend(never.clone());
        }
        let bytes = lines.join("\n").into_bytes();
        let decoded = decode(&mapping, &bytes, usize::MAX, &Exit::default());
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        prop_assert_eq!(decoded.outputs, lines);
    }
}
