//! Streams go on apart from hyper: what it has to have for requests (two buffers of 8 KiB, the last
//! headers) is room that a viewer would take for hours and never use. So the answer's head is hyper's,
//! and once that is written, the socket is taken out of it and the body written here.
//!
//! ```text
//! hyper: head ──> asks for the body ──flushes──> let go of ──> here: chunks ──> end, and close
//! ```

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, Version};
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use super::socket::{Answering, Guarded, Phase};

/// A chunk's length in hexadecimal digits, and the end of that line.
const LONGEST_PREFIX: usize = 16 + 2;
const END_OF_LINE: &[u8] = b"\r\n";
const LAST: &[u8] = b"0\r\n\r\n";
/// For what a client says while it is told something; it has nothing to say.
const SAID: usize = 64;

/// Where a stream's body waits while hyper writes the head.
pub(super) struct Aside<B>(Arc<Mutex<Option<Answering<B>>>>);

/// A body as hyper has it.
pub(super) enum Sent<B> {
    /// The answer's own.
    Whole(Answering<B>),
    /// That of a stream, which is none: that it is asked for tells that the head was written.
    Apart(Arc<Phase>),
}

/// A stream's chunks, as far as they were taken by the socket.
struct Sending<S, B> {
    socket: Guarded<S>,
    body: Answering<B>,
    chunk: Option<Chunk>,
    /// The chunk is the last.
    is_over: bool,
    /// The client has said something: no more is read of it.
    is_heard: bool,
}

struct Chunk {
    prefix: [u8; LONGEST_PREFIX],
    prefix_length: usize,
    data: Bytes,
    suffix: &'static [u8],
    written: usize,
}

/// True if an answer to such a request may be a stream that goes on apart.
pub(super) fn may_be<T>(request: &Request<T>) -> bool {
    // Before 1.1 there are no chunks, and other methods have no body.
    request.version() == Version::HTTP_11 && request.method() == Method::GET
}

// === impl Aside ===

impl<B> Clone for Aside<B> {
    fn clone(&self) -> Aside<B> {
        Aside(Arc::clone(&self.0))
    }
}

impl<B> Aside<B> {
    pub(super) fn new() -> Aside<B> {
        Aside(Arc::default())
    }

    /// The answer as hyper is to send it; a stream's body is put aside.
    pub(super) fn put(
        &self,
        mut answer: Response<Answering<B>>,
        phase: &Arc<Phase>,
    ) -> Response<Sent<B>> {
        let kind = answer.headers().get(CONTENT_TYPE);
        if kind.is_none_or(|kind| kind != "text/event-stream") {
            return answer.map(Sent::Whole);
        }
        // Who reads a stream to its end does not come back on the same connection.
        let close = HeaderValue::from_static("close");
        answer.headers_mut().insert(CONNECTION, close);
        answer.map(|body| {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
            Sent::Apart(Arc::clone(phase))
        })
    }

    pub(super) fn take(&self) -> Option<Answering<B>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

// === impl Sent ===

impl<B: Body> Body for Sent<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        match self.get_mut() {
            Sent::Whole(body) => Pin::new(body).poll_frame(context),
            Sent::Apart(phase) => {
                phase.leave_once_flushed();
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Sent::Whole(body) => body.is_end_stream(),
            Sent::Apart(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Sent::Whole(body) => body.size_hint(),
            Sent::Apart(_) => SizeHint::default(),
        }
    }
}

/// Sends a stream's body, behind its head, and closes.
pub(super) async fn send<S, B>(socket: Guarded<S>, body: Answering<B>) -> Result<(), axum::BoxError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    B: Body<Data = Bytes, Error: Into<axum::BoxError>>,
{
    let mut sending = Sending {
        socket,
        body,
        chunk: None,
        is_over: false,
        is_heard: false,
    };
    poll_fn(|context| sending.poll(context)).await?;
    // What the stream holds is not held while a client reads the last of it.
    let Sending {
        mut socket, body, ..
    } = sending;
    drop(body);
    Ok(socket.shutdown().await?)
}

// === impl Sending ===

impl<S, B> Sending<S, B>
where
    S: AsyncRead + AsyncWrite + Unpin,
    B: Body<Data = Bytes, Error: Into<axum::BoxError>>,
{
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), axum::BoxError>> {
        if !self.is_heard
            && let Poll::Ready(length) = self.poll_client(context)
        {
            if length? == 0 {
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::ConnectionAborted).into()));
            }
            self.is_heard = true;
        }
        loop {
            if let Some(chunk) = &mut self.chunk {
                ready!(chunk.poll_write(&mut self.socket, context))?;
                self.chunk = None;
            }
            if self.is_over {
                return Pin::new(&mut self.socket)
                    .poll_flush(context)
                    .map_err(Into::into);
            }
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(frame) => {
                    let data = frame.map_err(Into::into)?.into_data().unwrap_or_default();
                    // One without anything would be the last.
                    self.chunk = (!data.is_empty()).then(|| Chunk::new(data));
                }
                None => {
                    self.chunk = Some(Chunk::last());
                    self.is_over = true;
                }
            }
        }
    }

    fn poll_client(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut said = [0; SAID];
        let mut said = ReadBuf::new(&mut said);
        ready!(Pin::new(&mut self.socket).poll_read(context, &mut said))?;
        Poll::Ready(Ok(said.filled().len()))
    }
}

// === impl Chunk ===

impl Chunk {
    fn new(data: Bytes) -> Chunk {
        let mut chunk = Chunk {
            prefix: [0; LONGEST_PREFIX],
            prefix_length: 0,
            suffix: END_OF_LINE,
            written: 0,
            data,
        };
        let mut rest = &mut chunk.prefix[..];
        // It has room for the largest.
        let _ = io::Write::write_fmt(&mut rest, format_args!("{:X}\r\n", chunk.data.len()));
        chunk.prefix_length = LONGEST_PREFIX - rest.len();
        chunk
    }

    fn last() -> Chunk {
        Chunk {
            prefix: [0; LONGEST_PREFIX],
            prefix_length: 0,
            data: Bytes::new(),
            suffix: LAST,
            written: 0,
        }
    }

    fn poll_write<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        socket: &mut Guarded<S>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut slices = [
                IoSlice::new(&self.prefix[..self.prefix_length]),
                IoSlice::new(&self.data),
                IoSlice::new(self.suffix),
            ];
            let mut rest = &mut slices[..];
            IoSlice::advance_slices(&mut rest, self.written);
            if rest.is_empty() {
                return Poll::Ready(Ok(()));
            }
            match ready!(Pin::new(&mut *socket).poll_write_vectored(context, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.written += written,
            }
        }
    }
}

#[cfg(test)]
mod tests;
