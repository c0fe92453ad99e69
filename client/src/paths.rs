//! Where the daemon's socket and state folder are, by the rules the daemon itself goes by.
//!
//! | | socket | state folder |
//! |---|---|---|
//! | 1 | `--socket` | `--state-dir` |
//! | 2 | `STEROIDS_SOCKET` | `STEROIDS_STATE_DIR` |
//! | 3 | `daemon.socket` of `config.toml` | `daemon.state_dir` of `config.toml` |
//! | 4 | `$XDG_RUNTIME_DIR/steroids/steroidsd.sock` | `$XDG_STATE_HOME/steroids` |
//! | 5 | `<state folder>/run/steroidsd.sock` | `~/.local/state/steroids` |
//!
//! A state folder that was named by rule 1 or 2 brings its socket along: rule 4 is then passed
//! over, so that a second daemon with a state folder of its own is not taken for the first.
//!
//! Who runs by cron, by `su` or in an agent has another runtime folder than the daemon, or none. So where
//! rules 4 and 5 lead to a socket that no daemon serves, the one counts that the holder of the state
//! folder's lock serves.
//!
//! A file that cannot be read says nothing, for who only wants to reach a daemon that runs: it had read
//! the file when that was good.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use crate::holder::{self, Holder};

/// Longest path the kernel takes for a Unix socket, without its closing zero byte.
pub const LONGEST_SOCKET_PATH: usize = 107;

/// The configuration's file in a folder for configurations.
const CONFIG: &str = "steroids/config.toml";

/// Where to find the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// The gRPC socket.
    pub socket: PathBuf,
    /// The daemon's state folder; empty where only the socket is known.
    pub state_dir: PathBuf,
    /// Nobody has named the socket: who serves it must be this user's own.
    pub is_usual: bool,
}

/// Where to find the daemon, also where the configuration cannot be used; see [`find`].
#[derive(Debug)]
pub struct Found {
    /// As if there were no file, where that cannot be used.
    pub paths: Paths,
    unread: Option<PathsError>,
    is_socket_named: bool,
    is_state_named: bool,
}

impl Found {
    /// What is wrong with the configuration, where it was asked.
    pub fn unread(&self) -> Option<&PathsError> {
        self.unread.as_ref()
    }

    /// Whether somebody has named the socket: then the configuration does not matter.
    pub fn is_socket_named(&self) -> bool {
        self.is_socket_named
    }

    /// Why the daemon may have another socket than this one.
    pub fn doubt_of_socket(&self) -> Option<&PathsError> {
        self.unread().filter(|_| !self.is_socket_named())
    }

    /// Why the daemon may have another state folder than this one.
    pub fn doubt_of_state_dir(&self) -> Option<&PathsError> {
        self.unread().filter(|_| !self.is_state_named)
    }
}

/// Nothing tells where the daemon is.
#[derive(Debug, thiserror::Error)]
pub enum PathsError {
    /// No home folder to put a default into.
    #[error("no home folder is known, so there is no default place for the socket")]
    NoHome,
    /// The configuration cannot be read.
    #[error("{}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The configuration makes no sense.
    #[error("{}: {key}: {reason}", file.display())]
    Config {
        /// The file.
        file: PathBuf,
        /// Where in it.
        key: String,
        /// What is wrong there.
        reason: String,
    },
}

/// What `config.toml` says about where the daemon is.
#[derive(Debug, Default, PartialEq, Eq)]
struct Configured {
    socket: Option<PathBuf>,
    state_dir: Option<PathBuf>,
}

/// The configuration file that a daemon in this environment reads; it need not be there.
pub fn config_file_here() -> Option<PathBuf> {
    let named = std::env::var_os("STEROIDS_CONFIG").filter(|value| !value.is_empty());
    named.map(PathBuf::from).or_else(|| config_file(here))
}

/// Resolves both paths from flags, this process's environment and the configuration.
///
/// # Errors
/// [`PathsError`] where the configuration cannot be used, or there is no home folder.
pub fn resolve(socket: Option<&Path>, state_dir: Option<&Path>) -> Result<Paths, PathsError> {
    resolve_in(socket, state_dir, here)
}

/// Looks for both paths in flags, this process's environment and the configuration; where that cannot be
/// used, without it.
///
/// # Errors
/// [`PathsError`] where nothing else tells where the daemon is.
pub fn find(socket: Option<&Path>, state_dir: Option<&Path>) -> Result<Found, PathsError> {
    find_in(socket, state_dir, here)
}

/// A variable of this process's environment.
fn here(name: &str) -> Option<OsString> {
    match name {
        // Where the variable is missing the user database knows, for the daemon as well.
        "HOME" => std::env::home_dir().map(PathBuf::into_os_string),
        name => std::env::var_os(name),
    }
}

/// As [`resolve`], with the environment given.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_in(
    socket: Option<&Path>,
    state_dir: Option<&Path>,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<Paths, PathsError> {
    let found = find_in(socket, state_dir, environment)?;
    match found.unread {
        Some(error) => Err(error),
        None => Ok(found.paths),
    }
}

