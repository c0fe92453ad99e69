//! Whatever an agent prints, and however.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::activity::{Foreign, Level};
use crate::decoder::Decoder;
use crate::kind::{Format, Kind};
use crate::parser::Exit;

/// The text as JSON might write it: each character plain, or escaped in one of several manners.
fn escaped(text: &str, choices: &[u8]) -> String {
    let mut out = String::new();
    for (at, c) in text.chars().enumerate() {
        let choice = choices[at % choices.len()] % 3;
        match (c, choice) {
            ('"' | '\\', _) => out.extend(['\\', c]),
            ('/', 1) => out.push_str("\\/"),
            (c, 2) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04X}"));
                }
            }
            (c, _) => out.push(c),
        }
    }
    out
}

/// All strings of the log's lines, undone as deep as they go.
fn all_texts(log: &[u8]) -> String {
    fn walk(value: &Value, out: &mut String) {
        match value {
            Value::String(text) => {
                out.push_str(text);
                out.push('\u{1}');
                if let Ok(inner) = serde_json::from_str::<Value>(text)
                    && !inner.is_number()
                {
                    walk(&inner, out);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, out)),
            Value::Object(fields) => {
                for (key, value) in fields {
                    out.push_str(key);
                    out.push('\u{1}');
                    walk(value, out);
                }
            }
            other => out.push_str(&other.to_string()),
        }
    }
    let mut out = String::new();
    for line in log.split(|byte| *byte == b'\n').filter(|l| !l.is_empty()) {
        walk(&serde_json::from_slice(line).unwrap(), &mut out);
    }
    out
}

/// The log of these bytes, printed in pieces.
fn log(kind: Kind, format: Format, bytes: &[u8], sizes: &[usize], redactor: Redactor) -> Vec<u8> {
    let mut redactor = redactor;
    let mut decoder = Decoder::new(kind, format);
    let mut log = Vec::new();
    let mut rest = bytes;
    let mut sizes = sizes.iter().cycle();
    while !rest.is_empty() {
        let size = (*sizes.next().unwrap()).clamp(1, rest.len());
        let (piece, after) = rest.split_at(size);
        rest = after;
        let mut sink = |at: Stamp, activity: &Activity<'_>| {
            let redacted = redactor.activity(activity);
            encode_line(&mut log, at, redacted.as_ref().unwrap_or(activity));
        };
        decoder.feed(Stream::Stdout, Stamp::default(), piece, &mut sink);
    }
    let exit = Exit {
        code: Some(1),
        ..Exit::default()
    };
    let mut sink = |at: Stamp, activity: &Activity<'_>| {
        let redacted = redactor.activity(activity);
        encode_line(&mut log, at, redacted.as_ref().unwrap_or(activity));
    };
    let mut verdict = decoder.end(Stamp::default(), &exit, &mut sink);
    redactor.verdict(&mut verdict);
    let row = json!([verdict.error, verdict.response]).to_string();
    log.extend_from_slice(row.as_bytes());
    log
}

