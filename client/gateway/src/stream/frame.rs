//! An event as a server-sent event: its cursor as the id, its line as the data with the invocation
//! put in first. The line's own bytes are copied, never read and written again.
//!
//! A frame ends at a blank line, so nothing that breaks lines may come through. No line of a log
//! holds a newline; a carriage return can stand between the tokens of another tool's JSON, where a
//! space means the same.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use steroids_client::splice_invocation;
use steroids_client::v1::{Event, Piece};

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
    // Shared, as the bytes are, by all who are given the segment.
    marks: Arc<Vec<Mark>>,
}

/// Where a frame ends, how long its id is, and what is known of its line.
#[derive(Debug, Clone, Copy)]
struct Mark {
    end: usize,
    id: usize,
    ts: i64,
    is_terminal: bool,
}

/// More than what a frame has beside its id and its line.
const AROUND: usize = 64;

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
    let mut maker = Maker::default();
    for (id, event) in events {
        let size = id.len() + event.line.len() + AROUND;
        let out = maker.room(size, size);
        let id = put(id, &event.line, event.invocation_id, out);
        maker.mark(id, event.ts, is_terminal(&event.r#type));
    }
    maker.done()
}

/// Makes frames of lines that came in a piece. Time and type are told of the last alone.
pub(super) fn encode_piece(piece: &Piece) -> Vec<Segment> {
    let mut maker = Maker::default();
    let mut id = piece.cursor_base.clone().into_bytes();
    let base = id.len();
    let mut begin = 0;
    for newline in memchr::memchr_iter(b'\n', &piece.lines) {
        let line = &piece.lines[begin..newline];
        begin = newline + 1;
        let offset = piece.first.saturating_add(begin as u64);
        id.truncate(base);
        id.extend_from_slice(itoa::Buffer::new().format(offset).as_bytes());
        let size = id.len() + line.len() + AROUND;
        // Mostly there are more to come: what they take is asked for once.
        let rest = piece.lines.len() - newline;
        let out = maker.room(size, size + (rest + rest / 2).min(SEGMENT));
        let shown = str::from_utf8(&id).unwrap_or_default();
        let id = put(shown, line, piece.invocation_id, out);
        let is_last = begin == piece.lines.len();
        maker.mark(
            id,
            if is_last { piece.ts } else { 0 },
            is_last && is_terminal(&piece.r#type),
        );
    }
    maker.done()
}

/// The cursor behind all lines of a piece.
pub(super) fn cursor_behind(piece: &Piece) -> String {
    let behind = piece.first.saturating_add(piece.lines.len() as u64);
    format!("{}{behind}", piece.cursor_base)
}

/// Segments in the making.
#[derive(Default)]
struct Maker {
    segments: Vec<Segment>,
    bytes: BytesMut,
    marks: Vec<Mark>,
}

impl Maker {
    /// Where a frame of this size goes; a new segment has room for `all`.
    fn room(&mut self, size: usize, all: usize) -> &mut BytesMut {
        let is_full = self.bytes.len() + size > SEGMENT || self.marks.len() == SEGMENT_FRAMES;
        if is_full && !self.marks.is_empty() {
            self.cut();
        }
        let wanted = if self.marks.is_empty() { all } else { size };
        self.bytes.reserve(wanted);
        &mut self.bytes
    }

    /// The frame ends here.
    fn mark(&mut self, id: usize, ts: i64, is_terminal: bool) {
        let end = self.bytes.len();
        self.marks.push(Mark {
            end,
            id,
            ts,
            is_terminal,
        });
    }

    fn cut(&mut self) {
        self.segments.push(Segment {
            bytes: std::mem::take(&mut self.bytes).freeze(),
            marks: Arc::new(std::mem::take(&mut self.marks)),
        });
    }

    fn done(mut self) -> Vec<Segment> {
        if !self.marks.is_empty() {
            self.cut();
        }
        self.segments
    }
}

/// The types of a log's last line.
pub(super) fn is_terminal(kind: &str) -> bool {
    matches!(kind, "complete" | "error")
}

/// Makes frames of events.
pub(super) fn encode(events: &[Event]) -> Vec<Segment> {
    encode_as(events.iter().map(|event| (event.cursor.as_str(), event)))
}

/// A place, and nothing that is dispatched: a client that comes back names it.
pub(super) fn place(cursor: &str) -> Bytes {
    format!("id: {cursor}\n\n").into()
}

/// A frame without an id: what is no line of a log.
pub(super) fn object(object: &str) -> Bytes {
    // JSON as we write it, which has no line break in it.
    Bytes::from(format!("data: {object}\n\n"))
}

/// The one word of a stream that is refused, and ends: a browser that comes back by itself is told so each time, and
/// need not be every two seconds.
pub(super) fn refusal(object: &str) -> Bytes {
    Bytes::from(format!("retry: 30000\n\ndata: {object}\n\n"))
}

/// A comment, which readers of events pass over.
pub(super) const fn comment(frame: &'static str) -> Bytes {
    Bytes::from_static(frame.as_bytes())
}

/// Appends a frame; the length of its id.
fn put(id: &str, line: &[u8], invocation: i64, out: &mut BytesMut) -> usize {
    // An id with one of these would be ignored, or end the frame.
    let is_safe = memchr::memchr3(b'\0', b'\r', b'\n', id.as_bytes()).is_none();
    let id = if is_safe { id } else { "" };
    if !id.is_empty() {
        out.put_slice(ID);
        out.put_slice(id.as_bytes());
        out.put_u8(b'\n');
    }
    out.put_slice(DATA);
    put_line(line, invocation, out);
    out.put_slice(b"\n\n");
    id.len()
}

/// Appends the line with its invocation in it.
fn put_line(line: &[u8], invocation: i64, out: &mut BytesMut) {
    let start = out.len();
    splice_invocation(line, invocation, out);
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
    fn a_piece_gives_the_frames_that_its_events_would() {
        let lines: Vec<Vec<u8>> = (0..3_000)
            .map(|n| format!("{{\"ts\":{n},\"msg\":\"{}\"}}\r", "x".repeat(n % 300)).into_bytes())
            .collect();
        let (mut events, mut bytes, first) = (Vec::new(), Vec::new(), 4_000_u64);
        for line in &lines {
            bytes.extend_from_slice(line);
            bytes.push(b'\n');
            let behind = first + bytes.len() as u64;
            events.push(event(&format!("12:0:{behind}"), line));
        }
        let piece = Piece {
            lines: bytes.into(),
            cursor_base: "12:0:".to_owned(),
            first,
            invocation_id: 12,
            ts: 5,
            r#type: "complete".to_owned(),
        };
        let (ours, theirs) = (encode_piece(&piece), encode(&events));
        let all = |segments: &[Segment]| -> Vec<u8> {
            segments.iter().flat_map(|it| it.bytes.to_vec()).collect()
        };
        assert_eq!(all(&ours), all(&theirs));
        let last = ours.last().unwrap();
        assert!(last.is_terminal() && last.last_ts() == 5);
        assert!(!ours[0].is_terminal());
        assert_eq!(last.last_cursor(), Some(&*cursor_behind(&piece)));
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