/// As [`find`], with the environment given.
fn find_in(
    socket: Option<&Path>,
    state_dir: Option<&Path>,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<Found, PathsError> {
    let set = |name: &str| {
        environment(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    // The XDG specification has relative values ignored rather than refused.
    let xdg = |name: &str| set(name).filter(|path| path.is_absolute());
    let home = xdg("HOME");

    let named = |flag: Option<&Path>, name: &str| {
        flag.map(Path::to_owned)
            .or_else(|| set(name))
            .map(|path| std::path::absolute(&path).unwrap_or(path))
    };
    let named_socket = named(socket, "STEROIDS_SOCKET");
    let named_state = named(state_dir, "STEROIDS_STATE_DIR");
    let (is_socket_named, is_state_named) = (named_socket.is_some(), named_state.is_some());
    let asked = if is_socket_named && is_state_named {
        Ok(Configured::default())
    } else {
        read(set("STEROIDS_CONFIG"), config_file(&environment))
    };
    let (configured, unread) = match asked {
        Ok(configured) => (configured, None),
        Err(error) => (Configured::default(), Some(error)),
    };

    let runtime = match &named_state {
        Some(_) => None,
        None => xdg("XDG_RUNTIME_DIR").map(|folder| folder.join("steroids/steroidsd.sock")),
    };
    let default_state = || {
        xdg("XDG_STATE_HOME")
            .or_else(|| home.as_ref().map(|home| home.join(".local/state")))
            .map(|base| base.join("steroids"))
    };
    let state_dir = named_state.or(configured.state_dir).or_else(default_state);
    let beside = || Some(state_dir.as_ref()?.join("run/steroidsd.sock"));
    let default = || Some(served(runtime.or_else(beside)?, state_dir.as_deref()));
    let chosen = named_socket.or(configured.socket);
    let is_usual = chosen.is_none();
    let Some(socket) = chosen.or_else(default) else {
        return Err(unread.unwrap_or(PathsError::NoHome));
    };
    Ok(Found {
        paths: Paths {
            socket,
            // Who named the socket can do without a state folder; only `doctor` looks at it.
            state_dir: state_dir.unwrap_or_default(),
            is_usual,
        },
        unread,
        is_socket_named,
        is_state_named,
    })
}

/// The default, unless no daemon serves it and the state folder's own daemon serves another.
fn served(default: PathBuf, state_dir: Option<&Path>) -> PathBuf {
    if holder::is_served(&default) {
        return default;
    }
    let holder = state_dir.and_then(Holder::of);
    let other = holder.and_then(|holder| holder.socket());
    other.unwrap_or(default)
}

/// The configuration where nobody names one: the user's own file, or, while there is none, the first
/// that is found in the system's folders (`XDG_CONFIG_DIRS`, usually `/etc/xdg`). One file counts, never a
/// mixture.
pub fn config_file(environment: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name: &str| environment(name).filter(|value| !value.is_empty());
    let absolute = |name: &str| {
        set(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let own = absolute("XDG_CONFIG_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".config")))
        .map(|folder| folder.join(CONFIG));
    let of_system = set("XDG_CONFIG_DIRS").unwrap_or_else(|| "/etc/xdg".into());
    let folders = std::env::split_paths(&of_system).filter(|folder| folder.is_absolute());
    let mut candidates = own
        .iter()
        .cloned()
        .chain(folders.map(|folder| folder.join(CONFIG)));
    let found = candidates.find(|file| file.exists());
    found.or(own)
}

/// Only a file that was named has to be there. Whatever else stands in it is the daemon's to judge.
fn read(named: Option<PathBuf>, default: Option<PathBuf>) -> Result<Configured, PathsError> {
    let is_named = named.is_some();
    let Some(file) = named.or(default) else {
        return Ok(Configured::default());
    };
    match std::fs::read_to_string(&file) {
        Ok(text) => parse(&file, &text),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !is_named => {
            Ok(Configured::default())
        }
        Err(source) => Err(PathsError::Read { file, source }),
    }
}

fn parse(file: &Path, text: &str) -> Result<Configured, PathsError> {
    let wrong = |key: &str, reason: &str| PathsError::Config {
        file: file.to_owned(),
        key: key.to_owned(),
        reason: reason.to_owned(),
    };
    // Without making values of what is not asked for: a number too large for any is not ours to judge.
    let table = DeTable::parse(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.map_or(1, |before| before.matches('\n').count() + 1);
        wrong(&format!("line {line}"), error.message())
    })?;
    let daemon = table.get_ref().get("daemon");
    let daemon = daemon.and_then(|daemon| daemon.get_ref().as_table());
    let path = |key: &str| {
        let Some(value) = daemon.and_then(|daemon| daemon.get(key)) else {
            return Ok(None);
        };
        let name = format!("daemon.{key}");
        match value.get_ref().as_str() {
            None => Err(wrong(&name, "must be a text")),
            Some("") => Ok(None),
            Some(path) if Path::new(path).is_absolute() => Ok(Some(PathBuf::from(path))),
            Some(_) => Err(wrong(&name, "must be an absolute path")),
        }
    };
    Ok(Configured {
        socket: path("socket")?,
        state_dir: path("state_dir")?,
    })
}

#[cfg(test)]
mod tests;
