//! The floor: the least that a server can do who sends each line of a growing file to each of its
//! subscribers as a server-sent event. One thread, epoll and inotify; a change is read once and
//! written to each who has all before it; no database, no JSON, no cursors.
//!
//! `bench @floor FOLDER` serves every file of a folder, `GET /NAME`, from its first byte and then
//! as it grows. It prints its address once it listens, and is ended by a signal. `bench @floor FOLDER SOCKET`
//! serves at a Unix socket, for `bench @relay SOCKET` ([`relay`]), through which the same lines go as they
//! do through a gateway. `bench @floor FOLDER SOCKET LOGS` appends what it reads to a file of the same name in
//! LOGS before it sends it, and `bench @spool FILE PROGRAM` ([`spool`]) is what such a file grows by: the way of a line
//! that a provider prints.
//!
//! Who takes less than is sent keeps a rest of at most one read, and goes on from its own offset.

mod log;
pub(crate) mod relay;
pub(crate) mod spool;
mod viewer;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fs::inotify;
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with, sockopt};

use log::Log;
use viewer::{Step, Viewer};

const LISTENER: u64 = 0;
const CHANGES: u64 = 1;
const FIRST_VIEWER: u64 = 2;

/// Serves until it is killed, at a port of its own.
pub(crate) fn serve(folder: &Path) -> io::Result<()> {
    let listener = listener()?;
    let address = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    serve_at(listener.into(), &address, folder, None)
}

/// The same at a Unix socket; what is read is appended to files of another folder, if there is one.
pub(crate) fn serve_unix(folder: &Path, socket: &Path, logs: Option<&Path>) -> io::Result<()> {
    let listener = UnixListener::bind(socket)?;
    listener.set_nonblocking(true)?;
    serve_at(listener.into(), &socket.display(), folder, logs)
}

