//! Foreign JSON without its secrets: strings, keys among them, and numbers, one by one, so that
//! what comes out is JSON again.

use serde_json::value::RawValue;

use super::MAY_BE_CUT;
use super::find::{Finder, PLACEHOLDER};

/// The JSON with its secrets replaced; `None` if it has none.
pub(super) fn redacted(finder: &Finder, json: &str) -> Option<Box<RawValue>> {
    // Pieces are looked for at the ends of its strings.
    let has_ends = json.len() >= MAY_BE_CUT && finder.knows_pieces();
    if !finder.may_have(json, false) && !has_ends {
        return None;
    }
    let mut out = String::with_capacity(json.len());
    let mut changed = false;
    let bytes = json.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let end = match byte {
            b'"' => string_end(bytes, at + 1),
            b'-' | b'0'..=b'9' => number_end(bytes, at),
            _ => {
                // Everything between is of one byte.
                out.push(char::from(byte));
                at += 1;
                continue;
            }
        };
        let is_string = byte == b'"';
        let inside = if is_string {
            at + 1..end.saturating_sub(1).max(at + 1)
        } else {
            at..end
        };
        let text = &json[inside];
        match finder.redacted(text, text.len() >= MAY_BE_CUT) {
            Some(redacted) => {
                changed = true;
                out.push('"');
                out.push_str(&redacted);
                out.push('"');
            }
            None => out.push_str(&json[at..end]),
        }
        at = end;
    }
    if !changed {
        return None;
    }
    let whole = RawValue::from_string(out);
    // Secrets end where characters and escapes do; should that ever fail, nothing is shown.
    whole
        .or_else(|_| RawValue::from_string(format!("\"{PLACEHOLDER}\"")))
        .ok()
}

/// Behind the quote that ends a string.
fn string_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(found) = memchr::memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
        at += found;
        if bytes[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    bytes.len()
}

fn number_end(bytes: &[u8], from: usize) -> usize {
    let rest = &bytes[from..];
    let length = rest
        .iter()
        .position(|byte| !matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'));
    from + length.unwrap_or(rest.len())
}
