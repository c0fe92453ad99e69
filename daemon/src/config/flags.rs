//! What the command line and its environment variables may set; each wins over the file.

use std::path::PathBuf;

use super::Launcher;

/// Flags of the daemon.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Flags {
    /// Configuration file; it must exist [default: $XDG_CONFIG_HOME/steroids/config.toml]
    #[arg(
        long,
        value_name = "PATH",
        env = "STEROIDS_CONFIG",
        hide_env_values = true
    )]
    pub config: Option<PathBuf>,
    /// Socket to listen on [default: $XDG_RUNTIME_DIR/steroids/steroidsd.sock]
    #[arg(
        long,
        value_name = "PATH",
        env = "STEROIDS_SOCKET",
        hide_env_values = true
    )]
    pub socket: Option<PathBuf>,
    /// Folder of what must survive a restart [default: $XDG_STATE_HOME/steroids]
    #[arg(
        long,
        value_name = "PATH",
        env = "STEROIDS_STATE_DIR",
        hide_env_values = true
    )]
    pub state_dir: Option<PathBuf>,
    /// error, warn, info, debug or trace; or directives such as steroidsd=debug,h2=warn
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// How agents are started: in units of the user's service manager, as processes of our own, or as
    /// well as can be here [default: auto]
    #[arg(
        long,
        value_enum,
        value_name = "LAUNCHER",
        env = "STEROIDS_LAUNCHER",
        hide_env_values = true
    )]
    pub launcher: Option<Launcher>,
    /// Run as root, and every agent with it
    #[arg(
        long,
        env = "STEROIDS_ALLOW_ROOT",
        hide_env_values = true,
        value_parser = clap::builder::FalseyValueParser::new()
    )]
    pub allow_root: bool,
}
