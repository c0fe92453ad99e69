//! A second process on the way: what comes from the floor's Unix socket goes on to the viewer, untouched. The
//! least that two processes take, as the daemon and the gateway are two.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;

use super::log::READ;
use super::{announce, listener};

const LISTENER: u64 = 0;

/// Relays until it is killed. Viewers are meant to take what they are sent: it waits for one that does not.
pub(crate) fn serve(floor: &Path) -> io::Result<()> {
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let listener = listener()?;
    let listened = EventData::new_u64(LISTENER);
    epoll::add(&epoll, &listener, listened, EventFlags::IN)?;
    announce(&listener.local_addr()?)?;
    // Each connection and what it is relayed to are neighbours; the number of the first is even. Both are gone
    // where either was.
    let mut sockets: Vec<Option<File>> = Vec::new();
    let mut ready = Vec::with_capacity(1024);
    let mut buffer = vec![0; READ];
    loop {
        match epoll::wait(&epoll, spare_capacity(&mut ready), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in ready.drain(..) {
            let Some(at) = event.data.u64().checked_sub(1) else {
                let (viewer, _) = listener.accept()?;
                viewer.set_nodelay(true)?;
                let both = [OwnedFd::from(viewer), UnixStream::connect(floor)?.into()];
                for socket in both {
                    let number = EventData::new_u64(sockets.len() as u64 + 1);
                    epoll::add(&epoll, socket.as_fd(), number, EventFlags::IN)?;
                    sockets.push(Some(socket.into()));
                }
                continue;
            };
            let at = usize::try_from(at).unwrap_or(usize::MAX);
            let (Some(mut from), Some(mut to)) = (sockets[at].as_ref(), sockets[at ^ 1].as_ref())
            else {
                continue;
            };
            let handed_on = match from.read(&mut buffer) {
                Ok(length) if length > 0 => to.write_all(&buffer[..length]),
                Ok(_) => Err(io::ErrorKind::UnexpectedEof.into()),
                Err(error) => Err(error),
            };
            if handed_on.is_err() {
                sockets[at] = None;
                sockets[at ^ 1] = None;
            }
        }
    }
}
