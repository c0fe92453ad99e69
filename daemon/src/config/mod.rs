//! File, environment and flags into one checked [`Config`], before anything is opened. A flag wins
//! over its variable, that over the file, that over the default. Every default stands here.
//!
//! An unknown key is an error, as is a value that makes no sense: who writes `max_runing = 2` must
//! not pay for eight agents. The rest of the daemon never reads the environment or the file.

mod budget;
mod doubts;
mod error;
mod file;
mod flags;
mod hooks;
mod life;
mod mapping;
mod otlp;
mod places;
mod prices;
mod queue;
mod reload;
mod resources;
mod retention;
mod section;
mod set;
mod units;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use directories::BaseDirs;
use steroids_keys::Listing;

pub use error::ConfigError;
pub use flags::Flags;
pub use places::Places;
pub use reload::Changes;

use crate::domain::{Prices, StartResources};
use crate::hooks::{Environment, HookSettings};
use crate::supervise::{
    Budgets, DefaultLimits, ProviderSettings, QueueSettings, RedactionSettings,
};

/// All that can be set, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from; `None` where there was none.
    pub file: Option<PathBuf>,
    /// What it was read with; the file may be read again with them.
    pub flags: Flags,
    /// Every key, its value as it is written, and where that comes from.
    pub listing: Listing,
    /// The gRPC socket.
    pub socket: PathBuf,
    /// What must outlive the daemon.
    pub state_dir: PathBuf,
    /// Holds the shims' sockets.
    pub runtime_dir: PathBuf,
    /// A level, or directives.
    pub log_level: String,
    /// Between two maintenance passes; `None`: only on request.
    pub wakeup_interval: Option<Duration>,
    /// Invocations at a time.
    pub max_running: usize,
    /// What waits, for how long, and what is tried again.
    pub queue: QueueSettings,
    /// Bytes that must be free for a start; below, one would sooner or later pause its agent.
    pub min_free: u64,
    /// Connections at a time.
    pub max_connections: usize,
    /// Open requests and streams of one connection.
    pub max_streams: u32,
    /// How shims are started.
    pub launcher: Launcher,
    /// The shim's program; `None`: beside the daemon's own, else on PATH.
    pub shim: Option<PathBuf>,
    /// Whether it may run as root, as every agent then does.
    pub allow_root: bool,
    /// Time limits for every provider that does not say otherwise.
    pub limits: DefaultLimits,
    /// What may be deleted, and when.
    pub retention: crate::retention::Settings,
    /// Of models, by patterns of their names.
    pub prices: Prices,
    /// How much may be used.
    pub budgets: Budgets,
    /// What an invocation may use of the machine.
    pub resources: StartResources,
    /// What is kept out of logs and rows.
    pub redaction: RedactionSettings,
    /// By name; the built-in ones are always there.
    pub providers: BTreeMap<String, ProviderSettings>,
    /// Who is told of what.
    pub hooks: Vec<HookSettings>,
    /// Which collector is told; `None`: none is.
    pub otlp: Option<crate::otlp::Settings>,
    /// For the gateway, which reads the same file.
    pub gateway: Gateway,
    /// Folders in which programs are looked for: `PATH`, but for what is relative in it.
    pub search_path: Vec<PathBuf>,
    /// The daemon's own variables; where one is passed on, an allow-list says so.
    pub environment: Environment,
    /// The older tool's own database, if there is one.
    pub older_tool: Option<PathBuf>,
    /// What it was made of, to be read again.
    pub origin: (Flags, Option<Places>),
}

/// How shims are started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Launcher {
    /// The best there is here.
    Auto,
    /// As a child that lets go of us.
    Fork,
    /// In units of the user's service manager, or not at all.
    Systemd,
}

impl Launcher {
    /// The word as it stands in the file and in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Launcher::Auto => "auto",
            Launcher::Fork => "fork",
            Launcher::Systemd => "systemd",
        }
    }
}

/// Settings of the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// Where it listens; always a loopback address.
    pub listen: SocketAddr,
    /// Whether a token is asked for.
    pub auth: Auth,
    /// Whether invocations may be started and stopped.
    pub control: bool,
    /// Streams at a time.
    pub max_streams: u32,
    /// Further names it answers to, behind a reverse proxy.
    pub allowed_hosts: Vec<String>,
}

/// Whether the gateway asks for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// It does.
    Token,
    /// It does not, and is read-only.
    None,
}

impl Config {
    /// Reads everything for a daemon started with these flags.
    ///
    /// # Errors
    /// The first thing that is wrong; [`Config::examine`] tells all.
    pub fn load(flags: &Flags) -> Result<Config, ConfigError> {
        Config::examine(flags).map_err(first)
    }

