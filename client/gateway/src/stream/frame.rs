//! An event as a server-sent event: its cursor as the id, its line as the data with the invocation
//! put in first. The line's own bytes are copied, never read and written again.
//!
//! A frame ends at a blank line, so nothing that breaks lines may come through. No line of a log
//! holds a newline; a carriage return can stand between the tokens of another tool's JSON, where a
//! space means the same.

use bytes::{BufMut, Bytes, BytesMut};
use steroids_client::v1::Event;
use steroids_client::{Splice, splice};

/// Frames of one buffer: what a viewer that stalls keeps from being freed, and about what a socket
/// takes at once. A longer frame has a buffer to itself.
const SEGMENT: usize = 64 * 1024;
/// Frames of one buffer, as a viewer that has to be found its place looks at each.
const SEGMENT_FRAMES: usize = 512;

/// Some frames in one buffer.
#[derive(Debug, Clone, Default)]
pub(super) struct Segment {
    /// The frames, one behind the other.
    pub(super) bytes: Bytes,
    marks: Vec<Mark>,
}

/// Where a frame ends, how long its id is, and what is known of its line.
#[derive(Debug, Clone, Copy)]
struct Mark {
    end: usize,
    id: usize,
    ts: i64,
    is_terminal: bool,
}

const ID: &[u8] = b"id: ";
const DATA: &[u8] = b"data: ";

// === impl Segment ===

impl Segment {
    /// How many frames there are.
    pub(super) fn len(&self) -> usize {
        self.marks.len()
    }

    /// Where the frame at this place begins; behind the last frame, where they end.
    pub(super) fn start(&self, at: usize) -> usize {
        at.checked_sub(1).map_or(0, |before| self.marks[before].end)
    }

    /// The cursor of the frame at this place, where it has one.
    pub(super) fn cursor(&self, at: usize) -> Option<&str> {
        let start = self.start(at) + ID.len();
        let id = self.marks.get(at)?.id;
        let cursor = (id > 0).then(|| self.bytes.get(start..start + id))??;
        str::from_utf8(cursor).ok()
    }

    /// The last cursor there is.
    pub(super) fn last_cursor(&self) -> Option<&str> {
        (0..self.len()).rev().find_map(|at| self.cursor(at))
    }

    /// The data of the frames from this place on, each a line.
    pub(super) fn lines(&self, from: usize) -> impl Iterator<Item = Bytes> {
        (from..self.len()).map(|at| {
            let id = self.marks[at].id;
            let head = if id > 0 { ID.len() + id + 1 } else { 0 };
            let start = self.start(at) + head + DATA.len();
            self.bytes.slice(start..self.marks[at].end - 2)
        })
    }

    /// Epoch milliseconds of the last line; 0 if it tells none.
    pub(super) fn last_ts(&self) -> i64 {
        self.marks.last().map_or(0, |mark| mark.ts)
    }

    /// True if the last of them is a log's terminal line.
    pub(super) fn is_terminal(&self) -> bool {
        self.marks.last().is_some_and(|mark| mark.is_terminal)
    }
}

/// Makes frames of events, with the ids given.
pub(super) fn encode_as<'a>(events: impl Iterator<Item = (&'a str, &'a Event)>) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut bytes = BytesMut::new();
    let mut marks: Vec<Mark> = Vec::new();
    for (id, event) in events {
        let size = id.len() + event.line.len() + 64;
        if !marks.is_empty() && (bytes.len() + size > SEGMENT || marks.len() == SEGMENT_FRAMES) {
            segments.push(Segment {
                bytes: bytes.split().freeze(),
                marks: std::mem::take(&mut marks),
            });
        }
        bytes.reserve(size);
        let id = put(id, event, &mut bytes);
        marks.push(Mark {
            end: bytes.len(),
            id,
            ts: event.ts,
            is_terminal: is_terminal(&event.r#type),
        });
    }
    if !marks.is_empty() {
        segments.push(Segment {
            bytes: bytes.freeze(),
            marks,
        });
    }
    segments
}

/// The types of a log's last line.
pub(super) fn is_terminal(kind: &str) -> bool {
    matches!(kind, "complete" | "error")
}

/// Makes frames of events.
pub(super) fn encode(events: &[Event]) -> Vec<Segment> {
    encode_as(events.iter().map(|event| (event.cursor.as_str(), event)))
}

