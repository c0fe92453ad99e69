//! What holds of every line of a log of ours, checked by other means than it was written with.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use steroids_provider::encode::LINE_LIMIT;

/// A line, taken apart.
pub(super) struct LogLine {
    pub(super) kind: String,
    pub(super) raw: u64,
}

/// The lines of a log: whole, valid, their keys in order, `raw` never falling, and at most one that
/// ends it, which is the last.
pub(super) fn lines(log: &[u8]) -> Vec<LogLine> {
    let Some(body) = log.strip_suffix(b"\n") else {
        assert!(log.is_empty(), "the last line has no end");
        return Vec::new();
    };
    let lines: Vec<LogLine> = body.split(|byte| *byte == b'\n').map(line).collect();
    assert!(lines.is_sorted_by_key(|line| line.raw), "raw falls");
    let ends = |line: &LogLine| matches!(line.kind.as_str(), "complete" | "error");
    for line in &lines[..lines.len() - 1] {
        assert!(!ends(line), "a {} is not the last line", line.kind);
    }
    lines
}

fn line(bytes: &[u8]) -> LogLine {
    let text = std::str::from_utf8(bytes).expect("a line is UTF-8");
    assert!(text.len() < LINE_LIMIT, "a line of {} bytes", text.len());
    let object: Object = serde_json::from_str(text)
        .unwrap_or_else(|error| panic!("not a JSON object: {error}: {text}"));
    let keys: Vec<&str> = object.keys.iter().map(String::as_str).collect();
    assert!(keys.starts_with(&["ts", "type"]), "{keys:?}");
    assert!(keys.ends_with(&["raw"]), "{keys:?}");
    for (at, key) in keys.iter().enumerate() {
        assert!(!keys[..at].contains(key), "`{key}` stands twice: {keys:?}");
    }
    LogLine {
        kind: object.kind.expect("a type is a word"),
        raw: object.raw.expect("raw is a number"),
    }
}

/// A JSON object's keys, in their order.
#[derive(Default)]
struct Object {
    keys: Vec<String>,
    kind: Option<String>,
    raw: Option<u64>,
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Object, M::Error> {
        let mut object = Object::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "type" => object.kind = Some(map.next_value()?),
                "raw" => object.raw = Some(map.next_value()?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            object.keys.push(key);
        }
        Ok(object)
    }
}
