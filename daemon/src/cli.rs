//! The daemon's command line as a whole; its manual page is made from the same definition as `--help`.

use clap::Parser;

use crate::config::Flags;
use crate::logging::Format;

/// Runs AI coding agents unattended and keeps every line they print.
///
/// Stays in the foreground; TERM, INT or HUP end it within five seconds, and the agents go on. Exits
/// with 0 when told to end, 4 when refused (another daemon, an unsafe folder, root), 78 on configuration.
#[derive(Debug, Parser)]
#[command(name = "steroidsd", version)]
pub struct Arguments {
    #[command(flatten)]
    /// What goes into the configuration.
    pub flags: Flags,
    /// Check the configuration and leave: 0 if it is good, 78 if not
    #[arg(long)]
    pub check_config: bool,
    /// How the log on stderr is written [default: fields for the journal where it leads there, human on a terminal, else json]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub log_format: Option<Format>,
}
