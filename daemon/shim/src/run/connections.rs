//! Who talks to the shim: a few connections, none of which can make it wait or grow.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use rustix::event::PollFlags;
use rustix::fs::{Mode, chmod};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept_with,
    bind, listen, recv, send, socket_with,
};
use rustix::process::{geteuid, umask};
use steroids_shim::protocol::{self, LONGEST_LINE, Message, Request};

/// The daemon needs one, a person with a tool another.
const MOST: usize = 8;

/// Bytes that a client may leave unread.
const LONGEST_BACKLOG: usize = 16 * 1024;

/// Without a descriptor left there is no use in asking again at once.
const PAUSE_MS: u64 = 1000;

/// The socket and its connections.
#[derive(Debug)]
pub(crate) struct Connections {
    socket: OwnedFd,
    path: PathBuf,
    open: Vec<Connection>,
    /// Nobody is accepted before that.
    accept_at: u64,
}

#[derive(Debug)]
struct Connection {
    socket: OwnedFd,
    /// What was received of a line.
    input: Vec<u8>,
    /// What could not be sent yet.
    output: Vec<u8>,
    /// It has said hello, and is told what changes,
    greeted: bool,
    /// and of what was written, too.
    hinted: bool,
    /// It is to go once everything was sent.
    leaving: bool,
    /// It is to go.
    gone: bool,
}

impl Connections {
    /// Binds the socket, for its owner alone. What is at its path goes: who binds holds the lock of
    /// the invocation, so it is nobody's.
    pub(crate) fn bind(path: &Path) -> io::Result<Connections> {
        if let Some(folder) = path.parent() {
            // With the umask, for the owner alone.
            std::fs::create_dir_all(folder)?;
        }
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        let address = SocketAddrUnix::new(path)?;
        let before = umask(Mode::from_raw_mode(0o177));
        let bound = bind(&socket, &address);
        umask(before);
        bound?;
        chmod(path, Mode::from_raw_mode(0o600))?;
        listen(&socket, 16)?;
        Ok(Connections {
            socket,
            path: path.to_owned(),
            open: Vec::new(),
            accept_at: 0,
        })
    }

    /// The socket, unless nobody is accepted now.
    pub(crate) fn socket(&self, now: u64) -> Option<BorrowedFd<'_>> {
        (self.accept_at <= now).then(|| self.socket.as_fd())
    }

    /// The connections, and what to wait for at each.
    pub(crate) fn open(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        self.open.iter().map(|connection| {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, !connection.leaving);
            flags.set(PollFlags::OUT, !connection.output.is_empty());
            (connection.socket.as_fd(), flags)
        })
    }

    /// When somebody is accepted again, if that is later than `now`.
    pub(crate) fn wake_at(&self, now: u64) -> Option<u64> {
        (self.accept_at > now).then_some(self.accept_at)
    }

    /// True if somebody wants to hear of writes.
    pub(crate) fn is_watched(&self) -> bool {
        self.open.iter().any(Connection::is_hinted)
    }

    /// Takes who is waiting.
    pub(crate) fn accept(&mut self, now: u64) {
        loop {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            match accept_with(&self.socket, flags) {
                // Dropped at once when there are too many, or when it is somebody else.
                Ok(socket) if self.open.len() < MOST && is_ours(&socket) => {
                    self.open.push(Connection::new(socket));
                }
                Ok(_) | Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => {
                    self.accept_at = now + PAUSE_MS;
                    return;
                }
            }
        }
    }

    /// What a connection asks, after it became readable or writable.
    pub(crate) fn serve(&mut self, index: usize) -> Vec<Request> {
        let Some(connection) = self.open.get_mut(index) else {
            return Vec::new();
        };
        connection.flush();
        connection.receive()
    }

    /// Answers one connection.
    pub(crate) fn answer(&mut self, index: usize, message: &Message) {
        if let Some(connection) = self.open.get_mut(index) {
            connection.greeted |= matches!(message, Message::Hello { .. });
            connection.say(message);
        }
    }

    /// Tells all who have said hello.
    pub(crate) fn push(&mut self, message: &Message) {
        for connection in self.open.iter_mut().filter(|connection| connection.greeted) {
            connection.say(message);
        }
    }

    /// Hints at the spool's length, wherever the last hint has been taken.
    pub(crate) fn hint(&mut self, length: u64) {
        let listening =
            |connection: &&mut Connection| connection.is_hinted() && connection.output.is_empty();
        for connection in self.open.iter_mut().filter(listening) {
            connection.say(&Message::Spool { length });
        }
    }

    /// Drops those that are gone. Indices change.
    pub(crate) fn clean_up(&mut self) {
        self.open.retain(|connection| {
            let said_all = connection.leaving && connection.output.is_empty();
            !connection.gone && !said_all
        });
    }

    /// Binds the socket again, after somebody has removed it.
    pub(crate) fn bind_again(&mut self) {
        if let Ok(Connections { socket, .. }) = Connections::bind(&self.path) {
            self.socket = socket;
        }
    }

    /// Removes the socket.
    pub(crate) fn close(self) {
        // It may have been removed by whoever cleans up that folder.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn is_ours(socket: &OwnedFd) -> bool {
    let ours = |uid| uid == 0 || uid == geteuid().as_raw();
    // Not by rustix, whose process id cannot be 0: one outside our PID namespace has that.
    getsockopt(socket, PeerCredentials).is_ok_and(|peer| ours(peer.uid()))
}

impl Connection {
    fn new(socket: OwnedFd) -> Connection {
        Connection {
            socket,
            input: Vec::new(),
            output: Vec::new(),
            greeted: false,
            hinted: false,
            leaving: false,
            gone: false,
        }
    }

    fn is_hinted(&self) -> bool {
        self.greeted && self.hinted
    }

    /// Receives once, and takes what lines that makes.
    fn receive(&mut self) -> Vec<Request> {
        let mut room = [0; LONGEST_LINE];
        match recv(&self.socket, &mut room, RecvFlags::empty()) {
            // It has said all it wants to; it may still be reading.
            Ok((0, _)) => self.leaving = true,
            Ok((_, count)) => self
                .input
                .extend_from_slice(&room[..count.min(LONGEST_LINE)]),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.gone = true,
        }
        let mut requests = Vec::new();
        while let Some(end) = self.input.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.input.drain(..=end).collect();
            match protocol::decode_request(&String::from_utf8_lossy(&line)) {
                Ok(request) => {
                    if let Request::Hello { hints } = request {
                        self.hinted = hints;
                    }
                    requests.push(request);
                }
                Err(error) => self.say(&Message::Error {
                    error: error.to_string(),
                }),
            }
        }
        if self.input.len() >= LONGEST_LINE {
            self.say(&Message::Error {
                error: "a line longer than 4 KiB".to_owned(),
            });
            self.input = Vec::new();
            self.leaving = true;
        }
        requests
    }

    fn say(&mut self, message: &Message) {
        let line = protocol::encode_message(message);
        if self.output.len() + line.len() > LONGEST_BACKLOG {
            self.gone = true;
            return;
        }
        self.output.extend_from_slice(line.as_bytes());
        self.flush();
    }

    fn flush(&mut self) {
        while !self.output.is_empty() {
            match send(&self.socket, &self.output, SendFlags::NOSIGNAL) {
                Ok(count) => drop(self.output.drain(..count)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => {
                    self.gone = true;
                    return;
                }
            }
        }
    }
}
