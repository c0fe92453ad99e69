//! A connection's bytes, with the patience we have for them:
//!
//! ```text
//!            first byte              head complete            answer written
//!   Idle ─────────────────> Head ─────────────────> Busy ─────────────────> Idle
//!   60 s (10 s the first     10 s                    the handler's own
//!   time)                                            deadlines
//! ```
//!
//! A write that makes no headway for 30 s fails, whatever the phase: a reader that stalls is let go.
//! An answer that hyper gives without asking us is worded as ours are. When a connection is closed,
//! what the other still sends is read for a moment, or the system would take our answer back.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::headers;
use crate::metrics::Metrics;

/// From a head's first byte to its last, and until the first request.
const HEAD: Duration = Duration::from_secs(10);
/// Between two requests.
const IDLE: Duration = Duration::from_secs(60);
/// For a reader that takes nothing.
const STALL: Duration = Duration::from_secs(30);
/// For the last words of somebody who was told no.
const LINGER: Duration = Duration::from_secs(1);
/// What is read of those.
const MOST_LAST_WORDS: usize = 256 * 1024;

const NEW: u8 = 0;
const IDLING: u8 = 1;
const READING: u8 = 2;
const BUSY: u8 = 3;

const LEAVING: u8 = 1;
const LEFT: u8 = 2;

/// Where a connection stands, known to its socket and to its requests. Both are polled by one task.
#[derive(Debug, Default)]
pub(super) struct Phase {
    now: AtomicU8,
    stopping: AtomicBool,
    leaving: AtomicU8,
    /// The connection's task. hyper does not look at a socket again that had nothing to read when an
    /// answer was begun; the time until the next request has to begin all the same.
    task: AtomicWaker,
}

impl Phase {
    /// Has a connection end as soon as no request is being answered.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Has the connection left, for a stream whose head is in hyper's hands.
    pub(super) fn leave_once_flushed(&self) {
        // hyper may ask for the body more than once, and flush only after the first time.
        if !self.has_left() {
            self.leaving.store(LEAVING, Ordering::Relaxed);
        }
    }

    /// True once hyper has nothing more to write.
    pub(super) fn has_left(&self) -> bool {
        self.leaving.load(Ordering::Relaxed) == LEFT
    }

    fn flushed(&self) {
        if self.leaving.load(Ordering::Relaxed) == LEAVING {
            self.leaving.store(LEFT, Ordering::Relaxed);
        }
    }

    fn is_over(&self) -> bool {
        self.stopping.load(Ordering::Relaxed) && self.get() != BUSY
    }

    fn get(&self) -> u8 {
        self.now.load(Ordering::Relaxed)
    }

    fn set(&self, phase: u8) {
        self.now.store(phase, Ordering::Relaxed);
    }
}

/// A request that is being answered: until its body is sent or given up.
pub(super) struct Asked(Arc<Phase>);

impl Asked {
    pub(super) fn new(phase: &Arc<Phase>) -> Asked {
        phase.set(BUSY);
        Asked(Arc::clone(phase))
    }

