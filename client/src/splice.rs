//! A log's own line for scripts: byte for byte, with where it comes from put first where a stream
//! holds more than one invocation.

use std::borrow::Cow;

use bytes::BufMut;

use crate::v1::Event;

/// What is put into a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Splice {
    /// Nothing.
    None,
    /// `"invocationId":N,`
    Invocation,
    /// `"invocationId":N,"project":"…",`
    Project,
}

/// Appends the event's line. A line that is no JSON object (another tool's, or
/// damaged) has no place for anything and stays as it is.
pub fn splice(event: &Event, what: Splice, out: &mut impl BufMut) {
    let line = &event.line;
    if what == Splice::Invocation {
        return splice_invocation(line, event.invocation_id, out);
    }
    // Blanks before an object are another tool's; an object without its place would look like one
    // that is no line of a log.
    let rest = match (what, line.trim_ascii_start().strip_prefix(b"{")) {
        (Splice::None, _) | (_, None) => {
            out.put_slice(line);
            return;
        }
        (_, Some(rest)) => rest,
    };
    let project = serde_json::Value::from(event.project.as_str());
    put_head(event.invocation_id, out);
    out.put_slice(format!(",\"project\":{project}").as_bytes());
    put_rest(rest, out);
}

/// As [`splice`] with [`Splice::Invocation`], for a line that is no event by itself.
pub fn splice_invocation(line: &[u8], invocation: i64, out: &mut impl BufMut) {
    match line.trim_ascii_start().strip_prefix(b"{") {
        None => out.put_slice(line),
        Some(rest) => {
            put_head(invocation, out);
            put_rest(rest, out);
        }
    }
}

fn put_head(invocation: i64, out: &mut impl BufMut) {
    out.put_slice(b"{\"invocationId\":");
    out.put_slice(itoa::Buffer::new().format(invocation).as_bytes());
}

/// What comes behind a line's opening brace.
fn put_rest(rest: &[u8], out: &mut impl BufMut) {
    if rest.trim_ascii() != b"}" {
        out.put_u8(b',');
    }
    out.put_slice(rest);
}

/// The log's own text of a line that its invocation was put into, but for blanks before it; any
/// other line as it is.
pub fn unspliced(line: &[u8], invocation: i64) -> Cow<'_, [u8]> {
    let head = format!("{{\"invocationId\":{invocation}");
    match line.strip_prefix(head.as_bytes()) {
        Some(rest) => {
            let rest = rest.strip_prefix(b",").unwrap_or(rest);
            Cow::Owned([b"{", rest].concat())
        }
        None => Cow::Borrowed(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spliced(line: &'static [u8], what: Splice) -> String {
        let event = Event {
            invocation_id: 12,
            project: "/home/dev/\"app\"".to_owned(),
            line: line.into(),
            ..Event::default()
        };
        let mut out = Vec::new();
        splice(&event, what, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn one_invocation_is_byte_for_byte() {
        let line = br#"{"ts":1 , "type":"output"}"#;
        let same = str::from_utf8(line).unwrap();
        assert_eq!(spliced(line, Splice::None), same);
    }

    #[test]
    fn where_it_comes_from_comes_first_and_the_rest_is_untouched() {
        let line = br#"{"ts":1, "msg":"\u001b"}"#;
        assert_eq!(
            spliced(line, Splice::Invocation),
            "{\"invocationId\":12,\"ts\":1, \"msg\":\"\\u001b\"}"
        );
        assert_eq!(
            spliced(line, Splice::Project),
            "{\"invocationId\":12,\"project\":\"/home/dev/\\\"app\\\"\",\"ts\":1, \"msg\":\"\\u001b\"}"
        );
    }

    #[test]
    fn empty_objects_and_foreign_lines_stay_valid() {
        assert_eq!(spliced(b"{}", Splice::Invocation), "{\"invocationId\":12}");
        assert_eq!(spliced(b"plain", Splice::Invocation), "plain");
        assert_eq!(
            spliced(b" { }\r", Splice::Invocation),
            "{\"invocationId\":12 }\r"
        );
        assert_eq!(
            spliced(b"\t{\"type\":\"error\"}", Splice::Invocation),
            "{\"invocationId\":12,\"type\":\"error\"}"
        );
        assert_eq!(spliced(b" {}", Splice::None), " {}");
    }

    #[test]
    fn what_was_put_in_can_be_taken_out() {
        for line in [
            &br#"{"ts":1, "msg":"x"}"#[..],
            b"{}",
            b"{\"torn\":",
            b"{",
            b"plain",
            b"{\"invocationId\":12,\"own\":",
        ] {
            let there = spliced(line, Splice::Invocation);
            assert_eq!(unspliced(there.as_bytes(), 12), line, "{there}");
        }
    }
}
