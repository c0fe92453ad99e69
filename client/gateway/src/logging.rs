//! The gateway's own log, on stderr: for a person, or one JSON object a line for a collector.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;

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
        .with_writer(io::stderr);
    // Only a subscriber that is set already can refuse, as in a test that runs two gateways.
    let _ = match format.unwrap_or(suited) {
        Format::Human => builder.with_ansi(is_terminal).try_init(),
        Format::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .try_init(),
    };
}