    /// Has the answer's body stand for the request.
    pub(super) fn with<B>(self, body: B) -> Answering<B> {
        Answering {
            body: Box::pin(body),
            _asked: self,
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.set(IDLING);
        self.0.task.wake();
    }
}

/// A body whose end is the end of its request.
pub(super) struct Answering<B> {
    body: Pin<Box<B>>,
    _asked: Asked,
}

impl<B: Body> Body for Answering<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.body.as_mut().poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The socket.
pub(super) struct Guarded<S> {
    stream: S,
    phase: Arc<Phase>,
    metrics: Metrics,
    /// The phase `reading` counts for.
    counted: Option<u8>,
    reading: Pin<Box<Sleep>>,
    /// Counts from the first write that had to wait; none does where it is absent.
    writing: Option<Pin<Box<Sleep>>>,
    /// Stands in for an answer of hyper's own; how much of it is written.
    instead: Option<(Vec<u8>, usize)>,
    closing: Option<Closing>,
}

struct Closing {
    patience: Pin<Box<Sleep>>,
    read: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guarded<S> {
    pub(super) fn new(stream: S, phase: Arc<Phase>, metrics: Metrics) -> Guarded<S> {
        Guarded {
            stream,
            phase,
            metrics,
            counted: None,
            reading: Box::pin(tokio::time::sleep(HEAD)),
            writing: None,
            instead: None,
            closing: None,
        }
    }

    /// Whether the other took too long to ask.
    fn poll_patience(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let phase = self.phase.get();
        if phase == BUSY {
            self.counted = Some(phase);
            self.phase.task.register(context.waker());
            return Poll::Pending;
        }
        if self.counted != Some(phase) {
            self.counted = Some(phase);
            let patience = if phase == IDLING { IDLE } else { HEAD };
            self.reading.as_mut().reset(Instant::now() + patience);
        }
        ready!(self.reading.as_mut().poll(context));
        if phase == READING {
            self.metrics.refused("slow_head");
        }
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }

    /// Fails a write that has been waiting for too long.
    fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.writing = None;
            return written;
        }
        let patience = self
            .writing
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(STALL)));
        ready!(patience.as_mut().poll(context));
        self.metrics.refused("stalled");
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Writes what stands in for hyper's own answer of this length.
    fn poll_instead(
        &mut self,
        context: &mut Context<'_>,
        length: usize,
    ) -> Poll<io::Result<usize>> {
        while let Some((text, written)) = &mut self.instead {
            if *written == text.len() {
                self.instead = None;
                break;
            }
            let more = Pin::new(&mut self.stream).poll_write(context, &text[*written..]);
            *written += ready!(more)?;
        }
        Poll::Ready(Ok(length))
    }

    /// Takes note of an answer that hyper gives by itself.
    fn replace(&mut self, head: &[u8]) {
        if let Some(answer) = unasked(head) {
            self.metrics.refused("head");
            self.instead = Some((answer, 0));
        }
    }
}

/// What to say in the place of an answer of hyper's own; `None` for one of ours, which is known by
/// its headers. hyper writes these alone, with nothing before and nothing behind them.
fn unasked(head: &[u8]) -> Option<Vec<u8>> {
    let text = str::from_utf8(head).ok()?;
    let rest = text.strip_prefix("HTTP/1.1 ")?;
    if !rest.starts_with('4') || !text.ends_with("\r\n\r\n") || text.contains(headers::MARK) {
        return None;
    }
    let status = StatusCode::from_bytes(rest.get(..3)?.as_bytes()).ok()?;
    let error = match status {
        StatusCode::URI_TOO_LONG => "the URL is too long",
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "the headers are too large",
        _ => "this is no HTTP/1.1 request",
    };
    let body = format!(r#"{{"success":false,"error":"{error}"}}"#);
    Some(headers::raw(status, &body))
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.phase.is_over() {
            // As if the other had closed: what is written already still goes out.
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        match read {
            Poll::Ready(Ok(())) if buffer.filled().len() > before => {
                if matches!(self.phase.get(), NEW | IDLING) {
                    self.phase.set(READING);
                }
                // Bytes that trickle in do not begin the time anew.
                if let Poll::Ready(error) = self.poll_patience(context) {
                    return Poll::Ready(Err(error));
                }
                read
            }
            Poll::Ready(_) => read,
            Poll::Pending => self.poll_patience(context).map(Err),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.instead.is_none() {
            self.replace(bytes);
        }
        let written = if self.instead.is_some() {
            self.poll_instead(context, bytes.len())
        } else {
            Pin::new(&mut self.stream).poll_write(context, bytes)
        };
        self.watch(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [only] = slices {
            return self.poll_write(context, only);
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watch(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        if matches!(flushed, Poll::Ready(Ok(()))) {
            // hyper asks for it when its own buffers are empty.
            self.phase.flushed();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.closing.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            self.closing = Some(Closing {
                patience: Box::pin(tokio::time::sleep(LINGER)),
                read: 0,
            });
        }
        let Guarded {
            stream, closing, ..
        } = &mut *self;
        let Some(closing) = closing else {
            return Poll::Ready(Ok(()));
        };
        let mut rest = [0; 4096];
        while closing.read < MOST_LAST_WORDS && closing.patience.as_mut().poll(context).is_pending()
        {
            let mut buffer = ReadBuf::new(&mut rest);
            let heard = ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer));
            let length = buffer.filled().len();
            if heard.is_err() || length == 0 {
                break;
            }
            closing.read += length;
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
