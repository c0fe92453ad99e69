//! A connected socket that wakes for what is there to be read, and for room to write only while that
//! is waited for.
//!
//! A Unix socket tells its writer of room whenever the peer takes something. Whoever has asked to be
//! told of both, as tokio's own stream does, is woken a second time by each line that a viewer gets.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::task::{Context, Poll, ready};

use rustix::net::{RecvFlags, SendFlags, Shutdown};
use tokio::io::unix::AsyncFd;
use tokio::io::{Interest, ReadBuf};
use tokio::net::UnixStream;
use tokio::task::coop;

/// Writes without a wait until room is not asked for any more: a reader that is slow for a moment
/// mostly is again.
const CALM: u8 = 64;

/// The kernel takes no more at once (`UIO_MAXIOV`).
const PIECES: usize = 1024;

/// The socket. Whoever reads and whoever writes is one task.
#[derive(Debug)]
pub(super) struct Socket {
    /// `None` once the runtime could not be told what is asked for.
    inner: Option<AsyncFd<OwnedFd>>,
    asks_for_room: bool,
    /// Writes without a wait since the last one with.
    calm: u8,
}

impl Socket {
    /// # Errors
    /// When the runtime cannot be told of it.
    pub(super) fn new(stream: UnixStream) -> io::Result<Socket> {
        let stream = OwnedFd::from(stream.into_std()?);
        Ok(Socket {
            inner: Some(register(stream, Interest::READABLE)?),
            asks_for_room: false,
            calm: 0,
        })
    }

    /// Reads what is there.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let inner = self.inner()?;
        loop {
            let mut ready = ready!(inner.poll_read_ready(cx))?;
            let room = buffer.initialize_unfilled();
            let length = room.len();
            let read = ready.try_io(|socket| {
                let (_, read) = rustix::net::recv(socket, room, RecvFlags::empty())?;
                Ok(read)
            });
            match read {
                Ok(Ok(read)) => {
                    // More than was there has not come without another wake.
                    if read > 0 && read < length {
                        ready.clear_ready();
                    }
                    buffer.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }

    /// Writes as much as there is room for; waits where there is none.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            let inner = self.inner()?;
            let written = if self.asks_for_room {
                let mut ready = ready!(inner.poll_write_ready(cx))?;
                ready
                    .try_io(|socket| send(socket, pieces))
                    .unwrap_or_else(|_would_block| Err(io::ErrorKind::WouldBlock.into()))
            } else {
                // What is waited for is counted by the runtime, this is not.
                let turn = ready!(coop::poll_proceed(cx));
                turn.made_progress();
                send(inner, pieces)
            };
            match written {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.calm = 0;
                    self.ask_for_room(true, cx)?;
                }
                written => {
                    self.calm = self.calm.saturating_add(1);
                    if self.calm >= CALM {
                        self.ask_for_room(false, cx)?;
                    }
                    return Poll::Ready(written);
                }
            }
        }
    }

    /// Tells the peer that no more is written.
    pub(super) fn shut(&self) -> io::Result<()> {
        match rustix::net::shutdown(self.inner()?, Shutdown::Write) {
            // Gone already.
            Ok(()) | Err(rustix::io::Errno::NOTCONN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn inner(&self) -> io::Result<&AsyncFd<OwnedFd>> {
        let inner = self.inner.as_ref();
        inner.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// With the one descriptor, as there may be no other to be had.
    fn ask_for_room(&mut self, asks: bool, cx: &mut Context<'_>) -> io::Result<()> {
        if self.asks_for_room == asks {
            return Ok(());
        }
        let Some(inner) = self.inner.take() else {
            return Ok(());
        };
        let interest = match asks {
            true => Interest::READABLE | Interest::WRITABLE,
            false => Interest::READABLE,
        };
        self.inner = Some(register(inner.into_inner(), interest)?);
        self.asks_for_room = asks;
        // Whoever waits to read is not known there any more, and asks anew.
        cx.waker().wake_by_ref();
        Ok(())
    }
}

fn send(socket: impl AsFd, pieces: &[io::IoSlice<'_>]) -> io::Result<usize> {
    let pieces = pieces.get(..PIECES).unwrap_or(pieces);
    let mut nothing = rustix::net::SendAncillaryBuffer::default();
    let sent = rustix::net::sendmsg(socket, pieces, &mut nothing, SendFlags::NOSIGNAL)?;
    Ok(sent)
}

fn register(socket: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    #[expect(
        deprecated,
        reason = "the new form is unsafe; an OwnedFd owns its one descriptor until it is dropped"
    )]
    AsyncFd::with_interest(socket, interest)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const PIECE: [u8; 4096] = [7; 4096];

    async fn write(socket: &mut Socket) -> usize {
        let pieces = [io::IoSlice::new(&PIECE[..1000]), io::IoSlice::new(&PIECE)];
        poll_fn(|cx| socket.poll_write(cx, &pieces)).await.unwrap()
    }

    async fn read(socket: &mut Socket, room: usize) -> Vec<u8> {
        let mut bytes = vec![0; room];
        let mut buffer = ReadBuf::new(&mut bytes);
        poll_fn(|cx| socket.poll_read(cx, &mut buffer))
            .await
            .unwrap();
        buffer.filled().to_vec()
    }

    #[tokio::test]
    async fn room_is_asked_for_only_where_there_was_none() {
        let (socket, mut peer) = UnixStream::pair().unwrap();
        let mut socket = Socket::new(socket).unwrap();
        let mut written = write(&mut socket).await;
        assert!(!socket.asks_for_room);
        // Until it is full.
        let all = poll_fn(|cx| {
            let piece = [io::IoSlice::new(&PIECE)];
            // The runtime may want its turn in between.
            while let Poll::Ready(more) = socket.poll_write(cx, &piece) {
                written += more.unwrap();
            }
            match socket.asks_for_room {
                true => Poll::Ready(written),
                false => Poll::Pending,
            }
        });
        let mut all = all.await;
        assert!(socket.asks_for_room);
        let mut taken = 0;
        let mut room = vec![0; 64 * 1024];
        for _ in 0..2 * usize::from(CALM) {
            tokio::select! {
                biased;
                more = write(&mut socket) => all += more,
                more = peer.read(&mut room) => taken += more.unwrap(),
            }
            if all - taken > 2 * PIECE.len() {
                taken += peer.read(&mut room).await.unwrap();
            }
        }
        assert!(!socket.asks_for_room, "it has been calm for long");
        socket.shut().unwrap();
        while taken < all {
            taken += peer.read(&mut room).await.unwrap();
        }
        assert_eq!(peer.read(&mut room).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn what_comes_in_pieces_is_read_to_its_end() {
        let (socket, mut peer) = UnixStream::pair().unwrap();
        let mut socket = Socket::new(socket).unwrap();
        peer.write_all(b"first").await.unwrap();
        assert_eq!(read(&mut socket, 100).await, b"first");
        // Less room than is there: the rest needs no other wake.
        peer.write_all(b"second").await.unwrap();
        assert_eq!(read(&mut socket, 3).await, b"sec");
        assert_eq!(read(&mut socket, 3).await, b"ond");
        peer.write_all(b"last").await.unwrap();
        drop(peer);
        assert_eq!(read(&mut socket, 100).await, b"last");
        assert_eq!(read(&mut socket, 100).await, b"");
        assert!(socket.shut().is_ok());
    }
}
