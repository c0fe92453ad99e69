//! Who is let in. A connection is refused before a byte of it is read unless its peer runs as us or
//! as root; then it waits in the lobby until it has said its first words, and only then takes one of
//! the slots. So those who connect and say nothing, or half of it, keep nobody out: they are shown
//! the door after [`SILENCE`], or earlier if the lobby is full, the longest silent first.
//!
//! ```text
//! kernel backlog ──accept, peer?──> lobby ──first words, free slot?──> served ──closed──> slot free
//! ```

mod slots;
mod socket;

use std::collections::VecDeque;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::Stream;
use rustix::event::{PollFd, PollFlags, Timespec};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::transport::server::Connected;
use tracing::{debug, warn};

pub(super) use self::slots::Slot;
use self::slots::Slots;
use self::socket::Socket;
use super::peer::Peer;

/// The first words of HTTP/2. Whoever begins otherwise is served, too: to be told so.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// A client speaks first, at once; who has not for so long will not.
const SILENCE: Duration = Duration::from_secs(5);
/// Enough for a burst of honest clients; each costs a descriptor, of 1024 that are usual.
const LOBBY: usize = 128;
/// When descriptors or memory are short: long enough to cost nothing, short enough to go unnoticed.
const PAUSE: Duration = Duration::from_millis(200);
/// Between two lines about it in the log.
const COMPLAINT: Duration = Duration::from_secs(10);

/// One asks at a time, and waits for the answer; a second place is for one that gave up.
const ASKERS: usize = 2;

/// Who rings.
#[derive(Debug)]
pub(super) enum Ring {
    /// Asks whether connections are still let in.
    Asks(oneshot::Sender<()>),
    /// Has them let in here from now on.
    Moves(UnixListener),
}

/// Reaches whoever lets connections in.
#[derive(Debug, Clone)]
pub(super) struct Doorbell(mpsc::Sender<Ring>);

/// The other end of a [`Doorbell`].
pub(super) type Rings = mpsc::Receiver<Ring>;

impl Doorbell {
    /// A bell, and where it rings.
    pub(super) fn new() -> (Doorbell, Rings) {
        let (bell, rings) = mpsc::channel(ASKERS);
        (Doorbell(bell), rings)
    }

    /// Returns once whoever lets connections in has said so; false if there is nobody.
    pub(super) async fn answers(&self) -> bool {
        let (answer, answered) = oneshot::channel();
        self.0.send(Ring::Asks(answer)).await.is_ok() && answered.await.is_ok()
    }

    /// Has connections let in by `listener`; false if there is nobody.
    pub(super) async fn moves(&self, listener: UnixListener) -> bool {
        self.0.send(Ring::Moves(listener)).await.is_ok()
    }
}

/// The connections to serve, as a stream that never ends and never fails.
pub(crate) struct Incoming {
    listener: UnixListener,
    rings: Rings,
    own_uid: u32,
    lobby: VecDeque<Visitor>,
    slots: Slots,
    /// Taken for the next visitor that speaks.
    slot: Option<Slot>,
    /// When it was last said that accepting fails, or that all slots are taken.
    complained: Option<Instant>,
    /// Runs while accepting makes no sense.
    pause: Option<Pin<Box<Sleep>>>,
    /// Ends with the time of the visitor at the front.
    door: Pin<Box<Sleep>>,
}

struct Visitor {
    stream: UnixStream,
    until: Instant,
}

impl Incoming {
    /// Lets in at most `connections` at a time.
    pub(crate) fn new(listener: UnixListener, connections: usize, rings: Rings) -> Incoming {
        Incoming {
            listener,
            rings,
            own_uid: rustix::process::geteuid().as_raw(),
            lobby: VecDeque::new(),
            slots: Slots::new(connections),
            slot: None,
            complained: None,
            pause: None,
            door: Box::pin(sleep_until(Instant::now())),
        }
    }

