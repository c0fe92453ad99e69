//! A line on stderr that shows that waiting goes on: only on a terminal, only after a moment, and
//! gone without a trace before anything else is printed.

use std::io::{self, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::format::elapsed;
use crate::interrupt::is_ignored;
use crate::table::cut;
use crate::terminal;

/// Ten pictures a second look alive and cost nothing.
const TICK: Duration = Duration::from_millis(100);
/// Who waits less long does not want to read about it.
const PATIENCE: Duration = Duration::from_millis(700);
const FRAMES: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// Whether its line stands on the terminal, of which there is one.
static DRAWN: AtomicBool = AtomicBool::new(false);

/// A spinner; draws nothing where stderr is no terminal. Its line goes with it, so that who is interrupted in the
/// middle of a wait leaves none.
pub(crate) struct Spinner {
    ticks: Option<Interval>,
    began: Instant,
    quiet_since: Instant,
    frame: usize,
}

impl Spinner {
    /// Begins to count the time.
    pub(crate) fn new() -> Self {
        let ticks = terminal::stderr_is_terminal().then(|| {
            let mut ticks = interval(TICK);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        Spinner {
            ticks,
            began: Instant::now(),
            quiet_since: Instant::now(),
            frame: 0,
        }
    }

    /// Resolves when it is time to draw; never without a terminal. Cancel-safe.
    pub(crate) async fn tick(&mut self) {
        match &mut self.ticks {
            Some(ticks) => {
                ticks.tick().await;
            }
            None => std::future::pending().await,
        }
    }

    /// Draws the time since the beginning and what is waited for.
    pub(crate) fn draw(&mut self, waiting_for: &str) {
        if self.quiet_since.elapsed() < PATIENCE {
            return;
        }
        self.frame = (self.frame + 1) % FRAMES.len();
        let frame = FRAMES[self.frame];
        let time = elapsed(self.began.elapsed());
        // A line that wraps could not be taken back; what is cut is only a reminder.
        let text = cut(
            &format!("{frame} {time}  {waiting_for}"),
            columns().saturating_sub(1),
        );
        let _ = write!(io::stderr(), "\r\x1b[2m{text}\x1b[0m\x1b[K");
        DRAWN.store(true, Ordering::Relaxed);
    }

    /// Takes the line away, before something else is printed.
    pub(crate) fn clear(&mut self) {
        wipe();
        self.quiet_since = Instant::now();
    }

    /// Waits for `work`, drawing meanwhile, in a command that Ctrl-C ends: the line goes before.
    pub(crate) async fn during<T>(mut self, waiting_for: &str, work: impl Future<Output = T>) -> T {
        if self.ticks.is_some() {
            wipe_at_the_end();
        }
        self.on_during(waiting_for, work).await
    }

    /// Waits for `work`, drawing meanwhile, in a command that listens for Ctrl-C itself, or waits for more
    /// afterwards: the time goes on, and the line stays until [`Spinner::clear`], or the spinner goes.
    pub(crate) async fn on_during<T>(
        &mut self,
        waiting_for: &str,
        work: impl Future<Output = T>,
    ) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = self.tick() => self.draw(waiting_for),
            }
        }
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        wipe();
    }
}

fn wipe() {
    if DRAWN.swap(false, Ordering::Relaxed) {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
}

/// From now on Ctrl-C and SIGTERM take the line away, and end the program as they do where nobody listens. Where that
/// is impossible they only end it.
fn wipe_at_the_end() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
            if is_ignored(kind) {
                continue;
            }
            let Ok(mut signals) = signal(kind) else {
                continue;
            };
            tokio::spawn(async move {
                if signals.recv().await.is_some() {
                    wipe();
                    let number = kind.as_raw_value();
                    if signal_hook::low_level::emulate_default_handler(number).is_err() {
                        std::process::exit(128 + number);
                    }
                }
            });
        }
    });
}

fn columns() -> usize {
    rustix::termios::tcgetwinsize(io::stderr())
        .map(|size| usize::from(size.ws_col))
        .ok()
        .filter(|columns| *columns > 0)
        .unwrap_or(80)
}
