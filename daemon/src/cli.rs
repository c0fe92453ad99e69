//! The daemon's command line as a whole; its manual page is made from the same definition as `--help`.

use clap::Parser;

use crate::config::Flags;
use crate::logging::Format;

/// Runs AI coding agents unattended and keeps every line they print.
///
/// Stays in the foreground; TERM or INT end it within five seconds, and the agents go on. HUP has it
/// read its configuration again, and ends it when its terminal has gone. Under systemd it serves by the
/// socket that it is given, tells when it is ready and feeds the watchdog. Exits with 0 when told to end, 4 when refused (another daemon, an unsafe folder, root), 78 on configuration.
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
