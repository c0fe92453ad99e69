//! Log events as systemd's journal takes them: each field by itself, with a priority, so that
//! `journalctl STEROIDS_INVOCATION=7` finds what there is about one invocation.
//!
//! Whatever goes there passes `hide` first, value by value: that is what no crate for the journal lets
//! one do. Nothing waits for the journal: what it has no room for is dropped, and counted aloud once
//! it has again. What it does not take at all goes to stderr, which leads to it as well.

mod entry;

use std::borrow::Cow;
use std::ffi::OsStr;
use std::io::{self, ErrorKind, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use entry::{Entry, Fields};

/// Where the journal takes entries.
pub const SOCKET: &str = "/run/systemd/journal/socket";

/// Takes out of a text what must not be shown.
pub type Hide = fn(&str) -> Cow<'_, str>;

/// Whether stderr leads to the journal, by the word of who started this process (`JOURNAL_STREAM`):
/// then it is the same file.
pub fn is_connected() -> bool {
    let said = std::env::var_os("JOURNAL_STREAM");
    let said = said.as_deref().and_then(stream);
    match rustix::fs::fstat(io::stderr().as_fd()) {
        Ok(found) => said == Some((found.st_dev, found.st_ino)),
        Err(_) => false,
    }
}

/// Device and inode, as the variable has them.
fn stream(said: &OsStr) -> Option<(u64, u64)> {
    let (device, inode) = said.to_str()?.split_once(':')?;
    Some((device.parse().ok()?, inode.parse().ok()?))
}

/// Hands events on to the journal.
#[derive(Debug)]
pub struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
    identifier: &'static str,
    hide: Hide,
    /// Entries that it had no room for.
    lost: AtomicU64,
}

impl Journal {
    /// A way to the journal at this socket, for a program of this name.
    ///
    /// # Errors
    /// Where there is no socket to be had.
    pub fn open(path: &Path, identifier: &'static str, hide: Hide) -> io::Result<Journal> {
        let socket = UnixDatagram::unbound()?;
        // A log must not stop what it tells about.
        socket.set_nonblocking(true)?;
        // So that it is known now whether anybody is there.
        socket.connect(path)?;
        Ok(Journal {
            socket,
            path: path.to_owned(),
            identifier,
            hide,
            lost: AtomicU64::new(0),
        })
    }

    fn hand_on(&self, entry: Entry) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let mut said = self.entry(&Level::WARN);
            said.message(&format!(
                "{lost} log events were lost, the journal had no room"
            ));
            if !self.try_send(&said) {
                self.lost.fetch_add(lost, Ordering::Relaxed);
            }
        }
        if !self.try_send(&entry) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// False if there is no room for it.
    fn try_send(&self, entry: &Entry) -> bool {
        // By its name each time: a journal that was started anew has another socket there.
        match self.socket.send_to(entry.bytes(), &self.path) {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(_) => {
                // With a priority that the journal reads off the line. There is nowhere else to say
                // that this fails as well.
                let _ = io::stderr().write_all(entry.line().as_bytes());
                true
            }
        }
    }

    fn entry(&self, level: &Level) -> Entry {
        Entry::new(priority(level), self.identifier)
    }
}

/// As syslog numbers them.
fn priority(level: &Level) -> u8 {
    match *level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Journal {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else {
            return;
        };
        let mut fields = Fields::new(self.hide);
        attributes.record(&mut fields);
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut entry = self.entry(event.metadata().level());
        entry.field("STEROIDS_TARGET", event.metadata().target());
        let mut own = Fields::new(self.hide);
        event.record(&mut own);
        // What the event says itself is not said again by what it happened in.
        entry.fields(&own);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(fields) = span.extensions().get::<Fields>() {
                entry.fields(fields);
            }
        }
        entry.message(&own.message());
        self.hand_on(entry);
    }
}

#[cfg(test)]
mod tests;
