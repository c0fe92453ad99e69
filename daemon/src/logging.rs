//! The daemon's own log, on stderr: for a person, or one JSON object a line for a collector. It
//! shows no secret of an invocation, whatever an error quotes.

use std::io::{self, IsTerminal as _, Write};
use std::sync::LazyLock;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::domain::Secrets;

/// As the log itself, one for the process.
static SECRETS: LazyLock<Secrets> = LazyLock::new(Secrets::default);

/// What the log hides; who knows of a secret tells it here.
pub fn secrets() -> Secrets {
    SECRETS.clone()
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For a person.
    Human,
    /// One object a line.
    Json,
}

/// Starts logging for the whole process; a second call changes nothing. Without a format, a
/// terminal gets the human one. `level` was checked when the configuration was read.
pub fn start(format: Option<Format>, level: &str) {
    let is_terminal = io::stderr().is_terminal();
    let suited = if is_terminal {
        Format::Human
    } else {
        Format::Json
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(level))
        .with_writer(Hiding);
    // Only a subscriber that is set already can refuse, as in a test that runs two daemons.
    let _ = match format.unwrap_or(suited) {
        Format::Human => builder.with_ansi(is_terminal).try_init(),
        Format::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .try_init(),
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
