//! What can be said of a line without understanding it: its time, its type, its spool position.

use std::borrow::Cow;

use serde::Deserialize;

/// Time and type of a line, read from its beginning where it was written by us, parsed otherwise;
/// `None` if it is not a JSON object with a type. A line without a time is from the epoch.
pub fn peek(line: &[u8]) -> Option<(i64, Cow<'_, str>)> {
    if let Some((ts, kind)) = peek_prefix(line) {
        return Some((ts, Cow::Borrowed(kind)));
    }
    let head: Head<'_> = serde_json::from_slice(line).ok()?;
    Some((head.ts.map_or(0, |ts| ts as i64), head.kind))
}

/// True for the types that end a log.
pub fn is_terminal(kind: &str) -> bool {
    kind == "complete" || kind == "error"
}

/// True if the line's type ends a log. As [`peek`] says, but of most lines that begin as ours do it is
/// seen at a glance that theirs does not: of a replay each line is asked.
pub fn ends_log(line: &[u8]) -> bool {
    const TYPE: &[u8] = b",\"type\":\"";
    // Behind a time of 13 digits, which it has from 2001 to 2286.
    let rest = line
        .strip_prefix(b"{\"ts\":")
        .and_then(|rest| rest.get(13..));
    if let Some([first, ..]) = rest.and_then(|rest| rest.strip_prefix(TYPE))
        && !matches!(first, b'c' | b'e' | b'\\' | b'"')
    {
        return false;
    }
    peek(line).is_some_and(|(_, kind)| is_terminal(&kind))
}

/// True if the line begins and ends as every line of our own logs does. It is no proof, but what
/// somebody else wrote into a log by mistake looks otherwise.
pub fn is_ours(line: &[u8]) -> bool {
    line.starts_with(b"{\"ts\":") && raw_of_end(line).is_some()
}

/// True if the line is one whole JSON object in UTF-8.
pub fn is_valid(line: &[u8]) -> bool {
    let is_json = |text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    // Of bytes the parser would pass over a text without looking whether it is one.
    line.first() == Some(&b'{') && std::str::from_utf8(line).is_ok_and(is_json)
}

#[derive(Deserialize)]
struct Head<'a> {
    // A float: the older tool's clock may give fractions, and whole numbers pass as well.
    #[serde(default)]
    ts: Option<f64>,
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
}

// `{"ts":123,"type":"tool"` as the encoder writes it; a type never needs an escape.
fn peek_prefix(line: &[u8]) -> Option<(i64, &str)> {
    let rest = line.strip_prefix(b"{\"ts\":")?;
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let ts = std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
    let rest = rest[digits..].strip_prefix(b",\"type\":\"")?;
    let end = rest.iter().take(MAX_KIND).position(|&b| b == b'"')?;
    let plain = rest[..end]
        .iter()
        .all(|&b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    let kind = std::str::from_utf8(&rest[..end]).ok()?;
    plain.then_some((ts, kind))
}

const MAX_KIND: usize = 64;

/// How many bytes of a line's end [`raw_of_end`] needs to see.
pub(super) const RAW_SUFFIX: usize = 32;

/// The spool position with which a line of ours ends (`,"raw":123}`), from the line's last bytes.
/// Only a top-level key can stand there: within a string its quotes would be escaped.
pub(super) fn raw_of_end(end: &[u8]) -> Option<u64> {
    let body = end.strip_suffix(b"}")?;
    let digits = body.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let (before, digits) = body.split_at(body.len() - digits);
    before.ends_with(b",\"raw\":").then_some(())?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glance_says_what_a_look_does() {
        for line in [
            r#"{"ts":1795721931892,"type":"complete","success":true}"#,
            r#"{"ts":1795721931892,"type":"error","error":"no"}"#,
            r#"{"ts":1795721931892,"type":"output","msg":"\"type\":\"complete\""}"#,
            r#"{"ts":1795721931892,"type":"\u0063omplete"}"#,
            r#"{"ts":1795721931892,"type":"errors"}"#,
            r#"{"ts":17957219318920,"type":"complete"}"#,
            r#"{"ts":179572193189,"type":"error"}"#,
            r#"{"ts":1795721931892, "type":"error"}"#,
            r#"{"type":"complete","ts":1}"#,
            r#"{"ts":1795721931892"#,
            "",
        ] {
            let looked = peeked(line).is_some_and(|(_, kind)| is_terminal(&kind));
            assert_eq!(ends_log(line.as_bytes()), looked, "{line}");
        }
    }

    fn peeked(line: &str) -> Option<(i64, String)> {
        peek(line.as_bytes()).map(|(ts, kind)| (ts, kind.into_owned()))
    }

    #[test]
    fn our_lines_and_foreign_ones_tell_time_and_type() {
        let tool = Some((17, "tool".to_owned()));
        assert_eq!(
            peeked(r#"{"ts":17,"type":"tool","cmd":"ls","raw":3}"#),
            tool
        );
        assert_eq!(peeked(r#"{"type":"tool","cmd":"ls","ts":17}"#), tool);
        assert_eq!(peeked(r#"{"ts":17.9,"type":"to\u006fl"}"#), tool);
        assert_eq!(peeked(r#"{"type":"x"}"#), Some((0, "x".to_owned())));
    }

    #[test]
    fn what_is_no_line_of_a_log_has_neither() {
        for bad in [
            "",
            "{",
            "null",
            "[]",
            r#"{"ts":1}"#,
            r#"{"ts":1,"type":3}"#,
            "plain text",
        ] {
            assert_eq!(peeked(bad), None, "{bad}");
        }
        assert_eq!(peek(b"{\"ts\":1,\"type\":\"\xff\"}"), None);
    }

    #[test]
    fn a_valid_line_is_an_object_and_text_throughout() {
        assert!(is_valid(br#"{"msg":"\u00ff","raw":1}"#));
        for bad in [
            &b"{\"msg\":\"\xff\",\"raw\":1}"[..],
            b"{\"m\xc3sg\":1}",
            b"{\"msg\":1",
            b"[]",
            b"",
        ] {
            assert!(!is_valid(bad), "{bad:?}");
        }
    }

    #[test]
    fn raw_is_taken_from_the_end_only() {
        assert_eq!(raw_of_end(br#"{"ts":1,"type":"x","raw":123}"#), Some(123));
        assert_eq!(raw_of_end(br#""data":{"raw":5},"raw":6}"#), Some(6));
        for bad in [
            &br#"{"data":{"a":1,"raw":5}}"#[..],
            br#"{"msg":",\"raw\":5}"#,
            br#","raw":}"#,
            br#","raw":99999999999999999999}"#,
            b"}",
            b"",
        ] {
            assert_eq!(raw_of_end(bad), None);
        }
    }
}
