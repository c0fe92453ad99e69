//! Becoming a process of its own: a fork away from the one that was started, which waits for one line
//! that says whether the invocation was taken over. In a unit of its own the service manager is told.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Resource, Rlimit, getpid, set_child_subreaper, setrlimit, setsid, umask};

use super::Failure;
use crate::patience::patiently;
use crate::sys::{self, Side};

/// What stands in the pipe when all is well.
const TAKEN: &[u8] = b"taken";

/// Bytes of an answer that are read; messages are one line.
const LONGEST_ANSWER: u64 = 4096;

/// How a shim begins.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Manner {
    /// As a process of its own, which the one that was started tells of and leaves.
    pub(crate) daemonizes: bool,
    /// When it is told to on its standard input, and not at all where that ends.
    pub(crate) stands_by: bool,
}

/// Which process this is now.
pub(crate) enum Launch {
    /// The one that was started; it ends with this answer.
    Original(Result<(), Failure>),
    /// The shim.
    Shim(Report, Call),
}

/// The word to begin, which whoever started this process gives on its standard input.
#[derive(Debug)]
pub(crate) struct Call(Option<File>);

impl Call {
    fn expected(manner: Manner) -> io::Result<Call> {
        if !manner.stands_by {
            return Ok(Call(None));
        }
        // Standard input itself becomes another one in who leaves its launcher.
        let input = rustix::stdio::stdin().try_clone_to_owned()?;
        Ok(Call(Some(File::from(input))))
    }

    /// Waits for it, if it is to be waited for: for as long as the other end is held.
    pub(crate) fn wait(self) -> Result<(), Failure> {
        let Some(mut input) = self.0 else {
            return Ok(());
        };
        match input.read_exact(&mut [0]) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(Failure::Said("it was not told to begin".to_owned()))
            }
            Err(source) => Err(Failure::system("wait to be told to begin", source)),
        }
    }
}

/// Tells the launcher how it went; dropped without a word, it tells that it went wrong.
#[derive(Debug)]
pub(crate) struct Report(Option<Told>);

/// Who is told.
#[derive(Debug)]
enum Told {
    /// The process that was started, and waits.
    Launcher(OwnedFd),
    /// The service manager, whose unit of type notify this is.
    Manager(OsString),
}

impl Report {
    /// The invocation is in good hands: the provider runs, or it is on record that it never will.
    pub(crate) fn taken(mut self) {
        self.say(TAKEN);
    }

    /// It is not.
    pub(crate) fn refused(mut self, failure: &Failure) {
        self.say(failure.in_full().as_bytes());
    }

    fn say(&mut self, what: &[u8]) {
        // Who is gone is no longer interested.
        match self.0.take() {
            Some(Told::Launcher(pipe)) => {
                let _ = File::from(pipe).write_all(what);
            }
            // What it refuses it says on stderr, and by its exit status.
            Some(Told::Manager(socket)) if what == TAKEN => {
                let _ = notify(&socket, b"READY=1");
            }
            Some(Told::Manager(_)) | None => {}
        }
    }
}

/// Leaves behind what the launcher gave this process without being asked, and the launcher itself
/// if so wished.
pub(crate) fn detach(manner: Manner) -> Result<Launch, Failure> {
    sys::close_inherited();
    let call = Call::expected(manner).map_err(|source| Failure::system("stand by", source))?;
    let report = match manner.daemonizes {
        true => match leave().map_err(|source| Failure::system("detach", source))? {
            Left::Behind(answer) => return Ok(Launch::Original(answer)),
            Left::Alone(report) => report,
        },
        false => Report(std::env::var_os("NOTIFY_SOCKET").map(Told::Manager)),
    };
    match settle() {
        Ok(()) => Ok(Launch::Shim(report, call)),
        Err(source) => {
            let failure = Failure::system("set up the process", source);
            report.refused(&failure);
            Err(failure)
        }
    }
}

/// Which side of leaving this is.
enum Left {
    /// The process that was started, with the answer it waited for.
    Behind(Result<(), Failure>),
    /// The one that goes on.
    Alone(Report),
}

fn leave() -> io::Result<Left> {
    let (answer, report) = pipe_with(PipeFlags::CLOEXEC)?;
    // The shim is to be in a session whose leader it is not, so that it can never get a terminal. Who
    // is started by a shell leads a group, and then no session; a daemon's child leads neither.
    let leads = setsid().is_ok();
    match patiently(sys::fork)? {
        Side::Parent => {
            drop(report);
            return Ok(Left::Behind(wait_for(answer)));
        }
        Side::Child => drop(answer),
    }
    if !leads {
        setsid()?;
        if let Side::Parent = patiently(sys::fork)? {
            drop(report);
            std::process::exit(0);
        }
    }
    let nothing = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    rustix::stdio::dup2_stdin(&nothing)?;
    rustix::stdio::dup2_stdout(&nothing)?;
    rustix::stdio::dup2_stderr(&nothing)?;
    Ok(Left::Alone(Report(Some(Told::Launcher(report)))))
}

/// Tells the service manager, in its own protocol.
fn notify(socket: &OsStr, state: &[u8]) -> io::Result<()> {
    let sender = UnixDatagram::unbound()?;
    // A manager that takes nothing is no reason to leave the provider's pipes unread.
    sender.set_nonblocking(true)?;
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    sender.send_to_addr(state, &address)?;
    Ok(())
}

fn wait_for(answer: OwnedFd) -> Result<(), Failure> {
    let mut said = Vec::new();
    let read = File::from(answer)
        .take(LONGEST_ANSWER)
        .read_to_end(&mut said);
    match read {
        Ok(_) if said == TAKEN => Ok(()),
        Ok(0) => Err(Failure::Said("it ended before it began".to_owned())),
        Ok(_) => Err(Failure::Said(String::from_utf8_lossy(&said).into_owned())),
        Err(source) => Err(Failure::system("wait for the shim", source)),
    }
}

fn settle() -> io::Result<()> {
    sys::reset_signals();
    sys::tune_allocator();
    umask(rustix::fs::Mode::from_raw_mode(0o077));
    // Prompts and credentials pass through its memory, and the provider's.
    setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    )?;
    // Orphans of the provider come to the shim, which can then find them.
    set_child_subreaper(Some(getpid()))?;
    rustix::process::chdir(Path::new("/"))?;
    Ok(())
}
