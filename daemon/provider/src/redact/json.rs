//! Foreign JSON without its secrets: strings, keys among them, and numbers, one by one, so that
//! what comes out is JSON again.

use serde_json::value::RawValue;

use super::MAY_BE_CUT;
use super::find::{Finder, PLACEHOLDER};

/// The JSON with its secrets replaced; `None` if it has none.
pub(super) fn redacted(finder: &Finder, json: &str) -> Option<Box<RawValue>> {
    let has_any = finder.may_have(json, false);
    // At the ends of its strings.
    let may_have_pieces = json.len() >= MAY_BE_CUT && finder.knows_pieces();
    if !has_any && !may_have_pieces {
        return None;
    }
    let mut out = String::new();
    let mut kept = 0;
    let bytes = json.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let end = match byte {
            b'"' => string_end(bytes, at + 1),
            b'-' | b'0'..=b'9' => number_end(bytes, at),
            _ => {
                // Everything between is of one byte.
                at += 1;
                continue;
            }
        };
        let inside = if byte == b'"' {
            at + 1..end.saturating_sub(1).max(at + 1)
        } else {
            at..end
        };
        let is_cut = inside.len() >= MAY_BE_CUT;
        let redacted = (has_any || is_cut)
            .then(|| finder.redacted(&json[inside], is_cut))
            .flatten();
        if let Some(redacted) = redacted {
            out.push_str(&json[kept..at]);
            out.push('"');
            out.push_str(&redacted);
            out.push('"');
            kept = end;
        }
        at = end;
    }
    if kept == 0 {
        return None;
    }
    out.push_str(&json[kept..]);
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
