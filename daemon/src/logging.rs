//! The daemon's own log: in systemd's journal with its fields where stderr leads there, else on stderr,
//! for a person or one JSON object a line for a collector. It shows no secret of an invocation,
//! whatever an error quotes.

use std::io::{self, IsTerminal as _, Write};
use std::path::Path;
use std::sync::{LazyLock, OnceLock};

use steroids_journal::{Journal, SOCKET};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{EnvFilter, reload};

use crate::domain::Secrets;

/// As the log itself, one for the process.
static SECRETS: LazyLock<Secrets> = LazyLock::new(Secrets::default);

/// What the log hides; who knows of a secret tells it here.
pub fn secrets() -> Secrets {
    SECRETS.clone()
}

/// Changes what is logged; there once the log has been started.
static LEVEL: OnceLock<Box<dyn Fn(EnvFilter) + Send + Sync>> = OnceLock::new();

/// Logs by this level from now on; it was checked when the configuration was read.
pub fn set_level(level: &str) {
    if let Some(set) = LEVEL.get() {
        set(EnvFilter::new(level));
    }
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For a person.
    Human,
    /// One object a line.
    Json,
}

/// Starts logging for the whole process; a second call changes nothing. Without a format, the journal
/// gets fields where stderr leads to it, and a terminal the human one. `level` was checked when the
/// configuration was read.
pub fn start(format: Option<Format>, level: &str) {
    if format.is_none()
        && steroids_journal::is_connected()
        && let Ok(journal) =
            Journal::open(Path::new(SOCKET), "steroidsd", |text| SECRETS.hide(text))
    {
        let (filter, handle) = reload::Layer::new(EnvFilter::new(level));
        let set = move |filter| drop(handle.reload(filter));
        let _ = LEVEL.set(Box::new(set));
        let layers = tracing_subscriber::registry().with(filter);
        // Refused as below.
        let _ = layers.with(journal).try_init();
        return;
    }
    let is_terminal = io::stderr().is_terminal();
    let suited = if is_terminal {
        Format::Human
    } else {
        Format::Json
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(level))
        // It would be told on stderr, and whoever cannot write there panics.
        .log_internal_errors(false)
        .with_writer(Hiding);
    // Only a subscriber that is set already can refuse, as in a test that runs two daemons.
    let _ = match format.unwrap_or(suited) {
        Format::Human => {
            let builder = builder.with_ansi(is_terminal).with_filter_reloading();
            let handle = builder.reload_handle();
            // It fails only where the subscriber is gone.
            let set = move |filter| drop(handle.reload(filter));
            let _ = LEVEL.set(Box::new(set));
            builder.try_init()
        }
        Format::Json => {
            let builder = builder.json().flatten_event(true);
            let builder = builder.with_current_span(false).with_filter_reloading();
            let handle = builder.reload_handle();
            let set = move |filter| drop(handle.reload(filter));
            let _ = LEVEL.set(Box::new(set));
            builder.try_init()
        }
    };
}

/// Writes to stderr what shows no secret. An event comes in one piece.
struct Hiding;

impl Write for Hiding {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        io::stderr().write_all(SECRETS.hide(&text).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl MakeWriter<'_> for Hiding {
    type Writer = Hiding;

    fn make_writer(&self) -> Hiding {
        Hiding
    }
}
