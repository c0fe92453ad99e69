//! Strings and foreign JSON as they stand in a line of the activity log.
//!
//! Strings are escaped straight into the line, eight bytes at a time. Foreign JSON goes in as it
//! is, but for what would harm a reader: line breaks between tokens, surrogates without a partner,
//! numbers no one can represent, nesting no parser follows, and more than there is room for.

/// Nesting that readers are spared: common parsers give up at 128, and a line adds two levels.
const DEPTH_LIMIT: usize = 100;

/// Appends `text` escaped, without quotes, as long as it fits in `room` bytes. Returns how many
/// bytes of `text` it took; it never takes a part of a character.
pub(crate) fn push_escaped(out: &mut Vec<u8>, text: &str, room: usize) -> usize {
    let bytes = text.as_bytes();
    let end = out.len().saturating_add(room);
    let mut start = 0;
    while start < bytes.len() {
        let plain = plain_length(&bytes[start..]);
        let free = end - out.len();
        if plain > free {
            let cut = text.floor_char_boundary(start + free);
            out.extend_from_slice(&bytes[start..cut]);
            return cut;
        }
        out.extend_from_slice(&bytes[start..start + plain]);
        start += plain;
        let Some(&byte) = bytes.get(start) else { break };
        let escape = escape_of(byte);
        if escape.len() > end - out.len() {
            break;
        }
        out.extend_from_slice(escape.as_bytes());
        start += 1;
    }
    start
}

/// Length of the beginning that needs no escape.
fn plain_length(bytes: &[u8]) -> usize {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let zero_in = |word: u64| word.wrapping_sub(LOW) & !word & HIGH;
    let mut length = 0;
    for word in bytes.chunks_exact(8) {
        let Ok(word) = word.try_into().map(u64::from_le_bytes) else {
            break;
        };
        let control = word.wrapping_sub(LOW * 0x20) & !word & HIGH;
        let quote = zero_in(word ^ (LOW * u64::from(b'"')));
        let backslash = zero_in(word ^ (LOW * u64::from(b'\\')));
        if control | quote | backslash != 0 {
            break;
        }
        length += 8;
    }
    let rest = &bytes[length..];
    length
        + rest
            .iter()
            .position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\')
            .unwrap_or(rest.len())
}

/// The escape of one of the 34 bytes that need one.
fn escape_of(byte: u8) -> &'static str {
    const CONTROL: [&str; 32] = [
        "\\u0000", "\\u0001", "\\u0002", "\\u0003", "\\u0004", "\\u0005", "\\u0006", "\\u0007",
        "\\b", "\\t", "\\n", "\\u000b", "\\f", "\\r", "\\u000e", "\\u000f", "\\u0010", "\\u0011",
        "\\u0012", "\\u0013", "\\u0014", "\\u0015", "\\u0016", "\\u0017", "\\u0018", "\\u0019",
        "\\u001a", "\\u001b", "\\u001c", "\\u001d", "\\u001e", "\\u001f",
    ];
    match byte {
        b'"' => "\\\"",
        b'\\' => "\\\\",
        _ => CONTROL.get(usize::from(byte)).copied().unwrap_or(""),
    }
}

/// What became of foreign JSON on its way into the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Taken {
    /// Bytes of it that are missing.
    pub(crate) truncated_bytes: u64,
    /// True if characters had to be replaced.
    pub(crate) lossy: bool,
}

/// Appends valid JSON within `room` bytes: as it is if it can be, with long strings cut if that
/// makes it fit, and otherwise its beginning as one string.
pub(crate) fn push_json(out: &mut Vec<u8>, json: &str, room: usize) -> Taken {
    let start = out.len();
    let string_limits = [usize::MAX, 16 * 1024, 1024];
    for limit in string_limits {
        if limit == usize::MAX && json.len() > room {
            continue;
        }
        let mut copy = Copy::new(json, limit);
        if copy.run(out, start + room) {
            return copy.taken;
        }
        out.truncate(start);
        if copy.too_deep {
            break;
        }
    }
    out.push(b'"');
    let taken = push_escaped(
        out,
        json,
        room.saturating_sub(2).min(crate::bounds::TEXT_LIMIT),
    );
    out.push(b'"');
    Taken {
        truncated_bytes: (json.len() - taken) as u64,
        lossy: false,
    }
}

