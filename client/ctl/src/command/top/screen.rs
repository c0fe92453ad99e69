//! The terminal while it is ours, and everything that may take it away: whatever ends or stops the
//! program, a panic too, leaves it as it was found.

use std::io::{self, BufWriter, Stdout, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, execute};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Frame, Terminal, TerminalOptions, Viewport};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Exit;

/// A picture of a usual screen in one write.
const BUFFER: usize = 32 * 1024;
/// Where a terminal does not say its size, as some pipes into containers.
const USUAL: Rect = Rect::new(0, 0, 80, 24);

/// Whether the terminal is ours just now.
static OURS: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// The terminal, taken over.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
}

impl Screen {
    /// Takes the terminal over.
    pub(super) fn take() -> io::Result<Screen> {
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                give_back();
                before(panic);
            }));
        });
        let mut screen = Screen { terminal: blank()? };
        screen.enter()?;
        Ok(screen)
    }

    fn enter(&mut self) -> io::Result<()> {
        OURS.store(true, Ordering::SeqCst);
        enable_raw_mode()?;
        execute!(
            io::stdout(),
            EnterAlternateScreen,
            EnableBracketedPaste,
            cursor::Hide
        )?;
        self.repaint()
    }

    /// Has the next picture drawn in full, at the size the terminal has now.
    pub(super) fn repaint(&mut self) -> io::Result<()> {
        self.terminal = blank()?;
        execute!(self.terminal.backend_mut(), Clear(ClearType::All))
    }

    /// Draws what differs from the picture before.
    pub(super) fn draw(&mut self, picture: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(picture)?;
        Ok(())
    }

    /// Has the kernel say anew that keys wait, if any do. Who reads them for us is told once, and
    /// forgets it where a new size comes at the same moment.
    pub(super) fn remind(&self) {
        use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

        // Setting what is set changes nothing, and wakes who waits for keys.
        if let Ok(settings) = tcgetattr(io::stdin()) {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &settings);
        }
    }

    /// Lets the shell have the terminal until it gives it back. Where no shell would ever say
    /// "go on", nothing is done.
    pub(super) async fn suspend(&mut self, signals: &mut Signals) -> io::Result<()> {
        use rustix::process::{Signal, getpid, getppid, getsid, kill_process};

        let session = |pid| getsid(pid).ok();
        if getppid().is_none_or(|parent| session(Some(parent)) != session(None)) {
            return Ok(());
        }
        give_back();
        kill_process(getpid(), Signal::STOP)?;
        signals.go_on.recv().await;
        self.enter()
    }

    /// Takes the terminal again after somebody else stopped us.
    pub(super) fn again(&mut self) -> io::Result<()> {
        give_back();
        self.enter()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
        // It shows its cursor as it goes, and complains where it cannot: on a terminal that is gone that is a panic.
        if let Ok(blank) = blank() {
            let mut terminal = std::mem::replace(&mut self.terminal, blank);
            if terminal.show_cursor().is_err() {
                std::mem::forget(terminal);
            }
        }
    }
}

/// Gives the terminal back; nothing where it is not ours. Nobody could be told of an error.
fn give_back() {
    if !OURS.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut stdout = io::stdout();
    let _ = execute!(
        stdout,
        DisableBracketedPaste,
        LeaveAlternateScreen,
        cursor::Show
    );
    let _ = stdout.flush();
    let _ = disable_raw_mode();
}

/// A picture of nothing, at the size the terminal has now. Ours to ask for: where the kernel has
/// none others would start a program for it, or wait for the terminal to say where its cursor is.
fn blank() -> io::Result<Terminal<CrosstermBackend<BufWriter<Stdout>>>> {
    let writer = BufWriter::with_capacity(BUFFER, io::stdout());
    let options = TerminalOptions {
        viewport: Viewport::Fixed(size()),
    };
    Terminal::with_options(CrosstermBackend::new(writer), options)
}

fn size() -> Rect {
    match rustix::termios::tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => Rect::new(0, 0, size.ws_col, size.ws_row),
        _ => USUAL,
    }
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// INT: as Ctrl-C.
    Leave,
    /// TERM, HUP, QUIT: with what the program ends then.
    End(Exit),
    /// TSTP.
    Suspend,
    /// CONT: after a STOP that nobody can hear.
    Again,
    /// WINCH. Those who read keys tell of it too, but not when a key comes at the same moment.
    Resized,
}

/// The signals that would leave the terminal in disorder.
pub(super) struct Signals {
    leave: Signal,
    end: [Signal; 3],
    stop: Signal,
    go_on: Signal,
    resized: Signal,
}

impl Signals {
    /// Hears them from now on.
    pub(super) fn listen() -> io::Result<Signals> {
        Ok(Signals {
            leave: signal(SignalKind::interrupt())?,
            end: [
                signal(SignalKind::terminate())?,
                signal(SignalKind::hangup())?,
                signal(SignalKind::quit())?,
            ],
            stop: signal(SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw()))?,
            resized: signal(SignalKind::window_change())?,
            go_on: signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?,
        })
    }

    /// The next one. Cancel-safe.
    pub(super) async fn next(&mut self) -> Told {
        let [term, hup, quit] = &mut self.end;
        tokio::select! {
            _ = self.leave.recv() => Told::Leave,
            _ = term.recv() => Told::End(Exit::Terminated),
            _ = hup.recv() => Told::End(Exit::HungUp),
            _ = quit.recv() => Told::End(Exit::Stopped),
            _ = self.stop.recv() => Told::Suspend,
            _ = self.go_on.recv() => Told::Again,
            _ = self.resized.recv() => Told::Resized,
        }
    }
}