    /// As [`Config::load`], and tells all that is wrong, by line.
    ///
    /// # Errors
    /// Whatever keeps a daemon from starting with this configuration; at least one.
    pub fn examine(flags: &Flags) -> Result<Config, Vec<ConfigError>> {
        let places = Places::of_user();
        let mut config = Config::read(flags, places.as_ref(), &|name| std::env::var_os(name))?;
        if let Some(path) = std::env::var_os("PATH") {
            let folders = std::env::split_paths(&path);
            config.search_path = folders.filter(|folder| folder.is_absolute()).collect();
        }
        config.environment = Environment(std::env::vars_os().collect());
        config.older_tool =
            BaseDirs::new().map(|folders| folders.home_dir().join(".steroids/steroids.db"));
        Ok(config)
    }

    /// As [`Config::load`], with the user's folders given.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn resolve(flags: &Flags, places: Option<&Places>) -> Result<Config, ConfigError> {
        Config::read(flags, places, &|_| None).map_err(first)
    }

    fn read(
        flags: &Flags,
        places: Option<&Places>,
        variable: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Config, Vec<ConfigError>> {
        let (source, text, read) = file::read(flags, places)?;
        let daemon = read.daemon;
        let paths = paths(flags, places, &daemon).map_err(one)?;
        let log_level = match &flags.log_level {
            Some(level) => file::log_level(level).map_err(|reason| {
                one(ConfigError::Flag {
                    flag: "--log-level",
                    reason,
                })
            })?,
            None => daemon.log_level.unwrap_or_else(|| "info".to_owned()),
        };
        let listing = Listing::of(&text, &set::elsewhere(flags, &paths, variable));
        Ok(Config {
            file: source,
            flags: flags.clone(),
            listing,
            socket: paths.socket,
            state_dir: paths.state_dir,
            runtime_dir: paths.runtime_dir,
            log_level,
            wakeup_interval: daemon
                .wakeup_interval
                .unwrap_or(Some(Duration::from_secs(300))),
            max_running: daemon.max_running.unwrap_or(8),
            queue: read.queue,
            min_free: daemon.min_free.unwrap_or(Some(200 << 20)).unwrap_or(0),
            max_connections: daemon.max_connections.unwrap_or(256),
            max_streams: daemon.max_streams.unwrap_or(64),
            launcher: flags.launcher.or(daemon.launcher).unwrap_or(Launcher::Auto),
            shim: daemon.shim,
            allow_root: flags.allow_root || daemon.allow_root,
            limits: read.limits,
            retention: read.retention,
            prices: read.prices,
            budgets: read.budgets,
            resources: read.resources,
            redaction: read.redaction,
            providers: read.providers,
            hooks: read.hooks,
            otlp: read.otlp,
            gateway: read.gateway,
            environment: Environment::default(),
            search_path: Vec::new(),
            older_tool: None,
            origin: (flags.clone(), places.cloned()),
        })
    }
}

/// Where the daemon's own files are.
struct Paths {
    socket: PathBuf,
    state_dir: PathBuf,
    runtime_dir: PathBuf,
}

fn paths(
    flags: &Flags,
    places: Option<&Places>,
    daemon: &file::Daemon,
) -> Result<Paths, ConfigError> {
    let named = flagged(
        "--state-dir (STEROIDS_STATE_DIR)",
        flags.state_dir.as_deref(),
    )?;
    // A state folder that was named brings its sockets along, so that a second daemon with one
    // of its own does not meet the first at the session's socket. Clients go by the same rule.
    let session = match named {
        Some(_) => None,
        None => places.and_then(|places| places.runtime.clone()),
    };
    let state_dir = named
        .or_else(|| daemon.state_dir.clone())
        .or_else(|| places.map(|places| places.state.clone()))
        .ok_or(ConfigError::NoHome)?;
    let runtime_dir = session.unwrap_or_else(|| state_dir.join("run"));
    let socket = match flagged("--socket (STEROIDS_SOCKET)", flags.socket.as_deref())? {
        Some(path) => path,
        None => match &daemon.socket {
            Some(path) => path.clone(),
            None => runtime_dir.join("steroidsd.sock"),
        },
    };
    Ok(Paths {
        socket,
        state_dir,
        runtime_dir,
    })
}

fn one(problem: ConfigError) -> Vec<ConfigError> {
    vec![problem]
}

/// Of the problems of a configuration, of which there is one at least.
fn first(problems: Vec<ConfigError>) -> ConfigError {
    problems.into_iter().next().unwrap_or(ConfigError::NoHome)
}

/// A path given by flag or variable, made absolute; an empty one counts as not given.
fn flagged(flag: &'static str, path: Option<&Path>) -> Result<Option<PathBuf>, ConfigError> {
    match path {
        Some(path) if !path.as_os_str().is_empty() => {
            std::path::absolute(path)
                .map(Some)
                .map_err(|error| ConfigError::Flag {
                    flag,
                    reason: error.to_string(),
                })
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests;