/// Copies JSON token by token.
struct Copy<'a> {
    json: &'a [u8],
    text: &'a str,
    string_limit: usize,
    depth: usize,
    too_deep: bool,
    taken: Taken,
}

impl<'a> Copy<'a> {
    fn new(text: &'a str, string_limit: usize) -> Copy<'a> {
        Copy {
            json: text.as_bytes(),
            text,
            string_limit,
            depth: 0,
            too_deep: false,
            taken: Taken::default(),
        }
    }

    /// False if it does not fit, or must not go in.
    fn run(&mut self, out: &mut Vec<u8>, end: usize) -> bool {
        let mut at = 0;
        while let Some(&byte) = self.json.get(at) {
            match byte {
                b'"' => at = self.string(at, out),
                b' ' | b'\t' | b'\n' | b'\r' => {
                    out.push(b' ');
                    at += 1;
                }
                b'-' | b'0'..=b'9' => at = self.number(at, out),
                _ => {
                    self.nest(byte);
                    out.push(byte);
                    at += 1;
                }
            }
            if self.too_deep || out.len() > end {
                return false;
            }
        }
        true
    }

    fn nest(&mut self, byte: u8) {
        match byte {
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.too_deep |= self.depth > DEPTH_LIMIT;
    }

    /// Copies a string with its quotes; returns where it ended.
    fn string(&mut self, open: usize, out: &mut Vec<u8>) -> usize {
        out.push(b'"');
        let mut at = open + 1;
        let mut room = self.string_limit;
        loop {
            let plain =
                memchr::memchr2(b'"', b'\\', &self.json[at..]).unwrap_or(self.json.len() - at);
            let kept = self.text.floor_char_boundary(at + plain.min(room)).max(at);
            out.extend_from_slice(&self.json[at..kept]);
            self.taken.truncated_bytes += (at + plain - kept) as u64;
            room = if kept < at + plain { 0 } else { room - plain };
            at += plain;
            if self.json.get(at) != Some(&b'\\') {
                out.push(b'"');
                return (at + 1).min(self.json.len());
            }
            let length = self.escape(at, &mut room, out);
            at += length;
        }
    }

    /// Copies one escape, or a pair of surrogates; returns its length.
    fn escape(&mut self, at: usize, room: &mut usize, out: &mut Vec<u8>) -> usize {
        let unit = code_unit(&self.json[at..]);
        let (length, replaced) = match unit {
            None => (2, false),
            Some(0xD800..=0xDBFF) => match self.json.get(at + 6..).and_then(code_unit) {
                Some(0xDC00..=0xDFFF) => (12, false),
                _ => (6, true),
            },
            Some(0xDC00..=0xDFFF) => (6, true),
            Some(_) => (6, false),
        };
        let length = length.min(self.json.len() - at);
        if *room < length {
            *room = 0;
            self.taken.truncated_bytes += length as u64;
            return length;
        }
        *room -= length;
        if replaced {
            out.extend_from_slice(b"\\ufffd");
            self.taken.lossy = true;
        } else {
            out.extend_from_slice(&self.json[at..at + length]);
        }
        length
    }

    /// Copies a number; one that is beyond all bounds as a string. Returns where it ended.
    fn number(&self, at: usize, out: &mut Vec<u8>) -> usize {
        let length = self.json[at..]
            .iter()
            .position(|byte| !matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'))
            .unwrap_or(self.json.len() - at);
        let digits = &self.text[at..at + length];
        let small = length <= 17 && !digits.contains(['e', 'E']);
        if small || digits.parse::<f64>().is_ok_and(f64::is_finite) {
            out.extend_from_slice(digits.as_bytes());
        } else {
            out.push(b'"');
            out.extend_from_slice(digits.as_bytes());
            out.push(b'"');
        }
        at + length
    }
}

/// The code unit of a `\uXXXX` at the beginning.
fn code_unit(bytes: &[u8]) -> Option<u32> {
    let hex = bytes.strip_prefix(b"\\u")?.get(..4)?;
    u32::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn escaped(text: &str, room: usize) -> (String, usize) {
        let mut out = Vec::new();
        let taken = push_escaped(&mut out, text, room);
        assert!(out.len() <= room);
        (String::from_utf8(out).unwrap(), taken)
    }

    fn json(json: &str, room: usize) -> (String, Taken) {
        let mut out = Vec::new();
        let taken = push_json(&mut out, json, room);
        (String::from_utf8(out).unwrap(), taken)
    }

    #[test]
    fn line_breaks_between_tokens_become_spaces_and_nothing_else_changes() {
        let (text, taken) = json("{\n \"a\":\t[1,\r\n\"x\\n\"]}", 100);
        assert_eq!(text, "{  \"a\": [1,  \"x\\n\"]}");
        assert_eq!(taken, Taken::default());
    }

    #[test]
    fn surrogates_without_a_partner_are_replaced() {
        let (text, taken) = json(r#"["\ud83d\ude00","\ud800x","\uDC00","\ud800"]"#, 100);
        assert_eq!(text, r#"["\ud83d\ude00","\ufffdx","\ufffd","\ufffd"]"#);
        assert!(taken.lossy);
    }

    #[test]
    fn what_readers_cannot_hold_becomes_a_string() {
        assert_eq!(
            json("[1e999,-1.5e3,123456789012345678901]", 100).0,
            "[\"1e999\",-1.5e3,123456789012345678901]"
        );
        let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
        let (text, taken) = json(&deep, 5000);
        assert_eq!(
            serde_json::from_str::<Value>(&text).unwrap(),
            Value::String(deep)
        );
        assert_eq!(taken.truncated_bytes, 0);
    }

    #[test]
    fn long_strings_are_cut_before_anything_else_is_given_up() {
        let long = "é".repeat(30_000);
        let (text, taken) = json(&format!(r#"{{"path":"a","content":"{long}"}}"#), 20_000);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["path"], "a");
        assert_eq!(value["content"].as_str().unwrap().len(), 16 * 1024);
        assert_eq!(taken.truncated_bytes, 60_000 - 16 * 1024);
        let (text, taken) = json(&format!("[{}1]", "1,".repeat(30_000)), 20_000);
        assert!(serde_json::from_str::<Value>(&text).unwrap().is_string());
        assert_eq!(taken.truncated_bytes as usize, 60_003 - (20_000 - 2));
    }

    proptest! {
        #[test]
        fn escaping_reads_back_and_stays_in_its_room(text in ".{0,60}|[\\x00-\\x7f]{0,80}", room in 0usize..200) {
            let (out, taken) = escaped(&text, room);
            let back: String = serde_json::from_str(&format!("\"{out}\"")).unwrap();
            prop_assert_eq!(&back, &text[..taken]);
            if text.len() * 6 <= room {
                prop_assert_eq!(taken, text.len());
            }
        }

        #[test]
        fn any_json_comes_out_valid(text in "[\\[\\]{}\",:0-9eE.\\-\\\\u d8cfn\\n]{0,40}", room in 2usize..64) {
            if serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok() {
                let (out, _) = json(&text, room);
                prop_assert!(out.len() <= room, "{} over {}", out, room);
                prop_assert!(serde_json::from_str::<Value>(&out).is_ok(), "{}", out);
            }
        }
    }
}