    /// Tells those who ask that this is still looked at, and goes where it is sent.
    fn answer(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some(ring)) = self.rings.poll_recv(cx) {
            match ring {
                Ring::Asks(asker) => {
                    // Who asked may have given up.
                    let _ = asker.send(());
                }
                Ring::Moves(listener) => {
                    // Who came to the old one in time is let in.
                    self.accept(cx);
                    self.listener = listener;
                }
            }
        }
    }

    fn accept(&mut self, cx: &mut Context<'_>) {
        loop {
            if let Some(pause) = &mut self.pause {
                if pause.as_mut().poll(cx).is_pending() {
                    return;
                }
                self.pause = None;
            }
            match self.listener.poll_accept(cx) {
                Poll::Pending => return,
                Poll::Ready(Ok((stream, _))) => self.admit(stream),
                Poll::Ready(Err(error)) => self.relieve(&error, cx),
            }
        }
    }

    /// Mostly EMFILE. The connection stays in the backlog, so asking again at once would fail at
    /// once, for ever: either somebody who is silent makes room, or we wait.
    fn relieve(&mut self, error: &io::Error, cx: &mut Context<'_>) {
        let now = Instant::now();
        if self.complained.is_none_or(|then| now > then + COMPLAINT) {
            warn!(%error, waiting = self.lobby.len(), "cannot accept a connection");
            self.complained = Some(now);
        }
        let before = self.lobby.len();
        let has_spoken = |visitor: &Visitor, cx: &mut Context<'_>| {
            matches!(poll_first_words(&visitor.stream, cx), Poll::Ready(true))
        };
        let spoken = self.lobby.iter().filter(|it| has_spoken(it, cx)).count();
        // Half of the others, the longest waiting, since files of ours need descriptors too.
        let mut leaving = (before - spoken).div_ceil(2);
        self.lobby.retain(|visitor| {
            let leaves = leaving > 0 && !has_spoken(visitor, cx);
            leaving -= usize::from(leaves);
            !leaves
        });
        if self.lobby.len() == before {
            self.pause = Some(Box::pin(sleep_until(now + PAUSE)));
        }
    }

    /// Says that all slots are taken, now and then.
    fn complain_of(&mut self, slot: &Slot) {
        let now = Instant::now();
        if slot.is_spare() && self.complained.is_none_or(|then| now > then + COMPLAINT) {
            warn!("as many clients are connected as daemon.max_connections allows");
            self.complained = Some(now);
        }
    }

    fn admit(&mut self, stream: UnixStream) {
        match stream.peer_cred() {
            Ok(peer) if may_enter(peer.uid(), self.own_uid) => {}
            Ok(peer) => {
                warn!(
                    peer.uid = peer.uid(),
                    peer.pid = peer.pid(),
                    "connection of another user refused"
                );
                return;
            }
            Err(error) => {
                warn!(%error, "connection of an unknown user refused");
                return;
            }
        }
        if self.lobby.len() >= LOBBY {
            debug!("lobby is full; the longest waiting connection is closed");
            self.lobby.pop_front();
        }
        self.lobby.push_back(Visitor {
            stream,
            until: Instant::now() + SILENCE,
        });
    }

    fn dismiss_the_late(&mut self, cx: &mut Context<'_>) {
        loop {
            let now = Instant::now();
            while self
                .lobby
                .pop_front_if(|visitor| visitor.until <= now)
                .is_some()
            {
                debug!("connection that waited too long is closed");
            }
            let Some(front) = self.lobby.front() else {
                return;
            };
            self.door.as_mut().reset(front.until);
            if self.door.as_mut().poll(cx).is_pending() {
                return;
            }
        }
    }

    /// The first visitor that has spoken; those that have hung up are dropped on the way.
    fn next_speaker(&mut self, cx: &mut Context<'_>) -> Option<usize> {
        let mut at = 0;
        while let Some(visitor) = self.lobby.get(at) {
            match poll_first_words(&visitor.stream, cx) {
                Poll::Ready(true) => return Some(at),
                Poll::Ready(false) => {
                    self.lobby.remove(at);
                }
                Poll::Pending => at += 1,
            }
        }
        None
    }
}

/// Whether its first words wait to be read; false if they never will. Reads nothing.
fn poll_first_words(stream: &UnixStream, cx: &mut Context<'_>) -> Poll<bool> {
    loop {
        if ready!(stream.poll_read_ready(cx)).is_err() {
            return Poll::Ready(false);
        }
        let peeked = stream.try_io(Interest::READABLE, || {
            let mut words = [0; PREFACE.len()];
            let flags = rustix::net::RecvFlags::PEEK | rustix::net::RecvFlags::DONTWAIT;
            let (_, length) = rustix::net::recv(stream, &mut words, flags)?;
            let said = words.get(..length).unwrap_or(&words);
            match said {
                [] => Ok(false),
                said if said == PREFACE || !PREFACE.starts_with(said) => Ok(true),
                // The rest may come, and is told as what comes first is; or nothing will.
                _ if has_ended(stream) => Ok(false),
                _ => Err(io::ErrorKind::WouldBlock.into()),
            }
        });
        match peeked {
            Ok(has_spoken) => return Poll::Ready(has_spoken),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Poll::Ready(false),
        }
    }
}

/// True if the peer will say no more.
fn has_ended(stream: &UnixStream) -> bool {
    let ends = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
    let mut looked = [PollFd::new(stream, ends)];
    let at_once = Timespec::default();
    // That it cannot be asked is no sign that it has ended; its time will.
    let _ = rustix::event::poll(&mut looked, Some(&at_once));
    looked.iter().any(|found| found.revents().intersects(ends))
}

/// Us and root. A peer from outside our user namespace shows as 65534 and is refused.
fn may_enter(peer: u32, own: u32) -> bool {
    peer == own || peer == 0
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        this.answer(cx);
        this.accept(cx);
        this.dismiss_the_late(cx);
        let Some(at) = this.next_speaker(cx) else {
            this.slots.wait_no_more();
            return Poll::Pending;
        };
        if this.slot.is_none() {
            let slot = ready!(this.slots.poll_take(cx));
            this.complain_of(&slot);
            this.slot = Some(slot);
        }
        let visitor = this.lobby.remove(at);
        let entered = visitor.zip(this.slot.take());
        match entered.map(|(visitor, slot)| Connection::new(visitor.stream, slot)) {
            Some(Ok(connection)) => Poll::Ready(Some(Ok(connection))),
            Some(Err(error)) => {
                warn!(%error, "a connection could not be served");
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None => Poll::Ready(None),
        }
    }
}

/// A connection that is served. Its slot is free once it is dropped.
pub(crate) struct Connection {
    socket: Socket,
    peer: Peer,
    cut_off: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Connection {
    fn new(stream: UnixStream, slot: Slot) -> io::Result<Connection> {
        let peer = Peer::new(slot);
        Ok(Connection {
            socket: Socket::new(stream)?,
            cut_off: Box::pin(peer.cut_off()),
            peer,
        })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.peer.leaves();
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.cut_off.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        self.socket.poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.socket.poll_write(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.socket.poll_write(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket.shut())
    }
}

#[cfg(test)]
mod tests;
