//! The gateway's command line as a whole; its manual page is made from the same definition as `--help`.

use clap::Parser;

use crate::config::Flags;
use crate::logging::Format;

/// Shows in a browser what steroidsd runs.
///
/// Listens on this machine only and stays in the foreground; TERM or INT end it, and browsers come
/// back when it is started again. Exits with 0 when told to end, 4 when refused (a taken port, an
/// unsafe token file), 78 on configuration.
#[derive(Debug, Parser)]
#[command(name = "steroids-gateway", version)]
pub struct Arguments {
    #[command(flatten)]
    /// What goes into the configuration.
    pub flags: Flags,
    /// How the log on stderr is written [default: fields for the journal where it leads there, human on a terminal, else json]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub log_format: Option<Format>,
}
