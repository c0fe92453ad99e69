//! A terminal with a program on it: one of the kernel's pseudo terminals, and what a person would
//! see there, made by a parser of escape sequences.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};
use tokio::sync::watch;

use crate::processes;
use crate::wait::within;

/// Columns and rows.
pub(crate) type Size = (u16, u16);

/// What stands on a terminal.
pub struct Screen {
    child: Child,
    ours: File,
    theirs: OwnedFd,
    /// The terminal's settings before the program began.
    before: Termios,
    parser: Arc<Mutex<vt100::Parser>>,
    /// All that was written, as it was.
    written: Arc<Mutex<Vec<u8>>>,
    grown: watch::Receiver<u64>,
}

impl Screen {
    /// Starts a program at a terminal of its own.
    pub fn start(mut command: Command, size: Size) -> Screen {
        let (ours, theirs) = terminal();
        tcsetwinsize(&theirs, winsize(size)).expect("a terminal has a size");
        let before = tcgetattr(&theirs).expect("a terminal has settings");
        let end = || Stdio::from(theirs.try_clone().expect("a descriptor can be doubled"));
        command.stdin(end()).stdout(end()).stderr(end());
        let child = command.spawn().expect("the program is there");
        let parser = Arc::new(Mutex::new(vt100::Parser::new(
            some(size.1),
            some(size.0),
            0,
        )));
        let (grow, grown) = watch::channel(0);
        let source = ours.try_clone().expect("a descriptor can be doubled");
        let ours = File::from(ours);
        // Ends when the last descriptor of the other end is closed, with this screen at the latest.
        let screen = Arc::clone(&parser);
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let bytes = Arc::clone(&written);
        std::thread::spawn(move || read(File::from(source), &screen, &bytes, &grow));
        Screen {
            child,
            ours,
            theirs,
            before,
            parser,
            written,
            grown,
        }
    }

    /// Presses keys.
    pub fn types(&mut self, keys: &str) {
        self.ours
            .write_all(keys.as_bytes())
            .expect("a terminal takes keys");
    }

    /// Makes it larger or smaller.
    pub fn resizes(&mut self, size: Size) {
        let mut parser = self.parser.lock().unwrap_or_else(PoisonError::into_inner);
        parser.screen_mut().set_size(some(size.1), some(size.0));
        drop(parser);
        tcsetwinsize(&self.ours, winsize(size)).expect("a terminal has a size");
    }

    /// What is to be seen, line by line.
    pub fn text(&self) -> String {
        self.with(vt100::Screen::contents)
    }

    /// Looks at what is to be seen.
    pub fn with<T>(&self, look: impl FnOnce(&vt100::Screen) -> T) -> T {
        let parser = self.parser.lock().unwrap_or_else(PoisonError::into_inner);
        look(parser.screen())
    }

    /// Whether these bytes were written, whatever the terminal made of them.
    pub fn was_sent(&self, bytes: &str) -> bool {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&written).contains(bytes)
    }

    /// Waits until something is to be seen; what else is, then.
    pub async fn until(&mut self, what: &str, mut is_so: impl FnMut(&str) -> bool) -> String {
        let parser = Arc::clone(&self.parser);
        let text = move || {
            let parser = parser.lock().unwrap_or_else(PoisonError::into_inner);
            parser.screen().contents()
        };
        let now = text.clone();
        let waiting = async {
            loop {
                self.grown.mark_unchanged();
                let text = text();
                if is_so(&text) {
                    return text;
                }
                if self.grown.changed().await.is_err() {
                    panic!("the program ended before {what} was to be seen: {text}");
                }
            }
        };
        match tokio::time::timeout(crate::patience(), waiting).await {
            Ok(text) => text,
            Err(_) => panic!("waited for {what}; there was:\n{}", now()),
        }
    }

    /// Waits until these words are to be seen.
    pub async fn shows(&mut self, words: &str) -> String {
        self.until(words, |text| text.contains(words)).await
    }

    /// Sends the program a signal.
    pub fn signal(&self, signal: Signal) {
        processes::signal(self.child.id().cast_signed(), signal);
    }

    /// Its process.
    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Waits until it has ended, and until all it wrote is to be seen; its exit code. Panics unless
    /// it left the terminal as it was.
    pub async fn ends(mut self) -> (i32, String) {
        let status = within("a program to leave its terminal", async {
            crate::eventually("its end", async || {
                self.child.try_wait().expect("it is our child")
            })
            .await
        })
        .await;
        let after = tcgetattr(&self.theirs).expect("a terminal has settings");
        assert_eq!(
            after.local_modes, self.before.local_modes,
            "raw mode is left"
        );
        assert_eq!(after.input_modes, self.before.input_modes);
        // With the last of its other end closed the reader comes to the end.
        let Screen {
            theirs,
            ours,
            parser,
            mut grown,
            ..
        } = self;
        drop(theirs);
        within("the rest", async { while grown.changed().await.is_ok() {} }).await;
        drop(ours);
        let parser = parser.lock().unwrap_or_else(PoisonError::into_inner);
        let screen = parser.screen();
        assert!(!screen.alternate_screen(), "the alternate screen is left");
        assert!(!screen.hide_cursor(), "the cursor is back");
        assert!(!screen.bracketed_paste(), "a paste is no longer marked");
        (crate::ctl::exit_code(status), screen.contents())
    }
}

/// A program at a terminal that can be closed, as a window is.
#[derive(Debug)]
pub struct Window {
    child: Child,
    ours: OwnedFd,
}

impl Window {
    /// Starts the leader of the terminal's session. What is written there nobody reads.
    pub fn open(mut command: Command) -> Window {
        let (ours, theirs) = terminal();
        let end = || Stdio::from(theirs.try_clone().expect("a descriptor can be doubled"));
        command.stdin(end()).stdout(end()).stderr(end());
        let child = command.spawn().expect("the program is there");
        Window { child, ours }
    }

    /// Closes it, and waits until the leader has ended for it.
    pub async fn close(self) {
        let Window { mut child, ours } = self;
        drop(ours);
        crate::eventually("the end of who leads the terminal", async || {
            child.try_wait().expect("it is our child")
        })
        .await;
    }
}

/// The two ends of a new terminal.
fn terminal() -> (OwnedFd, OwnedFd) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
        .expect("there are terminals");
    grantpt(&ours).expect("it is ours");
    unlockpt(&ours).expect("it is ours");
    let path = ptsname(&ours, Vec::new()).expect("it has a name");
    let theirs = File::options()
        .read(true)
        .write(true)
        .open(path.to_str().expect("names of terminals are ASCII"))
        .expect("its other end opens");
    (ours, theirs.into())
}

fn some(cells: u16) -> NonZeroU16 {
    NonZeroU16::new(cells).expect("a terminal has cells")
}

fn winsize((columns, rows): Size) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

fn read(
    mut source: File,
    screen: &Mutex<vt100::Parser>,
    written: &Mutex<Vec<u8>>,
    grow: &watch::Sender<u64>,
) {
    let mut bytes = [0; 8192];
    // The kernel reports the other end's close as an error.
    while let Ok(count @ 1..) = source.read(&mut bytes) {
        let mut parser = screen.lock().unwrap_or_else(PoisonError::into_inner);
        parser.process(&bytes[..count]);
        drop(parser);
        let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
        written.extend_from_slice(&bytes[..count]);
        drop(written);
        grow.send_modify(|times| *times += 1);
    }
}
