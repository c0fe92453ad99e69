//! The table `[gateway]` of the file: which keys there are, and what each may hold.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use steroids_client::paths;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Auth;
use super::error::ConfigError;

/// What a file of ours may weigh; a larger one is something else.
const FILE_MAX: u64 = 1 << 20;

pub(super) const CONTROL_NEEDS_TOKEN: &str = "control is never open without a token; set gateway.auth = \"token\", or control = false (--control=false)";
pub(super) const HOSTS_NEED_TOKEN: &str =
    "further names are never served without a token; set gateway.auth = \"token\"";

/// What the table says.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) listen: Option<SocketAddr>,
    pub(super) auth: Option<Auth>,
    pub(super) control: Option<bool>,
    pub(super) max_streams: Option<usize>,
    pub(super) allowed_hosts: Option<Vec<String>>,
}

/// Reads the file that was named, or the user's where there is one.
pub(super) fn read(
    named: Option<&Path>,
    environment: &impl Fn(&str) -> Option<OsString>,
) -> Result<Table, ConfigError> {
    let set = |name| environment(name).filter(|value: &OsString| !value.is_empty());
    let named = named
        .map(Path::to_owned)
        .or_else(|| set("STEROIDS_CONFIG").map(PathBuf::from));
    let is_named = named.is_some();
    let Some(file) = named.or_else(|| paths::config_file(environment)) else {
        return Ok(Table::default());
    };
    match content(&file) {
        Ok(text) => Source {
            file: &file,
            text: &text,
        }
        .parse(),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !is_named => Ok(Table::default()),
        Err(source) => Err(ConfigError::Read { file, source }),
    }
}

fn content(file: &Path) -> io::Result<String> {
    if std::fs::metadata(file)?.len() > FILE_MAX {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "larger than 1 MiB",
        ));
    }
    std::fs::read_to_string(file)
}

struct Source<'a> {
    file: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn parse(&self) -> Result<Table, ConfigError> {
        let root = DeTable::parse(self.text).map_err(|error| ConfigError::Syntax {
            file: self.file.to_owned(),
            line: self.line(error.span().map_or(0, |span| span.start)),
            reason: error.message().to_owned(),
        })?;
        let Some(value) = root.get_ref().get("gateway") else {
            return Ok(Table::default());
        };
        let DeValue::Table(table) = value.get_ref() else {
            let reason = format!("must be a table, not {}", value.get_ref().type_str());
            return Err(self.key(value.span().start, "gateway".to_owned(), reason));
        };
        let mut problems = self.unknown(table);
        let read = Table {
            listen: keep(
                self.get(table, "listen", |value| loopback(&word(value)?)),
                &mut problems,
            ),
            auth: keep(self.get(table, "auth", auth), &mut problems),
            control: keep(self.get(table, "control", yes), &mut problems),
            max_streams: keep(self.get(table, "max_streams", streams), &mut problems),
            allowed_hosts: keep(self.get(table, "allowed_hosts", hosts), &mut problems),
        };
        // As the daemon does: of several, that which stands first.
        problems.sort_by_key(ConfigError::line);
        if let Some(first) = problems.into_iter().next() {
            return Err(first);
        }
        if read.auth == Some(Auth::None) {
            if read.control == Some(true) {
                return Err(self.refuse(table, "control", CONTROL_NEEDS_TOKEN));
            }
            if read
                .allowed_hosts
                .as_ref()
                .is_some_and(|hosts| !hosts.is_empty())
            {
                return Err(self.refuse(table, "allowed_hosts", HOSTS_NEED_TOKEN));
            }
        }
        Ok(read)
    }

    /// What is said of the keys that there are not.
    fn unknown(&self, table: &DeTable<'_>) -> Vec<ConfigError> {
        let known = steroids_keys::known("gateway");
        let keys = table.keys();
        let unknown = keys.filter(|key| !known.contains(&key.get_ref().as_ref()));
        let said = unknown.map(|key| {
            let reason = format!("unknown key; [gateway] has {}", known.join(", "));
            self.key(
                key.span().start,
                format!("gateway.{}", key.get_ref()),
                reason,
            )
        });
        said.collect()
    }

    fn get<T>(
        &self,
        table: &DeTable<'_>,
        key: &str,
        read: impl FnOnce(&DeValue<'_>) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = table.get(key) else {
            return Ok(None);
        };
        read(value.get_ref())
            .map(Some)
            .map_err(|reason| self.key(value.span().start, format!("gateway.{key}"), reason))
    }

    fn refuse(&self, table: &DeTable<'_>, key: &str, reason: &str) -> ConfigError {
        let at = table
            .get(key)
            .map_or(0, |value: &Spanned<_>| value.span().start);
        self.key(at, format!("gateway.{key}"), reason.to_owned())
    }

    fn key(&self, at: usize, key: String, reason: String) -> ConfigError {
        ConfigError::Key {
            file: self.file.to_owned(),
            line: self.line(at),
            key,
            reason,
        }
    }

    /// The line a byte stands in, counted from one.
    fn line(&self, at: usize) -> usize {
        let before = self.text.get(..at).unwrap_or(self.text);
        before.bytes().filter(|byte| *byte == b'\n').count() + 1
    }
}

/// Notes what is wrong with a key, so that the others are looked at too.
fn keep<T>(read: Result<Option<T>, ConfigError>, problems: &mut Vec<ConfigError>) -> Option<T> {
    read.unwrap_or_else(|problem| {
        problems.push(problem);
        None
    })
}

/// Reads an address that only this machine reaches.
pub(super) fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text
        .parse()
        .map_err(|_| format!("`{text}` is no address; write it like \"127.0.0.1:3501\""))?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(format!(
            "`{text}` is reachable from outside; use 127.0.0.1 or [::1]"
        ))
    }
}

fn auth(value: &DeValue<'_>) -> Result<Auth, String> {
    match text(value)?.as_str() {
        "token" => Ok(Auth::Token),
        "none" => Ok(Auth::None),
        other => Err(format!("unknown value `{other}`; there are token, none")),
    }
}

fn yes(value: &DeValue<'_>) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| wrong(value, "true or false"))
}

fn streams(value: &DeValue<'_>) -> Result<usize, String> {
    let wanted = "a whole number from 1 to 100000";
    let integer = value.as_integer().ok_or_else(|| wrong(value, wanted))?;
    usize::from_str_radix(integer.as_str(), integer.radix())
        .ok()
        .filter(|number| (1..=100_000).contains(number))
        .ok_or_else(|| format!("must be {wanted}"))
}

fn hosts(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let list = value
        .as_array()
        .ok_or_else(|| wrong(value, "a list of texts"))?;
    list.iter().map(|item| text(item.get_ref())).collect()
}

fn text(value: &DeValue<'_>) -> Result<String, String> {
    let text = value
        .as_str()
        .ok_or_else(|| wrong(value, "a text in quotes"))?;
    if text.contains('\0') {
        return Err("must not contain a NUL".to_owned());
    }
    Ok(text.to_owned())
}

fn word(value: &DeValue<'_>) -> Result<String, String> {
    let text = text(value)?;
    if text.is_empty() {
        Err("must not be empty".to_owned())
    } else {
        Ok(text)
    }
}

fn wrong(value: &DeValue<'_>, wanted: &str) -> String {
    format!("must be {wanted}, not {}", value.type_str())
}
