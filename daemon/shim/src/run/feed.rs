//! The provider's standard input: the prompt, as fast as it is taken and no faster, then the end.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, write};

/// Bytes that may wait to be taken: the longest prompt, and then as many messages as a person sends
/// to an agent that does not read.
const LIMIT: usize = 4 * 1024 * 1024;

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfed {
    /// Nothing more can come.
    Closed,
    /// The provider does not read.
    Full {
        /// What it has not read.
        waiting: usize,
    },
}

/// The writing end, until it is closed.
#[derive(Debug)]
pub(crate) struct Feed {
    pipe: Option<OwnedFd>,
    prompt: Vec<u8>,
    written: usize,
    keep_open: bool,
}

impl Feed {
    /// Begins with the prompt.
    pub(crate) fn new(pipe: OwnedFd, prompt: String, keep_open: bool) -> Feed {
        let mut feed = Feed {
            pipe: Some(pipe),
            prompt: prompt.into_bytes(),
            written: 0,
            keep_open,
        };
        feed.go_on();
        feed
    }

    /// What to wait for until it can be written to; `None` if there is nothing to write.
    pub(crate) fn pending(&self) -> Option<BorrowedFd<'_>> {
        let pipe = self.pipe.as_ref()?;
        (self.written < self.prompt.len()).then(|| pipe.as_fd())
    }

    /// Writes what goes without waiting, and closes after the last byte.
    pub(crate) fn go_on(&mut self) {
        let Some(pipe) = &self.pipe else {
            return;
        };
        while self.written < self.prompt.len() {
            match write(pipe, &self.prompt[self.written..]) {
                Ok(count) => self.written += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                // It does not read its input, or not to the end: its right.
                Err(_) => return self.close(),
            }
        }
        self.prompt = Vec::new();
        self.written = 0;
        if !self.keep_open {
            self.pipe = None;
        }
    }

    /// Whether more may come.
    pub(crate) fn is_open(&self) -> bool {
        self.pipe.is_some() && self.keep_open
    }

    /// Whether so many bytes more can be taken.
    pub(crate) fn check(&self, bytes: usize) -> Result<(), Unfed> {
        let waiting = self.prompt.len() - self.written;
        match self.is_open() {
            false => Err(Unfed::Closed),
            true if waiting + bytes > LIMIT => Err(Unfed::Full { waiting }),
            true => Ok(()),
        }
    }

    /// Adds a message that was checked.
    pub(crate) fn push(&mut self, message: &[u8]) {
        self.prompt.extend_from_slice(message);
        self.go_on();
    }

    /// Nothing more comes: closes after the last byte.
    pub(crate) fn end(&mut self) {
        self.keep_open = false;
        self.go_on();
    }

    /// Nobody reads it any more.
    pub(crate) fn close(&mut self) {
        self.pipe = None;
        self.prompt = Vec::new();
        self.written = 0;
    }
}
