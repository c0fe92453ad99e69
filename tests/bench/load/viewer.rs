//! One who looks on.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use memchr::{memchr_iter, memrchr};

use super::Asked;
use super::count::{Count, number};

pub(super) struct Viewer {
    pub(super) socket: TcpStream,
    pub(super) count: Count,
    /// Wall nanoseconds of its first event, or of its answer's beginning where it asks for none.
    pub(super) since: Option<u64>,
    pub(super) bytes: u64,
    is_from_end: bool,
    /// The beginning of a line whose end has not come yet.
    rest: Vec<u8>,
}

/// What one read came to.
pub(super) enum Seen {
    /// The connection is over.
    End,
    /// So many numbered lines.
    Events(u64),
}

impl Viewer {
    pub(super) fn connect(asked: &Asked, request: &str) -> io::Result<Viewer> {
        let mut socket = TcpStream::connect(asked.address)?;
        socket.set_nodelay(true)?;
        socket.write_all(request.as_bytes())?;
        socket.set_nonblocking(true)?;
        Ok(Viewer {
            socket,
            count: Count::up_to(asked.last),
            since: None,
            bytes: 0,
            is_from_end: asked.is_from_end,
            rest: Vec::new(),
        })
    }

    /// Reads once. Latencies are put into `latencies`, in tenths of microseconds.
    pub(super) fn look(&mut self, buffer: &mut [u8], latencies: &mut Vec<u32>) -> io::Result<Seen> {
        let length = match self.socket.read(buffer) {
            Ok(0) => return Ok(Seen::End),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Seen::Events(0)),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(Seen::End),
            Err(error) => return Err(error),
        };
        let now = super::eyes::now();
        if self.is_from_end {
            self.since.get_or_insert(now);
        }
        self.bytes += length as u64;
        let bytes = &buffer[..length];
        let Some(end) = memrchr(b'\n', bytes) else {
            self.rest.extend_from_slice(bytes);
            return Ok(Seen::Events(0));
        };
        let mut events = 0;
        let mut begin = 0;
        for at in memchr_iter(b'\n', &bytes[..=end]) {
            let line = &bytes[begin..at];
            begin = at + 1;
            if self.rest.is_empty() {
                events += self.line(line, now, latencies);
            } else {
                let mut whole = std::mem::take(&mut self.rest);
                whole.extend_from_slice(line);
                events += self.line(&whole, now, latencies);
            }
        }
        self.rest.extend_from_slice(&bytes[begin..]);
        Ok(Seen::Events(events))
    }

    /// One line of the answer: a header, a chunk's length, a field of an event. 1 if it is numbered.
    fn line(&mut self, line: &[u8], now: u64, latencies: &mut Vec<u32>) -> u64 {
        if !line.starts_with(b"data: ") {
            return 0;
        }
        let since = *self.since.get_or_insert(now);
        let Some((number, stamp)) = number(line) else {
            return 0;
        };
        self.count.take(number);
        // What was there before it came is no latency.
        if let Some(stamp) = stamp.filter(|stamp| *stamp >= since) {
            let tenths = now.saturating_sub(stamp) / 100;
            latencies.push(u32::try_from(tenths).unwrap_or(u32::MAX));
        }
        1
    }
}
