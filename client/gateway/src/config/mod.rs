//! Flags, environment and the table `[gateway]` into one checked [`Config`], before anything is
//! opened. A flag wins over its variable, that over the file, that over the default.
//!
//! The daemon reads the same file and checks the same table in the same words; what stands in the
//! other tables is its to judge, but for where its socket and state folder are.

mod error;
mod file;

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use steroids_client::paths;
use tracing_subscriber::EnvFilter;

pub use error::ConfigError;

const DEFAULT_PORT: u16 = 3501;
const DEFAULT_STREAMS: usize = 1000;
/// Connections besides those that stream: a page fetches over up to six at a time, and every idle
/// one is let go after a minute. With streams over these as well, nobody else is kept out.
const OTHER_CONNECTIONS: usize = 128;
const DEFAULT_LOG_LEVEL: &str = "info";

/// Flags of the gateway.
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
    /// The daemon's socket [default: $XDG_RUNTIME_DIR/steroids/steroidsd.sock]
    #[arg(
        long,
        value_name = "PATH",
        env = "STEROIDS_SOCKET",
        hide_env_values = true
    )]
    pub socket: Option<PathBuf>,
    /// The daemon's state folder; the token is kept in it [default: $XDG_STATE_HOME/steroids]
    #[arg(
        long,
        value_name = "PATH",
        env = "STEROIDS_STATE_DIR",
        hide_env_values = true
    )]
    pub state_dir: Option<PathBuf>,
    /// Where to listen, on this machine only; port 0 takes a free one [default: 127.0.0.1:3501]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Whether a token is asked for; without one everything is read-only [default: token]
    #[arg(long, value_enum, value_name = "HOW")]
    pub auth: Option<Auth>,
    /// Let browsers start and stop invocations, and send to them
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub control: Option<bool>,
    /// error, warn, info, debug or trace; or directives such as steroids_gateway=debug,h2=warn
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
}

/// All that can be set, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The daemon's socket.
    pub socket: PathBuf,
    /// Nobody has named that.
    pub is_usual: bool,
    /// Holds `gateway/`, where the token is.
    pub state_dir: PathBuf,
    /// Always a loopback address.
    pub listen: SocketAddr,
    /// Whether a token is asked for.
    pub auth: Auth,
    /// Whether invocations may be started and stopped.
    pub control: bool,
    /// Streams at a time.
    pub max_streams: usize,
    /// Further names it answers to, behind a reverse proxy.
    pub allowed_hosts: Vec<String>,
    /// A level, or directives.
    pub log_level: String,
}

/// Whether the gateway asks for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Auth {
    /// It does.
    Token,
    /// It does not, and is read-only.
    None,
}

impl Auth {
    /// The word as it stands in the file and in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Auth::Token => "token",
            Auth::None => "none",
        }
    }
}

impl Config {
    /// Reads everything for a gateway started with these flags.
    ///
    /// # Errors
    /// [`ConfigError`], naming the file and the key, or the flag.
    pub fn load(flags: &Flags) -> Result<Config, ConfigError> {
        Config::resolve(flags, |name| match name {
            "HOME" => std::env::home_dir().map(PathBuf::into_os_string),
            name => std::env::var_os(name),
        })
    }

    /// As [`Config::load`], with the environment given.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn resolve(
        flags: &Flags,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Config, ConfigError> {
        let found = paths::resolve_in(
            flags.socket.as_deref(),
            flags.state_dir.as_deref(),
            |name| match (name, &flags.config) {
                ("STEROIDS_CONFIG", Some(named)) => Some(named.clone().into_os_string()),
                _ => environment(name),
            },
        )?;
        if found.state_dir.as_os_str().is_empty() {
            return Err(ConfigError::NoHome);
        }
        let table = file::read(flags.config.as_deref(), &environment)?;
        let listen = match &flags.listen {
            Some(text) => Some(file::loopback(text).map_err(of_flag("--listen"))?),
            None => None,
        };
        let log_level = match &flags.log_level {
            Some(level) => log_level(level).map_err(of_flag("--log-level"))?,
            None => DEFAULT_LOG_LEVEL.to_owned(),
        };
        let config = Config {
            socket: found.socket,
            is_usual: found.is_usual,
            state_dir: found.state_dir,
            listen: listen
                .or(table.listen)
                .unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT))),
            auth: flags.auth.or(table.auth).unwrap_or(Auth::Token),
            control: flags.control.or(table.control).unwrap_or(false),
            max_streams: table.max_streams.unwrap_or(DEFAULT_STREAMS),
            allowed_hosts: table.allowed_hosts.unwrap_or_default(),
            log_level,
        };
        config.check(flags)
    }

    /// How many connections there may be at a time: every stream may have one, and others still come.
    pub fn max_connections(&self) -> usize {
        self.max_streams + OTHER_CONNECTIONS
    }

    /// What no single setting shows. The file alone was checked when it was read, so that what is
    /// wrong here came by a flag.
    fn check(self, flags: &Flags) -> Result<Config, ConfigError> {
        let by = |set: bool, flag| if set { flag } else { "--auth" };
        if self.auth == Auth::Token {
            return Ok(self);
        }
        if self.control {
            let flag = by(flags.control.is_some(), "--control");
            return Err(of_flag(flag)(file::CONTROL_NEEDS_TOKEN.to_owned()));
        }
        if !self.allowed_hosts.is_empty() {
            return Err(of_flag("--auth")(file::HOSTS_NEED_TOKEN.to_owned()));
        }
        Ok(self)
    }
}

fn of_flag(flag: &'static str) -> impl Fn(String) -> ConfigError {
    move |reason| ConfigError::Flag { flag, reason }
}

/// A level, or directives that the logger takes.
fn log_level(text: &str) -> Result<String, String> {
    const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];
    // A lone word that is no level would silence everything but a target of that name.
    let is_level = LEVELS.contains(&text);
    if is_level || (text.contains('=') && EnvFilter::builder().parse(text).is_ok()) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "unknown level `{text}`; there are {}, or directives such as steroids_gateway=debug,h2=warn",
            LEVELS.join(", ")
        ))
    }
}

#[cfg(test)]
mod tests;
