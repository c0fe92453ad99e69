//! How a shim has gone, by its connection. It says over it that it records the end, once its tree is cleared up;
//! no file can say that in its place, nor keep the kernel from closing the connection with it.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use steroids_shim::protocol::{self, Message};
use steroids_shim::tree::Peer;
use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;

use super::ENDING;

/// What its agent leaves in the pipes is still read, and what it left running is not ended yet.
const DRAINING: &str = "draining";

/// How a shim has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Parting {
    /// Nobody heard.
    Unheard,
    /// Not: its connection is there.
    Connected,
    /// It said that it records the end.
    Said,
    /// Its process ended without a word of that: it was killed, and has recorded nothing.
    Unsaid,
}

/// What one connection has told.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// Who is at its other end.
    peer: Option<Peer>,
    /// It has answered; from then on it tells of its end.
    is_greeted: bool,
    records: bool,
    /// It had filled the connection with hints that nobody read: what it said last may not have fitted.
    is_crowded: bool,
}

/// Hints that are still unread where a connection ends: in one that is read there are a few at most, and the kernel keeps
/// some hundred.
const CROWD: usize = 32;

impl Heard {
    /// Of a connection that was made now.
    pub(super) fn of(stream: &UnixStream) -> Heard {
        let pid = stream.peer_cred().ok().and_then(|peer| peer.pid());
        Heard {
            // One of another view of processes cannot be asked for.
            peer: pid.and_then(Peer::of),
            ..Heard::default()
        }
    }

    pub(super) fn hear(&mut self, message: &Message) {
        match message {
            Message::Hello { .. } => self.is_greeted = true,
            Message::Ending { what } => self.records |= what != DRAINING,
            Message::Stat(stat) => self.records |= stat.phase.starts_with(ENDING),
            _ => {}
        }
    }

    /// Of a connection that the other end has closed.
    pub(super) fn parting(&self) -> Parting {
        let is_gone = || self.peer.is_some_and(|peer| peer.is_gone());
        match self {
            Heard { records: true, .. } => Parting::Said,
            // One that lives may have had reasons to hang up.
            Heard {
                is_greeted: true,
                is_crowded: false,
                ..
            } if is_gone() => Parting::Unsaid,
            _ => Parting::Unheard,
        }
    }

    /// All that stands in a connection that the other end has closed; false if it has not. Takes nothing from one that
    /// is open.
    pub(super) fn hear_out(&mut self, reader: &BufReader<OwnedReadHalf>, partial: &[u8]) -> bool {
        let stream: &UnixStream = reader.get_ref().as_ref();
        if !has_hung_up(stream) {
            return false;
        }
        let mut said = [partial, reader.buffer()].concat();
        let mut room = [0; protocol::LONGEST_LINE];
        // As much as the kernel keeps of a connection.
        loop {
            match recv(stream, &mut room[..], RecvFlags::DONTWAIT) {
                Ok((0, _)) => break,
                Ok((_, count)) => said.extend_from_slice(&room[..count.min(room.len())]),
                Err(Errno::INTR) => {}
                Err(_) => break,
            }
        }
        let mut hints = 0;
        for line in said.split(|byte| *byte == b'\n') {
            if let Ok(message) = protocol::decode(&String::from_utf8_lossy(line)) {
                hints += usize::from(matches!(message, Message::Spool { .. }));
                self.hear(&message);
            }
        }
        // What was heard once is not there the next time.
        self.is_crowded |= hints >= CROWD;
        true
    }
}

fn has_hung_up(stream: &UnixStream) -> bool {
    let mut fds = [PollFd::new(stream, PollFlags::RDHUP)];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let gone = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
    poll(&mut fds, Some(&at_once)).is_ok() && fds[0].revents().intersects(gone)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::net::UnixStream as Other;
    use std::process::Command;

    use super::*;

    /// Of a shim that was killed after it had said this, which nobody had read.
    async fn parting_after(said: &[u8]) -> Parting {
        let mut shim = Command::new("/bin/sleep").arg("1000").spawn().unwrap();
        let peer = Peer::of(shim.id().cast_signed());
        let (ours, mut theirs) = Other::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        theirs.write_all(said).unwrap();
        let (reader, _writer) = UnixStream::from_std(ours).unwrap().into_split();
        let reader = BufReader::new(reader);
        let mut heard = Heard {
            peer,
            is_greeted: true,
            ..Heard::default()
        };
        assert!(!heard.hear_out(&reader, b""), "it is there");
        drop(theirs);
        // Twice, as whoever asks and whoever lets go of it do.
        assert!(heard.hear_out(&reader, b"") && heard.hear_out(&reader, b""));
        // It closes its files before it is gone.
        assert_ne!(heard.parting(), Parting::Unsaid);
        shim.kill().unwrap();
        shim.wait().unwrap();
        heard.parting()
    }

    #[tokio::test]
    async fn a_shim_that_is_gone_without_a_word_has_said_none_unless_there_was_no_room_for_it() {
        let hint = protocol::encode_message(&Message::Spool { length: 1 });
        let recording = protocol::encode_message(&Message::Ending {
            what: "recording".to_owned(),
        });
        let hints = |count: usize| hint.repeat(count).into_bytes();
        assert_eq!(parting_after(b"").await, Parting::Unsaid);
        assert_eq!(parting_after(&hints(3)).await, Parting::Unsaid);
        assert_eq!(parting_after(&hints(CROWD)).await, Parting::Unheard);
        let said = [hints(CROWD), recording.into_bytes()].concat();
        assert_eq!(parting_after(&said).await, Parting::Said);
    }
}