/// A frame without an id: what is no line of a log.
pub(super) fn object(object: &str) -> Bytes {
    // JSON as we write it, which has no line break in it.
    Bytes::from(format!("data: {object}\n\n"))
}

/// A comment, which readers of events pass over.
pub(super) const fn comment(frame: &'static str) -> Bytes {
    Bytes::from_static(frame.as_bytes())
}

/// Appends a frame; the length of its id.
fn put(id: &str, event: &Event, out: &mut BytesMut) -> usize {
    // An id with one of these would be ignored, or end the frame.
    let is_safe = memchr::memchr3(b'\0', b'\r', b'\n', id.as_bytes()).is_none();
    let id = if is_safe { id } else { "" };
    if !id.is_empty() {
        out.put_slice(ID);
        out.put_slice(id.as_bytes());
        out.put_u8(b'\n');
    }
    out.put_slice(DATA);
    put_line(event, out);
    out.put_slice(b"\n\n");
    id.len()
}

/// Appends the line with its invocation in it.
fn put_line(event: &Event, out: &mut BytesMut) {
    let start = out.len();
    splice(event, Splice::Invocation, out);
    if out.ends_with(b"\r") {
        out.truncate(out.len() - 1);
    }
    let mut from = start;
    while let Some(at) = memchr::memchr2(b'\r', b'\n', &out[from..]) {
        out[from + at] = b' ';
        from += at + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(cursor: &str, line: &[u8]) -> Event {
        Event {
            cursor: cursor.to_owned(),
            invocation_id: 12,
            ts: 5,
            line: line.to_vec().into(),
            ..Event::default()
        }
    }

    fn framed(cursor: &str, line: &[u8]) -> String {
        let segments = encode(&[event(cursor, line)]);
        String::from_utf8(segments[0].bytes.to_vec()).unwrap()
    }

    #[test]
    fn a_frame_has_the_cursor_and_the_lines_own_bytes() {
        assert_eq!(
            framed("12:0:40", br#"{"ts":1 , "msg":"\u001b\n"}"#),
            "id: 12:0:40\ndata: {\"invocationId\":12,\"ts\":1 , \"msg\":\"\\u001b\\n\"}\n\n"
        );
        assert_eq!(framed("c", b"{}"), "id: c\ndata: {\"invocationId\":12}\n\n");
        assert_eq!(framed("c", b"plain"), "id: c\ndata: plain\n\n");
    }

    #[test]
    fn nothing_in_a_line_or_an_id_ends_a_frame() {
        assert_eq!(
            framed("c", b"{}\r"),
            "id: c\ndata: {\"invocationId\":12}\n\n"
        );
        let hostile = b"{\"a\":1,\r\n\n\"b\":2}\n\ndata: evil\r";
        let frame = framed("12:0:9", hostile);
        assert_eq!(frame.lines().count(), 3, "{frame:?}");
        assert!(!frame.contains('\r') && frame.ends_with("evil\n\n"));
        for id in ["a\nb", "a\rb", "a\0b", ""] {
            assert!(framed(id, b"{}").starts_with("data: "));
        }
    }

    #[test]
    fn a_segment_gives_back_what_went_into_it() {
        let events = [
            event("c1", b"{\"n\":1}"),
            event("", b"x"),
            event("c3", b"{\"n\":3}"),
        ];
        let segments = encode(&events);
        let [segment] = segments.as_slice() else {
            panic!("one segment");
        };
        assert_eq!(segment.len(), 3);
        let cursors: Vec<_> = (0..4).map(|at| segment.cursor(at)).collect();
        assert_eq!(cursors, [Some("c1"), None, Some("c3"), None]);
        assert_eq!(segment.last_cursor(), Some("c3"));
        let lines: Vec<_> = segment.lines(1).collect();
        assert_eq!(lines, ["x", "{\"invocationId\":12,\"n\":3}"]);
        assert_eq!(segment.start(3), segment.bytes.len());
    }

    #[test]
    fn segments_are_bounded_and_a_long_line_has_its_own() {
        let long = vec![b'x'; SEGMENT * 3];
        let mut events = vec![event("a", b"{}"), event("b", &long)];
        events.extend((0..SEGMENT_FRAMES + 2).map(|n| event(&n.to_string(), b"{}")));
        let sizes: Vec<_> = encode(&events).iter().map(Segment::len).collect();
        assert_eq!(sizes, [1, 1, SEGMENT_FRAMES, 2]);
    }
}
