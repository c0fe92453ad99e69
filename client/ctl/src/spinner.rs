//! A line on stderr that shows that waiting goes on: only on a terminal, only after a moment, and
//! gone without a trace before anything else is printed.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::format::elapsed;
use crate::table::cut;
use crate::terminal;

/// Ten pictures a second look alive and cost nothing.
const TICK: Duration = Duration::from_millis(100);
/// Who waits less long does not want to read about it.
const PATIENCE: Duration = Duration::from_millis(700);
const FRAMES: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// A spinner; draws nothing where stderr is no terminal.
pub(crate) struct Spinner {
    ticks: Option<Interval>,
    began: Instant,
    quiet_since: Instant,
    frame: usize,
    drawn: bool,
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
            drawn: false,
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
        self.drawn = true;
    }

    /// Takes the line away, before something else is printed.
    pub(crate) fn clear(&mut self) {
        if self.drawn {
            let _ = write!(io::stderr(), "\r\x1b[K");
            self.drawn = false;
        }
        self.quiet_since = Instant::now();
    }

    /// Waits for `work`, drawing meanwhile.
    pub(crate) async fn during<T>(mut self, waiting_for: &str, work: impl Future<Output = T>) -> T {
        let done = self.on_during(waiting_for, work).await;
        self.clear();
        done
    }

    /// The same where more is waited for afterwards: the time goes on, and the line stays until
    /// [`Spinner::clear`].
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

fn columns() -> usize {
    rustix::termios::tcgetwinsize(io::stderr())
        .map(|size| usize::from(size.ws_col))
        .ok()
        .filter(|columns| *columns > 0)
        .unwrap_or(80)
}