fn serve_at(
    listener: OwnedFd,
    address: &dyn std::fmt::Display,
    folder: &Path,
    logs: Option<&Path>,
) -> io::Result<()> {
    let mut floor = Floor::new(folder, logs, listener)?;
    announce(address)?;
    let mut ready = Vec::with_capacity(1024);
    loop {
        match epoll::wait(&floor.epoll, spare_capacity(&mut ready), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in ready.drain(..) {
            match event.data.u64() {
                LISTENER => floor.accept()?,
                CHANGES => floor.changed()?,
                viewer => floor.viewer(viewer, event.flags)?,
            }
        }
    }
}

struct Floor {
    epoll: OwnedFd,
    listener: OwnedFd,
    inotify: OwnedFd,
    logs: HashMap<i32, Log>,
    by_name: HashMap<String, i32>,
    viewers: HashMap<u64, Viewer>,
    next: u64,
}

impl Floor {
    fn new(folder: &Path, logs: Option<&Path>, listener: OwnedFd) -> io::Result<Floor> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(
            &epoll,
            &listener,
            EventData::new_u64(LISTENER),
            EventFlags::IN,
        )?;
        let flags = inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC;
        let inotify = inotify::init(flags)?;
        epoll::add(
            &epoll,
            &inotify,
            EventData::new_u64(CHANGES),
            EventFlags::IN,
        )?;
        let (mut by_log, mut by_name) = (HashMap::new(), HashMap::new());
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let copy = logs
                .map(|logs| File::create(logs.join(&*name)))
                .transpose()?;
            let watch = inotify::add_watch(&inotify, &path, inotify::WatchFlags::MODIFY)?;
            by_log.insert(watch, Log::open(&path, copy)?);
            by_name.insert(name.into_owned(), watch);
        }
        Ok(Floor {
            epoll,
            listener,
            inotify,
            logs: by_log,
            by_name,
            viewers: HashMap::new(),
            next: FIRST_VIEWER,
        })
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let socket = match accept_with(&self.listener, flags) {
                Ok(socket) => socket,
                Err(Errno::WOULDBLOCK) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            match sockopt::set_tcp_nodelay(&socket, true) {
                // There is no such thing on a Unix socket.
                Ok(()) | Err(Errno::OPNOTSUPP) => {}
                Err(error) => return Err(error.into()),
            }
            let id = self.next;
            self.next += 1;
            epoll::add(&self.epoll, &socket, EventData::new_u64(id), EventFlags::IN)?;
            self.viewers.insert(id, Viewer::new(socket.into()));
        }
    }

    /// Reads what has come, once, and gives it to each who has all before it.
    fn changed(&mut self) -> io::Result<()> {
        let mut changed = Vec::new();
        let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
        let mut changes = inotify::Reader::new(self.inotify.as_fd(), &mut buffer);
        loop {
            match changes.next() {
                Ok(change) if changed.last() != Some(&change.wd()) => changed.push(change.wd()),
                Ok(_) => {}
                Err(Errno::WOULDBLOCK) => break,
                Err(error) => return Err(error.into()),
            }
        }
        for watch in changed {
            let Some(log) = self.logs.get_mut(&watch) else {
                continue;
            };
            let before = log.end;
            log.read_on()?;
            let mut gone = Vec::new();
            for id in &log.viewers {
                let Some(viewer) = self.viewers.get_mut(id) else {
                    continue;
                };
                match viewer.take(before, log.end, &log.frames) {
                    Step::Done => {}
                    Step::Wants => wants_room(&self.epoll, viewer, *id, true)?,
                    Step::Gone => gone.push(*id),
                }
            }
            for id in gone {
                self.forget(id);
            }
        }
        Ok(())
    }

    fn viewer(&mut self, id: u64, flags: EventFlags) -> io::Result<()> {
        let Some(viewer) = self.viewers.get_mut(&id) else {
            return Ok(());
        };
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            match viewer.listen() {
                viewer::Heard::Nothing => {}
                viewer::Heard::Gone => {
                    self.forget(id);
                    return Ok(());
                }
                viewer::Heard::Asks(name) => {
                    let Some(watch) = self.by_name.get(&name) else {
                        self.forget(id);
                        return Ok(());
                    };
                    viewer.log = Some(*watch);
                    if let Some(log) = self.logs.get_mut(watch) {
                        log.viewers.push(id);
                    }
                }
            }
        }
        let Some(log) = viewer.log.and_then(|watch| self.logs.get(&watch)) else {
            return Ok(());
        };
        match viewer.catch_up(log)? {
            Step::Done => wants_room(&self.epoll, viewer, id, false)?,
            Step::Wants => wants_room(&self.epoll, viewer, id, true)?,
            Step::Gone => self.forget(id),
        }
        Ok(())
    }

    fn forget(&mut self, id: u64) {
        let Some(viewer) = self.viewers.remove(&id) else {
            return;
        };
        if let Some(log) = viewer.log.and_then(|watch| self.logs.get_mut(&watch)) {
            log.viewers.retain(|other| *other != id);
        }
    }
}

/// Asks epoll to tell of room, or no longer to.
fn wants_room(epoll: &OwnedFd, viewer: &mut Viewer, id: u64, wants: bool) -> io::Result<()> {
    if viewer.waits == wants {
        return Ok(());
    }
    viewer.waits = wants;
    let flags = if wants {
        EventFlags::IN | EventFlags::OUT
    } else {
        EventFlags::IN
    };
    epoll::modify(epoll, &viewer.socket, EventData::new_u64(id), flags)?;
    Ok(())
}

/// With room for as many who wait as the gateway's listener has.
fn listener() -> io::Result<TcpListener> {
    use rustix::net::{AddressFamily, SocketType, bind, listen, socket};
    let listener = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&listener, &SocketAddr::from(([127, 0, 0, 1], 0)))?;
    listen(&listener, 1024)?;
    Ok(listener.into())
}

/// Says where it listens, to who has started it.
fn announce(address: &dyn std::fmt::Display) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{address}")?;
    out.flush()
}
