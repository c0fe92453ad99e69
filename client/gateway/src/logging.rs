//! The gateway's own log: in systemd's journal with its fields where stderr leads there, else on
//! stderr, for a person or one JSON object a line for a collector. There is no secret in it to be
//! hidden: the token and codes are never logged.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _};
use std::path::Path;

use steroids_journal::{Journal, SOCKET};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::prelude::*;

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
        && let Ok(journal) = Journal::open(Path::new(SOCKET), "steroids-gateway", |text| {
            Cow::Borrowed(text)
        })
    {
        let layers = tracing_subscriber::registry().with(EnvFilter::new(level));
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
