//! `top`: what runs and what waits, on the whole screen, as it changes. One can look at a log from
//! there, and stop an agent; leaving it ends nothing.
//!
//! ```text
//!   keys ───> keys ──┐                ┌──> draw ──> screen
//!                    ├──> app (pure) ─┤
//!   daemon ─> feed ──┘                └──> asks: follow, stop, leave ──> feed, screen
//! ```

mod app;
mod columns;
mod draw;
mod feed;
mod head;
mod help;
mod keys;
mod log;
mod row;
mod screen;

use std::io::{self, IsTerminal};
use std::time::Duration;

use crossterm::event::EventStream;
use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use self::app::{App, Ask};
use self::draw::{Theme, draw};
use self::feed::{Feed, Told as News};
use self::screen::{Screen, Signals, Told};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::format;
use crate::session::Session;

/// Ages grow by the second.
const TICK: Duration = Duration::from_secs(1);
/// At most so many pictures: an eye sees no more, and ssh has less to carry.
const FRAME: Duration = Duration::from_millis(60);
/// Ticks after a new size in which a key may have been forgotten.
const REMINDERS: u8 = 3;
/// News taken in between two pictures, so that a flood of them leaves room for keys.
const NEWS: usize = 64;

const EXAMPLES: &str = "\
Examples:
  steroidsctl top
  steroidsctl top --project ~/app
  steroidsctl top --filter stalled

Keys: Enter follows one, Esc comes back, / shows only what matches, s stops one after a question, \
< and > choose the order, ? shows them all, q leaves. Agents go on whatever happens to it. \
For scripts: steroidsctl list --running --all --json.";

/// Which ones.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// In all registered projects, as it is without --project
    #[arg(long)]
    all: bool,
    /// Show only what matches these words: a task, provider, state, or what it does
    #[arg(
        long,
        value_name = "WORDS",
        default_value = "",
        hide_default_value = true
    )]
    filter: String,
}

/// Shows them until somebody leaves.
pub(crate) async fn run(args: &Args, session: &mut Session) -> Result<Exit, Failure> {
    terminal(session)?;
    let all = args.all || !session.names_project();
    let (client, project) = session.connect_to(all).await?;
    let named = (!all).then(|| project.clone());
    let mut app = App::new(named, format::now_ms());
    app.seek(|filter| filter.push_str(&args.filter));
    let theme = Theme {
        colour: session.out.colour,
    };
    // Before the terminal is taken: from then on none of them may end the program as it likes.
    let signals = Signals::listen()?;
    let screen = Screen::take()?;
    let (feed, news) = Feed::start(client, &project);
    let ended = Top {
        app,
        theme,
        screen,
        signals,
        feed,
        news,
    }
    .run()
    .await;
    match ended {
        // Nobody is there to be told that it cannot be drawn on.
        Err(_) if !io::stdout().is_terminal() => Ok(Exit::HungUp),
        ended => ended,
    }
}

/// It is for a person at a terminal that can move its cursor.
fn terminal(session: &Session) -> Result<(), Failure> {
    let instead = "see `steroidsctl list --running --all`, or with --json for scripts";
    if session.json {
        return Err(Failure::usage("top draws a screen, and prints no JSON").with_hint(instead));
    }
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(Failure::usage("top needs a terminal to draw on").with_hint(instead));
    }
    let kind = std::env::var("TERM").unwrap_or_default();
    if kind.is_empty() || kind == "dumb" {
        let message = format!("top cannot draw on a terminal of the kind `{kind}` (TERM)");
        return Err(Failure::usage(message).with_hint(instead));
    }
    Ok(())
}

struct Top {
    app: App,
    theme: Theme,
    screen: Screen,
    signals: Signals,
    feed: Feed,
    news: mpsc::Receiver<News>,
}

impl Top {
    async fn run(mut self) -> Result<Exit, Failure> {
        let mut keys = EventStream::new();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_stale = true;
        let mut next = Instant::now();
        let mut reminders = 0;
        loop {
            if is_stale && Instant::now() >= next {
                self.draw()?;
                is_stale = false;
                next = Instant::now() + FRAME;
            }
            let ask = tokio::select! {
                key = keys.next() => match key {
                    Some(Ok(key)) => {
                        is_stale = true;
                        keys::hear(&mut self.app, key)
                    }
                    // The terminal is gone.
                    Some(Err(_)) | None => return Ok(Exit::HungUp),
                },
                news = self.news.recv() => {
                    is_stale = true;
                    self.hear(news)?;
                    None
                }
                told = self.signals.next() => match told {
                    Told::Leave => Some(Ask::Quit),
                    Told::End(exit) => return Ok(exit),
                    Told::Suspend => Some(Ask::Suspend),
                    Told::Resized => {
                        is_stale = true;
                        reminders = REMINDERS;
                        Some(Ask::Repaint)
                    }
                    Told::Again => {
                        self.screen.again()?;
                        is_stale = true;
                        None
                    }
                },
                _ = ticks.tick() => {
                    is_stale |= self.tick();
                    if reminders > 0 {
                        reminders -= 1;
                        self.screen.remind();
                    }
                    None
                }
                () = sleep_until(next), if is_stale => None,
            };
            match ask {
                Some(Ask::Quit) => return Ok(Exit::Ok),
                Some(Ask::Suspend) => self.screen.suspend(&mut self.signals).await?,
                Some(Ask::Repaint) => self.screen.repaint()?,
                Some(Ask::Follow(key, number)) => self.feed.follow(key, number),
                Some(Ask::Unfollow) => self.feed.unfollow(),
                Some(Ask::Stop(key)) => self.feed.stop(key),
                None => {}
            }
        }
    }

    /// Takes in what came, and what stands behind it.
    fn hear(&mut self, first: Option<News>) -> Result<(), Failure> {
        self.app.now = format::now_ms();
        let mut next = first;
        for _ in 0..NEWS {
            match next {
                Some(news) => self.app.hear(news?),
                None => break,
            }
            next = self.news.try_recv().ok();
        }
        if let Some(news) = next {
            self.app.hear(news?);
        }
        Ok(())
    }

    /// A second has passed; true if that can be seen.
    fn tick(&mut self) -> bool {
        self.app.now = format::now_ms();
        let load = load();
        let has_changed = load != self.app.load;
        self.app.load = load;
        has_changed || self.app.has_ages()
    }

    fn draw(&mut self) -> Result<(), Failure> {
        let (app, theme) = (&mut self.app, self.theme);
        Ok(self.screen.draw(|frame| draw(app, theme, frame))?)
    }
}

/// Of the last 1, 5 and 15 minutes; the daemon is on this machine.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let words: Vec<&str> = text.split_ascii_whitespace().take(3).collect();
    words.join(" ")
}
