//! What holds of every line of a log of ours, checked by other means than it was written with.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
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
    let keys: Vec<&str> = object.0.iter().map(|(key, _)| key.as_str()).collect();
    assert!(keys.starts_with(&["ts", "type"]), "{keys:?}");
    assert!(keys.ends_with(&["raw"]), "{keys:?}");
    for (at, key) in keys.iter().enumerate() {
        assert!(!keys[..at].contains(key), "`{key}` stands twice: {keys:?}");
    }
    LogLine {
        kind: object.all("type")[0]
            .as_str()
            .expect("a type is a word")
            .to_owned(),
        raw: object.all("raw")[0].as_u64().expect("raw is a number"),
    }
}

/// A JSON object's keys in their order, twice where they stand twice, each with its value if it is one
/// that all lines have.
pub(super) struct Object(pub(super) Vec<(String, Value)>);

impl Object {
    /// The values of a key.
    pub(super) fn all(&self, wanted: &str) -> Vec<&Value> {
        let found = self.0.iter().filter(|(key, _)| key == wanted);
        found.map(|(_, value)| value).collect()
    }
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
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = match key.as_str() {
                "ts" | "type" | "raw" => map.next_value()?,
                _ => map.next_value::<IgnoredAny>().map(|_| Value::Null)?,
            };
            entries.push((key, value));
        }
        Ok(Object(entries))
    }
}
