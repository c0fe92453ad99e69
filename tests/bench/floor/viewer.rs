//! One who has connected.

use std::fs::File;
use std::io::{self, Read, Write};

use super::log::Log;

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
    Cache-Control: no-cache\r\nConnection: close\r\n\r\n";
/// A request's head; who sends more is sent away.
const MOST_ASKED: usize = 4096;

pub(super) struct Viewer {
    /// A socket, of either family.
    pub(super) socket: File,
    pub(super) log: Option<i32>,
    /// True while epoll tells of room.
    pub(super) waits: bool,
    asked: Vec<u8>,
    /// Where in the file it goes on, behind what is pending.
    offset: u64,
    pending: Vec<u8>,
    sent: usize,
}

/// What became of a try to send.
pub(super) enum Step {
    /// It has all there is.
    Done,
    /// The socket is full.
    Wants,
    Gone,
}

/// What a viewer said.
pub(super) enum Heard {
    Nothing,
    Asks(String),
    Gone,
}

impl Viewer {
    pub(super) fn new(socket: File) -> Viewer {
        Viewer {
            socket,
            log: None,
            waits: false,
            asked: Vec::new(),
            offset: 0,
            pending: Vec::new(),
            sent: 0,
        }
    }

    pub(super) fn listen(&mut self) -> Heard {
        let mut buffer = [0; 2048];
        match self.socket.read(&mut buffer) {
            Ok(0) => Heard::Gone,
            Ok(length) if self.log.is_none() => {
                self.asked.extend_from_slice(&buffer[..length]);
                self.request()
            }
            Ok(_) => Heard::Nothing,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Heard::Nothing,
            Err(_) => Heard::Gone,
        }
    }

    /// `GET /NAME HTTP/1.1`, once its head is whole.
    fn request(&mut self) -> Heard {
        if !self.asked.ends_with(b"\r\n\r\n") {
            return if self.asked.len() > MOST_ASKED {
                Heard::Gone
            } else {
                Heard::Nothing
            };
        }
        let head = String::from_utf8_lossy(&self.asked);
        let path = head.split(' ').nth(1).unwrap_or_default();
        let name = path.trim_start_matches('/').to_owned();
        self.asked = Vec::new();
        self.pending = HEAD.to_vec();
        Heard::Asks(name)
    }

    /// Sends what came between two offsets, if it has all before it.
    pub(super) fn take(&mut self, from: u64, to: u64, frames: &[u8]) -> Step {
        if self.offset != from || self.sent < self.pending.len() {
            // It is behind: it reads the file when it has room.
            return Step::Wants;
        }
        self.offset = to;
        match self.socket.write(frames) {
            Ok(length) if length == frames.len() => Step::Done,
            Ok(length) => {
                self.keep(&frames[length..]);
                Step::Wants
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.keep(frames);
                Step::Wants
            }
            Err(_) => Step::Gone,
        }
    }

    fn keep(&mut self, rest: &[u8]) {
        self.pending.clear();
        self.sent = 0;
        self.pending.extend_from_slice(rest);
    }

    /// Sends from its own offset on until it has all or the socket is full.
    pub(super) fn catch_up(&mut self, log: &Log) -> io::Result<Step> {
        loop {
            while self.sent < self.pending.len() {
                match self.socket.write(&self.pending[self.sent..]) {
                    Ok(length) => self.sent += length,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        return Ok(Step::Wants);
                    }
                    Err(_) => return Ok(Step::Gone),
                }
            }
            self.sent = 0;
            self.pending.clear();
            if self.offset >= log.end {
                // Nothing is kept for who has all.
                self.pending = Vec::new();
                return Ok(Step::Done);
            }
            let (after, _) = log.frames_at(self.offset, log.end, &mut self.pending)?;
            self.offset = after;
        }
    }
}