/// One line of a provider for each place where it could print a secret.
fn lines(kind: Kind, plain: &str, escaped: &str, nested: &str) -> Vec<String> {
    match kind {
        Kind::Jsonl | Kind::Command => vec![
            format!("plain {plain} end"),
            plain.to_owned(),
            format!("{{\"as json\":\"{escaped}\"}}"),
            format!("{{\"within\":\"{nested}\"}}"),
        ],
        Kind::Claude => vec![
            format!(
                r#"{{"type":"assistant","message":{{"id":"m","content":[{{"type":"text","text":"is {escaped}"}}]}}}}"#
            ),
            format!(
                r#"{{"type":"assistant","message":{{"id":"n","content":[{{"type":"tool_use","id":"t1","name":"Bash","input":{{"command":"echo {escaped}","{escaped}":["{nested}"]}}}}]}}}}"#
            ),
            format!(
                r#"{{"type":"user","message":{{"content":[{{"type":"tool_result","tool_use_id":"t1","content":"{escaped}\nx"}}]}}}}"#
            ),
            format!(r#"{{"type":"new_thing","{escaped}":{{"x":"{nested}"}}}}"#),
            format!(
                r#"{{"type":"result","subtype":"error","is_error":true,"result":"no: {escaped}"}}"#
            ),
            format!(r#"{{"type":"assistant","half":"{escaped}"#),
        ],
        Kind::Codex => vec![
            format!(
                r#"{{"type":"item.completed","item":{{"id":"i","type":"agent_message","text":"{escaped}"}}}}"#
            ),
            format!(
                r#"{{"type":"item.started","item":{{"id":"j","type":"command_execution","command":"/bin/bash -lc 'echo {escaped}'"}}}}"#
            ),
            format!(r#"{{"type":"turn.failed","error":{{"message":"{escaped}"}}}}"#),
        ],
        Kind::Opencode => vec![
            format!(r#"{{"type":"text","part":{{"messageID":"m","text":"is {escaped}"}}}}"#),
            format!(
                r#"{{"type":"tool_use","part":{{"tool":"bash","callID":"c","state":{{"status":"completed","input":{{"command":"echo {escaped}"}},"output":"{escaped}\nx"}}}}}}"#
            ),
            format!(
                r#"{{"type":"error","error":{{"name":"APIError","data":{{"message":"{escaped}","responseBody":"{nested}"}}}}}}"#
            ),
        ],
        Kind::Gemini => {
            // Deltas that end inside it.
            let half = plain.floor_char_boundary(plain.len() / 2);
            let parts = [&plain[..half], &plain[half..]].map(|part| {
                let part = serde_json::to_string(part).unwrap();
                format!(r#"{{"type":"message","role":"assistant","content":{part},"delta":true}}"#)
            });
            let other = format!(
                r#"{{"type":"tool_use","tool_name":"x","tool_id":"y","parameters":{{"a":"{nested}"}}}}"#
            );
            parts.into_iter().chain([other]).collect()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_log_holds_a_secret_however_it_is_printed(
        secret in "[a-zA-Z0-9/+=_.\\-\"\\\\ é😀]{12,80}",
        choices in prop::collection::vec(0u8..3, 1..12),
        sizes in prop::collection::vec(1usize..40, 1..8),
        kind in prop::sample::select(&Kind::ALL[..]),
    ) {
        let secret = secret.trim();
        prop_assume!(!secret::parts(secret).is_empty());
        let once = escaped(secret, &choices);
        let twice = escaped(&once, &choices);
        for line in lines(kind, secret, &once, &twice) {
            let bytes = format!("{line}\n{line}");
            let log = log(kind, Format::Json, bytes.as_bytes(), &sizes, redactor(secret, kind == Kind::Gemini));
            let texts = all_texts(&log);
            prop_assert!(!texts.contains(secret), "{} gave {}", line, texts);
        }
    }

    #[test]
    fn a_text_without_a_secret_stays_byte_for_byte(said in "\\PC{0,200}|[ -~\\n\\\\\"u0-9/]{0,300}") {
        let mut redactor = redactor(KEY, false);
        prop_assert_eq!(redactor.text(&said), &*said);
        let activity = Activity::Notice { level: Level::Info, msg: text(&said) };
        prop_assert!(redactor.activity(&activity).is_none());
        let json = serde_json::to_string(&json!({"a": [&said, 1.5e3, -7], &said: null})).unwrap();
        let raw = RawValue::from_string(json).unwrap();
        let activity = Activity::Unknown { name: None, data: Foreign::Json { raw: Cow::Owned(raw), lossy: false } };
        prop_assert!(redactor.activity(&activity).is_none());
    }
}

proptest! {
    // Each of them is a quarter of a megabyte.
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn a_cut_leaves_no_half_of_a_secret(
        secret in "[a-zA-Z0-9]{40,80}",
        before in 0usize..90,
        size in 1000usize..100_000,
    ) {
        prop_assume!(!secret::parts(&secret).is_empty());
        let limit = crate::bounds::TEXT_LIMIT;
        let mut bytes = "ab ".repeat(limit / 3 + 1).into_bytes();
        bytes.truncate(limit - before);
        bytes.push(b' ');
        bytes.extend_from_slice(secret.as_bytes());
        bytes.extend_from_slice(b" and more\n");
        let log = log(Kind::Command, Format::Text, &bytes, &[size], redactor(&secret, false));
        let texts = all_texts(&log);
        // One of these bytes is the space; pieces of fewer than 8 stay.
        prop_assert!(texts.contains("[redacted MY_TOKEN]") || before < 9);
        for piece in secret.as_bytes().windows(20) {
            prop_assert!(!texts.contains(std::str::from_utf8(piece).unwrap()));
        }
    }
}
